"""Effect sizes between two groups of values; positive when `compared` lies above `reference`.

The values are run-level summaries (one number per training run) wherever these are used for
inference; on rows of one network they are descriptions only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["blocked", "cliffs_delta", "energy", "hedges_g", "ks_distance", "wasserstein"]

Pair = tuple[npt.ArrayLike, npt.ArrayLike]


def hedges_g(reference: npt.ArrayLike, compared: npt.ArrayLike) -> float:
    """Hedges' g = J d, with d on the pooled SD and J = 1 - 3 / (4 df - 1) (Hedges 1981).

    Returns:
        g, or NaN when either group is empty, no degree of freedom is left, or nothing varies.
    """
    return blocked_hedges_g([(reference, compared)])


def blocked_hedges_g(pairs: Sequence[Pair]) -> float:
    """Mean difference over blocks on the SD within arms and blocks; one block is `hedges_g`."""
    differences, squares, df = [], 0.0, 0
    for reference, compared in pairs:
        a, b = _array(reference), _array(compared)
        if a.size == 0 or b.size == 0:
            return math.nan
        differences.append(b.mean() - a.mean())
        for group in (a, b):
            squares += float(((group - group.mean()) ** 2).sum())
            df += group.size - 1
    if not differences or df < 1 or not squares > 0:
        return math.nan
    # without it d is too large in small samples: by a quarter at df = 4
    correction = 1 - 3 / (4 * df - 1)
    return float(np.mean(differences) / math.sqrt(squares / df) * correction)


def cliffs_delta(reference: npt.ArrayLike, compared: npt.ArrayLike) -> float:
    """Cliff's delta = P(compared > reference) - P(compared < reference) = 2 U / (n1 n2) - 1.

    O((n1 + n2) log n1), so that rows of a whole network are no trouble.
    """
    a, b = np.sort(_array(reference)), _array(compared)
    if a.size == 0 or b.size == 0 or np.isnan(a).any() or np.isnan(b).any():
        return math.nan
    below = np.searchsorted(a, b, side="left").sum(dtype=np.float64)
    above = (a.size - np.searchsorted(a, b, side="right")).sum(dtype=np.float64)
    return float((below - above) / (a.size * b.size))


def wasserstein(reference: npt.ArrayLike, compared: npt.ArrayLike) -> float:
    """Wasserstein-1 distance (scipy); never negative. On D it is in log units."""
    from scipy.stats import wasserstein_distance  # a second to import

    return _distance(wasserstein_distance, reference, compared)


def energy(reference: npt.ArrayLike, compared: npt.ArrayLike) -> float:
    """Energy distance sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|) on the line (scipy).

    The square root is scipy's; dcor gives the square. In the unit of the values.
    """
    from scipy.stats import energy_distance  # a second to import

    return _distance(energy_distance, reference, compared)


def ks_distance(reference: npt.ArrayLike, compared: npt.ArrayLike) -> float:
    """Kolmogorov-Smirnov distance D, the largest gap of the distribution functions (scipy)."""
    from scipy.stats import ks_2samp  # a second to import

    a, b = _array(reference), _array(compared)
    if a.size == 0 or b.size == 0 or np.isnan(a).any() or np.isnan(b).any():
        return math.nan
    return float(ks_2samp(a, b, method="asymp").statistic)


def blocked(pairs: Sequence[Pair]) -> dict[str, float]:
    """The three effect sizes over blocks: g on the pooled SD, the others averaged over blocks.

    Args:
        pairs: (reference, compared) values of every block.

    Returns:
        `hedges_g`, `cliffs_delta`, `wasserstein`.
    """
    return {
        "hedges_g": blocked_hedges_g(pairs),
        "cliffs_delta": _mean([cliffs_delta(a, b) for a, b in pairs]),
        "wasserstein": _mean([wasserstein(a, b) for a, b in pairs]),
    }


def _distance(distance: Callable[..., Any], first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Between sorted samples, so that sums do not depend on the order; NaN without finite ones."""
    a, b = np.sort(_array(first)), np.sort(_array(second))
    if a.size == 0 or b.size == 0 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return math.nan
    return float(distance(a, b))


def _array(values: npt.ArrayLike) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).ravel()


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
