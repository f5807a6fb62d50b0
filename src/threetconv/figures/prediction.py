"""Preferences of channels, predicted from their parameters: a dot for every run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from threetconv.figures import theme
from threetconv.figures.theme import INK, MUTED, plain

__all__ = ["prediction"]


def prediction(table: pd.DataFrame, by_run: pd.DataFrame) -> Figure:
    """Accuracy of each run, by cell, and what channels give that exchange their preferences.

    Args:
        table, by_run: from `threetconv.statistics.truth.prediction`, of one recipe.
    """
    known = by_run[np.isfinite(by_run["accuracy"].astype(float))]
    cells = table[(table["network"] != "all") & (table["control"] == "none")]
    if known.empty or cells.empty:
        return theme.empty("No cell has two runs whose preferences are known.")
    controls = theme.present(theme.CONTROLS, known["control"])
    with theme.style():
        figure = theme.new_figure(6.5, 1.2 + 0.42 * len(cells))
        axes = figure.subplots()
        names = ["network", "dataset", "init"]
        for y, line in enumerate(cells.to_dict("records")):
            here = theme.where(known, **{name: str(line[name]) for name in names})
            for i, control in enumerate(controls):
                runs = theme.where(here, control=control).groupby("run_id")["accuracy"].mean()
                mark = theme.control_mark(control)
                at = np.full(len(runs), y + 0.16 * i)
                axes.plot(runs.to_numpy(), at, **{**mark, "lw": 0})
            low, high = (line["null"] + line[name] for name in ("ci_low", "ci_high"))
            axes.plot([low, high], [y, y], color=INK, lw=0.9)
            axes.plot([line["null"]] * 2, [y - 0.25, y + 0.25], color=MUTED, lw=1.2)
        labels = [plain("  ".join(str(line[n]) for n in names)) for _, line in cells.iterrows()]
        axes.set_yticks(range(len(labels)), labels, fontsize=7.5)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xlabel("channels whose preferred class of two was predicted")
        handles = [
            Line2D([], [], label=theme.CONTROLS[c][2], **{**theme.control_mark(c), "lw": 0})
            for c in controls
        ]
        handles.append(Line2D([], [], color=MUTED, lw=1.2, label="preferences exchanged"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7.5)
    return figure
