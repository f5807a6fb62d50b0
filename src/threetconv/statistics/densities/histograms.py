"""The paper's histograms (Figures 4 and 5), on bin edges that all panels share.

The paper drew the signed primed values with 50 bins over each panel's own range, so heights do
not compare between panels; sharing the edges is the one departure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.densities.kde import CELL, moved_rows

__all__ = ["histograms", "joint_histogram"]

PRIMED = {"s": "s_prime", "r": "r_prime", "px": "px_prime", "py": "py_prime"}


def histograms(
    parameters: pd.DataFrame, *, tag: str = "best", bins: int = 50, rows: str = "all"
) -> pd.DataFrame:
    """Counts of s' = 1/s, r' = -r, px' = -tx/2 and py' = ty/2 in every cell, its runs pooled.

    Args:
        parameters: the parameter table of all cells, with network, dataset, init (and tag).
        tag: the snapshot to use.
        bins: number of bins over the range of the union of all cells.
        rows: "all" (as in the paper) or "reachable".

    Returns:
        Long table: network, dataset, init, parameter, left, right, count. Counts of a cell add up
        to its rows.
    """
    frame = moved_rows(parameters, tag=tag, rows=rows)
    tables = []
    for parameter in PARAMETERS:
        # over the union of the cells: with common bins the panels' heights can be compared
        edges = np.histogram_bin_edges(frame[PRIMED[parameter]].to_numpy(np.float64), bins)
        for cell, group in frame.groupby(CELL, sort=True, observed=True):
            counts, _ = np.histogram(group[PRIMED[parameter]].to_numpy(np.float64), edges)
            tables.append(
                pd.DataFrame(
                    {
                        **dict(zip(CELL, cell, strict=True)),
                        "parameter": parameter,
                        "left": edges[:-1],
                        "right": edges[1:],
                        "count": counts.astype(np.int64),
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def joint_histogram(
    parameters: pd.DataFrame, *, tag: str = "best", bins: int = 50, rows: str = "all"
) -> pd.DataFrame:
    """Counts of (px', py') on a bins x bins grid shared by all cells.

    Returns:
        Long table: network, dataset, init, x_left, x_right, y_left, y_right, count (bins with
        none too).
    """
    frame = moved_rows(parameters, tag=tag, rows=rows)
    x_edges, y_edges = (
        np.histogram_bin_edges(frame[name].to_numpy(np.float64), bins)
        for name in ("px_prime", "py_prime")
    )
    tables = []
    for cell, group in frame.groupby(CELL, sort=True, observed=True):
        counts, _, _ = np.histogram2d(
            group["px_prime"].to_numpy(np.float64),
            group["py_prime"].to_numpy(np.float64),
            bins=[x_edges, y_edges],
        )
        tables.append(
            pd.DataFrame(
                {
                    **dict(zip(CELL, cell, strict=True)),
                    # counts are (x, y) in row-major order: y varies fastest
                    "x_left": np.repeat(x_edges[:-1], bins),
                    "x_right": np.repeat(x_edges[1:], bins),
                    "y_left": np.tile(y_edges[:-1], bins),
                    "y_right": np.tile(y_edges[1:], bins),
                    "count": counts.ravel().astype(np.int64),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
