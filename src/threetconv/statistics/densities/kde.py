"""Densities of heavy-tailed temporal parameters.

The parameters pile up at the identity and have tails a hundred times wider; one bandwidth on the
raw axis oversmooths the peak or undersmooths the tails. The estimate is therefore made in
u = asinh(x / c), nearly linear inside c and logarithmic outside, and transformed back with the
Jacobian du/dx = 1 / sqrt(x^2 + c^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.records.parameters import derive
from threetconv.statistics.densities.bandwidth import bandwidth
from threetconv.statistics.summaries.summarise import DISPLACEMENTS
from threetconv.statistics.tests.families import with_recipe

__all__ = ["AsinhKDE", "Density", "densities"]

CELL = ["network", "dataset", "init", "recipe"]
CENTRAL = (0.001, 0.999)  # shared limits: these quantiles of the union of all cells
REACH = 5.0  # kernels are followed over this many bandwidths
PER_BANDWIDTH = 3  # at least this many grid steps in a bandwidth


class Density(NamedTuple):
    """A density on a support, and the bandwidth (in u) that made it."""

    support: np.ndarray  # (points,) increasing, in x
    density: np.ndarray  # (points,) per unit of x; integrates to 1 over the whole line
    bandwidth: float


@dataclass(frozen=True)
class AsinhKDE:
    """Gaussian kernel density estimate in u = asinh(x / c).

    Args:
        c: scale of the transform, above zero; the median of |x| is a good one.
        bandwidth: of the kernel in u; chosen from the data
            (`threetconv.statistics.densities.bandwidth`) if None.
        points: size of the support, equally spaced in u.

    Examples:
        >>> x = np.random.default_rng(0).standard_t(2, size=1000) * 1e-3
        >>> support, density, h = AsinhKDE(c=float(np.median(np.abs(x))))(x)
        >>> support.shape, density.shape
        ((512,), (512,))
    """

    c: float
    bandwidth: float | None = None
    points: int = 512

    def __call__(self, x: np.ndarray, limits: tuple[float, float] | None = None) -> Density:
        """Estimate the density of a sample.

        Args:
            x: (n,) finite values, n >= 1. Take a point mass (the exact identity) out first.
            limits: ends of the support in x; the data's own range and the kernels' reach if None.

        Returns:
            Support and density. Values beyond the limits count: the density over the support
            integrates to the share of the mass inside.
        """
        u = np.sort(np.arcsinh(np.asarray(x, dtype=np.float64).ravel() / self.c))
        width = bandwidth(u) if self.bandwidth is None else self.bandwidth
        if limits is None:
            low, high = u[0] - REACH * width, u[-1] + REACH * width
        else:
            low, high = (math.asinh(limit / self.c) for limit in limits)
        grid = np.linspace(low, high, self.points)
        in_u = _evaluate(u, width, grid)
        support = self.c * np.sinh(grid)
        return Density(support, in_u / np.hypot(support, self.c), width)


def _evaluate(u: np.ndarray, width: float, grid: np.ndarray) -> np.ndarray:
    """Density of u on an equally spaced grid, by FFT on a finer grid that holds all of the data."""
    from KDEpy import FFTKDE  # most of a second to import

    spacing = (grid[-1] - grid[0]) / (grid.size - 1)
    finer = max(1, math.ceil(PER_BANDWIDTH * spacing / width))
    step = spacing / finer
    before = max(0, math.ceil((grid[0] - u[0] + REACH * width) / step))
    after = max(0, math.ceil((u[-1] - grid[-1] + REACH * width) / step))
    count = before + (grid.size - 1) * finer + 1 + after
    fine = grid[0] + step * (np.arange(count) - before)
    density = FFTKDE(kernel="gaussian", bw=width).fit(u).evaluate(fine)
    inside = slice(before, before + (grid.size - 1) * finer + 1, finer)
    return np.maximum(density[inside], 0.0)


def densities(
    parameters: pd.DataFrame, *, tag: str = "best", points: int = 512, rows: str = "all"
) -> pd.DataFrame:
    """Density of scale and rotation in every cell, its runs pooled, on a shared support.

    Args:
        parameters: the parameter table of all cells, with network, dataset, init (and tag).
        tag: the snapshot to use.
        points: length of each curve.
        rows: "all" or "reachable".

    Returns:
        Long table: network, dataset, init, parameter {s, r}, support, density, count (rows of the
        cell), identity_share (rows exactly at the identity; they are not in the density),
        clipped_share (of the others, those outside the support), c, bandwidth. For s the variable
        is z_s = -ln|s| (log zoom), for r it is z_r = -r (radians clockwise). c (median |x|) and
        the support (0.1-99.9 %, with 0) come from the union of all cells. Where nothing moved the
        density is 0 and identity_share 1.
    """
    frame = moved_rows(parameters, tag=tag, rows=rows)
    curves = []
    for parameter in ("s", "r"):
        values = frame[DISPLACEMENTS[parameter]].to_numpy(np.float64)
        c, limits = shared_scale(values)
        estimate = AsinhKDE(c=c, points=points)
        empty = Density(
            c * np.sinh(np.linspace(math.asinh(limits[0] / c), math.asinh(limits[1] / c), points)),
            np.zeros(points),
            math.nan,
        )
        for cell, group in frame.groupby(CELL, sort=True, observed=True):
            x = group[DISPLACEMENTS[parameter]].to_numpy(np.float64)
            moved = x[x != 0]
            curve = estimate(moved, limits) if moved.size else empty
            clipped = np.count_nonzero((moved < limits[0]) | (moved > limits[1]))
            curves.append(
                pd.DataFrame(
                    {
                        **dict(zip(CELL, cell, strict=True)),
                        "parameter": parameter,
                        "support": curve.support,
                        "density": curve.density,
                        "count": x.size,
                        "identity_share": 1 - moved.size / x.size,
                        "clipped_share": clipped / moved.size if moved.size else 0.0,
                        "c": c,
                        "bandwidth": curve.bandwidth,
                    }
                )
            )
    return pd.concat(curves, ignore_index=True)


def moved_rows(parameters: pd.DataFrame, *, tag: str, rows: str) -> pd.DataFrame:
    """The rows of one snapshot tag, derived columns added.

    Raises:
        ValueError: when the table has no such rows.
    """
    keep = (parameters["tag"] == tag).to_numpy()
    if rows == "reachable":
        keep = keep & parameters["reachable"].to_numpy(bool)
    if not keep.any():
        raise ValueError(f"the parameter table has no {rows} rows with tag {tag!r}")
    return derive(
        with_recipe(parameters).loc[keep, [*CELL, "scale", "rotate", "translate_x", "translate_y"]]
    ).reset_index(drop=True)


def shared_scale(values: np.ndarray) -> tuple[float, tuple[float, float]]:
    """c and limits for all panels: median |x| and central 99.8 % (with 0) of what moved."""
    moved = values[values != 0]
    if moved.size == 0:
        return 1.0, (-1.0, 1.0)
    c = float(np.median(np.abs(moved)))
    low, high = (float(q) for q in np.quantile(moved, CENTRAL))
    low, high = min(low, 0.0), max(high, 0.0)
    return c, (low, high)
