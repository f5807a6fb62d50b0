"""Layer by layer: which lines there are, their adjustment, and the profile by depth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from threetconv.schemas.statistics import LAYER_PROFILE, TESTS
from threetconv.statistics.tests.adjust import benjamini_hochberg
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.layerwise import PROFILE_COLUMNS, layer_profile, layer_tests
from threetconv.statistics.tests.permutation import permute_many, permute_runs
from threetconv.support.files import write_parquet


@pytest.fixture(scope="module")
def tables(make_summaries):
    """Layer 1 of resnet18 moves twice as far on gestures."""

    def shift(**c):
        planted = c["network"] == "resnet18" and c["dataset"] == "gestures" and c["layer"] == 1
        return np.log(2) * planted

    return make_summaries(shift=shift, layers=4, spread=0.05)


@pytest.fixture(scope="module")
def layers(tables):
    return layer_tests(*tables, seed=1, families=("dataset", "init", "dataset x init"))


def changed(summaries, value, **where):
    """Summaries with another D on the lines that match."""
    keep = np.ones(len(summaries), dtype=bool)
    for column, wanted in where.items():
        keep &= (summaries[column] == wanted).to_numpy()
    return summaries.assign(log_mean_abs=summaries["log_mean_abs"].where(~keep, value))


def test_a_line_for_every_layer(layers):
    assert layers.columns.tolist() == COLUMNS
    assert len(layers) == 3 * 2 * 2 * 4 * 4  # families, checkpoints, networks, parameters, layers
    assert set(layers["scope"]) == {"layer"}
    assert set(layers["stratum"]) == {"googlenet", "resnet18"}
    first = layers.iloc[:8]
    assert first["layer_index"].tolist() == [0, 1, 2, 3] * 2
    assert first["parameter"].tolist() == ["s"] * 4 + ["r"] * 4
    matched = layers[layers["checkpoint"] == "matched"]
    assert matched["method"].str.endswith("at update 100)").all()


def test_the_planted_layer_is_found_in_its_network_only(layers):
    f1 = layers[(layers["family"] == "dataset") & (layers["checkpoint"] == "matched")]
    assert set(f1["status"]) == {"ok"}
    found = f1[f1["p_adjusted"] <= 0.05]
    assert set(zip(found["stratum"], found["layer_index"], strict=True)) == {("resnet18", 1)}
    assert len(found) == 4
    assert found["estimate"].to_numpy() == pytest.approx(2, rel=0.15)
    assert not (layers.loc[layers["family"] != "dataset", "p_adjusted"] <= 0.05).any()


def test_a_layer_is_tested_on_its_own_values(tables, layers):
    summaries, _ = tables
    keep = (summaries["scope"] == "layer") & (summaries["rows"] == "reachable")
    keep &= (summaries["layer_index"] == 2) & (summaries["parameter"] == "r")
    keep &= (summaries["tag"] == "best") & (summaries["network"] == "googlenet")
    cells = {
        key: group["log_mean_abs"].to_numpy()
        for key, group in summaries[keep].groupby(["init", "dataset"])
    }
    blocks = [
        (cells[init, "gestures"], cells[init, "scenes"]) for init in ("pretrained", "scratch")
    ]
    expected = permute_runs(blocks, seed=1)
    line = layers[
        (layers["family"] == "dataset") & (layers["stratum"] == "googlenet")
        & (layers["layer_index"] == 2) & (layers["parameter"] == "r")
        & (layers["checkpoint"] == "best")
    ].iloc[0]  # fmt: skip
    assert line["statistic"] == pytest.approx(expected.statistic)
    assert (line["p_raw"], line["p_floor"]) == (expected.p, expected.floor)


def test_benjamini_hochberg_is_over_the_layers_of_a_network_and_parameter(layers):
    for _, group in layers.groupby(["family", "checkpoint", "stratum", "parameter"]):
        np.testing.assert_allclose(group["p_adjusted"], benjamini_hochberg(group["p_raw"]))
    name = "Benjamini-Hochberg over 4 layers of resnet18"
    assert (layers.loc[layers["stratum"] == "resnet18", "adjustment"] == name).all()


def test_one_block_of_three_runs_is_untestable(tables):
    summaries, runs = tables
    scratch = runs[runs["init"] == "scratch"]
    found = layer_tests(summaries, scratch, seed=1, families=("dataset",))
    assert set(found["status"]) == {"untestable"}
    assert found["p_floor"].to_numpy() == pytest.approx(0.1)
    assert found["reason"].str.contains("smallest attainable p is 0.1, above alpha").all()
    assert found["p_adjusted"].isna().all()
    assert found["estimate"].notna().all()


def test_a_layer_that_one_run_never_moved_is_degenerate(tables, layers):
    summaries, runs = tables
    still = changed(
        summaries, -np.inf, run_id="resnet18-scenes-scratch-3t-r2", layer_index=3, scope="layer"
    )
    found = layer_tests(still, runs, seed=1, families=("dataset", "init", "dataset x init"))
    here = (found["stratum"] == "resnet18") & (found["layer_index"] == 3)
    assert set(found.loc[here, "status"]) == {"degenerate"}
    assert found.loc[here, "reason"].str.startswith("1 of 6 + 6 runs never left").all()
    assert found.loc[here, ["estimate", "p_raw", "p_adjusted"]].isna().all().all()
    others = ["statistic", "p_raw", "p_floor", "status"]
    pd.testing.assert_frame_equal(found.loc[~here, others], layers.loc[~here, others])
    group = found[(found["family"] == "dataset") & (found["stratum"] == "resnet18")].iloc[:4]
    assert group["p_adjusted"].notna().tolist() == [True, True, True, False]
    np.testing.assert_allclose(group["p_adjusted"], benjamini_hochberg(group["p_raw"]))


def test_a_layer_without_reachable_rows_has_no_line(tables):
    summaries, runs = tables
    dead = (summaries["layer_index"] == 3) & (summaries["rows"] == "reachable")
    found = layer_tests(summaries[~dead], runs, seed=1)
    assert set(found["layer_index"]) == {0, 1, 2}
    profile = layer_profile(summaries[~dead], runs)
    assert set(profile["layer_index"]) == {0, 1, 2}


def test_a_layer_that_some_runs_cannot_move_is_untestable(tables):
    summaries, runs = tables
    dead = (summaries["layer_index"] == 3) & (summaries["rows"] == "reachable")
    dead &= summaries["dataset"] == "scenes"
    found = layer_tests(summaries[~dead], runs, seed=1, families=("dataset",))
    last = found[found["layer_index"] == 3]
    assert set(last["status"]) == {"untestable"}
    assert last["reason"].str.contains("6 of 6 . 6 runs have no such rows").all()


def test_without_a_common_step_the_reason_is_said_once_per_parameter(tables):
    summaries, runs = tables
    fetched = summaries["run_id"] == runs["run_id"][0]
    cut = summaries[~fetched | (summaries["tag"] == "best")]
    found = layer_tests(cut, runs, seed=1, families=("dataset",), checkpoint="matched")
    assert len(found) == 2 * 4
    assert set(found["layer_index"]) == {-1}
    assert set(found["status"]) == {"untestable"}
    assert found["reason"].str.contains("common number of updates").all()


def test_matched_updates_are_those_of_the_models_test(tables):
    summaries, runs = tables
    short = (summaries["run_id"] == runs["run_id"].iloc[-1]) & (summaries["step"] > 50)
    cut = summaries[~short]
    layers = layer_tests(cut, runs, seed=1, checkpoint="matched")
    models = run_tests(cut, runs, seed=1, checkpoint="matched")
    assert layers["method"].str.endswith("at update 50)").all()
    assert models["method"].str.endswith("at update 50)").all()


def test_order_of_lines_and_seed(tables, tmp_path):
    summaries, runs = tables
    for name, order in (("one", None), ("two", 3)):
        table = summaries if order is None else summaries.sample(frac=1, random_state=order)
        found = layer_tests(table, runs, seed=1)
        write_parquet(found, tmp_path / name, TESTS)
        write_parquet(layer_profile(table, runs), tmp_path / f"{name}-profile", LAYER_PROFILE)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    one, two = ((tmp_path / f"{n}-profile").read_bytes() for n in ("one", "two"))
    assert one == two


def discoveries(replicates, seed, *, layers=17, k=3, blocks=2):
    """Null studies with any layer called different: seed effects shared by layers, SD .1 and .1."""
    rng = np.random.default_rng(seed)
    hits = 0
    for i in range(replicates):
        study = [
            tuple(rng.normal(0, 0.1, (k, 1)) + rng.normal(0, 0.1, (k, layers)) for _ in "ab")
            for _ in range(blocks)
        ]
        p = [result.p for result in permute_many(study, seed=i)]
        hits += bool((benjamini_hochberg(p) <= 0.05).any())
    return hits


def test_false_discoveries_under_the_null():
    """With no true difference the false discovery rate is the chance of any discovery."""
    assert discoveries(300, seed=0) <= stats.binom.ppf(0.9995, 300, 0.05)


@pytest.mark.slow
def test_false_discovery_rate_over_many_nulls():
    assert discoveries(3000, seed=1) <= stats.binom.ppf(0.9995, 3000, 0.05)


def test_the_profile(make_summaries):
    summaries, runs = make_summaries(controls=("static",), layers=2)
    profile = layer_profile(summaries, runs)
    assert profile.columns.tolist() == PROFILE_COLUMNS
    assert len(profile) == 16 * 2 * 2 * 4  # cells, checkpoints, layers, parameters
    assert set(profile["control"]) == {"none", "static"}
    assert set(profile["n_runs"]) == {3}
    assert set(profile["reachable_share"]) == {0.75}
    line = profile[
        (profile["network"] == "resnet18") & (profile["dataset"] == "scenes")
        & (profile["init"] == "scratch") & (profile["control"] == "static")
        & (profile["checkpoint"] == "matched") & (profile["layer_index"] == 1)
        & (profile["parameter"] == "py")
    ].iloc[0]  # fmt: skip
    keep = summaries["run_id"].str.startswith("resnet18-scenes-scratch-3t-static")
    keep &= (summaries["tag"] == "last") & (summaries["layer_index"] == 1)
    keep &= (summaries["parameter"] == "py") & (summaries["rows"] == "reachable")
    d = summaries.loc[keep, "log_mean_abs"]
    low, high = stats.t.interval(0.95, 2, d.mean(), stats.sem(d))
    assert line["mean"] == pytest.approx(np.exp(d.mean()))
    assert (line["ci_low"], line["ci_high"]) == pytest.approx((np.exp(low), np.exp(high)))
    assert line["noise_floor"] == pytest.approx(0.005)
    assert line["floor_ratio"] == pytest.approx(line["mean"] / 0.005)
    assert line["n_rows"] == 15


def test_the_profile_of_one_run_and_of_a_layer_that_never_moved(make_summaries):
    summaries, runs = make_summaries(k=1)
    profile = layer_profile(summaries, runs, checkpoint="best")
    assert profile["mean"].notna().all()
    assert profile[["ci_low", "ci_high"]].isna().all().all()
    summaries, runs = make_summaries(k=2)
    still = changed(summaries, -np.inf, scope="layer", run_id=runs["run_id"][0])
    here = layer_profile(still, runs, checkpoint="best")
    here = here[(here["network"] == "googlenet") & (here["dataset"] == "gestures")]
    here = here[here["init"] == "pretrained"]
    assert (here["mean"] == 0).all()
    assert here["ci_low"].isna().all()


def test_the_profile_leaves_3d_runs_out_and_needs_a_common_step(make_summaries):
    summaries, runs = make_summaries(k=2)
    some = runs.assign(convolution=["3d", *["3t"] * (len(runs) - 1)])
    profile = layer_profile(summaries, some)
    assert set(profile["n_runs"]) == {1, 2}
    fetched = summaries["run_id"] == runs["run_id"][0]
    cut = summaries[~fetched | (summaries["tag"] == "best")]
    assert set(layer_profile(cut, runs)["checkpoint"]) == {"best"}
    assert layer_profile(cut, runs, checkpoint="matched").columns.tolist() == PROFILE_COLUMNS
