"""How much of 3D filters the nearest 3T filters explain: every run as a dot, beside its chance."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from threetconv.figures import theme
from threetconv.figures.theme import MUTED, plain

__all__ = ["ruler"]

PANELS = {
    "share": "share of the change over\ntime that is explained",
    "cosine": "cosine of path and\npreferred direction",
}
CELL = ["network", "dataset", "init"]
APART = 0.22  # a run and its chance, in cells


def ruler(by_run: pd.DataFrame) -> Figure:
    """Shares and cosines of first layers, by cell; a line joins a run to what chance gives of it.

    Args:
        by_run: columns of `threetconv.schemas.truth.RULER_RUNS`.
    """
    shown = theme.where(by_run, scope="first").dropna(subset=["value", "chance"])
    if shown.empty:
        return theme.empty("No run has 3D filters that change over time.")
    cells = sorted({tuple(map(str, key)) for key in shown[CELL].to_numpy()})
    controls = theme.present(theme.CONTROLS, shown["control"])
    chance: dict[str, Any] = {"marker": "_", "color": MUTED, "ms": 7, "mew": 1.4}
    with theme.style():
        figure = theme.new_figure(2.4 + 1.1 * len(cells), 3.1)
        for axes, (measure, name) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
            for x, cell in enumerate(cells):
                here = theme.where(shown, measure=measure, **dict(zip(CELL, cell, strict=True)))
                for shift, control in enumerate(controls):
                    runs = theme.where(here, control=control)
                    left, right = (x + 0.1 * shift + side * APART for side in (-1, 1))
                    for value, by_chance in runs[["value", "chance"]].to_numpy(float):
                        axes.plot([left, right], [value, by_chance], color=theme.GRID, lw=0.8)
                        axes.plot([left], [value], **{**theme.control_mark(control), "lw": 0})
                        axes.plot([right], [by_chance], ls="", **chance)
            axes.axhline(0, color=MUTED, lw=0.6)
            axes.set_ylim(-0.03 if measure == "share" else -1.03, 1.03)
            axes.set_xlim(-0.6, len(cells) - 0.4)
            ticks = [plain("\n".join(cell)) for cell in cells]
            axes.set_xticks(range(len(cells)), ticks, fontsize=7)
            axes.grid(axis="x", visible=False)
            axes.set_ylabel(name)
        handles = [
            Line2D([], [], label=theme.CONTROLS[c][2], **{**theme.control_mark(c), "lw": 0})
            for c in controls
        ]
        handles.append(Line2D([], [], ls="", label="by chance", **chance))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7.5)
    return figure
