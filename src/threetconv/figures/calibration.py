"""How often every test errs in simulated studies whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from threetconv.figures import theme
from threetconv.figures.theme import DATASETS, INITS, INK, MUTED, PAPER, plain

__all__ = ["calibration"]

QUANTITIES: dict[str, tuple[str, str]] = {
    "type I error": ("Type I error", "false alarms, share of studies"),
    "coverage": ("Coverage", "share of intervals"),
    "power": ("Power", "detections, share of studies"),
}
"""Quantity -> title and axis label."""
MARKERS = ("^", "s", "o", "D", "v", "P", "X")
NAIVE, LIBERAL, SOUND = DATASETS[1], INITS[1], INITS[0]
LINE = 0.16
"""Inches a line takes."""


def calibration(table: pd.DataFrame) -> Figure:
    """Type I error, coverage and power of every test, a column for each network.

    Args:
        table: network, test, unit, design, runs_per_arm, tau, effect, quantity ("type I error",
            "coverage", "power"), estimate, ci_low, ci_high, nominal, valid. A test on rows
            (unit "row") is naive: it comes first and in the colour of a warning. Tests whose
            `valid` is "untestable" are hollow. Of several effects the smallest is drawn.
    """
    if table.empty:
        return theme.empty("No calibration was run.")
    named = labelled(table)
    networks = theme.ordered(named["network"])
    quantities = [q for q in QUANTITIES if (named["quantity"] == q).any()]
    orders = {q: order(named[named["quantity"] == q]) for q in quantities}
    ks = sorted({int(k) for k in named["runs_per_arm"]})
    markers = {k: MARKERS[i % len(MARKERS)] for i, k in enumerate(ks)}
    # Panels of one quantity share their lines, so a band is as high as its number of tests.
    counts = [len(orders[q]) for q in quantities]
    with theme.style():
        # 1.2 inches for legend and labels; 0.7 of each band for its title and axis label.
        figure = theme.new_figure(7.4, 1.2 + LINE * sum(counts) + 0.7 * len(counts))
        grid = figure.subplots(
            len(quantities), len(networks), squeeze=False, height_ratios=[c + 0.7 for c in counts]
        )
        for band, quantity in zip(grid, quantities, strict=True):
            rows = named[named["quantity"] == quantity]
            entries = orders[quantity]
            low = coverage_start(rows) if quantity == "coverage" else 0.0
            for axes, network in zip(band, networks, strict=True):
                frame(axes, rows, len(entries), low)
                draw(axes, theme.where(rows, network=network), entries, markers)
                axes.set_title(plain(network), loc="right", fontweight="normal", color=MUTED)
                axes.set_xlabel(QUANTITIES[quantity][1], fontsize=7)
            name_lines(band[0], rows, entries)
            band[0].set_title(title(quantity, rows), loc="left")
        figure.legend(
            handles=legend(named, markers), loc="outside upper center", ncols=4, fontsize=7.5
        )
    return figure


def title(quantity: str, rows: pd.DataFrame) -> str:
    """The name of the quantity; for power with the ratio that is to be detected."""
    effects = sorted(set(rows.loc[rows["effect"] > 1, "effect"]))
    name = QUANTITIES[quantity][0]
    return f"{name}, ratio {effects[0]:g}" if quantity == "power" and effects else name


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a label for every line, which names tau where a test has several."""
    named = table.reset_index(drop=True)
    named["quantity"] = named["quantity"].astype(str)
    power = (named["quantity"] == "power") & (named["effect"] > 1)
    # Of several effects the smallest is the hardest to detect, hence the one worth showing.
    named = named[~power | (named["effect"] == named.loc[power, "effect"].min())]
    label = named["test"].astype(str)
    design = named["design"].astype(str)
    label = label.where(design == "", label + ", " + design)
    # Power at an effect of 1 is the rate of false alarms, and must not pass for power.
    label = label.where((named["quantity"] != "power") | (named["effect"] > 1), label + ", ratio 1")
    for _, rows in named.groupby(["quantity", "test"]):
        if len(set(rows["tau"])) > 1:
            # tau, the SD between runs, is named only where a test was simulated with several.
            shown = [f", \N{GREEK SMALL LETTER TAU} {v:g}" for v in rows["tau"]]
            label.loc[rows.index] = label.loc[rows.index] + pd.Series(shown, index=rows.index)
    named["label"] = label
    named["naive"] = named["unit"].astype(str) == "row"
    return named


def order(rows: pd.DataFrame) -> list[str]:
    """Labels from top to bottom: naive tests first, each kind in the order of the table."""
    first = rows.drop_duplicates("label")
    return [*first.loc[first["naive"], "label"], *first.loc[~first["naive"], "label"]]


def coverage_start(rows: pd.DataFrame) -> float:
    """Where the axis of coverages starts: a round tenth below the lowest interval."""
    lowest = float(theme.finite(rows["ci_low"]).min(initial=0.9))
    return max(0.0, np.floor(lowest * 10 - 0.2) / 10)


def frame(axes: Axes, rows: pd.DataFrame, count: int, low: float) -> None:
    """Axes of shares with the nominal value as a line."""
    width = 1 - low
    axes.set_xlim(low - 0.015 * width, 1 + 0.015 * width)
    axes.set_ylim(count - 0.4, -0.6)
    # Steps of 0.2 over the whole range, of 0.1 when zoomed in.
    ticks = np.linspace(low, 1, 6) if low == 0 else np.linspace(low, 1, round(width * 10) + 1)
    axes.xaxis.set_major_locator(FixedLocator([float(t) for t in ticks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f}"))
    # Power has no nominal value to be compared with.
    if (rows["quantity"] != "power").all():
        for nominal in sorted(set(theme.finite(rows["nominal"]))):
            axes.axvline(nominal, color=INK, lw=0.9)
    axes.set_yticks(range(count), [])
    axes.tick_params(axis="y", length=0)


def draw(axes: Axes, rows: pd.DataFrame, entries: list[str], markers: dict[int, str]) -> None:
    """The marks of one network, numbers of runs side by side on a line."""
    step = 0.5 / max(len(markers) - 1, 1)
    ks = list(markers)
    for _, row in rows.iterrows():
        estimate = float(row["estimate"])
        if not np.isfinite(estimate):
            continue
        k = int(row["runs_per_arm"])
        # Numbers of runs are spread over half a line about its middle, so that marks do not
        # overlap.
        height = entries.index(str(row["label"])) + step * (ks.index(k) - (len(ks) - 1) / 2)
        # A naive test is marked as such even where its error rate happens to look fine.
        colour = NAIVE if row["naive"] else LIBERAL if row["valid"] == "liberal" else SOUND
        axes.plot([row["ci_low"], row["ci_high"]], [height, height], color=colour, lw=0.9)
        axes.plot(
            [estimate],
            [height],
            marker=markers[k],
            ms=3.3,
            mew=0.7,
            color=colour,
            mfc=PAPER if row["valid"] == "untestable" else colour,
        )


def name_lines(axes: Axes, rows: pd.DataFrame, entries: list[str]) -> None:
    """Labels at the left, naive tests in the colour of a warning."""
    axes.set_yticks(range(len(entries)), [plain(entry) for entry in entries], fontsize=6.5)
    naive = set(rows.loc[rows["naive"], "label"])
    for tick, entry in zip(axes.get_yticklabels(), entries, strict=True):
        if entry in naive:
            tick.set_color(NAIVE)


def legend(named: pd.DataFrame, markers: dict[int, str]) -> list[Line2D]:
    """Runs per arm by marker; kinds of test by colour."""
    common: dict[str, Any] = {"lw": 0, "ms": 4, "mew": 0.7}
    handles = [
        Line2D([], [], marker=m, color=MUTED, label=f"{k} run{'s' * (k > 1)} per arm", **common)
        for k, m in markers.items()
    ]
    handles.append(Line2D([], [], color=INK, lw=0.9, label="nominal level"))
    if named["naive"].any():
        handles.append(Line2D([], [], color=NAIVE, lw=2, label="naive: rows as the unit"))
    handles.append(Line2D([], [], color=SOUND, lw=2, label="runs as the unit"))
    if ((named["valid"] == "liberal") & ~named["naive"]).any():
        handles.append(Line2D([], [], color=LIBERAL, lw=2, label="runs, but too liberal"))
    if (named["valid"] == "untestable").any():
        handles.append(
            Line2D([], [], marker="o", color=SOUND, mfc=PAPER, label="untestable", **common)
        )
    return handles
