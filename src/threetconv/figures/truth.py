"""Whether parameters tell the truth: agreement with tuning, and what other runs learn again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from threetconv.figures import theme
from threetconv.figures.theme import DATASETS, INK, MUTED, PAPER, SYMBOLS, plain

__all__ = ["agreement", "reproducibility", "truth_figures"]

SCOPES = {"first": "first layer, whole tuning", "model": "all layers, own contribution"}
INDICES = {
    "zoom_index": "grows",
    "turn_index": "turns",
    "direction_x": "right",
    "direction_y": "up",
}
MEASURES = {
    "icc": "in common with\nother runs of the cell",
    "specific": "in common within\nless between data sets",
}
POSITIVE, NEGATIVE = DATASETS[0], DATASETS[1]
LIMIT = 5.0  # intervals of so few runs that they are wider say nothing


def truth_figures(
    agreement_table: pd.DataFrame, agreement_runs: pd.DataFrame, reproducibility_table: pd.DataFrame
) -> dict[str, Figure]:
    """Both figures of one recipe."""
    return {
        "agreement": agreement(agreement_table, agreement_runs),
        "reproducibility": reproducibility(reproducibility_table),
    }


def agreement(table: pd.DataFrame, by_run: pd.DataFrame) -> Figure:
    """Left: 4 x 4 correlations. Right: the contrast of every run, by cell, with its null.

    Of controls those are drawn that are compared with real runs; the null is of a cell's mean.

    Args:
        table, by_run: from `threetconv.statistics.truth.agreement`, of one recipe.
    """
    if table.empty:
        return theme.empty("No run has both temporal parameters and measured tuning.")
    cells = table[(table["network"] != "all") & (table["parameter"] == "diagonal")]
    rows = list(
        dict.fromkeys(map(tuple, cells[["network", "dataset", "init"]].astype(str).to_numpy()))
    )
    compared = set(table["against"])
    controls = ["none", *(name for name in theme.CONTROLS if name in compared)]
    with theme.style():
        figure = theme.new_figure(7.4, 2 * max(2.5, 1.1 + 0.26 * len(rows)))
        grid = figure.subplots(2, 2, width_ratios=(1, 1.35))
        for (left, right), (scope, title) in zip(grid, SCOPES.items(), strict=True):
            matrix(left, table[table["scope"] == scope])
            left.set_title(title, loc="left", pad=16)
            of = cells[cells["scope"] == scope]
            strip(right, of, theme.where(by_run, scope=scope), rows, controls)
        grid[1, 1].set_xlabel("contrast: diagonal less size of the rest")
        handles = [
            Line2D([], [], ls="none", label=theme.CONTROLS[c][2], **marker(c)) for c in controls
        ]
        handles.append(Line2D([], [], color=theme.GRID, lw=5, label="mean, channels exchanged"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7.5)
    return figure


def marker(control: str) -> dict[str, Any]:
    """A run's dot."""
    return {k: v for k, v in theme.control_mark(control).items() if k != "lw"}


def matrix(axes: Axes, table: pd.DataFrame) -> None:
    """Mean correlations of the real runs, over all cells where there are several."""
    real = theme.where(table, control="none", against="zero")
    pooled = theme.where(real, network="all")
    shown = pooled if len(pooled) else real
    axes.set_xlim(-0.5, 3.5)
    axes.set_ylim(3.5, -0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xticks(range(4), list(INDICES.values()))
    axes.set_yticks(range(4), list(SYMBOLS.values()))
    axes.set_ylabel("parameter")
    for i, parameter in enumerate(SYMBOLS):
        for j, index in enumerate(INDICES):
            line = theme.where(shown, parameter=parameter, index=index)
            value = theme.finite(line["estimate"])
            if not value.size:
                axes.text(j, i, "\N{EN DASH}", ha="center", va="center", color=MUTED)
                continue
            tint = theme.tint(
                POSITIVE if value[0] > 0 else NEGATIVE, round(0.75 * min(abs(value[0]), 1), 3)
            )
            axes.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fc=tint, ec=PAPER, lw=1.5))
            if i == j:
                frame = Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, fc="none", ec=INK, lw=1.4)
                axes.add_patch(frame)
            said = f"{value[0]:.2f}".replace("-", "\N{MINUS SIGN}")
            axes.text(j, i, said, ha="center", va="center", fontsize=8)


def strip(
    axes: Axes,
    cells: pd.DataFrame,
    by_run: pd.DataFrame,
    rows: list[tuple[str, ...]],
    controls: list[str],
) -> None:
    """A line per cell: its runs and those of controls, the real runs' interval, and their null."""
    contrasts = theme.where(by_run, parameter="diagonal")
    for y, (network, dataset, init) in enumerate(rows):
        cell = {"network": network, "dataset": dataset, "init": init}
        real = theme.where(cells, control="none", against="zero", **cell)
        for line in real.to_dict("records"):
            null, high = line["null"], line["null_high"]
            axes.plot([2 * null - high, high], [y, y], color=theme.GRID, lw=5, zorder=1)
            axes.plot([line["ci_low"], line["ci_high"]], [y, y], color=INK, lw=0.9, zorder=2)
        for k, control in enumerate(controls):
            values = theme.finite(theme.where(contrasts, control=control, **cell)["correlation"])
            at = np.full(values.size, y + 0.22 * k)
            axes.plot(values, at, ls="none", zorder=3, **marker(control))
    axes.axvline(0, color=MUTED, lw=0.6)
    axes.set_yticks(range(len(rows)), [plain("  ".join(row)) for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-1.05, 1.05)


def reproducibility(table: pd.DataFrame) -> Figure:
    """Shares of the variance of signed displacements, by layer, with intervals.

    Args:
        table: from `threetconv.statistics.truth.reproducibility.reproducibility_table`, of one
            recipe.
    """
    shown = theme.where(table, parameter="all", against="zero")
    shown = shown[shown["network"] != "all"]
    shown = shown[np.isfinite(shown["estimate"].astype(float))]
    if shown.empty:
        return theme.empty("No cell has two runs whose channels can be compared.")
    networks = theme.ordered(shown["network"])
    measures = [m for m in MEASURES if (shown["measure"] == m).any()]
    colours = theme.init_colours(shown["init"])
    with theme.style():
        figure = theme.new_figure(7.4, 0.7 + 2.1 * len(measures))
        grid = figure.subplots(
            len(measures), len(networks), squeeze=False, sharey="row", sharex="col"
        )
        for row, measure in zip(grid, measures, strict=True):
            for axes, network in zip(row, networks, strict=True):
                here = theme.where(shown, measure=measure, network=network, control="none")
                for k, init in enumerate(theme.ordered(here["init"])):
                    for m, dataset in enumerate(theme.ordered(here["dataset"])):
                        of = theme.where(here, init=init, dataset=dataset)
                        series(axes, of, colours[init], "os^v"[m % 4], 0.18 * k + 0.09 * m)
                axes.axhline(0, color=MUTED, lw=0.6)
                axes.axvline(-0.5, color=theme.GRID, lw=0.6)
                if measure == measures[0]:
                    axes.set_title(plain(network), loc="left")
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                if measure == measures[-1]:
                    axes.set_xlabel("layer (left of the line: all layers)")
            low, high = shown_range(shown[shown["measure"] == measure])
            row[0].set_ylim(low, high)
            row[0].set_ylabel(f"share {MEASURES[measure]}")
        handles = [
            Line2D([], [], marker="o", ls="none", ms=4, color=colours[init], label=plain(init))
            for init in theme.ordered(shown["init"])
        ]
        sets = [name for name in theme.ordered(shown["dataset"]) if name != "all"]
        handles += [
            Line2D([], [], marker="os^v"[m % 4], ls="none", ms=4, color=MUTED, label=plain(name))
            for m, name in enumerate(sets)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=7.5)
    return figure


def shown_range(table: pd.DataFrame) -> tuple[float, float]:
    """Of estimates, and of intervals that are not too wide to be of use."""
    values = table[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64)
    usable = values[np.isfinite(values) & (np.abs(values) < LIMIT)]
    low, high = min(0.0, float(usable.min())), max(0.05, float(usable.max()))
    low, high = max(low, -0.5), min(high, 1.0)
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def series(axes: Axes, lines: pd.DataFrame, colour: str, mark: str, shift: float) -> None:
    """Layers from left to right, the whole network before them."""
    model = lines["scope"].to_numpy() == "model"
    x = np.where(model, -1.4, lines["layer_index"]) + shift
    y, low, high = (lines[name].to_numpy(np.float64) for name in ("estimate", "ci_low", "ci_high"))
    axes.vlines(x, low, high, color=theme.tint(colour, 0.45), lw=1.0)
    axes.plot(x, y, ls="none", marker=mark, ms=3.2, color=colour)
    axes.plot(x[model], y[model], ls="none", marker=mark, ms=5, color=colour)
