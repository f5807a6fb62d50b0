"""Forest plot of the tests: a ratio of mean displacements with its interval for every contrast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from threetconv.figures import theme
from threetconv.figures.theme import INK, MUTED, PAPER, plain

__all__ = ["effects"]

SYMBOLS = {"s": "$s$", "r": "$r$", "px": "$p_x$", "py": "$p_y$"}
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
BOUND = 100.0
FAMILIES = {"F1": "F1: dataset", "F2": "F2: start"}


def effects(tests: pd.DataFrame) -> Figure:
    """Ratios with their intervals, grouped by contrast; untestable ones are hollow.

    Args:
        tests: family, contrast, stratum, parameter, estimate (a ratio, 1 = no effect), ci_low,
            ci_high, status ("ok", "untestable", "degenerate", ...); other columns are ignored.
            Rows without a finite positive estimate are named in the panel and get no mark.
    """
    if tests.empty:
        return theme.empty("No contrast could be formed from this study.")
    table = tests.copy()
    for name in ("family", "contrast", "stratum"):
        table[name] = table[name].astype(str) if name in table else ""
    families = theme.ordered(table["family"])
    counts = [heading_count(table[table["family"] == f]) for f in families]
    low, high = limits(table)
    with theme.style():
        figure = theme.new_figure(7.2, 0.75 + 0.155 * sum(counts) + 0.3 * len(families))
        grid = figure.subplots(len(families), 1, squeeze=False, sharex=True, height_ratios=counts)[
            :, 0
        ]
        for axes, family in zip(grid, families, strict=True):
            draw_family(axes, table[table["family"] == family])
            axes.set_xscale("log")
            axes.set_xlim(low, high)
            axes.xaxis.set_major_locator(FixedLocator([t for t in TICKS if low <= t <= high]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.axvline(1, color=INK, lw=0.8)
            axes.grid(axis="y", visible=False)
            axes.set_title(plain(FAMILIES.get(family, family)), loc="left")
        grid[-1].set_xlabel("ratio of mean displacements, with its 95 % interval (log axis)")
        figure.legend(handles=legend(), loc="outside upper right", ncols=3, fontsize=7.5)
    return figure


def groups(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """(heading, rows) for every contrast and stratum, in the order of the table.

    The first group of a contrast is headed by it; a single block by its name alone.
    """
    out = []
    for (contrast, stratum), rows in table.groupby(["contrast", "stratum"], sort=False):
        inside = stratum not in {"all", "", "nan"}
        out.append((f"in {stratum}" if inside else f"{contrast}, all blocks", rows))
    return out


def heading_count(table: pd.DataFrame) -> int:
    """Lines that one family takes: its rows and a heading for each group."""
    return len(table) + len(groups(table))


def limits(table: pd.DataFrame) -> tuple[float, float]:
    """Log-symmetric limits that hold all estimates and, within reason, their intervals."""
    estimate = theme.finite(table["estimate"])
    ends = np.concatenate([theme.finite(table[name]) for name in ("ci_low", "ci_high")])
    logs = np.abs(np.log(np.concatenate([estimate[estimate > 0], ends[ends > 0]])))
    marks = np.abs(np.log(estimate[estimate > 0]))
    reach = min(float(logs.max(initial=math.log(2))), math.log(BOUND))
    reach = max(reach, float(marks.max(initial=0.0))) * 1.08
    return math.exp(-reach), math.exp(reach)


def draw_family(axes: Axes, table: pd.DataFrame) -> None:
    """The lines of one family from top to bottom."""
    colours = theme.init_colours(["pretrained", "scratch"])
    colour = colours["pretrained"]
    labels: list[str] = []
    weights: list[str] = []
    line = 0
    for heading, rows in groups(table):
        labels.append(plain(heading))
        weights.append("bold")
        line += 1
        for _, row in rows.iterrows():
            labels.append(SYMBOLS.get(str(row["parameter"]), plain(row["parameter"])))
            weights.append("normal")
            draw_row(axes, line, row, colour)
            line += 1
    axes.set_ylim(line - 0.4, -0.6)
    axes.set_yticks(range(line), labels)
    for tick, weight in zip(axes.get_yticklabels(), weights, strict=True):
        tick.set_fontweight(weight)
        tick.set_fontsize(7.5)
    axes.tick_params(axis="y", length=0)


def draw_row(axes: Axes, line: int, row: pd.Series, colour: str) -> None:
    """Interval and mark of one test."""
    estimate, low, high = (float(row[name]) for name in ("estimate", "ci_low", "ci_high"))
    status = str(row["status"])
    if not (math.isfinite(estimate) and estimate > 0):
        axes.annotate(
            plain(status),
            xy=(1, line),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=MUTED,
            style="italic",
        )
        return
    tested = status == "ok"
    if math.isfinite(low) and math.isfinite(high) and low > 0:
        axes.plot([low, high], [line, line], color=colour, lw=1.3, alpha=1 if tested else 0.55)
    axes.plot(
        [estimate],
        [line],
        marker="o",
        ms=5,
        mew=1.1,
        color=colour,
        mfc=colour if tested else PAPER,
    )


def legend() -> list[Line2D]:
    """Filled: tested; hollow: no p can be small enough with these runs."""
    colour = theme.init_colours([])["pretrained"]
    common: dict[str, Any] = {"color": colour, "marker": "o", "ms": 5, "mew": 1.1, "lw": 1.3}
    return [
        Line2D([], [], label="tested", **common),
        Line2D([], [], label="untestable with these runs", mfc=PAPER, **common),
    ]
