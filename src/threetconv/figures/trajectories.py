"""The right columns of Figure 3: zoom, turn and path of channels over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from threetconv.figures import theme
from threetconv.figures.theme import DATASETS, GRID, INK, MUTED, PAPER, plain

__all__ = ["trajectories"]

START, END = DATASETS[0], DATASETS[1]
EXACT = {
    "zoom": "zoom, factor",
    "turn_deg": "turn, degrees clockwise",
    "right_px": "right, kernel pixels",
    "up_px": "up, kernel pixels",
}
PAPERS = {
    "paper_zoom": "zoom, factor (paper units)",
    "paper_rotation": "rotation, radians (paper units)",
    "paper_right": "right (paper units)",
    "paper_up": "up (paper units)",
}
LEAST = {"zoom": 0.02, "turn_deg": 1.0, "right_px": 0.05, "up_px": 0.05}
"""Smallest half-range of an axis: rounding is not to look like motion."""


def trajectories(
    tables: Mapping[str, pd.DataFrame], *, notes: Mapping[str, str] = {}, shared: bool = True
) -> Figure:
    """A row for each channel: zoom and turn by slice, then the path from its start to its end.

    The start of a path is a blue circle, its end a red square, as in the paper; both also differ
    in shape.

    Args:
        tables: label -> table of `threetconv.explain.motion.trajectories.trajectory`; all of one
            kind, exact or paper.
        notes: label -> a line below the row's label, such as the channel's sentence.
        shared: one range for all rows of a column, so that rows can be compared; without it each
            row has its own, so that a small motion can be seen.

    Raises:
        ValueError: tables of both kinds, or of neither.
    """
    if not tables:
        return theme.empty("No channels to follow.")
    kinds = [
        names for names in (EXACT, PAPERS) if all(set(names) <= set(t) for t in tables.values())
    ]
    if not kinds:
        raise ValueError("tables must be all exact or all in paper units, as trajectory makes them")
    names = kinds[0]
    zoom, turn, right, up = names
    with theme.style():
        figure = theme.new_figure(7.4, 0.35 + 1.55 * len(tables))
        grid = figure.subplots(len(tables), 4, squeeze=False, width_ratios=(0.95, 1.25, 1.25, 1.0))
        longest = max(len(table) for table in tables.values())
        for row, (label, table) in zip(grid, tables.items(), strict=True):
            compared = list(tables.values()) if shared else [table]
            _label(row[0], label, notes.get(label, ""))
            for axes, name in zip(row[1:3], (zoom, turn), strict=True):
                # Slices count from 1 for readers.
                axes.plot(table["step"] + 1, table[name], color=INK, lw=1.2)
                _marks(axes, table["step"] + 1, table[name])
                axes.axhline(1.0 if name == zoom else 0.0, color=MUTED, lw=0.6, ls=":")
                axes.set_ylim(*_limits(compared, name, 1.0 if name == zoom else 0.0))
                axes.set_xlim(0.8, (longest if shared else len(table)) + 0.2)
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            # One reach for both axes, so that directions are true.
            reach = max(_limits(compared, name, 0.0)[1] for name in (right, up))
            _path(row[3], table[right], table[up], reach)
        for axes, title in zip(
            grid[0], ("", names[zoom], names[turn], _path_title(names)), strict=True
        ):
            axes.set_title(title, fontsize=7.5, fontweight="normal")
        for axes, text in zip(grid[-1], ("", "slice", "slice", "right"), strict=True):
            axes.set_xlabel(text)
    return figure


def _path_title(names: Mapping[str, str]) -> str:
    return "path, kernel pixels" if names is EXACT else "path (paper units)"


def _label(axes: Axes, label: str, note: str) -> None:
    axes.axis("off")
    text: dict[str, Any] = {"transform": axes.transAxes, "wrap": True, "ha": "left"}
    axes.text(0.0, 0.62, plain(label).replace(", ", ",\n"), fontsize=8, va="bottom", **text)
    axes.text(
        0.0, 0.55, plain(note).replace(", ", ",\n"), fontsize=6.5, va="top", color=MUTED, **text
    )


def _marks(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    last: dict[str, Any] = {"color": END, "marker": "s", "mec": PAPER, "zorder": 3}
    axes.plot(x.iloc[-1:], y.iloc[-1:], ls="none", ms=5, mew=0.6, **last)
    first: dict[str, Any] = {"color": START, "marker": "o", "mec": PAPER, "zorder": 4}
    axes.plot(x.iloc[:1], y.iloc[:1], ls="none", ms=4, mew=0.6, **first)


def _path(axes: Axes, x: pd.Series, y: pd.Series, reach: float) -> None:
    axes.axhline(0, color=GRID, lw=0.6)
    axes.axvline(0, color=GRID, lw=0.6)
    axes.plot(x, y, color=INK, lw=1.2, marker=".", ms=3)
    _marks(axes, x, y)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), ylabel="up")
    axes.set_box_aspect(1)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _limits(tables: Sequence[pd.DataFrame], name: str, centre: float) -> tuple[float, float]:
    """One range for some tables, about the identity."""
    values = np.concatenate([table[name].to_numpy(np.float64) for table in tables])
    half = 1.1 * max(float(np.abs(values - centre).max()), LEAST.get(name, 1e-6))
    return centre - half, centre + half
