"""Which snapshot of every run is compared: the best epoch's, or those of equal noise budget.

Runs of different length, or stopped at different epochs, differ in how far they could have walked.
How far noise alone takes a parameter under Adam depends on the sum of the squared learning rates so
far, the noise budget: under a schedule the same number of updates is another budget in a longer
run. "Matched" snapshots have equal budgets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.statistics.tests.families import select_runs

__all__ = ["CHECKPOINTS", "Chosen", "at_checkpoint", "matched_snapshots"]

CHECKPOINTS = {"best": ("best",), "matched": ("snapshot", "last")}  # -> tags of the summaries
ALIKE = 0.01  # noise budgets that differ by this share of the larger one, or less, are equal
WITHOUT = "the compared runs have no snapshot at a common number of updates"
UNKNOWN = "not matched: the noise budgets of some of the compared runs are unknown"
IDENTITY = ["run_id", "tag", "scope", "layer_index", "parameter", "rows", "weighting"]


class Chosen(NamedTuple):
    """Lines of the summaries at one checkpoint, one per run and kind of line."""

    lines: pd.DataFrame
    steps: tuple[int, ...]  # updates of matched snapshots, in order; () for "best" or without any
    reason: str  # why there are no lines, or ""
    checked: bool = True  # whether the noise budgets of matched snapshots are known

    @property
    def text(self) -> str:
        """The step in words, for the method: "" or ", at update 240"."""
        if not self.steps:
            return ""
        if len(self.steps) > 1:
            updates = f"updates {self.steps[0]} to {self.steps[-1]}"
            return f", at equal noise budgets within blocks ({updates})"
        return f", at update {self.steps[0]}{'' if self.checked else ', noise budgets unknown'}"


def at_checkpoint(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None,
    checkpoint: str,
    *,
    compared: Collection[str] | None = None,
    blocks: Sequence[Collection[str]] = (),
) -> Chosen:
    """The lines of every run at "best" or at "matched" noise budgets.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        runs: run_id, convolution, control; read when `compared` is not given.
        checkpoint: "best" (the epoch of best validation accuracy) or "matched" (see
            `matched_snapshots`).
        compared: ids of the runs that are compared with each other; without it all real 3T runs,
            and lines of other runs are dropped.
        blocks: ids of the runs of each block. Where not all of `compared` can be matched, budgets
            are matched within blocks.

    Returns:
        The lines, in the order of `summaries`; the updates; the reason where nothing matches. A
        run whose last state is also a snapshot has one set of lines.

    Raises:
        InputError: for an unknown checkpoint, or a run with two snapshots of one tag and step.
    """
    tags = look_up(CHECKPOINTS, checkpoint, what="checkpoint")
    if compared is None:
        summaries = select_runs(summaries, runs)
        compared = set(summaries["run_id"].unique())
    lines = summaries[summaries["tag"].isin(tags)]
    steps, checked = np.empty(0, np.int64), True
    if checkpoint == "matched":
        snapshots, reason = matched_snapshots(lines, compared)
        if reason and blocks:
            parts = [matched_snapshots(lines, block) for block in blocks]
            reason = next((why for _, why in parts if why), "")
            snapshots = pd.concat([found for found, _ in parts])
        if reason:
            return Chosen(lines.iloc[:0], (), reason)
        step = snapshots.set_index("run_id")["step"]
        lines = lines[lines["step"] == lines["run_id"].map(step)]
        steps, checked = np.unique(step), bool(snapshots["sum_lr2"].notna().all())
    double = lines.duplicated(IDENTITY)
    if double.any():
        tag = str(lines.loc[double, "tag"].iloc[0])
        raise InputError(
            "summaries table",
            found=f"more than one {tag!r} snapshot of a run",
            expected="one line per run, scope, parameter, rows and weighting",
            remedy="pass the summaries of each run once",
        )
    if checkpoint == "matched":
        ended = lines.loc[lines["tag"] == "last", "run_id"].unique()
        lines = lines[(lines["tag"] == "last") | ~lines["run_id"].isin(ended)]
    return Chosen(lines, tuple(int(step) for step in steps), "", checked)


def matched_snapshots(lines: pd.DataFrame, compared: Collection[str]) -> tuple[pd.DataFrame, str]:
    """Of every compared run the snapshot of the largest noise budget that all of them have.

    Args:
        lines: run_id, step, tag and, where it is known, sum_lr2, the noise budget.
        compared: run ids.

    Returns:
        run_id, step, sum_lr2, a line per run, and ""; or no lines and why there are none. Budgets
        are equal within 1 %; where none is known, the runs share the number of updates.
    """
    lines = lines if "sum_lr2" in lines else lines.assign(sum_lr2=np.nan)
    taken = lines[lines["tag"].isin(CHECKPOINTS["matched"]) & (lines["step"] > 0)]
    taken = taken[taken["run_id"].isin(list(compared))]
    taken = taken[["run_id", "step", "sum_lr2"]].drop_duplicates(["run_id", "step"])
    taken = taken.sort_values(["run_id", "step"], ignore_index=True)
    wanted, nothing = len(set(compared)), taken.iloc[:0]
    if not wanted or taken["run_id"].nunique() < wanted:
        return nothing, WITHOUT
    runs_at = taken.groupby("step")["run_id"].size()
    common = runs_at.index[runs_at == wanted]
    shared = taken[taken["step"] == common.max()] if len(common) else nothing
    if taken["sum_lr2"].isna().all():
        return (shared, "") if len(shared) else (nothing, WITHOUT)
    if taken["sum_lr2"].isna().any():
        return nothing, UNKNOWN
    for largest in np.unique(taken["sum_lr2"])[::-1]:
        alike = taken["sum_lr2"].between((1 - ALIKE) * largest, largest)
        if taken.loc[alike, "run_id"].nunique() == wanted:
            return taken[alike].drop_duplicates("run_id", keep="last"), ""
    if shared.empty:
        return nothing, WITHOUT
    apart = 1 - shared["sum_lr2"].min() / shared["sum_lr2"].max()
    return nothing, (
        "not matched: no snapshots of the compared runs have equal noise budgets (sums of squared "
        f"learning rates); at update {shared['step'].iloc[0]} they differ by {100 * apart:.0f} %"
    )
