"""Validation accuracy by epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from threetconv.figures import theme
from threetconv.figures.theme import INK, plain
from threetconv.schemas.runs import CONVOLUTIONS

__all__ = ["accuracy_curves"]

DASHES = theme.in_turn(
    CONVOLUTIONS, ("-", (0, (4, 1.8)), (0, (1.5, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1)))
)


def accuracy_curves(metrics: pd.DataFrame, runs: pd.DataFrame) -> Figure:
    """A panel for every (network, dataset): thin lines are runs, thick lines means of a variant.

    Args:
        metrics: run_id, epoch, split, metric, value (accuracy as a share of 1).
        runs: run_id, network, dataset, init, convolution, control, num_classes (chance is drawn
            at 1 / num_classes); negative controls are not drawn.
    """
    wanted = metrics[(metrics["split"] == "val") & (metrics["metric"] == "accuracy")]
    keys = ["run_id", "network", "dataset", "init", "kind", "num_classes"]
    drawn = runs[runs["control"] == "none"] if "control" in runs else runs
    # a recipe is told where it is not the paper's
    own = drawn["recipe"].where(drawn["recipe"] != "paper", "") if "recipe" in drawn else ""
    drawn = drawn.assign(kind=(drawn["convolution"].astype(str) + " " + own).str.strip())
    table = wanted.merge(drawn[keys], on="run_id", how="inner")
    if table.empty:
        return theme.empty("No validation accuracy was recorded.")
    networks, datasets = theme.ordered(table["network"]), theme.ordered(table["dataset"])
    colours = theme.init_colours(table["init"])
    pairs = {(str(n), str(d)) for n, d in zip(table["network"], table["dataset"], strict=True)}
    with theme.style():
        figure = theme.new_figure(0.6 + 3.4 * len(datasets), 0.7 + 2.1 * len(networks))
        # Shared axes: accuracies are to be compared between data sets and networks.
        grid = figure.subplots(
            len(networks), len(datasets), squeeze=False, sharex=True, sharey=True
        )
        variants: set[tuple[str, str]] = set()
        for line, network in zip(grid, networks, strict=True):
            for axes, dataset in zip(line, datasets, strict=True):
                if (network, dataset) not in pairs:
                    # A study need not train every network on every data set.
                    figure.delaxes(axes)
                    continue
                rows = table[(table["network"] == network) & (table["dataset"] == dataset)]
                for (init, kind), variant in rows.groupby(["init", "kind"]):
                    variants.add((str(init), str(kind)))
                    look: dict[str, Any] = {
                        "color": colours[str(init)],
                        "ls": DASHES.get(str(kind), ":"),
                    }
                    for _, run in variant.sort_values("epoch").groupby("run_id"):
                        axes.plot(run["epoch"], run["value"], lw=0.8, alpha=0.5, **look)
                    mean = variant.groupby("epoch")["value"].mean()
                    # A line of a single epoch would be invisible.
                    marker = "o" if len(mean) == 1 else ""
                    axes.plot(mean.index, mean, lw=1.8, marker=marker, ms=3.5, **look)
                # Chance is a property of the data set, so every run of the panel has the same.
                chance = 1.0 / float(rows["num_classes"].iloc[0])
                axes.axhline(chance, color=INK, lw=1.0, ls=(0, (1, 1.5)))
                axes.set_ylim(0, 1)
                axes.set_title(plain(f"{network}, {dataset}"), loc="left")
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        for axes in grid[:, 0]:
            axes.set_ylabel("validation accuracy")
        handles = [
            Line2D(
                [],
                [],
                lw=1.8,
                color=colours[init],
                ls=DASHES.get(kind, ":"),
                label=plain(f"{in_words(kind)} {init}"),
            )
            for kind, init in sorted((k, i) for i, k in variants)
        ]
        handles += [
            Line2D([], [], lw=1.0, color=INK, ls=(0, (1, 1.5)), label="chance"),
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5))
    return figure


def in_words(kind: str) -> str:
    """A convolution and its recipe."""
    convolution, _, recipe = kind.partition(" ")
    return f"{CONVOLUTIONS[convolution].label} {recipe}".strip()
