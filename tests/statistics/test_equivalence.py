"""TOST against its two one-sided t tests, its interval, its level, and what it refuses to judge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.errors import InputError
from threetconv.statistics.summaries.summarise import summarise
from threetconv.statistics.tests.adjust import holm
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.equivalence import equivalence_tests, tost

MARGIN = np.log(1.25)


@pytest.fixture(scope="module")
def alike(make_study):
    """Five runs per cell without any effect, spread .05; best epoch and a snapshot at step 100."""
    study = make_study(k=5, seed=1, spread=0.05)
    best = summarise(*study)
    earlier = make_study(k=5, seed=2, spread=0.05, tag="snapshot")
    return pd.concat([best, summarise(*earlier)], ignore_index=True), study.runs


@pytest.fixture(scope="module")
def table(alike):
    return equivalence_tests(*alike)


def line(table, **wanted):
    """The one line that matches."""
    keep = np.logical_and.reduce([table[name] == value for name, value in wanted.items()])
    (found,) = table[keep].to_dict("records")
    return found


def test_one_block_is_two_welch_tests_of_shifted_values():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.05, 0.1, 5), rng.normal(0, 0.2, 7)
    above = stats.ttest_ind(a + MARGIN, b, equal_var=False, alternative="greater").pvalue
    below = stats.ttest_ind(a - MARGIN, b, equal_var=False, alternative="less").pvalue
    assert tost([(a, b)], MARGIN).p == pytest.approx(max(above, below))


def test_several_blocks_by_hand():
    rng = np.random.default_rng(1)
    blocks = [(rng.normal(m, 0.1, 4), rng.normal(m, 0.3, 3)) for m in (0, 2)]
    d = np.mean([a.mean() - b.mean() for a, b in blocks])
    parts = np.array([x.var(ddof=1) / x.size for pair in blocks for x in pair])
    df = parts.sum() ** 2 / (parts**2 / [3, 2, 3, 2]).sum()
    error = np.sqrt(parts.sum()) / 2
    p = max(stats.t.sf((d + MARGIN) / error, df), stats.t.cdf((d - MARGIN) / error, df))
    result = tost(blocks, MARGIN)
    assert result.p == pytest.approx(p)
    assert result.interval.df == pytest.approx(df)
    assert result.interval.method == "Satterthwaite t over blocks, 90 % (TOST)"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.floats(-0.4, 0.4), st.integers(1, 3))
def test_equivalence_is_shown_exactly_when_the_interval_lies_inside(seed, shift, blocks):
    rng = np.random.default_rng(seed)
    arms = [(rng.normal(shift, 0.1, 4), rng.normal(0, 0.1, 4)) for _ in range(blocks)]
    p, interval = tost(arms, MARGIN)
    inside = interval.low > -MARGIN and interval.high < MARGIN
    assert (p < 0.05) == inside


@pytest.mark.parametrize("blocks", [1, 2])
def test_level_at_the_edge_of_the_region(blocks):
    rng = np.random.default_rng(3)
    hits = sum(
        tost(
            [(rng.normal(MARGIN, 0.1, 5), rng.normal(0, 0.1, 5)) for _ in range(blocks)], MARGIN
        ).p <= 0.05
        for _ in range(600)
    )  # fmt: skip
    low, high = stats.binom.ppf([0.0005, 0.9995], 600, 0.05)
    assert low <= hits <= high


def test_columns_and_lines(table):
    assert table.columns.tolist() == ["outcome", *COLUMNS]
    assert len(table) == 2 * 2 * 5 * 4
    assert set(table["outcome"]) == {"D"}
    assert set(table["unit"]) == {"run"}
    assert set(table["checkpoint"]) == {"best", "matched"}
    assert set(table["rng_seed"]) == {-1}


def test_equal_arms_are_shown_to_be_equal(table):
    overall = table[table["stratum"] == "all"]
    assert (overall["p_adjusted"] < 0.001).all()
    assert overall["estimate"].between(1 / 1.25, 1.25).all()
    assert (overall["p_floor"] == 0).all()
    assert overall["reason"].str.startswith("parametric: no smallest attainable p").all()
    assert not overall["reason"].str.contains("low power").any()


def test_a_real_difference_is_not(make_study):
    study = make_study(k=3, ratio=1.8)
    first = equivalence_tests(
        summarise(*study), study.runs, families=("dataset",), checkpoints=["best"]
    )
    assert (first["p_adjusted"] > 0.5).all()
    assert first["reason"].str.contains("low power: 3 runs").all()


def test_the_line_is_made_of_the_runs_d(table, alike):
    summaries, _ = alike
    keep = (summaries["scope"] == "model") & (summaries["rows"] == "reachable")
    keep &= (summaries["weighting"] == "pooled") & (summaries["tag"] == "snapshot")
    keep &= (summaries["network"] == "resnet18") & (summaries["init"] == "scratch")
    keep &= summaries["parameter"] == "r"
    a, b = (
        summaries.loc[keep & (summaries["dataset"] == name), "log_mean_abs"].to_numpy()
        for name in ("gestures", "scenes")
    )
    found = line(
        table, family="dataset", stratum="resnet18, scratch", checkpoint="matched", parameter="r"
    )
    assert found["p_raw"] == pytest.approx(tost([(a, b)], MARGIN).p)
    assert found["statistic"] == pytest.approx(a.mean() - b.mean())
    assert "at update 100" in found["method"]
    assert (found["n_a"], found["n_b"]) == (5, 5)


def test_holm_over_four_parameters(table):
    for _, group in table.groupby(["family", "stratum", "checkpoint"]):
        assert group["p_adjusted"].to_numpy() == pytest.approx(holm(group["p_raw"].to_numpy()))


def test_swapping_labels_inverts_the_estimate_only(table, alike):
    swapped = equivalence_tests(*alike, datasets=("scenes", "gestures"))
    a, b = (t[t["family"] == "dataset"].reset_index(drop=True) for t in (table, swapped))
    np.testing.assert_allclose(a["p_raw"], b["p_raw"], rtol=1e-9)
    np.testing.assert_allclose(a["estimate"], 1 / b["estimate"])
    np.testing.assert_allclose(a["ci_low"], 1 / b["ci_high"])
    np.testing.assert_allclose(a["hedges_g"], -b["hedges_g"])


def test_row_order_does_not_matter(table, alike):
    summaries, runs = alike
    again = equivalence_tests(summaries.sample(frac=1, random_state=1), runs.iloc[::-1])
    pd.testing.assert_frame_equal(again, table)


def test_a_wider_margin_is_easier(alike, table):
    wide = equivalence_tests(*alike, margin=2)
    assert (wide["p_raw"] <= table["p_raw"]).all()
    assert wide["method"].str.contains("between 1/2 and 2").all()


@pytest.mark.parametrize(
    ("over", "ratio", "claimed"),
    [("layers", 1.3, False), ("layers", 1.2, True), ("blocks", 1.3, False), ("blocks", 1.2, True)],
)
def test_means_that_are_equal_because_differences_cancel_are_no_equivalence(
    make_summaries, over, ratio, claimed
):
    def shift(*, dataset, init, layer, **_):
        sign = {0: 1, 1: 0, 2: -1}[layer] if over == "layers" else 1 - 2 * (init == "scratch")
        return sign * np.log(ratio) * (dataset == "gestures")

    summaries, runs = make_summaries(k=5, spread=0.02, shift=shift)
    found = equivalence_tests(summaries, runs, families=("dataset",))
    whole = found[found["stratum"] == "all"]
    assert whole["estimate"].between(0.97, 1.03).all()
    if claimed:
        assert set(whole["status"]) == {"ok"}
        assert (whole["p_adjusted"] < 0.05).all()
        return
    assert set(whole["status"]) == {"heterogeneous"}
    assert whole["p_adjusted"].isna().all()
    first = "layers of googlenet" if over == "layers" else "blocks"
    said = f"{first} differ beyond the margin in opposite directions ("
    assert whole["reason"].str.startswith(said).all()
    inside = set(found.loc[found["stratum"] != "all", "status"])
    assert inside == ({"heterogeneous"} if over == "layers" else {"ok"})


def test_one_run_per_arm_is_untestable(make_study):
    study = make_study(k=1)
    found = equivalence_tests(summarise(*study), study.runs, checkpoints=("best",))
    assert set(found["status"]) == {"untestable"}
    assert set(found["reason"]) == {"one run in an arm"}
    assert found["estimate"].gt(0).all()
    assert found[["p_raw", "p_adjusted", "ci_low"]].isna().all(axis=None)


def test_runs_that_never_moved_are_degenerate(make_study):
    study = make_study(k=2, still=("scenes",))
    found = equivalence_tests(
        summarise(*study), study.runs, families=("dataset",), checkpoints=("best",)
    )
    assert set(found["status"]) == {"degenerate"}
    assert found["reason"].str.contains("never left the start").all()


def test_runs_that_are_all_alike_are_degenerate(study):
    summaries = summarise(*study).assign(log_mean_abs=-3.0)
    found = equivalence_tests(summaries, study.runs, checkpoints=("best",))
    assert set(found["status"]) == {"degenerate"}
    assert set(found["reason"]) == {"no spread between runs"}


def test_without_a_common_update_nothing_is_matched(study):
    found = equivalence_tests(summarise(*study), study.runs, checkpoints=("matched",))
    assert set(found["status"]) == {"untestable"}
    assert found["reason"].str.contains("snapshot").all()


def test_an_incomplete_block_is_left_out(alike):
    summaries, runs = alike
    lacking = runs[~runs["run_id"].str.startswith("resnet18-scenes-scratch")]
    found = equivalence_tests(summaries, lacking, families=("dataset",), checkpoints=("best",))
    whole = line(found, stratum="all", parameter="s")
    assert (whole["n_a"], whole["status"]) == (15, "ok")
    assert "block resnet18, scratch left out: runs of one arm only" in whole["reason"]
    alone = line(found, stratum="resnet18, scratch", parameter="s")
    assert alone["status"] == "untestable"
    assert alone["reason"] == "no block has runs of both gestures and scenes"


def test_runs_outside_complete_blocks_do_not_hold_up_the_matching(alike):
    """A run without a partner and without a snapshot takes no part in the search for a step."""
    summaries, runs = alike
    partners = runs["run_id"].str.startswith("resnet18-scenes-scratch")
    single = runs["run_id"] == "resnet18-gestures-scratch-3t-r1"
    kept = summaries[~((summaries["run_id"] == runs.loc[single, "run_id"].item())
                       & (summaries["tag"] == "snapshot"))]  # fmt: skip
    found = equivalence_tests(
        kept, runs[~partners], families=("dataset",), checkpoints=("matched",)
    )
    whole = line(found, stratum="all", parameter="s")
    assert (whole["n_a"], whole["status"]) == (15, "ok")
    assert "at update 100" in whole["method"]


def test_a_run_without_a_best_epoch_is_left_out_and_named(alike):
    summaries, runs = alike
    gone = "googlenet-scenes-scratch-3t-r4"
    kept = summaries[~((summaries["run_id"] == gone) & (summaries["tag"] == "best"))]
    found = equivalence_tests(kept, runs, families=("dataset",), checkpoints=("best",))
    whole = line(found, stratum="all", parameter="s")
    assert (whole["n_a"], whole["n_b"], whole["status"]) == (20, 19, "ok")
    assert f"without this checkpoint: {gone}" in whole["reason"]


@pytest.mark.parametrize("margin", [1.0, 0.8, float("nan")])
def test_a_margin_of_one_or_less_is_refused(study, margin):
    with pytest.raises(InputError, match="above 1"):
        equivalence_tests(summarise(*study), margin=margin)
