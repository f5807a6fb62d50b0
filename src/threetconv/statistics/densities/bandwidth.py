"""Bandwidth of a Gaussian kernel: improved Sheather-Jones, with Silverman's rule to fall back on.

KDEpy's own `improved_sheather_jones` (1.1.12) multiplies by the range of the data although its
mesh is wider, so its bandwidth is two to three times too small (8,000 normal deviates: .066, where
the optimum is .176); the selector is therefore written out here.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["bandwidth", "improved_sheather_jones", "silverman"]

STAGES = 7  # Botev's l
MESH = 4096
FEWEST = 50  # below this many distinct values ISJ is not tried
SMALLEST = 0.05  # bandwidth when nothing varies


def bandwidth(values: np.ndarray) -> float:
    """A usable bandwidth for any sample.

    Improved Sheather-Jones; Silverman's rule when there are few values, when more than half of
    them are ties (which ISJ takes for sharp peaks), or when ISJ finds no root or an absurd one;
    `SMALLEST` when nothing varies.

    Args:
        values: (n,) sample, n >= 1, on a scale where 1 is a natural unit (such as asinh(x / c)).

    Returns:
        The standard deviation of the kernel, above zero.
    """
    rule = silverman(values)
    if not rule > 0:
        return SMALLEST
    distinct = np.unique(values).size
    if distinct < max(FEWEST, values.size / 2):
        return rule
    best = improved_sheather_jones(values)
    return best if rule / 20 < best < 3 * rule else rule


def silverman(values: np.ndarray) -> float:
    """Silverman's rule 0.9 min(SD, IQR / 1.349) n^(-1/5); 0 when nothing varies."""
    if values.size < 2:
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    spreads = [s for s in (float(values.std(ddof=1)), float(high - low) / 1.349) if s > 0]
    return float(0.9 * min(spreads, default=0.0) * values.size**-0.2)


def improved_sheather_jones(values: np.ndarray) -> float:
    """Botev, Grotowski & Kroese, "Kernel density estimation via diffusion", Ann. Stat. 38, 2010.

    Args:
        values: (n,) sample.

    Returns:
        The bandwidth, or NaN when the fixed-point equation has no root.
    """
    from scipy.fft import dct  # scipy only when a density is wanted
    from scipy.optimize import brentq

    low, high = float(values.min()), float(values.max())
    margin = 0.1 * (high - low)
    low, width = low - margin, (high - low) + 2 * margin
    counts, _ = np.histogram(values, bins=MESH, range=(low, low + width))
    squares = (dct(counts / values.size, type=2)[1:] / 2) ** 2
    order = np.arange(1, MESH, dtype=np.float64) ** 2
    # distinct values, as in Botev's own code: ties add no information about the shape
    n = np.unique(values).size

    def excess(t: float) -> float:
        """t - xi gamma^[l](t) of the paper's equation 30."""
        norm = _derivative_norm(STAGES, t, order, squares)
        for stage in range(STAGES - 1, 1, -1):
            if not 0 < norm < math.inf:
                return math.nan
            odd = math.prod(range(1, 2 * stage, 2)) / math.sqrt(2 * math.pi)
            constant = (1 + 0.5 ** (stage + 0.5)) / 3
            time = (2 * constant * odd / (n * norm)) ** (2 / (3 + 2 * stage))
            norm = _derivative_norm(stage, time, order, squares)
        if not 0 < norm < math.inf:
            return math.nan
        return t - (2 * n * math.sqrt(math.pi) * norm) ** -0.4

    upper = 1e-7  # the smallest root is wanted: widen the bracket from below
    while upper < 0.1:
        value = excess(upper)
        if math.isfinite(value) and value > 0:
            if not excess(1e-12) < 0:
                return math.nan
            return math.sqrt(float(brentq(excess, 1e-12, upper, xtol=1e-14))) * width
        upper *= 2
    return math.nan


def _derivative_norm(stage: int, t: float, order: np.ndarray, squares: np.ndarray) -> float:
    """Squared L2 norm of the `stage`-th derivative of the density smoothed to time t."""
    terms = order**stage * squares * np.exp(-order * math.pi**2 * t)
    return float(2 * math.pi ** (2 * stage) * terms.sum())
