"""Which snapshot of every run is compared: the best epoch's, or the same number of updates.

Runs of different length, or stopped at different epochs, differ in how far they could have walked.
At "matched" updates every compared run has made the same number of updates.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.statistics.tests.families import select_runs

__all__ = ["CHECKPOINTS", "Chosen", "at_checkpoint", "matched_step"]

CHECKPOINTS = {"best": ("best",), "matched": ("snapshot", "last")}  # -> tags of the summaries
WITHOUT = "the compared runs have no snapshot at a common number of updates"
IDENTITY = ["run_id", "tag", "scope", "layer_index", "parameter", "rows", "weighting"]


class Chosen(NamedTuple):
    """Lines of the summaries at one checkpoint, one per run and kind of line."""

    lines: pd.DataFrame
    step: int | None  # the common number of updates; None for "best" or where there is none
    reason: str  # why there are no lines, or ""

    @property
    def text(self) -> str:
        """The step in words, for the method: "" or ", at update 240"."""
        return "" if self.step is None else f", at update {self.step}"


def at_checkpoint(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None,
    checkpoint: str,
    *,
    compared: Collection[str] | None = None,
) -> Chosen:
    """The lines of every run at "best" or at "matched" updates.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        runs: run_id, convolution, control; read when `compared` is not given.
        checkpoint: "best" (the epoch of best validation accuracy) or "matched" (the largest step
            above 0 at which every compared run has a snapshot or its last state).
        compared: ids of the runs that must share the step; without it all real 3T runs, and lines
            of other runs are dropped.

    Returns:
        The lines, in the order of `summaries`; the step; the reason where no step is common. A
        run whose last state is also a snapshot has one set of lines.

    Raises:
        InputError: for an unknown checkpoint, or a run with two snapshots of one tag and step.
    """
    tags = look_up(CHECKPOINTS, checkpoint, what="checkpoint")
    if compared is None:
        summaries = select_runs(summaries, runs)
        compared = set(summaries["run_id"].unique())
    lines = summaries[summaries["tag"].isin(tags)]
    step = None
    if checkpoint == "matched":
        step = matched_step(lines, compared)
        if step is None:
            return Chosen(lines.iloc[:0], None, WITHOUT)
        lines = lines[lines["step"] == step]
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
    return Chosen(lines, step, "")


def matched_step(lines: pd.DataFrame, compared: Collection[str]) -> int | None:
    """The largest step above 0 at which every run of `compared` has a snapshot or last state.

    Args:
        lines: run_id, step, tag.
        compared: run ids.

    Returns:
        The step, or None when there is none or nothing is compared.
    """
    taken = lines[lines["tag"].isin(CHECKPOINTS["matched"]) & (lines["step"] > 0)]
    taken = taken.loc[taken["run_id"].isin(list(compared)), ["run_id", "step"]]
    holders = taken.drop_duplicates().groupby("step").size()
    common = holders.index[holders == len(set(compared))]
    return int(common.max()) if len(common) else None
