"""Figures 4 and 5 of the paper: what the temporal parameters of every network look like.

Scale and rotation are drawn as densities over an asinh axis with a logarithmic density and a
stated floor; the two translations as a joint density with its highest-density regions. Limits,
ticks and floor come from the *whole* table, so every panel of both figures (pretrained, scratch)
has the same axes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from threetconv.figures import theme
from threetconv.figures.scales import asinh_axis, percent
from threetconv.figures.theme import MUTED, PARAMETERS, plain

__all__ = ["scale_rotation_densities", "temporal_distributions", "translation_joint"]

FLOOR = 1e-5
"""No density below this share of the highest in the table is drawn."""
COLUMNS = {"s": "scale", "r": "rotation"}
HDR = ((95, 0.16), (80, 0.40), (50, 0.80))
"""Highest-density regions, per cent of the mass inside, and the opacity of each."""


class DensityAxes(NamedTuple):
    """Shared limits: low, high and linear per parameter, floor and peak for all panels."""

    low: float
    high: float
    linear: float
    floor: float
    peak: float


def density_axes(densities: pd.DataFrame, parameter: str) -> DensityAxes:
    """Limits of one parameter's panels: its support, its asinh constant, the common floor."""
    rows = densities[densities["parameter"] == parameter]
    support = theme.finite(rows["support"])
    # All parameters, not `rows`: floor and peak are those of the whole table.
    density = theme.finite(densities["density"])
    density = density[density > 0]
    constants = theme.finite(rows["c"])
    reach = float(np.abs(support).max(initial=0.0)) or 1e-3
    # Cells may have different asinh constants; the axis needs one, so the largest is taken.
    linear = float(constants[constants > 0].max(initial=0.0)) or reach / 100
    peak = float(density.max(initial=0.0)) or 1.0
    lowest = max(float(density.min(initial=peak)), peak * FLOOR)
    # A whole decade, since the axis label names it as a power of ten.
    floor = 10.0 ** math.floor(math.log10(lowest))
    low, high = (support.min(), support.max()) if support.size else (-reach, reach)
    # All rows at the identity: the support is one point.
    if low >= high:
        low, high = -reach, reach
    # Room for the highest curve on a log axis.
    return DensityAxes(float(low), float(high), linear, floor, peak * 2.5)


def curve(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Support and density of one cell in the order of the support; both empty if there is none."""
    usable = rows[np.isfinite(rows["density"].to_numpy(float))].sort_values("support")
    return usable["support"].to_numpy(float), usable["density"].to_numpy(float)


def draw_density(
    axes: Axes, rows: pd.DataFrame, others: list[pd.DataFrame], limits: DensityAxes, colour: str
) -> None:
    """One cell's density, the other datasets of the same network as grey lines behind it."""
    asinh_axis(axes, "x", (limits.low, limits.high), limits.linear)
    axes.set_yscale("log")
    axes.set_ylim(limits.floor, limits.peak)
    axes.yaxis.set_minor_locator(NullLocator())
    for other in others:
        support, density = curve(other)
        if support.size:
            # Zero has no logarithm; below the floor curves run along the bottom of the panel.
            axes.plot(support, np.maximum(density, limits.floor), color=MUTED, lw=0.8, alpha=0.6)
    support, density = curve(rows)
    if support.size and (density > 0).any():
        height = np.maximum(density, limits.floor)
        axes.fill_between(support, limits.floor, height, color=theme.tint(colour, 0.22), lw=0)
        axes.plot(support, height, color=colour, lw=1.3)
    else:  # nothing but the identity: a point mass
        axes.plot([0, 0], [limits.floor, limits.peak], color=colour, lw=1.6)
    first = rows.iloc[0]
    theme.note(
        axes,
        f"n {int(first['count']):,}   identity {percent(float(first['identity_share']))}   "
        f"clipped {percent(float(first['clipped_share']))}",
    )


class JointAxes(NamedTuple):
    """The square window of every joint density, linear if there is no asinh constant."""

    reach: float
    linear: float | None
    ticks: int


def joint_axes(joint: pd.DataFrame, *, ticks: int) -> JointAxes:
    """The window that holds every cell's grid."""
    reach = max(float(np.abs(theme.finite(joint[name])).max(initial=0.0)) for name in ("x", "y"))
    constants = theme.finite(joint["c"]) if "c" in joint else np.empty(0)
    return JointAxes(reach or 1e-3, float(constants.max(initial=0.0)) or None, ticks)


def draw_joint(axes: Axes, rows: pd.DataFrame, window: JointAxes, colour: str) -> None:
    """One cell's joint density of (px, py): filled highest-density regions and their outlines."""
    axes.set_aspect("equal", adjustable="box")
    axes.axhline(0, color=MUTED, lw=0.5, zorder=0.5)
    axes.axvline(0, color=MUTED, lw=0.5, zorder=0.5)
    grid = rows.pivot_table(index="y", columns="x", values="density", aggfunc="first")
    density = grid.to_numpy(float)
    thresholds = [float(rows[f"hdr{level}"].iloc[0]) for level, _ in HDR]
    usable = bool(np.isfinite(density).all()) and density.size and float(density.max()) > 0
    if usable and all(np.isfinite(thresholds)):
        xs, ys = grid.columns.to_numpy(float), grid.index.to_numpy(float)
        # contourf leaves out what equals the upper level, so the peak would be a hole.
        top = float(density.max()) * (1 + 1e-9)
        # From the largest region to the smallest: inner regions are painted over outer ones.
        for (_, alpha), threshold in zip(HDR, thresholds, strict=True):
            # contour warns about levels outside the data.
            if not 0 < threshold < top:
                continue
            fill = [theme.tint(colour, alpha)]
            axes.contourf(xs, ys, density, levels=[threshold, top], colors=fill)
            axes.contour(xs, ys, density, levels=[threshold], colors=[colour], linewidths=0.7)
    else:
        # No density exists where all mass is at the identity: draw it as a point.
        axes.plot([0], [0], marker="o", ms=3, color=colour)
    reach, linear = window.reach, window.linear
    # Without an asinh constant the translations were described on a linear scale.
    if linear is None:
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(window.ticks, symmetric=True))
    else:
        asinh_axis(axes, "x", (-reach, reach), linear, sides=window.ticks // 2)
        asinh_axis(axes, "y", (-reach, reach), linear, sides=window.ticks // 2)


def axis_label(parameter: str) -> str:
    """Name and unit on one line."""
    name, unit = PARAMETERS[parameter]
    return f"{name}  [{unit}]"


def cells(table: pd.DataFrame, init: str) -> list[tuple[str, str]]:
    """(network, dataset) pairs of one initialisation in the order of the panels."""
    here = theme.where(table, init=init)
    pairs = set(zip(here["network"].astype(str), here["dataset"].astype(str), strict=True))
    return sorted(pairs)


def name_row(axes: Axes, network: str, dataset: str, colour: str) -> None:
    """Network and dataset above the first panel of a row, in the colour of the dataset."""
    axes.set_title(plain(f"{network}, {dataset}"), loc="left", color=colour, pad=3)


def fill_densities(
    axes: Axes, densities: pd.DataFrame, init: str, pair: tuple[str, str], parameter: str
) -> None:
    """Draw one (network, dataset) panel of one parameter with its grey companions."""
    network, dataset = pair
    table = densities[densities["parameter"] == parameter]
    others = [
        theme.where(table, init=init, network=net, dataset=name)
        for net, name in cells(table, init)
        if net == network and name != dataset
    ]
    rows = theme.where(table, init=init, network=network, dataset=dataset)
    colour = theme.dataset_colours(densities["dataset"])[dataset]
    draw_density(axes, rows, others, density_axes(densities, parameter), colour)


def finish_densities(grid: np.ndarray, parameters: list[str]) -> None:
    """Column names above, axis labels below and left, tick labels at the outer panels only."""
    for column, parameter in enumerate(parameters):
        grid[-1, column].set_xlabel(axis_label(parameter))
        grid[0, column].set_title(COLUMNS[parameter], loc="right", color=MUTED, weight="normal")
        for axes in grid[:-1, column]:
            axes.tick_params(labelbottom=False)
        for axes in grid[:, column]:
            if column:
                axes.tick_params(labelleft=False)
            else:
                # The floor is the lower limit of every panel, see `draw_density`.
                exponent = round(math.log10(axes.get_ylim()[0]))
                axes.set_ylabel(
                    f"density (log axis,\nfloor $10^{{{exponent}}}$)", fontsize=7, color=MUTED
                )


def scale_rotation_densities(densities: pd.DataFrame, *, init: str) -> Figure:
    """Densities of scale and rotation, a row of panels for every (network, dataset).

    Args:
        densities: network, dataset, init, parameter {s, r}, support, density, count,
            identity_share, clipped_share, c; a curve per cell. Pass *all* initialisations: the
            limits are shared by them.
        init: the initialisation to draw ("pretrained" is the paper's Figure 4, "scratch" its 5).

    Returns:
        The figure; a cell with no displaced parameter is drawn as a spike at the identity.
    """
    pairs = cells(densities, init)
    if not pairs:
        return theme.empty(f"No densities for networks that started {init}.")
    parameters = theme.present(("s", "r"), densities["parameter"])
    colours = theme.dataset_colours(densities["dataset"])
    with theme.style():
        figure = theme.new_figure(7.4, 0.6 + 1.5 * len(pairs))
        grid = figure.subplots(len(pairs), len(parameters), squeeze=False)
        for line, pair in zip(grid, pairs, strict=True):
            for axes, parameter in zip(line, parameters, strict=True):
                fill_densities(axes, densities, init, pair, parameter)
            name_row(line[0], *pair, colours[pair[1]])
        finish_densities(grid, parameters)
    return figure


def translation_joint(joint: pd.DataFrame, *, init: str) -> Figure:
    """Joint density of the translations: rows of networks, columns of datasets.

    Args:
        joint: network, dataset, init, x, y, density on a grid, and the density thresholds hdr50,
            hdr80, hdr95 of the highest-density regions (constant within a cell); `c` if the axes
            are to be asinh. Pass all initialisations: the window is shared by them.
        init: the initialisation to draw.
    """
    pairs = cells(joint, init)
    if not pairs:
        return theme.empty(f"No translations for networks that started {init}.")
    networks, datasets = theme.ordered(p[0] for p in pairs), theme.ordered(p[1] for p in pairs)
    window = joint_axes(joint, ticks=4)
    colours = theme.dataset_colours(joint["dataset"])
    with theme.style():
        figure = theme.new_figure(0.7 + 2.5 * len(datasets), 0.7 + 2.4 * len(networks))
        grid = figure.subplots(len(networks), len(datasets), squeeze=False)
        for line, network in zip(grid, networks, strict=True):
            for axes, dataset in zip(line, datasets, strict=True):
                rows = theme.where(joint, init=init, network=network, dataset=dataset)
                if rows.empty:
                    figure.delaxes(axes)
                    continue
                draw_joint(axes, rows, window, colours[dataset])
                name_row(axes, network, dataset, colours[dataset])
                axes.set_xlabel(axis_label("px"), fontsize=7)
                axes.set_ylabel(axis_label("py"), fontsize=7)
    return figure


def temporal_distributions(densities: pd.DataFrame, joint: pd.DataFrame, *, init: str) -> Figure:
    """The paper's Figure 4 or 5 in one piece: rows (network, dataset); columns s, r and (px, py).

    Args:
        densities: as in `scale_rotation_densities`.
        joint: as in `translation_joint`.
        init: "pretrained" for Figure 4, "scratch" for Figure 5.
    """
    # A row needs both tables; (px, py) may lack a cell that s and r have.
    pairs = [pair for pair in cells(densities, init) if pair in cells(joint, init)]
    if not pairs:
        return theme.empty(f"No temporal parameters for networks that started {init}.")
    colours = theme.dataset_colours(densities["dataset"])
    window = joint_axes(joint, ticks=2)
    with theme.style():
        figure = theme.new_figure(7.6, 0.6 + 1.35 * len(pairs))
        grid = figure.subplots(len(pairs), 3, squeeze=False, width_ratios=[1.35, 1.35, 1])
        for line, pair in zip(grid, pairs, strict=True):
            for axes, parameter in zip(line, ("s", "r"), strict=False):
                fill_densities(axes, densities, init, pair, parameter)
            rows = theme.where(joint, init=init, network=pair[0], dataset=pair[1])
            draw_joint(line[2], rows, window, colours[pair[1]])
            line[2].set_ylabel("$p_y$ (up)", fontsize=7, color=MUTED, labelpad=1)
            name_row(line[0], *pair, colours[pair[1]])
        finish_densities(grid[:, :2], ["s", "r"])
        grid[0, 2].set_title("translation", loc="right", color=MUTED, weight="normal")
        grid[-1, 2].set_xlabel("$p_x$ (right)  [kernel fractions]")
        for axes in grid[:-1, 2]:
            axes.tick_params(labelbottom=False)
    return figure
