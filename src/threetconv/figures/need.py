"""What accuracy needs: every run as a dot, by what was taken from its clips or its transforms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from threetconv.figures import theme
from threetconv.figures.theme import CONTROLS, INK, PAPER, plain
from threetconv.schemas.runs import CONVOLUTIONS

__all__ = ["need"]


class Condition(NamedTuple):
    """A place on the x axis: its name, and the lines that stand there."""

    name: str
    clips: str
    transforms: str = "intact"
    batch_norm: str = "trained"


CONDITIONS = (
    Condition("forwards", "forwards"),
    Condition("backwards", "backwards"),
    Condition("frozen", "frozen"),
    Condition("shuffled", "shuffled"),
    Condition("identity", "forwards", "all", "recomputed"),
    Condition("identity,\nbackwards", "backwards", "all", "recomputed"),
    Condition("no trans-\nlation", "forwards", "translation", "recomputed"),
    Condition("no scale", "forwards", "scale", "recomputed"),
    Condition("no ro-\ntation", "forwards", "rotation", "recomputed"),
)
MARKERS = theme.in_turn(CONVOLUTIONS, "osvDPX")
SPREAD = 0.28  # of a condition's dots to both sides, in conditions


def need(need_runs: pd.DataFrame) -> Figure:
    """Accuracy by condition, a panel for every network and dataset.

    Filled marks are real runs, hollow ones negative controls; the dotted line is chance, the grey
    one parts what was done to clips from what was done to transforms.

    Args:
        need_runs: columns of `threetconv.schemas.need.NEED_RUNS`.
    """
    table = need_runs[(need_runs["measure"] == "accuracy") & (need_runs["layer_index"] < 0)]
    if table.empty:
        return theme.empty("It was not measured what the accuracy of any run needs.")
    networks, datasets = theme.ordered(table["network"]), theme.ordered(table["dataset"])
    colours = theme.init_colours(table["init"])
    kinds = sorted(
        {tuple(map(str, key)) for key in table[["convolution", "init", "control"]].to_numpy()},
        key=lambda kind: ([*MARKERS].index(kind[0]), kind[1], [*CONTROLS].index(kind[2])),
    )
    with theme.style():
        figure = theme.new_figure(0.6 + 3.9 * len(datasets), 0.9 + 2.3 * len(networks))
        grid = figure.subplots(
            len(networks), len(datasets), squeeze=False, sharex=True, sharey=True
        )
        for line, network in zip(grid, networks, strict=True):
            for axes, dataset in zip(line, datasets, strict=True):
                rows = theme.where(table, network=network, dataset=dataset)
                if rows.empty:
                    figure.delaxes(axes)
                    continue
                for place, kind in zip(_places(len(kinds)), kinds, strict=True):
                    names = ("convolution", "init", "control")
                    of_kind = theme.where(rows, **dict(zip(names, kind, strict=True)))
                    for x, condition in enumerate(CONDITIONS):
                        keys = condition._asdict() | {"name": None}
                        there = theme.where(of_kind, **{k: v for k, v in keys.items() if v})
                        xs = np.full(len(there), x + place)
                        axes.plot(xs, there["value"], ls="", **_mark(kind, colours))
                axes.axhline(float(rows["chance"].iloc[0]), color=INK, lw=1.0, ls=(0, (1, 1.5)))
                axes.axvline(3.5, color=theme.MUTED, lw=0.6)
                axes.set_ylim(-3, 103)
                axes.set_title(plain(f"{network}, {dataset}"), loc="left")
                axes.grid(axis="x", visible=False)
                ticks = [condition.name for condition in CONDITIONS]
                axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", fontsize=7)
        for axes in grid[:, 0]:
            axes.set_ylabel("validation accuracy (%)")
        handles = [
            Line2D([], [], ls="", label=plain(_in_words(kind)), **_mark(kind, colours))
            for kind in kinds
        ]
        handles.append(Line2D([], [], lw=1.0, color=INK, ls=(0, (1, 1.5)), label="chance"))
        columns = min(len(handles), 2 + 2 * len(datasets))
        figure.legend(handles=handles, loc="outside upper center", ncols=columns, fontsize=7)
    return figure


def _places(count: int) -> np.ndarray:
    return np.linspace(-SPREAD, SPREAD, count) if count > 1 else np.zeros(1)


def _mark(kind: tuple[str, ...], colours: dict[str, str]) -> dict[str, Any]:
    convolution, init, control = kind
    colour = colours[init]
    look: dict[str, Any] = {"marker": MARKERS[convolution], "color": colour, "ms": 3.5, "mew": 0.8}
    if control == "none":
        return look
    return look | {"marker": CONTROLS[control][0], "mfc": PAPER}


def _in_words(kind: tuple[str, ...]) -> str:
    convolution, init, control = kind
    said = f"{CONVOLUTIONS[convolution].label} {init}"
    return said if control == "none" else f"{said}, {control}"
