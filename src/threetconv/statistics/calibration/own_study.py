"""A finished study's own spread between runs, and what it could have found with it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.schemas.statistics import POWER
from threetconv.statistics.calibration.batch import CORRELATION
from threetconv.statistics.calibration.power import power_table
from threetconv.statistics.tests.families import select_runs, with_recipe

__all__ = ["correlation_from", "study_power", "tau_from"]

CELL = ["network", "dataset", "init", "recipe"]


def tau_from(summaries: pd.DataFrame, runs: pd.DataFrame | None = None) -> float:
    """SD of D between runs of one cell, from a finished study.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`; model lines at the
            best checkpoint, reachable rows, pooled.
        runs: run_id, convolution, control; 3D runs and controls are left out.

    Returns:
        The SD pooled over cells network x data set x initialisation, for each parameter; the
        median over the parameters.

    Raises:
        InputError: when no cell has two runs that moved.
    """
    residuals, df = _residuals(summaries, runs)
    # sums of squares and degrees of freedom add up over cells of different size
    squares = (residuals**2).sum()
    known = df > 0
    if not known.any() or not (squares[known] > 0).any():
        raise InputError(
            "summaries table",
            found="no two runs of one cell that differ",
            expected="at least two runs of one network, data set and initialisation",
            remedy="give the SD between runs yourself (--tau)",
        )
    return float(np.median(np.sqrt(squares[known] / df[known])))


def correlation_from(summaries: pd.DataFrame, runs: pd.DataFrame | None = None) -> float:
    """Correlation of D of px and py between runs of one cell; `CORRELATION` where it is unknown."""
    residuals, _ = _residuals(summaries, runs)
    pairs = residuals.reindex(columns=["px", "py"]).dropna()
    squares = (pairs**2).sum()
    if len(pairs) < 3 or not (squares > 0).all():
        return CORRELATION
    return float((pairs["px"] * pairs["py"]).sum() / math.sqrt(squares["px"] * squares["py"]))


def _residuals(
    summaries: pd.DataFrame, runs: pd.DataFrame | None
) -> tuple[pd.DataFrame, pd.Series]:
    """D less the mean of its cell, a row per run; and degrees of freedom, by parameter."""
    table = _real_runs(summaries, runs)
    table = table[np.isfinite(table["log_mean_abs"])]
    cells = table.groupby(["parameter", *CELL])["log_mean_abs"]
    table = table.assign(residual=table["log_mean_abs"] - cells.transform("mean"))
    # one run says nothing about spread
    several = table[cells.transform("size") > 1]
    df = (cells.size() - 1).groupby("parameter").sum()
    wide = several.pivot_table(index="run_id", columns="parameter", values="residual")
    return wide.reindex(columns=df.index), df


def _real_runs(summaries: pd.DataFrame, runs: pd.DataFrame | None) -> pd.DataFrame:
    """The model's lines of 3T runs at the best checkpoint."""
    table = select_runs(summaries, runs)
    return with_recipe(
        table[
            (table["tag"] == "best")
            & (table["scope"] == "model")
            & (table["rows"] == "reachable")
            & (table["weighting"] == "pooled")
        ]
    )


def study_power(
    summaries: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    seed: int,
    alpha: float = 0.05,
    replicates: int = 500,
) -> pd.DataFrame:
    """What a finished study could have found: `power_table` of its own design and spread.

    Args:
        summaries, runs: as for `tau_from`.
        seed, alpha, replicates: as for `power_table`.

    Returns:
        Columns of `POWER`: for each recipe the design of its real 3T runs with
        as many seeds as its smallest cell has, `tau` and the correlation of px and py estimated
        from its runs. No lines of a recipe without two comparable cells, or two runs that differ.
    """
    parts = []
    table = _real_runs(summaries, runs)
    for recipe, lines in table.groupby("recipe", observed=True):
        counts = [lines[name].nunique() for name in ("dataset", "init")]
        own = runs[runs["run_id"].isin(lines["run_id"])]
        if max(counts) < 2:
            continue
        try:
            tau = tau_from(lines, own)
        except InputError:
            continue
        rho = correlation_from(lines, own)
        found = power_table(
            networks=sorted(lines["network"].unique()), datasets=counts[0], inits=counts[1],
            seeds=[int(lines.groupby(CELL)["run_id"].nunique().min())], tau=tau, correlation=rho,
            alpha=alpha, replicates=replicates, seed=seed,
        )  # fmt: skip
        parts.append(found.assign(recipe=recipe, correlation=rho))
    if not parts:
        return pd.DataFrame(columns=POWER.names)
    return pd.concat(parts, ignore_index=True)[POWER.names]
