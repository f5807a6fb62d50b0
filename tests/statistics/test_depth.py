"""The joint test of four parameters and the contrast of early and late layers, on known tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.depth import JOINT, early_less_late, joint_tests
from threetconv.statistics.tests.permutation import permute_jointly
from threetconv.statistics.tests.sentences import sentences

FAMILIES = ("dataset", "init", "dataset x init", "controls")
ONE = (("resnet18",), ("gestures", "scenes"), ("scratch",))


def crossed(**cell):
    """Early layers of gestures move 1.5 times as far, late ones 1 / 1.5; the mean is as it was."""
    sign = {"gestures": 1, "scenes": 0}[cell["dataset"]]
    return sign * np.log(1.5) * {0: 1, 1: 0, 2: -1}[cell["layer"]]


@pytest.fixture(scope="module")
def tables(make_summaries):
    return make_summaries(k=3, shift=crossed, controls=("static",))


@pytest.fixture(scope="module")
def found(tables):
    return joint_tests(*tables, seed=1, families=FAMILIES)


def test_lines_and_columns(found):
    assert found.columns.tolist() == COLUMNS
    counts = found.groupby(["scope", "parameter"]).size()
    joint = counts["joint", JOINT]
    assert counts.to_dict() == {
        ("joint", JOINT): joint,
        **{("depth", p): joint for p in (JOINT, "s", "r", "px", "py")},
    }
    assert set(found["family"]) == set(FAMILIES)
    assert not found.duplicated(
        ["family", "contrast", "checkpoint", "stratum", "scope", "parameter"]
    ).any()


def test_depth_shows_what_the_mean_hides(tables, found):
    means = run_tests(*tables, seed=1, checkpoint="matched", families=("dataset",))
    whole = means[means["stratum"] == "all"]
    assert whole["estimate"].between(0.9, 1.1).all()
    at = found[(found["family"] == "dataset") & (found["stratum"] == "all")]
    at = at[(at["checkpoint"] == "matched") & (at["scope"] == "depth")].set_index("parameter")
    # early / late: 1.5 / (1 / 1.5)
    assert at["estimate"].to_numpy() == pytest.approx(2.25, rel=0.1)
    assert (at["p_adjusted"] < 0.001).all()
    assert (at["ci_low"] < at["estimate"]).all()
    assert (at["ci_high"] > at["estimate"]).all()
    # runs differ by SD .05 in a contrast of two layers: intervals of that width, see `intervals`
    assert np.log(at["ci_high"] / at["ci_low"]).between(0.02, 0.12).all()
    assert at.loc[JOINT, "estimate"] == pytest.approx(
        np.exp(np.log(at["estimate"].drop(JOINT)).mean())
    )
    assert at.loc[JOINT, "adjustment"] == "none (one test per stratum)"
    assert at.loc["s", "adjustment"] == "Holm over 4 parameters of the stratum"
    starts = found[(found["family"] == "init") & (found["scope"] == "depth")]
    assert starts["estimate"].dropna().between(0.8, 1.25).all()


def test_the_joint_line_is_the_joint_test_of_the_runs(make_summaries):
    def shift(*, dataset, **_):
        return 0.1 * (dataset == "gestures")

    summaries, runs = make_summaries(k=5, cells=ONE, shift=shift)
    line = joint_tests(summaries, runs, seed=3, checkpoint="best", families=("dataset",))
    line = line[(line["scope"] == "joint") & (line["stratum"] == "all")].iloc[0]
    lines = summaries[(summaries["scope"] == "model") & (summaries["tag"] == "best")]
    lines = lines[(lines["rows"] == "reachable") & (lines["weighting"] == "pooled")]
    d = lines.pivot_table(index=["dataset", "run_id"], columns="parameter", values="log_mean_abs")
    d = d[["s", "r", "px", "py"]]
    expected = permute_jointly([(d.loc["gestures"], d.loc["scenes"])], seed=3)
    assert (line["statistic"], line["p_raw"], line["p_floor"]) == pytest.approx(
        (expected.statistic, expected.p, 2 / 252)
    )
    assert line["p_adjusted"] == line["p_raw"]
    difference = d.loc["gestures"].to_numpy().mean() - d.loc["scenes"].to_numpy().mean()
    assert line["estimate"] == pytest.approx(np.exp(difference))
    assert line["method"].startswith("joint permutation of run labels within blocks (D = ")


def test_halves_of_odd_and_even_numbers_of_layers():
    def lines(d):
        return pd.DataFrame(
            {"run_id": "a", "step": 1, "tag": "best", "rows": "reachable", "parameter": "s",
             "layer_index": range(len(d)), "log_mean_abs": d}
        )  # fmt: skip

    for d, contrast in (
        ([3.0, 1.0], 2.0), ([3.0, 100.0, 1.0], 2.0), ([1.0, 2.0, 3.0, 8.0], -4.0),
        ([1.0, 2.0, 9.0, 3.0, 8.0], -4.0), ([1.0, -np.inf, 0.0], -np.inf),
    ):  # fmt: skip
        shuffled = lines(d).sample(frac=1, random_state=1)
        assert early_less_late(shuffled)["log_mean_abs"].tolist() == pytest.approx([contrast])
    assert early_less_late(lines([1.0])).empty


def test_few_runs_and_still_layers_are_named(make_summaries):
    summaries, runs = make_summaries(k=3, cells=ONE)
    few = joint_tests(summaries, runs, seed=1, families=("dataset",))
    assert set(few["status"]) == {"untestable"}
    # the floor of .1 is that of one test, and not of four
    joint = few[few["parameter"] == JOINT]
    assert joint["reason"].str.startswith("the smallest attainable p is 0.1, above alpha").all()
    still = summaries.assign(
        log_mean_abs=summaries["log_mean_abs"].mask(summaries["layer_index"] == 0, -np.inf)
    )
    depth = joint_tests(still, runs, seed=1, families=("dataset",))
    depth = depth[depth["scope"] == "depth"]
    assert set(depth["status"]) == {"degenerate"}
    assert depth["reason"].str.contains("layers that never moved").all()
    alone, runs = make_summaries(k=1, cells=(ONE[0], ONE[1], ("pretrained", "scratch")))
    one = joint_tests(alone, runs, seed=1, families=("dataset x init",))
    assert set(one["status"]) == {"untestable"}


def test_sentences_tell_scopes_apart(found):
    told = found.assign(sentence=sentences(found))
    assert not told["sentence"].duplicated().any()
    whole = told[(told["family"] == "dataset") & (told["stratum"] == "all")]
    whole = whole[whole["checkpoint"] == "matched"].set_index(["scope", "parameter"])["sentence"]
    assert "the four parameters together moved" in whole["joint", JOINT]
    assert whole["depth", "s"].startswith(
        "Over all blocks, at update 100, scale, early against late layers: the displacement of "
        "early over late layers is 2."
    )
