"""Sensitivity: the blocked tests again with other ways to summarise a run in one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.contrasts import PermutationSettings, test_models
from threetconv.statistics.tests.families import with_control
from threetconv.statistics.tests.permutation import DRAWS, MAX_ENUMERATION

__all__ = ["OUTCOMES", "Outcome", "sensitivity_tests"]


@dataclass(frozen=True)
class Outcome:
    """A run-level number: a column of the summaries, and which of its lines."""

    column: str
    label: str
    rows: str
    weighting: str
    logarithm: bool = True  # take ln of the column; False where it is a logarithm already


OUTCOMES = {
    "D, all rows": Outcome("log_mean_abs", "D = ln mean |z|", "all", "pooled", logarithm=False),
    # pooling lets wide layers decide
    "D, layers weighted equally": Outcome(
        "log_mean_abs", "mean over layers of ln mean |z|", "reachable", "layer", logarithm=False
    ),
    "ln SD": Outcome("sd", "ln SD of z", "reachable", "pooled"),
    # means of heavy-tailed values are driven by the tails; the median is not
    "ln median |z|": Outcome("median_abs", "ln median |z|", "reachable", "pooled"),
    # the paper's own statistic, over all rows as in its tables
    "ln paper's mean": Outcome(
        "mu_paper", "ln mean |1 - |1/s||, |r|, |tx/2|, |ty/2|", "all", "pooled"
    ),
}


def sensitivity_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    outcomes: Sequence[str] = tuple(OUTCOMES),
    families: tuple[str, ...] = ("dataset", "init", "dataset x init"),
    datasets: Sequence[str] | None = None,
    checkpoint: str | Sequence[str] = ("best", "matched"),
    alpha: float = 0.05,
    paired: bool = False,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Repeat the tests over all blocks with every outcome of `OUTCOMES`.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        outcomes: names in `OUTCOMES`.
        runs, seed, families, datasets, checkpoint, alpha, paired, max_enumeration, draws: as for
            `threetconv.statistics.tests.contrasts.run_tests`.

    Returns:
        `outcome`, then the tests table's columns; stratum "all" only. `statistic` is the
        difference of the outcome, `estimate` = exp(statistic) the ratio of what it is the
        logarithm of. Holm over four parameters within an outcome; no adjustment over outcomes,
        since these lines show how far the main result depends on the summary and claim nothing of
        their own.

    Raises:
        InputError: for an unknown outcome, or summaries that lack its column.
    """
    table = with_control(summaries, runs)
    table = table[table["scope"] == "model"]
    checkpoints = (checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint)
    parts = []
    for name in outcomes:
        outcome = look_up(OUTCOMES, name, what="outcome")
        settings = PermutationSettings(
            label=f"{outcome.label}, {outcome.rows} rows, {outcome.weighting}",
            alpha=alpha,
            paired=paired,
            seed=seed,
            max_enumeration=max_enumeration,
            draws=draws,
            value="outcome",
            still=f"have no finite {outcome.label.split(' = ')[0]} (too many rows at the start)",
            single_blocks=False,
        )
        lines = _with_outcome(table, outcome)
        found = test_models(lines, settings, families, datasets, checkpoints)
        parts.append(found.assign(outcome=name))
    parts = [part for part in parts if len(part)]
    columns = ["outcome", *COLUMNS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _with_outcome(table: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """The lines of an outcome, with its value in the column `outcome`."""
    if outcome.column not in table:
        raise InputError(
            "summaries table",
            found=f"no column {outcome.column!r}",
            expected="the columns of threetconv.statistics.summaries.summarise.summarise",
            remedy="make the summaries anew with this version",
        )
    table = table[(table["rows"] == outcome.rows) & (table["weighting"] == outcome.weighting)]
    values = table[outcome.column].to_numpy(np.float64)
    if outcome.logarithm:
        with np.errstate(divide="ignore"):  # ln 0 = -inf, reported as degenerate
            values = np.log(values)
    return table.assign(outcome=values)
