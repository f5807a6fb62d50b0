"""Planted motions: which parameters moved, what channels answer to, and where they point."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from threetconv.figures import theme
from threetconv.figures.theme import CONTROLS, DATASETS, INITS, INK, MUTED, PAPER, SYMBOLS, plain

__all__ = ["alignment", "planted", "planted_figures"]

BESIDE = ("noise floor", "no motion")  # comparisons that are no negative control
INDICES = {"zoom_index": "zoom", "turn_index": "turn", "direction_x": "right", "direction_y": "up"}
"""Index of tuning -> what is printed above its column."""
MOTIONS = ("translation", "rotation", "zoom", "none")
ABOVE, BELOW = INITS[0], DATASETS[1]
FULL = math.log(4)
"""A ratio of 4, or of 1/4, has the full tint."""
SCOPES = {"first": "first layer", "model": "all layers"}
"""Scopes of the alignment table that are drawn, and their names."""


def planted_figures(
    planted_table: pd.DataFrame,
    alignment_table: pd.DataFrame,
    planted_tuning: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """`planted` of whole networks, and `alignment`."""
    whole = planted_table[planted_table["layer_index"] < 0]
    tuning = None if planted_tuning is None else planted_tuning[planted_tuning["layer_index"] < 0]
    return {"planted": planted(whole, tuning), "alignment": alignment(alignment_table)}


def planted(table: pd.DataFrame, tuning: pd.DataFrame | None = None) -> Figure:
    """Planted motion x parameter, and x tuning: ratios to controls, expected cells framed.

    A ratio is that to the strongest negative control, which is the one with the smallest ratio.
    The word below a number is the verdict of the table (`recovered`).

    Args:
        table: from `threetconv.statistics.planted.recovery.planted_table`.
        tuning: from `threetconv.statistics.planted.tuned.planted_tuning`; without it, or where
            nothing in it can be compared, the second matrix is left out.
    """
    if table.empty:
        return theme.empty("No motion was planted in this study.")
    rows = cells(table)
    panels = []
    for title, part, names in (
        ("displacement of parameters", table, SYMBOLS),
        ("what channels answer to", tuning, INDICES),
    ):
        # What is left are the comparisons with negative controls, by the control's name.
        lines = table.head(0) if part is None else part[~part["comparison"].isin(BESIDE)]
        if np.isfinite(lines["estimate"].astype(float)).any():
            panels.append((title, lines, names))
    if not panels:
        return theme.empty("No displacement could be compared with a control.")
    with theme.style():
        figure = theme.new_figure(7.4, 1.0 + 0.5 * len(rows))
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, lines, names) in zip(grid, panels, strict=True):
            matrix(axes, lines, rows, names)
            axes.set_title(title, loc="left", pad=16)
            axes.set_yticks(range(len(rows)), [])
        labels = [plain(label(cell, rows)) for cell in rows]
        grid[0].set_yticks(range(len(rows)), labels, fontsize=7.5)
        handles: list[Line2D | Patch] = [
            Patch(fc="none", ec=INK, lw=1.6, label="planted"),
            Patch(color=theme.tint(ABOVE, 0.5), label="more than the strongest control"),
            Patch(color=theme.tint(BELOW, 0.5), label="less"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7.5)
    return figure


def cells(table: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """(motion, dataset, network, init) from top to bottom, the still set last."""
    keys = table[["motion", "dataset", "network", "init"]].astype(str).drop_duplicates()
    found = [(str(m), str(d), str(n), str(i)) for m, d, n, i in keys.to_numpy()]
    rank = {motion: i for i, motion in enumerate(MOTIONS)}
    return sorted(found, key=lambda cell: (cell[2:], rank.get(cell[0], 9), cell[1]))


def label(cell: tuple[str, str, str, str], all_cells: list[tuple[str, str, str, str]]) -> str:
    """The motion; dataset, network and start only where they differ between lines."""
    motion, dataset, network, init = cell
    parts = [motion if motion != "none" else "nothing moves"]
    same = [other for other in all_cells if other[0] == motion and other[2:] == cell[2:]]
    parts += [dataset] if len(same) > 1 else []
    parts += [network] if len({other[2] for other in all_cells}) > 1 else []
    parts += [init] if len({other[3] for other in all_cells}) > 1 else []
    return "\n".join(parts)


def matrix(
    axes: Axes,
    lines: pd.DataFrame,
    rows: list[tuple[str, str, str, str]],
    names: Mapping[str, str],
) -> None:
    """One heat map: the smallest ratio of every cell, its number, its verdict."""
    columns = theme.present(names, lines["parameter"])
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_xticks(range(len(columns)), [names[name] for name in columns], fontsize=8.5)
    for i, (motion, dataset, network, init) in enumerate(rows):
        here = theme.where(lines, motion=motion, dataset=dataset, network=network, init=init)
        for j, parameter in enumerate(columns):
            cell = theme.where(here, parameter=parameter)
            usable = cell[np.isfinite(cell["estimate"].astype(float))]
            if usable.empty:
                axes.text(j, i, "\N{EN DASH}", ha="center", va="center", color=MUTED)
                continue
            # The smallest ratio: a motion is found only if it exceeds every control.
            worst = usable.iloc[int(usable["estimate"].to_numpy(float).argmin())]
            square(axes, j, i, worst)


def square(axes: Axes, x: int, y: int, line: pd.Series) -> None:
    """One cell: tint by the ratio, number, a word, and a frame where movement is expected."""
    ratio = float(line["estimate"])
    # By the log, so that 2 and 1/2 have equal tints; at most 0.75, to keep the number readable.
    strength = 0.75 * min(abs(math.log(ratio)) / FULL, 1) if ratio > 0 else 0.75
    tint = theme.tint(ABOVE if ratio > 1 else BELOW, round(strength, 3))
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, fc=tint, ec=PAPER, lw=1.5))
    if bool(line["expected"]):
        inner = Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fc="none", ec=INK, lw=1.6, zorder=3)
        axes.add_patch(inner)
    axes.text(x, y - 0.1, f"{ratio:.3g}", ha="center", va="center", fontsize=8.5, color=INK)
    axes.text(x, y + 0.26, words(line), ha="center", va="center", fontsize=5.8, color=INK)


def words(line: pd.Series) -> str:
    """The verdict on a cell in a word or two."""
    found = str(line["recovered"])
    if not bool(line["expected"]):
        # Where nothing was planted, silence is the expected result.
        return {"yes": "beyond too", "no": ""}.get(found, found)
    if found == "no":
        # Tuning knows no direction: there it is the size that failed.
        parts = {"not beyond": line["beyond_controls"], "not in direction": line["in_direction"]}
        failed = [word for word, verdict in parts.items() if str(verdict) == "no"]
        return failed[0] if len(failed) == 1 else "neither"
    return found if found != "yes" else "recovered" if line["in_direction"] else "beyond"


def alignment(table: pd.DataFrame) -> Figure:
    """Correlation of a channel's preferred direction with its own motion, real runs and controls.

    Args:
        table: from `threetconv.statistics.planted.alignment.alignment_table`: network, dataset,
            init, motion, axis, parameter (where there is one), control, scope, correlation, ci_low,
            ci_high, status. Lines of the scopes in `SCOPES` are drawn, a panel for each.
    """
    lines = table[table["scope"].astype(str).isin(list(SCOPES))] if len(table) else table
    if lines.empty:
        return theme.empty("No alignment of channels with a planted direction was computed.")
    groups = axes_of(lines)
    scopes = theme.present(SCOPES, lines["scope"])
    names = theme.present(CONTROLS, lines["control"])
    step = len(names) + 0.8
    with theme.style():
        figure = theme.new_figure(4.6 + 1.8 * len(scopes), 1.2 + 0.125 * step * len(groups))
        panels = figure.subplots(1, len(scopes), sharex=True, sharey=True, squeeze=False)[0]
        for panel, scope in zip(panels, scopes, strict=True):
            panel.axvline(0, color=INK, lw=0.8)
            panel.grid(axis="y", visible=False)
            panel.tick_params(axis="y", length=0)
            panel.set_title(SCOPES[scope], loc="left")
            for i, (_, rows) in enumerate(groups):
                for j, name in enumerate(names):
                    for _, row in theme.where(rows, scope=scope, control=name).iterrows():
                        draw_correlation(panel, i * step + j, row)
        middles = [i * step + (len(names) - 1) / 2 for i in range(len(groups))]
        panels[0].set_yticks(middles, [plain(label) for label, _ in groups], fontsize=7.5)
        panels[0].set_xlim(-1.02, 1.02)
        panels[0].set_xticks([-0.8, -0.4, 0, 0.4, 0.8])
        panels[0].set_ylim(step * len(groups) - 0.8, -1)
        figure.supxlabel(
            "correlation over channels, mean over runs, with its 95 % interval", fontsize=8
        )
        handles = [Line2D([], [], label=CONTROLS[n][2], **theme.control_mark(n)) for n in names]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize=7.5)
    return figure


def axes_of(lines: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """(label, lines) for every axis of motion, dataset and network where there are several."""
    # Only what differs between lines is written on them.
    several = [k for k in ("dataset", "network", "init") if len(set(lines[k].astype(str))) > 1]
    keys = ["motion", "axis", *(["parameter"] if "parameter" in lines else []), *several]
    out = []
    for key, rows in lines.groupby(keys, sort=False, observed=True):
        named = dict(zip(keys, map(str, key), strict=True))
        parts = [named["axis"]]
        if "parameter" in named:
            parts[0] += f" with {named['parameter']}"
        # Sets are often named after their motion, which the axis has already said.
        parts += [named[k] for k in several if k != "dataset" or named[k] != named["motion"]]
        out.append((", ".join(parts), rows))
    return out


def draw_correlation(axes: Axes, height: float, row: pd.Series) -> None:
    """Interval and mark of one correlation."""
    value, low, high = (float(row[name]) for name in ("correlation", "ci_low", "ci_high"))
    if not math.isfinite(value):
        return
    mark = theme.control_mark(str(row["control"]))
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [height, height], color=mark["color"], lw=1.1)
    axes.plot([value], [height], **mark)
