"""Energy distances against dcor, the permutation against brute force, its level and its power."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from threetconv.errors import InputError
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.energy import (
    energy_floor,
    energy_tests,
    joint_energy,
    permute_energy,
    translation_sample,
)

KEYS = ["network", "dataset", "init"]


def write(table, folder):
    """The parameter files of a study; returns their paths."""
    paths = []
    for (run_id, *keys), rows in table.groupby(["run_id", *KEYS]):
        path = folder.joinpath(*(f"{k}={v}" for k, v in zip(KEYS, keys, strict=True)))
        path.mkdir(parents=True, exist_ok=True)
        rows.drop(columns=KEYS).to_parquet(path / f"{run_id}.parquet")
        paths.append(path / f"{run_id}.parquet")
    return paths


def matrix(samples):
    """Energy distances of every two samples."""
    return np.array([[joint_energy(x, y) for y in samples] for x in samples])


def block(a, b):
    """A block from the samples of two arms."""
    return matrix([*a, *b]), np.arange(len(a) + len(b)) < len(a)


@pytest.fixture(scope="module")
def files(make_study, tmp_path_factory):
    """Three runs per cell; gestures move three times as far."""
    study = make_study(k=3, ratio=3, seed=5)
    return write(study.parameters, tmp_path_factory.mktemp("energy")), study


@pytest.fixture(scope="module")
def table(files):
    paths, study = files
    return energy_tests(paths, study.runs, seed=1)


def test_known_answer():
    a, b = np.arange(1.0, 5)[:, None], np.arange(3.0, 7)[:, None]
    assert joint_energy(a, b) == pytest.approx(1.75)
    assert np.sqrt(joint_energy(a, b)) == pytest.approx(1.3228756555)
    assert joint_energy(a, a) == 0


@pytest.mark.slow
def test_dcor_gives_the_same_distance():
    import dcor  # seconds to import

    rng = np.random.default_rng(0)
    a, b = rng.standard_t(3, (60, 2)), rng.normal(1, 2, (45, 2))
    assert joint_energy(a, b) == pytest.approx(float(dcor.energy_distance(a, b)))


def test_the_statistic_is_the_energy_distance_of_the_pooled_arms():
    """For runs with equally many rows, whatever the numbers of runs."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, (3, 40, 2)), rng.normal(0.5, 1, (5, 40, 2))
    pooled = joint_energy(a.reshape(-1, 2), b.reshape(-1, 2))
    assert permute_energy([block(a, b)], seed=0).statistic == pytest.approx(pooled)


@pytest.mark.parametrize("sizes", [[(2, 2)], [(2, 3)], [(3, 2), (2, 2)], [(1, 3), (2, 1), (1, 1)]])
def test_enumeration_is_brute_force(sizes):
    """Every labeling of every block, its statistic from pooled rows."""
    rng = np.random.default_rng(2)
    samples = [rng.normal(rng.normal(0, 1), 1, (a + b, 12, 2)) for a, b in sizes]
    per_block = []
    for points, (n_a, n_b) in zip(samples, sizes, strict=True):
        values = []
        for chosen in combinations(range(n_a + n_b), n_a):
            rest = [i for i in range(n_a + n_b) if i not in chosen]
            arms = points[list(chosen)].reshape(-1, 2), points[rest].reshape(-1, 2)
            values.append(joint_energy(*arms))
        per_block.append(values)  # the first one is the labeling as observed
    totals = np.array([np.mean(choice) for choice in product(*per_block)])
    p = np.mean(totals >= totals[0] - 1e-9)
    blocks = [block(s[:n], s[n:]) for s, (n, _) in zip(samples, sizes, strict=True)]
    result = permute_energy(blocks, seed=0)
    assert result.exact
    assert result.n_permutations == totals.size
    assert result.statistic == pytest.approx(totals[0])
    assert result.p == pytest.approx(p)
    assert energy_floor(sizes) - 1e-12 <= result.floor <= result.p + 1e-12


@pytest.mark.parametrize(
    ("sizes", "floor"),
    [
        ([(1, 1)], 1.0), ([(3, 3)], 0.1), ([(2, 3)], 0.1), ([(4, 4)], 2 / 70), ([(5, 5)], 2 / 252),
        ([(1, 1)] * 4, 1.0), ([(3, 3)] * 4, 1e-4), ([(3, 3), (2, 3)], 2 / 200),
    ],
)  # fmt: skip
def test_the_floor_is_attained_by_separated_arms(sizes, floor):
    assert energy_floor(sizes) == pytest.approx(floor)
    rng = np.random.default_rng(3)
    blocks = [block(rng.normal(9, 0.1, (a, 5, 2)), rng.normal(0, 0.1, (b, 5, 2))) for a, b in sizes]
    result = permute_energy(blocks, seed=0)
    assert result.p == pytest.approx(floor)
    assert result.floor == pytest.approx(floor)


def test_neither_the_order_of_runs_nor_the_names_of_arms_matter():
    rng = np.random.default_rng(4)
    e, mask = block(rng.normal(0.6, 1, (2, 20, 2)), rng.normal(0, 1, (5, 20, 2)))
    one = permute_energy([(e, mask)], seed=0)
    order = rng.permutation(7)
    other = permute_energy([(e[np.ix_(order, order)], ~mask[order])], seed=0)
    assert one.p == other.p
    assert one.statistic == pytest.approx(other.statistic)


def test_draws_agree_with_enumeration():
    rng = np.random.default_rng(5)
    e, mask = block(rng.normal(0.4, 1, (4, 15, 2)), rng.normal(0, 1, (5, 15, 2)))
    exact = permute_energy([(e, mask)], seed=0)
    drawn = permute_energy([(e, mask)], seed=0, max_enumeration=10, draws=20_000)
    assert not drawn.exact
    assert drawn.n_permutations == 20_000
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 20_000))
    assert drawn.p == permute_energy([(e, mask)], seed=0, max_enumeration=10, draws=20_000).p
    swapped = permute_energy([(e, ~mask)], seed=0, max_enumeration=10, draws=20_000)
    assert swapped.p == drawn.p


def test_level_with_run_effects():
    """Runs of both arms from one distribution, each with a shift and a scale of its own."""
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(300):
        runs = [
            rng.normal(0, 0.3, 2) + np.exp(rng.normal(0, 0.2)) * rng.standard_t(4, (15, 2))
            for _ in range(8)
        ]
        hits += permute_energy([block(runs[:4], runs[4:])], seed=0).p <= 0.05
    assert stats.binom.ppf(0.0005, 300, 2 / 70) <= hits <= stats.binom.ppf(0.9995, 300, 0.05)


def test_power_for_a_shift_and_for_a_shape_with_equal_means():
    rng = np.random.default_rng(7)
    shape = np.linalg.cholesky(np.array([[1, 0.8], [0.8, 1]]))
    shifted = bent = 0
    for _ in range(40):
        plain = rng.normal(0, 1, (10, 60, 2))
        shifted += (
            permute_energy([block(plain[:5] + np.array([0.6, 0]), plain[5:])], seed=0).p <= 0.05
        )
        bent += permute_energy([block(plain[:5] @ shape.T, plain[5:])], seed=0).p <= 0.05
    assert shifted >= 36
    assert bent >= 32


def test_a_sample_depends_on_its_run_alone():
    rng = np.random.default_rng(8)
    rows = pd.DataFrame(rng.normal(0, 1, (50, 2)), columns=["translate_x", "translate_y"])
    drawn = translation_sample(rows, "run-1", 3, 20)
    assert drawn.shape == (20, 2)
    everything = {(-x / 2, y / 2) for x, y in rows.itertuples(index=False)}
    assert len({tuple(point) for point in drawn} & everything) == 20  # without replacement
    shuffled = rows.sample(frac=1, random_state=1)
    assert np.array_equal(drawn, translation_sample(shuffled, "run-1", 3, 20))
    assert not np.array_equal(drawn, translation_sample(rows, "run-2", 3, 20))
    assert not np.array_equal(drawn, translation_sample(rows, "run-1", 4, 20))
    assert len(translation_sample(rows, "run-1", 3, 60)) == 50


def test_columns_and_lines(table):
    assert table.columns.tolist() == ["outcome", *COLUMNS]
    assert len(table) == 2 * 5
    assert set(table["parameter"]) == {"px, py"}
    assert set(table["unit"]) == {"run"}
    assert set(table["rng_seed"]) == {1}
    overall = table[table["stratum"] == "all"].set_index("family")
    assert overall["p_floor"].tolist() == pytest.approx([1e-4, 1e-4])
    assert overall.loc["dataset", "p_raw"] == pytest.approx(1e-4)
    assert overall.loc["init", "p_raw"] > 0.05
    assert (overall["p_adjusted"] == overall["p_raw"]).all()
    assert (overall["n_a"] == 12).all()
    single = table[table["stratum"] != "all"]
    assert set(single["status"]) == {"untestable"}
    assert single["p_adjusted"].isna().all()
    assert single["reason"].str.contains("smallest attainable p is 0.1, above alpha").all()
    assert single["statistic"].gt(0).all()


def test_the_line_is_made_of_the_rows(table, files):
    """With all rows drawn the statistic is the distance of the pooled rows, in units of c."""
    _, study = files
    reachable = study.parameters[study.parameters["reachable"]]
    z = np.abs(reachable[["translate_x", "translate_y"]].to_numpy(np.float64) / 2)
    inside = (reachable["network"] == "resnet18") & (reachable["init"] == "scratch")
    arms = [
        reachable.loc[inside & (reachable["dataset"] == name), ["translate_x", "translate_y"]]
        for name in ("gestures", "scenes")
    ]
    expected = joint_energy(*(arm.to_numpy(np.float64) / 2 / np.median(z) for arm in arms))
    found = table[(table["family"] == "dataset") & (table["stratum"] == "resnet18, scratch")].iloc[
        0
    ]
    assert found["statistic"] == pytest.approx(expected)


def test_bytes_do_not_depend_on_the_order_of_files_or_rows(table, files, tmp_path):
    paths, study = files
    again = energy_tests(paths[::-1], study.runs.iloc[::-1], seed=1)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    shuffled = write(study.parameters.sample(frac=1, random_state=2), tmp_path)
    pd.testing.assert_frame_equal(energy_tests(shuffled, seed=1), table, check_exact=True)


def test_swapping_the_contrast_changes_its_name_only(table, files):
    paths, study = files
    swapped = energy_tests(paths, study.runs, seed=1, datasets=("scenes", "gestures"))
    for name in ("statistic", "p_raw", "p_floor"):
        assert swapped[name].tolist() == pytest.approx(table[name].tolist())
    assert swapped["contrast"].iloc[0] == "scenes / gestures"


def test_all_rows_are_used_and_counted(files, monkeypatch):
    paths, study = files
    reachable = study.parameters["reachable"].groupby(study.parameters["run_id"]).sum()
    (rows,) = set(reachable)
    whole = energy_tests(paths, study.runs, seed=1)
    assert whole["method"].str.endswith(f"all reachable rows ({rows} per run)").all()
    # no row is drawn, so the seed draws nothing but labelings
    assert energy_tests(paths, study.runs, seed=2)["statistic"].equals(whole["statistic"])
    some = energy_tests(paths, study.runs, seed=1, max_rows=rows - 1)
    said = f"{rows - 1} reachable rows drawn from a run that has more (up to {rows})"
    assert some["method"].str.endswith(said).all()
    assert not some["statistic"].equals(whole["statistic"])
    monkeypatch.setattr("threetconv.statistics.tests.energy.AT_ONCE", 7)
    pieces = energy_tests(paths, study.runs, seed=1)
    assert pieces["statistic"].to_numpy() == pytest.approx(whole["statistic"].to_numpy())


def test_edges(make_study, tmp_path):
    study = make_study(k=2, still=("gestures", "scenes"))
    still = energy_tests(write(study.parameters, tmp_path / "still"), study.runs, seed=0)
    assert set(still["status"]) == {"degenerate"}
    assert set(still["statistic"]) == {0.0}
    study = make_study(k=1)
    paths = write(study.parameters, tmp_path / "single")
    single = energy_tests(paths, study.runs, seed=0)
    assert set(single["status"]) == {"untestable"}
    assert set(single["p_floor"]) == {1.0}
    lacking = [path for path in paths if "resnet18-scenes-scratch" not in path.name]
    found = energy_tests(lacking, study.runs, seed=0, families=("dataset",))
    assert (
        found["reason"].iloc[0].endswith("block resnet18, scratch left out: runs of one arm only")
    )
    assert found["reason"].iloc[-1] == "no block has runs of both gestures and scenes"
    assert energy_tests([], seed=0).empty


@pytest.mark.parametrize("rows", [0, 20_001])
def test_rows_per_run_have_bounds(files, rows):
    with pytest.raises(InputError, match="1 to 20,000"):
        energy_tests(files[0], seed=0, max_rows=rows)
