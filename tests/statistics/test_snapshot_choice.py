"""Best and matched checkpoints: which lines are compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.statistics.summaries.snapshot_choice import (
    WITHOUT,
    at_checkpoint,
    matched_snapshots,
)
from threetconv.statistics.tests.contrasts import run_tests


@pytest.fixture(scope="module")
def tables(make_summaries):
    return make_summaries(k=3, steps=(50, 100, 120))


def steps(lines, compared):
    """Run -> step, or the reason why there is none."""
    found, reason = matched_snapshots(lines, compared)
    return reason or dict(zip(found["run_id"], found["step"], strict=True))


def at_matched(lines):
    for name in ("scope", "layer_index", "parameter", "rows", "weighting"):
        lines = lines if name in lines else lines.assign(**{name: ""})
    return at_checkpoint(lines, None, "matched", compared=set(lines["run_id"]))


def model(lines):
    return lines[(lines["scope"] == "model") & (lines["parameter"] == "s")]


def test_the_largest_common_step():
    lines = pd.DataFrame(
        [("a", 0, "init"), ("a", 50, "snapshot"), ("a", 90, "last"), ("a", 100, "best"),
         ("b", 0, "init"), ("b", 50, "snapshot"), ("b", 90, "snapshot"), ("b", 100, "last"),
         ("c", 0, "init"), ("c", 50, "snapshot")],
        columns=["run_id", "step", "tag"],
    )  # fmt: skip
    # no noise budgets are known, so updates are what can be matched
    assert steps(lines, ["a", "b"]) == {"a": 90, "b": 90}
    assert steps(lines, ["a", "b", "c"]) == {"a": 50, "b": 50, "c": 50}
    assert steps(lines, ["b"]) == {"b": 100}
    assert steps(lines, ["a", "d"]) == steps(lines, []) == WITHOUT
    start = lines[lines["step"] == 0].assign(tag="snapshot")
    assert steps(start, ["a", "b"]) == WITHOUT  # nobody has moved yet


def snapshots(**budgets):
    """Snapshots at updates 10, 20, ... of runs with these noise budgets."""
    lines = [
        (run, 10 * i, "snapshot", budget)
        for run, all_of in budgets.items()
        for i, budget in enumerate(all_of, 1)
    ]
    return pd.DataFrame(lines, columns=["run_id", "step", "tag", "sum_lr2"])


def test_equal_budgets_are_matched_and_not_equal_updates():
    # a one-cycle schedule over 40 updates and over 80: the same update is another budget
    lines = snapshots(a=(1, 4, 8, 10), b=(0.3, 1, 2.5, 4.0, 6, 8, 9.5, 20))
    assert steps(lines, ["a", "b"]) == {"a": 30, "b": 60}
    assert at_matched(lines).text == ", at equal noise budgets within blocks (updates 30 to 60)"
    assert at_matched(snapshots(a=(1, 4), b=(1, 4))).text == ", at update 20"


@pytest.mark.parametrize(("other", "found"), [(0.991, {"a": 20, "b": 20}), (0.989, None)])
def test_budgets_are_equal_within_one_per_cent(other, found):
    lines = snapshots(a=(0.5, 1.0), b=(0.3, other))
    if found:
        assert steps(lines, ["a", "b"]) == found
    else:
        assert "at update 20 they differ by 1 %" in steps(lines, ["a", "b"])


def test_unequal_budgets_are_refused_with_their_reason(tables):
    """The same updates under a schedule that is longer in one of the data sets."""
    summaries, runs = tables
    scenes = summaries["dataset"] == "scenes"
    longer = summaries.assign(
        sum_lr2=summaries["sum_lr2"].where(~scenes, 0.6 * summaries["sum_lr2"])
    )
    tests = run_tests(longer, runs, seed=1, families=("dataset", "init"), checkpoint="matched")
    # starts are compared within data sets, where budgets are equal
    starts = tests[(tests["family"] == "init") & (tests["stratum"] == "all")]
    assert set(starts["status"]) == {"ok"}
    refused = tests[tests["family"] == "dataset"]
    assert set(refused["status"]) == {"untestable"}
    assert refused["reason"].str.startswith("not matched: no snapshots of the compared runs").all()
    assert refused["reason"].str.endswith("at update 120 they differ by 40 %").all()
    assert refused[["estimate", "p_raw"]].isna().all().all()


def test_a_budget_that_is_not_known_is_not_believed_equal(tables):
    summaries, _ = tables
    lacking = summaries["run_id"] == summaries["run_id"].iloc[0]
    some = summaries.assign(sum_lr2=summaries["sum_lr2"].mask(lacking))
    assert "some of the compared runs are unknown" in at_matched(some).reason
    none = at_matched(summaries.drop(columns="sum_lr2"))
    assert (none.steps, none.text) == ((120,), ", at update 120, noise budgets unknown")


def test_a_last_state_that_is_a_snapshot_counts_once(tables):
    summaries, runs = tables
    chosen = at_checkpoint(summaries, runs, "matched")
    assert (chosen.steps, chosen.text, chosen.reason) == ((120,), ", at update 120", "")
    keys = ["run_id", "scope", "layer_index", "parameter", "rows", "weighting"]
    assert not chosen.lines.duplicated(keys).any()
    assert set(chosen.lines["tag"]) == {"last"}
    assert set(chosen.lines["run_id"]) == set(runs["run_id"])


def test_a_short_run_sets_the_step_of_the_contrast(tables):
    summaries, runs = tables
    short = "resnet18-scenes-scratch-3t-r1"
    cut = summaries[(summaries["run_id"] != short) | (summaries["step"] <= 100)]
    tests = run_tests(cut, runs, seed=1, checkpoint="matched")
    assert tests["method"].str.endswith("at update 100)").all()
    assert set(tests["checkpoint"]) == {"matched"}
    at_100 = model(summaries[(summaries["step"] == 100) & (summaries["rows"] == "reachable")])
    at_100 = at_100[at_100["weighting"] == "pooled"]
    means = at_100.pivot_table(
        index=["network", "init"], columns="dataset", values="log_mean_abs", aggfunc="mean"
    )
    line = tests[(tests["family"] == "dataset") & (tests["parameter"] == "s")].iloc[0]
    assert line["statistic"] == pytest.approx((means["gestures"] - means["scenes"]).mean())


def test_a_run_that_is_not_compared_does_not_set_the_step(tables):
    summaries, runs = tables
    gone = (runs["network"] == "resnet18") & (runs["init"] == "scratch")
    gone &= runs["dataset"] == "gestures"
    cut = summaries[~summaries["run_id"].isin(runs.loc[gone, "run_id"])]
    alone = (cut["network"] == "resnet18") & (cut["init"] == "scratch")
    cut = cut[~alone | (cut["step"] == 50)]
    tests = run_tests(cut, runs, seed=1, families=("dataset", "init"), checkpoint="matched")
    at = tests.groupby("family")["method"].first().str.extract(r"update (\d+)")[0]
    # family init compares it with pretrained scenes
    assert at.to_dict() == {"dataset": "120", "init": "50"}
    lone = tests[(tests["family"] == "dataset") & (tests["stratum"] == "resnet18, scratch")]
    assert lone["reason"].str.contains("no block has runs of both").all()


def test_fetched_runs_have_no_common_step(tables):
    summaries, runs = tables
    fetched = summaries["run_id"] == "googlenet-gestures-scratch-3t-r2"
    cut = summaries[~fetched | (summaries["tag"] == "best")]
    families = ("dataset", "init", "dataset x init")
    tests = run_tests(cut, runs, seed=1, families=families, checkpoint=("best", "matched"))
    matched = tests[tests["checkpoint"] == "matched"]
    assert set(matched["status"]) == {"untestable"}
    assert matched["reason"].str.contains("no snapshot at a common number of updates").all()
    assert matched[["estimate", "p_raw", "p_floor", "p_adjusted"]].isna().all().all()
    assert set(tests.loc[tests["stratum"] == "all", "n_a"]) == {12}
    best = tests[tests["checkpoint"] == "best"].reset_index(drop=True)
    whole = run_tests(summaries, runs, seed=1, families=families)
    pd.testing.assert_frame_equal(best, whole)


def test_both_checkpoints_are_each_of_them_alone(tables):
    summaries, runs = tables
    both = run_tests(summaries, runs, seed=1, checkpoint=("best", "matched"))
    for name in ("best", "matched"):
        alone = run_tests(summaries, runs, seed=1, checkpoint=name)
        part = both[both["checkpoint"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, alone)


def test_best_takes_every_run_where_it_stopped(tables):
    summaries, runs = tables
    early = runs["run_id"][0]
    moved = summaries[(summaries["run_id"] != early) | (summaries["tag"] != "best")]
    again = summaries[(summaries["run_id"] == early) & (summaries["step"] == 50)]
    chosen = at_checkpoint(pd.concat([moved, again.assign(tag="best")]), runs, "best")
    taken = model(chosen.lines).groupby("run_id")["step"].unique()
    assert taken[early].tolist() == [50]
    assert set(np.concatenate(taken.drop(early).tolist())) == {120}
    assert (chosen.steps, chosen.text) == ((), "")


def test_mistakes_are_named(tables):
    summaries, runs = tables
    with pytest.raises(InputError, match="one of best, matched"):
        at_checkpoint(summaries, runs, "last")
    with pytest.raises(InputError, match=r"more than one '(last|snapshot)' snapshot"):
        at_checkpoint(pd.concat([summaries, summaries]), runs, "matched")
