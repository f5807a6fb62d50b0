"""Histograms as the paper drew them, on bin edges shared by all panels so that heights compare."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from threetconv.figures import theme
from threetconv.figures.distributions import cells
from threetconv.figures.theme import plain

__all__ = ["histograms"]

PRIMED = {
    "s": "zoom $s' = 1/s$\n[ratio, 1 = identity]",
    "r": "rotation $r' = -r$\n[radians, clockwise]",
    "px": "translation $p_x'$\n[kernel fractions, right]",
    "py": "translation $p_y'$\n[kernel fractions, up]",
}
"""The paper's signed values and their units."""


def histograms(table: pd.DataFrame, *, init: str) -> Figure:
    """Counts per bin on a log axis: rows (network, dataset), a column for every parameter.

    Args:
        table: network, dataset, init, parameter, left, right (bin edges, the same in all
            cells), count.
        init: the initialisation to draw. Pass all of them: the count axis is shared.
    """
    pairs = cells(table, init)
    if not pairs:
        return theme.empty(f"No histograms for networks that started {init}.")
    parameters = theme.present(theme.PARAMETERS, table["parameter"])
    colours = theme.dataset_colours(table["dataset"])
    # Of the whole table, both initialisations: heights compare between the two figures.
    top = 2.0 * max(1.0, float(table["count"].max()))
    with theme.style():
        figure = theme.new_figure(7.6, 0.6 + 1.25 * len(pairs))
        grid = figure.subplots(
            len(pairs), len(parameters), squeeze=False, sharex="col", sharey=True
        )
        for line, (network, dataset) in zip(grid, pairs, strict=True):
            for axes, parameter in zip(line, parameters, strict=True):
                panel = {"network": network, "dataset": dataset, "parameter": parameter}
                rows = theme.where(table, init=init, **panel)
                rows = rows.sort_values("left")
                # n bins have n + 1 edges.
                edges = np.append(rows["left"].to_numpy(float), rows["right"].to_numpy(float)[-1:])
                axes.stairs(
                    rows["count"].to_numpy(float),
                    edges,
                    # 0 has no logarithm; at 0.5 an empty bin vanishes and a count of 1 is visible.
                    baseline=0.5,
                    fill=True,
                    color=theme.tint(colours[dataset], 0.75),
                )
                axes.set_yscale("log")
                axes.set_ylim(0.5, top)
                axes.yaxis.minorticks_off()
            line[0].set_ylabel(plain(f"{network}\n{dataset}\ncount"))
        for axes, parameter in zip(grid[-1], parameters, strict=True):
            axes.set_xlabel(PRIMED[parameter])
            axes.xaxis.set_major_locator(MaxNLocator(3))
    return figure
