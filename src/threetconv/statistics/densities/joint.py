"""Joint density of the two translations, with its highest-density regions.

The plane is compressed radially, v = (x, y) asinh(r / c) / r: near the identity it is x / c,
far out the distance counts logarithmically and directions are kept, so one isotropic bandwidth
serves the peak and the tails without the stripes that compressing each axis alone would draw.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from threetconv.statistics.densities.bandwidth import SMALLEST
from threetconv.statistics.densities.kde import CELL, PER_BANDWIDTH, REACH, moved_rows

__all__ = ["RadialKDE", "joint_density"]

LEVELS = (50, 80, 95)
CENTRAL = 0.998
MOST_STEPS = 1024  # of the working grid, per axis


class RadialKDE:
    """Gaussian kernel density estimate of points in the plane, made in the compressed plane.

    Args:
        points: (n, 2) finite points, n >= 1, the identity (0, 0) taken out.
        c: scale of the compression, above zero.
        bandwidth: of the kernel in the compressed plane; Silverman's rule if None.
    """

    def __init__(self, points: np.ndarray, c: float, bandwidth: float | None = None) -> None:
        from KDEpy import FFTKDE  # most of a second to import
        from scipy.interpolate import RegularGridInterpolator

        self.c = c
        v = self._compress(np.asarray(points, dtype=np.float64))
        self.bandwidth = _plane_bandwidth(v) if bandwidth is None else bandwidth
        reach = float(np.abs(v).max()) + REACH * self.bandwidth
        steps = min(MOST_STEPS, math.ceil(2 * reach / self.bandwidth * PER_BANDWIDTH) + 1)
        axis = np.linspace(-reach, reach, steps)
        grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
        # KDEpy wants the data inside the grid and the grid sorted by x, then y, as it is here
        density = FFTKDE(kernel="gaussian", bw=self.bandwidth).fit(v).evaluate(grid)
        self._interpolate = RegularGridInterpolator(
            (axis, axis), density.reshape(steps, steps), bounds_error=False, fill_value=0.0
        )

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Density per unit of x and y at (m, 2) points -> (m,)."""
        points = np.asarray(points, dtype=np.float64)
        r = np.hypot(points[:, 0], points[:, 1])
        # Jacobian of the map r -> v = asinh(r / c): (v / r) dv/dr, with dv/dr = 1 / sqrt(r^2 + c^2)
        # and v / r -> 1 / c at the origin
        tangential = np.where(r > 0, np.arcsinh(r / self.c) / np.where(r > 0, r, 1.0), 1 / self.c)
        return self._interpolate(self._compress(points)) * tangential / np.hypot(r, self.c)

    def _compress(self, points: np.ndarray) -> np.ndarray:
        r = np.hypot(points[:, 0], points[:, 1])
        factor = np.where(r > 0, np.arcsinh(r / self.c) / np.where(r > 0, r, 1.0), 1 / self.c)
        return points * factor[:, None]


def _plane_bandwidth(v: np.ndarray) -> float:
    """Silverman's rule in the plane: n^(-1/6) times the axes' mean min(SD, IQR / 1.349)."""
    if len(v) < 2:
        return SMALLEST
    low, high = np.quantile(v, [0.25, 0.75], axis=0)
    robust = (high - low) / 1.349
    spread = np.minimum(v.std(axis=0, ddof=1), np.where(robust > 0, robust, np.inf))
    return max(float(spread.mean()) * len(v) ** (-1 / 6), SMALLEST)


def joint_density(
    parameters: pd.DataFrame, *, tag: str = "best", points: int = 101, rows: str = "all"
) -> pd.DataFrame:
    """Joint density of (px, py) in every cell, its runs pooled, on one grid for all cells.

    Args:
        parameters: the parameter table of all cells, with network, dataset, init (and tag).
        tag: the snapshot to use.
        points: grid points per axis, equally spaced in asinh(x / c); odd, so that 0 is one of
            them.
        rows: "all" or "reachable".

    Returns:
        Long table: network, dataset, init, x, y (px and py, fractions of the kernel's extent,
        right and up), density, hdr50, hdr80, hdr95 (the density above which that share of the
        mass lies, by the quantiles of the density at the data, Hyndman 1996), region (50, 80, 95:
        the smallest region that holds the point; 100 outside all), count, identity_share (rows
        exactly at (0, 0), not in the density), clipped_share (of the others, those outside the
        window), c, bandwidth. c is the median of |px| and |py|, the window the square that holds
        the central 99.8 %, both over the union of all cells. Where nothing moved the density is
        0, the thresholds NaN and the identity_share 1.
    """
    frame = moved_rows(parameters, tag=tag, rows=rows)
    everything = frame[["px_prime", "py_prime"]].to_numpy(np.float64)
    c, reach = _shared_window(everything)
    axis = c * np.sinh(np.linspace(-1, 1, points) * math.asinh(reach / c))
    if points % 2:
        # the middle of linspace and sinh may miss 0 by rounding
        axis[points // 2] = 0.0
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    tables = []
    for cell, group in frame.groupby(CELL, sort=True, observed=True):
        xy = group[["px_prime", "py_prime"]].to_numpy(np.float64)
        moved = xy[(xy != 0).any(axis=1)]
        # a fixed order, so that sums do not depend on the order of the table
        moved = moved[np.lexsort((moved[:, 1], moved[:, 0]))]
        density, thresholds, width = np.zeros(len(grid)), [math.nan] * len(LEVELS), math.nan
        if len(moved):
            estimate = RadialKDE(moved, c)
            density, width = estimate(grid), estimate.bandwidth
            at_data = estimate(moved)
            # p % of the data have a density above the threshold of the p % region (Hyndman 1996)
            thresholds = [float(np.quantile(at_data, 1 - level / 100)) for level in LEVELS]
        outside = np.count_nonzero((np.abs(moved) > reach).any(axis=1))
        tables.append(
            pd.DataFrame(
                {
                    **dict(zip(CELL, cell, strict=True)),
                    "x": grid[:, 0],
                    "y": grid[:, 1],
                    "density": density,
                    **{f"hdr{n}": t for n, t in zip(LEVELS, thresholds, strict=True)},
                    "region": _region(density, thresholds),
                    "count": len(xy),
                    "identity_share": 1 - len(moved) / len(xy),
                    "clipped_share": outside / len(moved) if len(moved) else 0.0,
                    "c": c,
                    "bandwidth": width,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _shared_window(xy: np.ndarray) -> tuple[float, float]:
    """c and half the side of the square window."""
    absolute = np.abs(xy[(xy != 0).any(axis=1)])
    if len(absolute) == 0:
        return 1.0, 1.0
    return (
        float(np.median(absolute[absolute > 0])),
        float(np.quantile(absolute.max(axis=1), CENTRAL)),
    )


def _region(density: np.ndarray, thresholds: list[float]) -> np.ndarray:
    region = np.full(density.shape, 100, dtype=np.int16)
    for level, threshold in sorted(zip(LEVELS, thresholds, strict=True), reverse=True):
        region[density >= threshold] = level  # NaN compares false
    return region
