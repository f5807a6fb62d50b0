"""Distances between pooled rows: known answers, invariants, and what is drawn or left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from threetconv.statistics.densities.distances import COLUMNS, row_distances
from threetconv.statistics.tests.effect_sizes import (
    cliffs_delta,
    energy,
    hedges_g,
    ks_distance,
    wasserstein,
)
from threetconv.statistics.tests.energy import joint_energy

KEYS = ["network", "dataset", "init"]
A, B = [1, 2, 3, 4], [3, 4, 5, 6]
PLANNED = [
    "recipe", "family", "contrast", "stratum", "parameter", "checkpoint", "unit", "n_a", "n_b",
    "wasserstein", "energy", "ks", "cliffs_delta", "note",
]  # fmt: skip
VALUES = ["wasserstein", "energy", "ks", "cliffs_delta"]


def write(table, folder):
    """The parameter files of a study; returns their paths."""
    paths = []
    for (run_id, *keys), rows in table.groupby(["run_id", *KEYS]):
        path = folder.joinpath(*(f"{k}={v}" for k, v in zip(KEYS, keys, strict=True)))
        path.mkdir(parents=True, exist_ok=True)
        rows.drop(columns=KEYS).to_parquet(path / f"{run_id}.parquet")
        paths.append(path / f"{run_id}.parquet")
    return paths


@pytest.fixture(scope="module")
def planted(make_study, tmp_path_factory):
    """Two runs per cell; gestures move 1.8 times as far."""
    study = make_study(k=2, ratio=1.8, seed=7)
    paths = write(study.parameters, tmp_path_factory.mktemp("distances"))
    return paths, study, row_distances(paths, study.runs, seed=1)


def test_known_answers():
    assert cliffs_delta(A, B) == pytest.approx(0.75)
    assert wasserstein(A, B) == pytest.approx(2)
    assert energy(A, B) == pytest.approx(1.3228756555)
    assert ks_distance(A, B) == pytest.approx(0.5)
    assert stats.ks_2samp(A, B).pvalue == pytest.approx(0.7714286)
    assert hedges_g(A, B) == pytest.approx(1.3471246)


@pytest.mark.parametrize("distance", [energy, ks_distance])
def test_primitives_are_symmetric_and_know_their_limits(distance):
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 1, 30), rng.normal(0.5, 2, 20)
    assert distance(x, y) == pytest.approx(distance(y[::-1], x))
    assert distance(x, x) == 0
    assert np.isnan(distance([], y))
    assert np.isnan(distance([np.nan, 1], y))


def test_columns_and_lines(planted):
    _, _, table = planted
    assert table.columns.tolist() == COLUMNS == PLANNED
    assert len(table) == 2 * 4 * 5
    assert table["parameter"].tolist()[:5] == ["s", "r", "px", "py", "px, py"]
    assert set(table["unit"]) == {"row"}
    joint = table[table["parameter"] == "px, py"]
    assert joint[["wasserstein", "ks", "cliffs_delta"]].isna().all(axis=None)
    assert joint["energy"].gt(0).all()
    assert set(table["note"]) == {""}


@pytest.mark.parametrize(
    ("parameter", "column", "factor"),
    [("r", "rotate", -1), ("px", "translate_x", -0.5), ("py", "translate_y", 0.5)],
)
def test_the_line_is_made_of_the_pooled_reachable_rows(planted, parameter, column, factor):
    _, study, table = planted
    rows = study.parameters[study.parameters["reachable"]]
    rows = rows[(rows["network"] == "resnet18") & (rows["init"] == "scratch")]
    a, b = (
        factor * rows.loc[rows["dataset"] == name, column].to_numpy(np.float64)
        for name in ("gestures", "scenes")
    )
    keep = (table["family"] == "dataset") & (table["stratum"] == "resnet18, scratch")
    (found,) = table[keep & (table["parameter"] == parameter)].to_dict("records")
    assert (found["n_a"], found["n_b"]) == (a.size, b.size)
    assert found["wasserstein"] == pytest.approx(stats.wasserstein_distance(a, b))
    assert found["energy"] == pytest.approx(stats.energy_distance(a, b))
    assert found["ks"] == pytest.approx(stats.ks_2samp(a, b).statistic)
    u = stats.mannwhitneyu(np.abs(a), np.abs(b)).statistic
    assert found["cliffs_delta"] == pytest.approx(2 * u / (a.size * b.size) - 1)
    assert found["cliffs_delta"] > 0.1  # gestures, the first arm, move further


def test_the_joint_distance_is_the_square_root(planted):
    """As on the line, where scipy takes the root; `test_energy` holds `joint_energy` to dcor."""
    _, study, table = planted
    rows = study.parameters[study.parameters["reachable"]]
    rows = rows[(rows["network"] == "googlenet") & (rows["dataset"] == "scenes")]
    a, b = (
        rows.loc[rows["init"] == name, ["translate_x", "translate_y"]].to_numpy(np.float64) / 2
        for name in ("scratch", "pretrained")
    )
    keep = (table["family"] == "init") & (table["stratum"] == "googlenet, scenes")
    found = table.loc[keep & (table["parameter"] == "px, py"), "energy"].item()
    assert found == pytest.approx(np.sqrt(joint_energy(a, b)))


def test_swapping_labels_flips_the_sign_of_delta_only(planted):
    paths, study, table = planted
    swapped = row_distances(paths, study.runs, seed=1, datasets=("scenes", "gestures"))
    a, b = (t[t["family"] == "dataset"].reset_index(drop=True) for t in (table, swapped))
    for name in VALUES[:3]:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-9)
    np.testing.assert_allclose(a["cliffs_delta"], -b["cliffs_delta"])


def test_limits_on_rows_are_kept_and_said(planted):
    paths, study, _ = planted
    table = row_distances(paths, study.runs, seed=1, max_rows=60, max_joint_rows=20)
    plain, joint = table[table["parameter"] != "px, py"], table[table["parameter"] == "px, py"]
    assert (plain["n_a"] + plain["n_b"] <= 60).all()
    assert plain["note"].str.fullmatch(r"30 \+ 30 rows drawn from 368").all()
    assert set(joint["n_a"]) == {20}
    assert joint["note"].str.contains("20 + 20 rows drawn from", regex=False).all()


def test_bytes_do_not_depend_on_order(planted, tmp_path):
    paths, study, table = planted
    shuffled = write(study.parameters.sample(frac=1, random_state=2), tmp_path)[::-1]
    again = row_distances(shuffled, study.runs.iloc[::-1], seed=1)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    drawn = {"seed": 1, "max_rows": 60, "max_joint_rows": 20}
    pd.testing.assert_frame_equal(
        row_distances(paths, study.runs, **drawn),
        row_distances(shuffled, **drawn),
        check_exact=True,
    )
    other = row_distances(paths, study.runs, **(drawn | {"seed": 2}))
    assert (other["energy"] != row_distances(paths, study.runs, **drawn)["energy"]).all()


def test_edges(make_study, tmp_path):
    study = make_study(k=1, still=("gestures", "scenes"))
    paths = write(study.parameters, tmp_path)
    still = row_distances(paths, study.runs, seed=0)
    assert (still[VALUES].fillna(0) == 0).all(axis=None)
    plain = still[still["parameter"] != "px, py"]
    assert set(plain["note"]) == {"no row left the identity"}
    lacking = [path for path in paths if "resnet18-scenes-scratch" not in path.name]
    found = row_distances(lacking, study.runs, seed=0, families=("dataset",))
    alone = found[found["stratum"] == "resnet18, scratch"]
    assert alone[VALUES].isna().all(axis=None)
    assert set(alone["note"]) == {"runs of one arm only"}
    assert set(alone["n_b"]) == {0}
    assert row_distances([], seed=0).columns.tolist() == COLUMNS
