"""Real clips against negative controls: displacement as a multiple of the noise floor."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from threetconv.figures import theme
from threetconv.figures.scales import ratio_axis
from threetconv.figures.theme import CONTROLS, INK, SYMBOLS, plain

__all__ = ["controls"]


def controls(summaries: pd.DataFrame) -> Figure:
    """Mean displacement / noise floor of real runs and of controls, a panel for each parameter.

    Marks are means over runs, bars run from the smallest to the largest run; 1 is the floor.

    Args:
        summaries: run_id, network, dataset, init, control, parameter, floor_ratio. Of the columns
            scope, weighting and rows, where there are any, "model", "pooled" and "reachable" are
            used. Lines of one checkpoint are expected; where a run has several snapshots, the one
            with tag "best" is used.
    """
    table = chosen(summaries)
    if table.empty:
        return theme.empty("No displacement of a 3T network was recorded.")
    cells = sorted(
        {tuple(map(str, key)) for key in table[["network", "dataset", "init"]].to_numpy()}
    )
    parameters = theme.present(SYMBOLS, table["parameter"])
    names = theme.present(CONTROLS, table["control"])
    heights = place(table, cells)
    bottom = heights[-1][1]
    values = theme.finite(table["floor_ratio"])
    values = values[values > 0]
    low, high = min(float(values.min(initial=1.0)), 1.0), max(float(values.max(initial=1.0)), 1.0)
    # 8 % of the range on a log axis at each end, also when all values are nearly equal.
    room = max(high / low, 1.5) ** 0.08
    with theme.style():
        figure = theme.new_figure(7.4, 0.95 + 0.13 * bottom)
        grid = figure.subplots(1, len(parameters), squeeze=False, sharex=True)[0]
        for axes, parameter in zip(grid, parameters, strict=True):
            # One range for all parameters: displacements are comparable as multiples of their
            # floors.
            ratio_axis(axes, "x", (low / room, high * room), most=5)
            axes.axvline(1, color=INK, lw=0.8)
            # Upside down, so that line 0 is at the top.
            axes.set_ylim(bottom - 0.3, -0.9)
            axes.grid(axis="y", visible=False)
            axes.set_yticks([(a + b - 1) / 2 for a, b in heights], [])
            axes.tick_params(axis="y", length=0)
            axes.set_title(SYMBOLS[parameter], loc="left")
            rows = theme.where(table, parameter=parameter)
            for cell, (top, _) in zip(cells, heights, strict=True):
                draw_cell(axes, in_cell(rows, cell), top)
        labels = [plain(", ".join(cell)) for cell in cells]
        grid[0].set_yticks([(a + b - 1) / 2 for a, b in heights], labels, fontsize=7)
        figure.supxlabel("mean displacement / noise floor (log axis)", fontsize=8.5)
        handles = [Line2D([], [], label=CONTROLS[n][2], **theme.control_mark(n)) for n in names]
        handles.append(Line2D([], [], color=INK, lw=0.8, label="noise floor"))
        figure.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=7.5)
    return figure


def chosen(summaries: pd.DataFrame) -> pd.DataFrame:
    """One line for each run and parameter."""
    table = summaries
    for column, wanted in (("scope", "model"), ("weighting", "pooled"), ("rows", "reachable")):
        if column in table:
            table = theme.where(table, **{column: wanted})
    if table.empty:
        return table
    # Several snapshots per run: without a choice runs with more snapshots would weigh more.
    if table.duplicated(["run_id", "parameter"]).any() and "tag" in table:
        table = theme.where(table, tag="best")
    control = table["control"].astype(str) if "control" in table else "none"
    return table.assign(control=control)


def in_cell(rows: pd.DataFrame, cell: tuple[str, ...]) -> pd.DataFrame:
    """Rows of one network, dataset and start."""
    network, dataset, init = cell
    return theme.where(rows, network=network, dataset=dataset, init=init)


def place(table: pd.DataFrame, cells: list[tuple[str, ...]]) -> list[tuple[float, float]]:
    """First line and the line after the last of every cell: one for each control it has."""
    out, line = [], 0.0
    for cell in cells:
        count = in_cell(table, cell)["control"].nunique()
        out.append((line, line + count))
        # 0.7 lines of space between cells.
        line += count + 0.7
    return [*out[:-1], (out[-1][0], line - 0.7)]


def draw_cell(axes: Axes, rows: pd.DataFrame, top: float) -> None:
    """Real runs and controls of one cell below each other."""
    for line, name in enumerate(theme.present(CONTROLS, rows["control"])):
        values = theme.finite(rows.loc[rows["control"] == name, "floor_ratio"])
        if not values.size:
            continue
        height, mark = top + line, theme.control_mark(name)
        axes.plot([values.min(), values.max()], [height, height], color=mark["color"], lw=1.1)
        axes.plot([values.mean()], [height], **mark)
