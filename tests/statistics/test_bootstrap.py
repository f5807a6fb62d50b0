"""The hierarchical bootstrap: what is resampled, what is not, and how well it covers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from threetconv.errors import InputError
from threetconv.statistics.summaries.bootstrap import (
    COLUMNS,
    ChannelSums,
    channel_sums,
    hierarchical_bootstrap,
    resample_cell,
)
from threetconv.statistics.summaries.summarise import summarise
from threetconv.statistics.tests.contrasts import run_tests

KEYS = ["network", "dataset", "init"]
PLANNED = [
    "recipe", "family", "contrast", "stratum", "parameter", "checkpoint", "estimate", "ci_low",
    "ci_high",
    "level", "n_resamples", "method", "status", "reason", "rng_seed",
]  # fmt: skip


def write(table, folder):
    """The parameter files of a study; returns their paths."""
    paths = []
    for (run_id, *keys), rows in table.groupby(["run_id", *KEYS]):
        path = folder.joinpath(*(f"{k}={v}" for k, v in zip(KEYS, keys, strict=True)))
        path.mkdir(parents=True, exist_ok=True)
        rows.drop(columns=KEYS).to_parquet(path / f"{run_id}.parquet")
        paths.append(path / f"{run_id}.parquet")
    return paths


def layer(*channels):
    """A layer whose channels have these values of |z| (one per transition), in all parameters."""
    sums = np.array([[float(sum(values))] * 4 for values in channels])
    return ChannelSums(sums, np.array([len(values) for values in channels]))


@pytest.fixture(scope="module")
def planted(make_study, tmp_path_factory):
    """Three runs per cell; gestures move 1.8 times as far."""
    study = make_study(k=3, ratio=1.8, seed=6)
    paths = write(study.parameters, tmp_path_factory.mktemp("bootstrap"))
    return paths, study, hierarchical_bootstrap(paths, study.runs, seed=1, n_resamples=400)


def test_sums_by_channel():
    frame = pd.DataFrame(
        {
            "layer_index": [0, 0, 0, 3, 0], "channel": [0, 1, 0, 5, 1],
            "scale": np.exp([1.0, -2, 3, 4, 5]), "rotate": [1.0, 2, -3, 4, 5],
            "translate_x": [2.0, 4, 6, 8, -10], "translate_y": [1.0, 1, 1, 1, 1],
        }
    )  # fmt: skip
    first, second = channel_sums(frame)
    assert first.sums == pytest.approx(np.array([[4, 4, 4, 1], [7, 7, 7, 1]]))
    assert first.counts.tolist() == [2, 2]
    assert second.sums == pytest.approx(np.array([[4, 4, 4, 0.5]]))
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        again = channel_sums(frame.iloc[order])
        assert np.array_equal(again[0].sums, first.sums)


def test_transitions_travel_with_their_channel():
    """Channels (1, 1) and (3, 3): a mean over drawn channels is 1, 2 or 3, nothing between."""
    observed, drawn = resample_cell([[layer((1, 1), (3, 3))]], 2_000, np.random.default_rng(0))
    assert observed == pytest.approx(np.log(2))
    values, counts = np.unique(np.exp(drawn[:, 0]).round(9), return_counts=True)
    assert values.tolist() == [1, 2, 3]
    assert counts / 2_000 == pytest.approx([0.25, 0.5, 0.25], abs=0.04)


def test_layers_are_a_census():
    """One channel per layer: nothing is left to chance within a run."""
    run = [layer((1, 2)), layer((5,)), layer((9, 9, 9))]
    _, drawn = resample_cell([run], 50, np.random.default_rng(0))
    assert np.exp(drawn) == pytest.approx(35 / 6)


def test_parameters_share_their_draws():
    """A channel is drawn with all its parameters."""
    rng = np.random.default_rng(1)
    base = rng.exponential(1, (20, 1))
    run = [ChannelSums(base * [1, 2, 3, 4], np.ones(20, dtype=np.int64))]
    _, drawn = resample_cell([run], 30, np.random.default_rng(0))
    assert drawn[:, 1] - drawn[:, 0] == pytest.approx(np.log(2))
    assert drawn[:, 3] - drawn[:, 0] == pytest.approx(np.log(4))


def test_a_run_that_is_drawn_twice_has_its_channels_drawn_twice():
    """Two identical runs: the variance of their mean is half that of one, never that of one."""
    run = [layer(*[(v,) for v in np.random.default_rng(2).exponential(1, 30)])]
    _, one = resample_cell([run], 6_000, np.random.default_rng(0))
    _, two = resample_cell([run, run], 6_000, np.random.default_rng(1))
    assert two[:, 0].var() / one[:, 0].var() == pytest.approx(0.5, abs=0.06)


def test_against_a_loop():
    """The same scheme, drawn run by run and channel by channel."""
    rng = np.random.default_rng(3)
    values = [[rng.exponential(np.exp(rng.normal(0, 0.3)), (c, t)) for c, t in ((9, 6), (14, 2))]
              for _ in range(3)]  # fmt: skip
    cell = [[layer(*(tuple(row) for row in z)) for z in run] for run in values]
    observed, drawn = resample_cell(cell, 4_000, np.random.default_rng(4))
    assert observed[0] == pytest.approx(
        np.mean([np.log(np.concatenate([z.ravel() for z in run]).mean()) for run in values])
    )
    looped = []
    for _ in range(4_000):
        means = []
        for run in rng.integers(3, size=3):
            rows = [z[rng.integers(len(z), size=len(z))].ravel() for z in values[run]]
            means.append(np.log(np.concatenate(rows).mean()))
        looped.append(np.mean(means))
    assert drawn[:, 0].mean() == pytest.approx(np.mean(looped), abs=0.02)
    assert drawn[:, 0].std() == pytest.approx(np.std(looped), rel=0.06)
    assert stats.ks_2samp(drawn[:, 0], looped).pvalue > 0.001


def test_columns_and_estimates(planted):
    _, study, table = planted
    assert table.columns.tolist() == COLUMNS == PLANNED
    assert len(table) == 2 * 5 * 4
    assert set(table["status"]) == {"descriptive"}
    assert table["method"].str.contains("covers less than its level").all()
    tests = run_tests(summarise(*study), study.runs, seed=0, families=("dataset", "init"))
    key = ["family", "stratum", "parameter"]
    both = table.merge(tests, on=key, suffixes=("", "_test"))
    assert len(both) == len(table)
    np.testing.assert_allclose(both["estimate"], both["estimate_test"], rtol=1e-9)
    assert (table["ci_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["ci_high"]).all()


def test_swapping_labels_inverts_the_interval(planted):
    paths, study, table = planted
    swapped = hierarchical_bootstrap(
        paths, study.runs, seed=1, n_resamples=400, datasets=("scenes", "gestures")
    )
    a, b = (t[t["family"] == "dataset"].reset_index(drop=True) for t in (table, swapped))
    np.testing.assert_allclose(a["ci_low"], 1 / b["ci_high"], rtol=1e-9)
    np.testing.assert_allclose(a["estimate"], 1 / b["estimate"], rtol=1e-9)


def test_bytes_do_not_depend_on_order_and_cells_not_on_each_other(planted, tmp_path):
    paths, study, table = planted
    shuffled = write(study.parameters.sample(frac=1, random_state=2), tmp_path)
    again = hierarchical_bootstrap(shuffled[::-1], study.runs, seed=1, n_resamples=400)
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    some = [path for path in paths if "googlenet" in path.name]
    fewer = hierarchical_bootstrap(some, study.runs, seed=1, n_resamples=400)
    mine = table[table["stratum"].str.startswith("googlenet")].reset_index(drop=True)
    single = fewer[fewer["stratum"] != "all"].reset_index(drop=True)
    pd.testing.assert_frame_equal(single, mine, check_exact=True)
    other = hierarchical_bootstrap(paths, study.runs, seed=2, n_resamples=400)
    assert (other["ci_low"] != table["ci_low"]).all()


def test_arms_with_the_same_values_are_drawn_apart(planted, tmp_path):
    """Copies of one data set under two names: a ratio of 1, with an interval around it."""
    _, study, _ = planted
    scenes = study.parameters[study.parameters["dataset"] == "scenes"]
    copy = scenes.assign(dataset="copies", run_id=scenes["run_id"].str.replace("scenes", "copies"))
    paths = write(pd.concat([scenes, copy]), tmp_path)
    table = hierarchical_bootstrap(paths, seed=1, n_resamples=100, families=("dataset",))
    np.testing.assert_allclose(table["estimate"], 1)
    assert (table["ci_high"] / table["ci_low"] > 1.02).all()


def test_edges(make_study, tmp_path):
    study = make_study(k=1)
    paths = write(study.parameters, tmp_path / "single")
    single = hierarchical_bootstrap(paths, study.runs, seed=0, n_resamples=20)
    assert set(single["status"]) == {"untestable"}
    assert single["ci_low"].isna().all()
    assert single["estimate"].gt(0).all()
    lacking = [path for path in paths if "resnet18-scenes-scratch" not in path.name]
    found = hierarchical_bootstrap(lacking, seed=0, n_resamples=20, families=("dataset",))
    assert found["reason"].iloc[-1] == "no block has runs of both gestures and scenes"
    study = make_study(k=2, still=("scenes",))
    paths = write(study.parameters, tmp_path / "still")
    still = hierarchical_bootstrap(paths, study.runs, seed=0, n_resamples=20, families=("dataset",))
    assert set(still["status"]) == {"degenerate"}
    assert still["estimate"].isna().all()
    assert hierarchical_bootstrap([], seed=0).columns.tolist() == COLUMNS


def test_a_resample_without_any_moved_channel_is_degenerate(make_study, tmp_path):
    """One channel of two moves: a quarter of the resamples draw the other one twice."""
    study = make_study(k=2, layers=((3, 2), (2, 1)))
    keep = (study.parameters["layer_index"] == 0) & (study.parameters["channel"] == 0)
    parameters = study.parameters.copy()
    for name in ("rotate", "translate_x", "translate_y"):
        parameters[name] = parameters[name].where(keep, 0.0)
    parameters["scale"] = parameters["scale"].where(keep, 1.0)
    table = hierarchical_bootstrap(write(parameters, tmp_path), seed=0, n_resamples=200)
    assert set(table["status"]) == {"degenerate"}
    assert table["reason"].str.contains("no channel that moved").all()
    assert table["estimate"].gt(0).all()


@pytest.mark.parametrize("setting", [{"level": 1.0}, {"level": 0.0}, {"n_resamples": 0}])
def test_settings_are_checked(setting):
    with pytest.raises(InputError, match="bootstrap settings"):
        hierarchical_bootstrap([], seed=0, **setting)


def coverage(rng, k, studies, *, channel, noise):
    """Share of 95 % intervals that hold the true ratio, 1; spread .1 between runs."""
    covered = 0
    for _ in range(studies):
        draws = []
        for _arm in range(2):
            cell = []
            for level in rng.normal(0, 0.1, k):
                log_z = level + rng.normal(0, channel, 60) + rng.normal(0, noise, (2, 60))
                cell.append([layer(*np.exp(log_z[:, i : i + 20]).T) for i in (0, 20, 40)])
            draws.append(resample_cell(cell, 300, rng)[1][:, 0])
        low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
        covered += low <= 0 <= high
    return covered / studies


@pytest.mark.slow
@pytest.mark.parametrize(("k", "expected"), [(3, 0.80), (5, 0.875), (8, 0.895)])
def test_where_channels_matter_little_it_covers_less_than_its_level(k, expected):
    found = coverage(np.random.default_rng(k), k, 600, channel=0.05, noise=0.05)
    assert found == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_where_channels_are_few_and_noisy_it_covers_more():
    rng = np.random.default_rng(1)
    noisy = coverage(rng, 3, 300, channel=0.5, noise=0.8)
    assert noisy > coverage(rng, 3, 300, channel=0.05, noise=0.05) + 0.08
