"""Means, moments and quantiles of many groups at once, on plain arrays.

The rows of a group lie next to each other, so a sum over each group is one `np.add.reduceat` and a
quantile one sort of a slice. Sums run over values in increasing order: the order of the rows does
not matter, not even to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from threetconv.records.parameters import displacement, displacement_from_start, magnitude

__all__ = [
    "COUNTS",
    "QUANTILES",
    "STATISTICS",
    "Layout",
    "Table",
    "equal_weight",
    "joined",
    "layouts",
    "statistics",
]

QUANTILES = {"q05": 0.05, "q25": 0.25, "median_abs": 0.5, "q75": 0.75, "q95": 0.95}
STATISTICS = (
    "mu_paper", "sd_paper", "log_mean_abs", "sd_abs", "sd", "median_abs", "q05", "q25", "q75",
    "q95", "kurtosis", "log_mean_abs_identity", "walk_sd",
)  # fmt: skip
COUNTS = ("n", "n_identity")
CHUNK = 1 << 20  # rows worked on at once, unless one snapshot has more

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """Where the rows of every layer of every snapshot are.

    Attributes:
        keys: (layers,) the values that name each layer of each snapshot, sorted.
        counts: (layers,) rows of each, none of them zero.
        layers: (snapshots,) layers of each snapshot.
        index: (rows,) row numbers, layer by layer; None when the rows are in that order already.
    """

    keys: pd.DataFrame
    counts: np.ndarray
    layers: np.ndarray
    index: np.ndarray | None

    @property
    def snapshots(self) -> pd.DataFrame:
        """(snapshots,) the keys of each snapshot's first layer."""
        return self.keys.iloc[_starts(self.layers)]

    def covers(self, rows: int) -> bool:
        """Whether every row of a table of `rows` rows is in."""
        return int(self.counts.sum()) == rows

    def chunks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Whole snapshots of about `CHUNK` rows: their rows, rows per layer, rows per snapshot."""
        rows = np.add.reduceat(self.counts, _starts(self.layers))
        layer = row = first = 0
        while first < len(rows):
            # snapshots that fit into CHUNK rows, at least one; never a part of one
            reach = np.searchsorted(np.cumsum(rows[first:]), CHUNK, side="right")
            last = first + max(1, int(reach))
            within = self.counts[layer : layer + int(self.layers[first:last].sum())]
            total = int(rows[first:last].sum())
            yield slice(row, row + total), within, rows[first:last]
            layer, row, first = layer + len(within), row + total, last


def layouts(keys: pd.DataFrame, snapshot: list[str], layer: list[str]) -> dict[str, Layout]:
    """The layouts of all rows and of the reachable ones; a set without rows has none.

    Args:
        keys: columns `snapshot`, `layer` and "reachable", a line for every row of a table. Rows
            that follow each other and agree are handled as one, so a table in its usual order
            costs next to nothing.
        snapshot, layer: the columns that name a snapshot, and a layer in it.
    """
    names = [*snapshot, *layer]
    # a stretch begins where any key changes; from here on a stretch stands for its rows
    changed = np.zeros(len(keys), dtype=bool)
    changed[:1] = True
    for name in [*names, "reachable"]:
        codes = _codes(keys[name])
        changed[1:] |= codes[1:] != codes[:-1]
    first = np.flatnonzero(changed)
    length = np.diff(first, append=len(keys))
    stretches = keys.iloc[first]
    texts = {name: str for name in names if isinstance(stretches[name].dtype, pd.CategoricalDtype)}
    stretches = stretches.astype(texts).reset_index(drop=True)
    found = {}
    for rows, kept in (
        ("all", stretches),
        ("reachable", stretches[stretches["reachable"].to_numpy(bool)]),
    ):
        if kept.empty:
            continue
        group = kept.groupby(names, sort=True).ngroup().to_numpy()
        order = np.argsort(group, kind="stable")
        starts, lengths = first[kept.index][order], length[kept.index][order]
        # row numbers of every stretch, in the sorted order of the stretches
        index = np.repeat(starts - _starts(lengths), lengths) + np.arange(lengths.sum())
        complete = len(index) == len(keys) and (starts == _starts(lengths)).all()
        heads = np.flatnonzero(np.diff(group[order], prepend=-1))
        named = kept.iloc[order[heads]][names].reset_index(drop=True)
        of_snapshot = (~named.duplicated(snapshot)).cumsum().to_numpy()
        found[rows] = Layout(
            named,
            np.add.reduceat(lengths, heads),
            np.bincount(of_snapshot)[1:],
            None if complete else index,
        )
    return found


def _codes(column: pd.Series) -> np.ndarray:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy()
    return pd.factorize(column)[0]


def statistics(
    parameter: str, raw: np.ndarray, start: np.ndarray, walk: np.ndarray, layout: Layout
) -> tuple[Table, Table]:
    """Every statistic of one parameter, by layer and by snapshot.

    Args:
        parameter: s, r, px or py.
        raw: (rows,) the layer's own values in the order of `layout`, finite, scales not zero.
        start: (rows,) the same before training.
        walk: (rows,) variances of the walk that noise alone makes of the raw values; may be NaN.

    Returns:
        Two tables `COUNTS` + `STATISTICS` -> float64 arrays, of (layers,) and (snapshots,).
    """
    by_layer: list[Table] = []
    by_snapshot: list[Table] = []
    for rows, layers, snapshots in layout.chunks():
        z = displacement_from_start(parameter, raw[rows], start[rows])
        # in the unit of z but for the factor that px and py have
        values, walk_sd = raw[rows].copy(), np.sqrt(walk[rows].astype(np.float64))
        # sums over increasing values do not depend on the order of the rows
        for each in (z, values, walk_sd):
            _sort_within(each, layers)
        paper, from_identity = magnitude(parameter, values), np.abs(displacement(parameter, values))
        absolute = np.abs(z)
        for tables, counts in ((by_layer, layers), (by_snapshot, snapshots)):
            found = _moments(z, absolute, paper, counts)
            begins = _starts(counts)
            with np.errstate(divide="ignore"):
                found["log_mean_abs_identity"] = np.log(
                    np.add.reduceat(from_identity, begins) / counts
                )
            found["walk_sd"] = np.add.reduceat(walk_sd, begins) / counts
            tables.append(found)
        for tables, counts in ((by_layer, layers), (by_snapshot, snapshots)):
            _sort_within(absolute, counts, kind="stable")  # few ordered pieces: a merge
            tables[-1] |= _quantiles(absolute, counts)
    return joined(by_layer), joined(by_snapshot)


def equal_weight(by_layer: Table, layers: np.ndarray) -> Table:
    """Every snapshot as the unweighted mean of its layers (without NaN); counts are summed.

    Args:
        by_layer: from `statistics`.
        layers: (snapshots,) layers of each snapshot.
    """
    starts = _starts(layers)
    table = {name: np.add.reduceat(by_layer[name], starts) for name in COUNTS}
    for name in STATISTICS:
        known = ~np.isnan(by_layer[name])
        # a constant layer has no kurtosis (NaN), and must not take the model's with it
        number = np.add.reduceat(known, starts, dtype=np.int64)
        total = np.add.reduceat(np.where(known, by_layer[name], 0.0), starts)
        table[name] = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return table


def _moments(z: np.ndarray, absolute: np.ndarray, paper: np.ndarray, counts: np.ndarray) -> Table:
    """Counts, means, SDs (ddof 0) and the excess kurtosis of every group."""
    starts = _starts(counts)
    mean_abs, two_abs, _ = _central(absolute, starts, counts, fourth=False)
    mean_paper, two_paper, _ = _central(paper, starts, counts, fourth=False)
    _, two, four = _central(z, starts, counts, fourth=True)
    varies = two > 0
    with np.errstate(divide="ignore"):
        log_mean_abs = np.log(mean_abs)
    return {
        "n": counts,
        "n_identity": np.add.reduceat(z == 0, starts, dtype=np.int64),
        "mu_paper": mean_paper,
        "sd_paper": np.sqrt(two_paper),
        "log_mean_abs": log_mean_abs,
        "sd_abs": np.sqrt(two_abs),
        "sd": np.sqrt(two),
        "kurtosis": np.where(varies, four / np.where(varies, two, 1.0) ** 2 - 3, np.nan),
    }


def _central(
    x: np.ndarray, starts: np.ndarray, counts: np.ndarray, *, fourth: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, second and (if asked for) fourth central moment; exactly 0 where x is constant."""
    mean = np.add.reduceat(x, starts) / counts
    # rounding must not push the mean of a constant group off the constant
    np.clip(mean, np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts), out=mean)
    square = x - np.repeat(mean, counts)
    square *= square
    two = np.add.reduceat(square, starts) / counts
    if not fourth:
        return mean, two, two
    square *= square
    return mean, two, np.add.reduceat(square, starts) / counts


def _quantiles(ordered: np.ndarray, counts: np.ndarray) -> Table:
    """Linear interpolation between order statistics, as numpy and pandas do by default."""
    starts, table = _starts(counts), {}
    for name, q in QUANTILES.items():
        position = q * (counts - 1)
        below = np.floor(position).astype(np.int64)
        low = ordered[starts + below]
        high = ordered[starts + np.minimum(below + 1, counts - 1)]
        table[name] = low + (high - low) * (position - below)
    return table


def _sort_within(
    values: np.ndarray, counts: np.ndarray, kind: Literal["quicksort", "stable"] = "quicksort"
) -> None:
    """Sort every group in place."""
    stop = 0
    for count in counts.tolist():
        values[stop : stop + count].sort(kind=kind)
        stop += count


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.cumsum(counts) - counts


def joined(tables: list[Table]) -> Table:
    """The tables below each other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
