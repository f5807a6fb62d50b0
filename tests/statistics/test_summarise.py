"""Run-level summaries against known answers, an independent computation, and invariants."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.errors import InputError
from threetconv.statistics.summaries.summarise import COLUMNS, summarise

RUNS = pd.DataFrame(
    {"run_id": ["a"], "network": ["n"], "dataset": ["d"], "init": ["scratch"], "replicate": [1]}
)


def table(layer=None, reachable=True, **raw):
    """A parameter table of run "a" from raw columns, the rest at the identity."""
    n = len(next(iter(raw.values())))
    identity = {"scale": 1.0, "rotate": 0.0, "translate_x": 0.0, "translate_y": 0.0}
    layers = [0] * n if layer is None else layer
    return pd.DataFrame(
        {
            "run_id": "a", "step": 5, "tag": "best", "layer_index": layers,
            "layer": [f"l{i}" for i in layers], "reachable": reachable, **identity,
        }
        | {name: np.asarray(values, dtype=np.float32) for name, values in raw.items()},
        index=range(n),
    )  # fmt: skip


def model(summaries, parameter, rows="all", weighting="pooled"):
    """The one model line of a parameter."""
    found = summaries[
        (summaries["scope"] == "model")
        & (summaries["parameter"] == parameter)
        & (summaries["rows"] == rows)
        & (summaries["weighting"] == weighting)
    ]
    assert len(found) == 1
    return found.iloc[0]


@pytest.mark.parametrize(
    ("column", "values", "parameter", "mean", "sd"),
    [
        ("scale", [1, 0.8, 1.25, 2, -0.5], "s", 0.39, 0.3440930107),
        ("rotate", [0, 0.1, -0.2, 0.3, 0], "r", 0.12, 0.1166190379),
        ("translate_x", [0, 0.2, -0.4, 0.1, 0], "px", 0.07, 0.0748331477),
        ("translate_y", [0, 0.2, -0.4, 0.1, 0], "py", 0.07, 0.0748331477),
    ],
)
def test_the_papers_table_statistic(column, values, parameter, mean, sd):
    line = model(summarise(table(**{column: values}), RUNS), parameter)
    assert line["mu_paper"] == pytest.approx(mean, rel=1e-6)
    assert line["sd_paper"] == pytest.approx(sd, rel=1e-6)
    assert line["n"] == 5
    assert line["n_identity"] == values.count(1 if parameter == "s" else 0)


def test_displacement_is_the_log_of_the_mean_of_z():
    scale = [0.5, 2, 4, 1]
    line = model(summarise(table(scale=scale), RUNS), "s")
    z = -np.log(scale)
    assert line["log_mean_abs"] == pytest.approx(np.log(np.abs(z).mean()))
    assert line["median_abs"] == pytest.approx(np.median(np.abs(z)))
    assert line["sd_abs"] == pytest.approx(np.abs(z).std(ddof=0))
    assert line["kurtosis"] == pytest.approx(stats.kurtosis(z))
    assert line["q95"] == pytest.approx(np.quantile(np.abs(z), 0.95))


def test_columns_and_lines(study):
    summaries = summarise(*study)
    assert summaries.columns.tolist() == COLUMNS
    # runs x parameters x rows x (pooled model, equal-weight model, three layers)
    assert len(summaries) == 24 * 4 * 2 * (1 + 1 + 3)
    assert (summaries.loc[summaries["scope"] == "model", "layer_index"] == -1).all()
    assert str(summaries["layer_index"].dtype) == "int32"
    assert str(summaries["step"].dtype) == "int64"
    first = summaries.iloc[0]
    run = study.runs.set_index("run_id").loc[first["run_id"]]
    assert (first["network"], first["dataset"], first["init"], first["replicate"]) == (
        run["network"], run["dataset"], run["init"], run["replicate"],
    )  # fmt: skip


def test_against_a_plain_loop(study):
    summaries = summarise(*study).set_index(
        ["run_id", "scope", "layer_index", "parameter", "rows", "weighting"]
    )
    for run_id, run in study.parameters.groupby("run_id"):
        for rows in ("all", "reachable"):
            logs = []
            kept = run if rows == "all" else run[run["reachable"]]
            for index, layer in kept.groupby("layer_index"):
                z = 0.5 * layer["translate_y"].to_numpy(float)
                logs.append(np.log(np.mean(np.abs(z))))
                line = summaries.loc[(run_id, "layer", index, "py", rows, "pooled")]
                assert line["log_mean_abs"] == pytest.approx(logs[-1])
                assert line["n"] == z.size
            pooled = np.abs(0.5 * kept["translate_y"].to_numpy(float))
            line = summaries.loc[(run_id, "model", -1, "py", rows, "pooled")]
            assert line["log_mean_abs"] == pytest.approx(np.log(pooled.mean()))
            line = summaries.loc[(run_id, "model", -1, "py", rows, "layer")]
            assert line["log_mean_abs"] == pytest.approx(np.mean(logs))
            assert line["n"] == pooled.size


def test_unreachable_rows_only_count_in_all(study):
    summaries = summarise(*study)
    line = model(summaries[summaries["run_id"] == summaries["run_id"].iloc[0]], "r")
    reached = model(summaries[summaries["run_id"] == line["run_id"]], "r", rows="reachable")
    assert line["n"] - reached["n"] == 20 == line["n_identity"]
    assert reached["n_identity"] == 0
    share = reached["n"] / line["n"]
    assert line["mu_paper"] == pytest.approx(share * reached["mu_paper"])


def test_all_identity_gives_zeros_and_minus_infinity():
    summaries = summarise(table(scale=[1, 1, 1, 1], layer=[0, 0, 1, 1]), RUNS)
    for weighting in ("pooled", "layer"):
        for parameter in ("s", "r", "px", "py"):
            line = model(summaries, parameter, weighting=weighting)
            assert line["mu_paper"] == line["sd_paper"] == line["median_abs"] == 0
            assert line["log_mean_abs"] == -np.inf
            assert line["n_identity"] == line["n"] == 4
            assert np.isnan(line["kurtosis"])


def test_one_layer_at_the_identity_is_minus_infinity_in_equal_weight_only():
    summaries = summarise(table(rotate=[0, 0, 0.5, 0.5], layer=[0, 0, 1, 1]), RUNS)
    assert model(summaries, "r", weighting="layer")["log_mean_abs"] == -np.inf
    assert model(summaries, "r")["log_mean_abs"] == pytest.approx(np.log(0.25))


def test_one_layer_makes_both_weightings_the_same():
    summaries = summarise(table(rotate=[0.1, -0.2, 0.4]), RUNS)
    pooled, equal = (model(summaries, "r", weighting=w) for w in ("pooled", "layer"))
    numbers = ["mu_paper", "sd_paper", "log_mean_abs", "q25", "kurtosis"]
    np.testing.assert_allclose(pooled[numbers].astype(float), equal[numbers].astype(float))


def test_without_a_reachable_row_there_is_no_reachable_line():
    summaries = summarise(table(rotate=[0.1, 0.2], reachable=False), RUNS)
    assert set(summaries["rows"]) == {"all"}


@pytest.mark.parametrize(
    ("updates", "scale", "translation"),
    [(171_941, 16.5, 8.27), (6_526, 3.22, 1.61), (14_628, 4.83, 2.41), (103_768, 12.9, 6.43)],
)
def test_noise_floor_of_constant_adam_steps(updates, scale, translation):
    snapshots = pd.DataFrame({"run_id": ["a"], "step": [5], "sum_lr2": [updates * 5e-5**2]})
    summaries = summarise(table(rotate=[0.1, -0.3]), RUNS, snapshots)
    rotation = model(summaries, "r")
    assert 1e3 * rotation["noise_floor"] == pytest.approx(scale, rel=4e-3)
    assert 1e3 * model(summaries, "py")["noise_floor"] == pytest.approx(translation, rel=4e-3)
    assert rotation["floor_ratio"] == pytest.approx(0.2 / rotation["noise_floor"])


def test_noise_floor_is_what_adam_walks_in_noise():
    n, lr, rng = 1500, 1e-3, np.random.default_rng(7)
    first, second, theta = np.zeros(2000), np.zeros(2000), np.zeros(2000)
    for step in range(1, n + 1):
        gradient = rng.standard_normal(2000)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        theta -= lr * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    snapshots = pd.DataFrame({"run_id": ["a"], "step": [5], "sum_lr2": [n * lr**2]})
    summaries = summarise(table(rotate=theta, translate_x=theta), RUNS, snapshots)
    for parameter in ("r", "px"):
        assert model(summaries, parameter)["floor_ratio"] == pytest.approx(1, abs=0.05)


def test_at_step_zero_the_ratio_to_the_floor_is_undefined():
    snapshots = pd.DataFrame({"run_id": ["a"], "step": [5], "sum_lr2": [0.0]})
    line = model(summarise(table(rotate=[0.0, 0.0]), RUNS, snapshots), "r")
    assert line["noise_floor"] == 0
    assert np.isnan(line["floor_ratio"])


@pytest.mark.parametrize("scale", [0.0, np.nan])
def test_a_scale_that_is_zero_or_nan_is_refused(scale):
    with (
        np.errstate(divide="ignore"),
        pytest.raises(InputError, match=r"run a, step 5, layer l0"),
    ):
        summarise(table(scale=[1, scale]), RUNS)


def test_unknown_runs_and_snapshots_are_named(study):
    with pytest.raises(InputError, match="run_id googlenet-gestures-pretrained-3t-r1"):
        summarise(study.parameters, study.runs.iloc[1:])
    with pytest.raises(InputError, match="step 100"):
        summarise(study.parameters, study.runs, study.snapshots.assign(step=99))


def test_runs_one_by_one_give_the_same_table(study):
    few = study.parameters[study.parameters["run_id"].isin(study.runs["run_id"][:3])]
    together = summarise(few, study.runs, study.snapshots)
    apart = pd.concat(
        [summarise(run, study.runs, study.snapshots) for _, run in few.groupby("run_id")],
        ignore_index=True,
    )
    pd.testing.assert_frame_equal(together, apart)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_order_of_rows_and_names_of_channels_do_not_matter(study, seed):
    rng = np.random.default_rng(seed)
    one = study.parameters[study.parameters["run_id"] == study.runs["run_id"].iloc[0]]
    shuffled = one.sample(frac=1, random_state=rng)
    renamed = shuffled.assign(channel=rng.permutation(shuffled["channel"].to_numpy()))
    pd.testing.assert_frame_equal(
        summarise(one, study.runs), summarise(renamed, study.runs), rtol=1e-9
    )
