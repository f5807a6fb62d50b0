"""Confidence intervals for a difference of arm means, with unequal variances, over blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Interval", "difference_interval", "paired_interval"]


class Interval(NamedTuple):
    """Bounds of a difference of means (log units for D), how they were made, degrees of freedom."""

    low: float
    high: float
    method: str
    df: float


def difference_interval(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]], *, level: float = 0.95
) -> Interval:
    """Interval for the mean over blocks of (mean of arm a - mean of arm b).

    The variance of a mean is s^2 / n in each arm of each block; degrees of freedom by Welch and
    Satterthwaite. One block gives Welch's t interval.

    Returns:
        The interval; NaN bounds, with the reason as method, when an arm has one run only or
        nothing varies.
    """
    means, variances, dfs = [], [], []
    for a, b in blocks:
        first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
        # one run has no variance
        if min(first.size, second.size) < 2:
            return _none("one run in an arm")
        means.append(first.mean() - second.mean())
        for arm in (first, second):
            variances.append(arm.var(ddof=1) / arm.size)
            dfs.append(arm.size - 1)
    name = "Welch t" if len(means) == 1 else "Satterthwaite t over blocks"
    return _student(means, variances, dfs, name, level)


def paired_interval(blocks: Sequence[npt.ArrayLike], *, level: float = 0.95) -> Interval:
    """The same for differences of pairs: one array of differences (a - b) per block."""
    means, variances, dfs = [], [], []
    for block in blocks:
        differences = np.asarray(block, np.float64)
        if differences.size < 2:
            return _none("one pair in a block")
        means.append(differences.mean())
        variances.append(differences.var(ddof=1) / differences.size)
        dfs.append(differences.size - 1)
    name = "paired t" if len(means) == 1 else "paired Satterthwaite t over blocks"
    return _student(means, variances, dfs, name, level)


def _student(
    means: list[float], variances: list[float], dfs: list[int], name: str, level: float
) -> Interval:
    from scipy.stats import t  # a second to import

    parts = np.asarray(variances)
    total = float(parts.sum())
    if not means or not total > 0:
        return _none("no spread between runs")
    # Welch and Satterthwaite; the factor 1 / blocks^2 of every variance cancels here
    df = total**2 / float((parts**2 / np.asarray(dfs)).sum())
    # the variance of a mean over blocks is the sum of their variances / blocks^2
    half = float(t.ppf(0.5 + level / 2, df)) * math.sqrt(total) / len(means)
    centre = float(np.mean(means))
    return Interval(centre - half, centre + half, name, df)


def _none(reason: str) -> Interval:
    return Interval(math.nan, math.nan, f"none ({reason})", math.nan)
