"""Displacement by depth: how far the temporal parameters of every layer moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from threetconv.figures import theme
from threetconv.figures.scales import ratio_axis
from threetconv.figures.theme import INK, MUTED, SYMBOLS, plain
from threetconv.support.levels import passes

__all__ = ["profile", "profiles"]

MARKS: dict[str, tuple[str, str, str]] = {
    "dataset": ("v", "full", "dataset makes a difference in this layer"),
    "init": ("s", "none", "start makes a difference in this layer"),
    "dataset x init": ("D", "none", "dataset \N{MULTIPLICATION SIGN} start in this layer"),
}
"""Family of layer-wise tests -> marker, fill style and legend text of a layer that differs."""
DASH = (0, (3.5, 2))
NAMED = 24
"""At most this many layers are named on the axis."""


def profiles(
    layer_profile: pd.DataFrame, tests: pd.DataFrame, *, networks: Sequence[str], alpha: float
) -> dict[str, Figure]:
    """`profile` of every network, at matched noise budgets where its runs have such snapshots.

    Fetched runs have none; their profile is that of the best checkpoint.
    """
    real = layer_profile[layer_profile["control"] == "none"]
    matched = set(real.loc[real["checkpoint"] == "matched", "network"])
    return {
        f"profile_{network}": profile(
            layer_profile,
            tests,
            network=network,
            alpha=alpha,
            checkpoint="matched" if network in matched else "best",
        )
        for network in networks
    }


def profile(
    layer_profile: pd.DataFrame,
    tests: pd.DataFrame | None = None,
    *,
    network: str,
    checkpoint: str = "matched",
    alpha: float = 0.05,
) -> Figure:
    """Mean displacement of every layer of one network, a panel for each parameter and start.

    Lines are datasets; bands are the intervals over runs; dashed lines in the same colour are the
    noise floors. Marks at the top are layers that differ at `alpha` after adjustment over layers.
    Layers without a reachable row are left out.

    Args:
        layer_profile: network, dataset, init, control, checkpoint, layer_index, layer, parameter,
            mean, ci_low, ci_high, noise_floor, reachable_share.
        tests: the tests table; lines with scope "layer" and this network as stratum are used.
        network: whose layers.
        checkpoint: "matched" or "best".
        alpha: level of the marks.
    """
    table = chosen(layer_profile, network, checkpoint)
    if table.empty:
        return theme.empty(f"No layer-wise displacements of {network} at checkpoint {checkpoint}.")
    layers = table.drop_duplicates("layer_index").sort_values("layer_index")
    places = {int(index): i for i, index in enumerate(layers["layer_index"])}
    parameters = theme.present(SYMBOLS, table["parameter"])
    inits = theme.ordered(table["init"])
    panels = [(p, i) for p in parameters for i in inits]
    # Starts side by side; with one start the parameters share two columns.
    columns = len(inits) if len(inits) > 1 else min(2, len(panels))
    rows = -(-len(panels) // columns)
    colours = theme.dataset_colours(layer_profile["dataset"])
    span = limits(table)
    differing = marks(tests, network, checkpoint, alpha)
    with theme.style():
        figure = theme.new_figure(7.4, 1.55 + 1.45 * rows)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, (parameter, init) in zip(grid.flat, panels, strict=False):
            cell = theme.where(table, parameter=parameter, init=init)
            ratio_axis(axes, "y", span, most=5)
            for dataset, rows_of in cell.groupby(cell["dataset"].astype(str), sort=True):
                draw(axes, rows_of, places, colours[str(dataset)])
            draw_marks(axes, differing, parameter, places)
            # plain() escapes the dollars of the symbol as well; they are put back.
            axes.set_title(plain(f"{SYMBOLS[parameter]}, {init}").replace(r"\$", "$"), loc="left")
        for axes in list(grid.flat)[len(panels) :]:
            figure.delaxes(axes)
        name_layers(grid[-1], [str(name) for name in layers["layer"]])
        figure.supylabel("mean displacement of the reachable rows (log axis)", fontsize=8.5)
        handles = legend(table, colours, differing)
        figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=7.5)
    return figure


def chosen(table: pd.DataFrame, network: str, checkpoint: str) -> pd.DataFrame:
    """Real runs of one network at one checkpoint, layers that could move."""
    if table.empty:
        return table
    table = theme.where(table, network=network, checkpoint=checkpoint)
    if "control" in table:
        table = theme.where(table, control="none")
    keep = (table["reachable_share"] > 0) & np.isfinite(table["mean"].astype(float))
    return table[keep & (table["mean"] > 0)]


def limits(table: pd.DataFrame) -> tuple[float, float]:
    """Log limits that hold every mean, floor and interval; room for the marks above."""
    lows = [theme.finite(table[name]) for name in ("mean", "noise_floor", "ci_low")]
    highs = [theme.finite(table[name]) for name in ("mean", "noise_floor", "ci_high")]
    low = min(float(v[v > 0].min(initial=np.inf)) for v in lows)
    high = max(float(v.max(initial=0.0)) for v in highs)
    means = theme.finite(table["mean"])
    # Wide intervals of few runs must not squeeze the means: 1.5 decades beyond them at most.
    low, high = max(low, means.min() / 30), min(high, means.max() * 30)
    room = (high / low) ** 0.08
    # More room above, for the marks of layers that differ.
    return low / room, high * room**2.2


def draw(axes: Axes, rows: pd.DataFrame, places: dict[int, int], colour: str) -> None:
    """One dataset: its line, its band, its noise floor."""
    rows = rows.sort_values("layer_index")
    xs = [places[int(index)] for index in rows["layer_index"]]
    axes.fill_between(
        xs,
        rows["ci_low"].to_numpy(float),
        rows["ci_high"].to_numpy(float),
        color=theme.tint(colour, 0.18),
        lw=0,
    )
    axes.plot(xs, rows["noise_floor"].to_numpy(float), color=colour, lw=0.9, ls=DASH)
    axes.plot(xs, rows["mean"].to_numpy(float), color=colour, lw=1.3, marker="o", ms=2.4)


def marks(
    tests: pd.DataFrame | None, network: str, checkpoint: str, alpha: float
) -> dict[str, list[tuple[str, int]]]:
    """Family -> (parameter, layer_index) that differ; families without such a layer are absent."""
    if tests is None or tests.empty or "scope" not in tests:
        return {}
    # Untestable rows have p-values that mean nothing.
    rows = theme.where(tests, scope="layer", stratum=network, checkpoint=checkpoint, status="ok")
    rows = rows[passes(rows["p_adjusted"], alpha)]
    found: dict[str, list[tuple[str, int]]] = {}
    for family in MARKS:
        of_family = theme.where(rows, family=family)
        pairs = zip(of_family["parameter"].astype(str), of_family["layer_index"], strict=True)
        entries = sorted({(parameter, int(index)) for parameter, index in pairs})
        if entries:
            found[family] = entries
    return found


def draw_marks(
    axes: Axes, differing: dict[str, list[tuple[str, int]]], parameter: str, places: dict[int, int]
) -> None:
    """Marks at the top of a panel, a row for each family."""
    for line, (family, entries) in enumerate(differing.items()):
        xs = [places[index] for name, index in entries if name == parameter and index in places]
        axes.plot(
            xs,
            [0.96 - 0.075 * line] * len(xs),
            # x in data, y as a fraction of the panel: the marks stay at the top for any range.
            transform=axes.get_xaxis_transform(),
            **mark_style(family),
        )


def mark_style(family: str) -> dict[str, Any]:
    """How a layer that differs is marked."""
    marker, fill, _ = MARKS[family]
    style = {"color": INK, "marker": marker, "fillstyle": fill, "ms": 3.4, "mew": 0.7}
    return style | {"ls": "none"}


def name_layers(bottom: np.ndarray, names: list[str]) -> None:
    """Names of the layers under the lowest panels, every few where there are many."""
    # Ceiling division: at most NAMED names.
    step = -(-len(names) // NAMED)
    shown = list(range(0, len(names), step))
    for axes in bottom:
        axes.xaxis.set_major_locator(FixedLocator(shown))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(shown, [plain(short(names[i])) for i in shown], rotation=90, fontsize=6)
        axes.set_xlim(-0.6, len(names) - 0.4)


def short(name: str) -> str:
    """The layer's name without a closing ".conv" that says nothing."""
    return name.removesuffix(".conv") or name


def legend(
    table: pd.DataFrame, colours: dict[str, str], differing: dict[str, list[tuple[str, int]]]
) -> list[Line2D | Patch]:
    """Datasets, interval, floor, marks."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colours[name], lw=1.3, marker="o", ms=2.4, label=plain(name))
        for name in theme.ordered(table["dataset"])
    ]
    handles += [
        Patch(color=theme.tint(MUTED, 0.25), label="95 % interval over runs"),
        Line2D([], [], color=MUTED, lw=0.9, ls=DASH, label="noise floor"),
    ]
    return handles + [
        Line2D([], [], label=MARKS[family][2], **mark_style(family)) for family in differing
    ]
