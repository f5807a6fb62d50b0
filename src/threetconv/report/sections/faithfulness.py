"""Faithfulness: channels and layers whose transforms the class scores depend on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from threetconv.figures.theme import ordered
from threetconv.report import formats
from threetconv.report.document import Block, ListBlock, Paragraph, Section, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, numbers, two_digits, words
from threetconv.report.wording import convolutions, join_words

__all__ = [
    "CELL",
    "CELL_COLUMNS",
    "CHANNEL",
    "classes",
    "in_order",
    "lookup",
    "matters",
    "others",
    "overall",
]

CELL = ["network", "dataset", "init", "convolution"]
CHANNEL = ["run_id", "layer", "channel"]
CELL_COLUMNS = (
    words("network"),
    words("dataset"),
    words("start", "init"),
    words("kind", lambda line: convolutions([line["convolution"]])),
)
MOST = 3
"""Channels of a run in the table of channels that matter."""


def matters(drops: pd.DataFrame) -> list[Section]:
    """Channels with the largest fall, and the class that depends most on each."""
    single = overall(drops)
    if single.empty:
        return []
    keys = [*CHANNEL, "ablation"]
    runs = in_order(single).groupby("run_id", sort=False, observed=True)
    # Within each run: falls of different runs are not on one scale of accuracy.
    top = pd.concat([lines.nlargest(MOST, "drop", keep="first") for _, lines in runs])
    of_class = drops[(drops["channel"] >= 0) & (drops["label"].astype(str) != "")]
    # Sorted by fall, the last line of each channel is the class that loses most.
    worst = of_class.merge(top[keys], on=keys).sort_values("drop", kind="stable")
    worst = worst.drop_duplicates(keys, keep="last").set_index(keys)[["label", "drop"]]
    most = dict(zip(worst.index.to_list(), worst.to_numpy().tolist(), strict=True))

    def label_and_fall(line: Mapping[Any, Any]) -> tuple[str, float | None]:
        return most.get(tuple(line[name] for name in keys), (formats.DASH, None))

    columns = [
        *CELL_COLUMNS,
        words("layer"),
        numbers("channel", "channel", formats.count),
        numbers("fall, nats", "drop", two_digits),
        words("class that loses most", lambda line: label_and_fall(line)[0]),
        numbers("its fall", lambda line: label_and_fall(line)[1], two_digits),
    ]
    clips = formats.count_range(single["n_clips"])
    caption = (
        f"Channels that matter: of each run up to {MOST} without whose motion (3T)"
        + (f" or whose output ({names})" if (names := others(top)) else "")
        + " the log-probability of the true class falls most. A fall below 0 is a rise."
    )
    note = (
        f"Mean over validation clips ({clips} of them); one run each. A fall is what this network "
        "loses when one thing is taken away; what other channels could take over is not in it."
    )
    table = make_table(
        top, columns, caption, label="Table Q", group_by=4, sortable=True, note=note, wide=True
    )
    return [Section("Channels that matter", [table])]


def classes(inputs: Inputs, drops: pd.DataFrame) -> list[Section]:
    """Which classes depend on the transforms of which layer."""
    if drops.empty:
        return []
    # Channel -1: all channels of a layer at once.
    whole = drops[(drops["channel"] == -1) & (drops["ablation"] == "identity")]
    by_class = whole[whole["label"].astype(str) != ""]
    if by_class.empty:
        return []
    points: list[str] = []
    blocks: list[Block] = []
    groups = list(by_class.groupby(["network", "dataset"], sort=True, observed=True))
    for i, ((network, dataset), lines) in enumerate(groups, start=1):
        for init, of_start in lines.groupby("init", sort=True, observed=True):
            points.append(leaning(of_start, f"{network}, {dataset}, {init}"))
        label = f"Figure K{i}" if len(groups) > 1 else "Figure K"
        blocks += inputs.figure(
            f"class_drops_{network}_{dataset}",
            label=label,
            caption=f"{escape(network)} on {escape(dataset)}: fall of the log-probability of the "
            "true class when the transforms of all channels of a layer are set to the identity, by "
            "class.",
            alt=f"Heat map with a row for each layer and a column for each class of {dataset}; the "
            "largest falls are in the list above.",
        )
    text = (
        "The transforms of a whole layer are taken away at once. One would expect a class that "
        "lies in motion to lose more than one that a single frame gives away."
    )
    return [Section("Classes and transforms", [Paragraph(text), ListBlock(points), *blocks])]


def leaning(lines: pd.DataFrame, name: str) -> str:
    """The three pairs of class and layer with the largest fall, in a sentence."""
    # Mean over the runs of a cell.
    means = lines.groupby(["layer_index", "layer", "label"], observed=True)["drop"].mean()
    largest = means[means > 0].nlargest(3)
    if largest.empty:
        return f"**{escape(name)}**: no class loses anything by it, on average over runs."
    said = [
        f"{escape(label)} loses {formats.significant(value, 2).text} without {escape(layer)}"
        for (_, layer, label), value in zip(largest.index.to_list(), largest, strict=True)
    ]
    return f"**{escape(name)}**: {join_words(said)} (nats)."


def overall(drops: pd.DataFrame) -> pd.DataFrame:
    """Lines of single channels over all clips: identity where it was measured, else mean."""
    if drops.empty:
        return drops
    single = drops[(drops["channel"] >= 0) & (drops["label"].astype(str) == "")]
    # After sorting, the first line of a channel is "identity" where there is one.
    by_rank = single.assign(rank_=(single["ablation"] != "identity").astype(int))
    by_rank = by_rank.sort_values("rank_", kind="stable").drop_duplicates(CHANNEL)
    return by_rank.drop(columns="rank_")


def in_order(table: pd.DataFrame, *then: str) -> pd.DataFrame:
    """Lines by network, data set, kind of convolution, start and run, then by other columns."""
    by = ["network", "dataset", "convolution", "init", "run_id", *then]
    rank = {name: i for i, name in enumerate(ordered(table["convolution"]))}
    return table.sort_values(
        by, key=lambda x: x.map(rank) if x.name == "convolution" else x, kind="stable"
    )


def others(table: pd.DataFrame) -> str:
    """The convolutions in a table that have no transforms."""
    return convolutions(set(table["convolution"].astype(str)) - {"3t"})


def lookup(table: pd.DataFrame, column: str) -> dict[tuple[Any, ...], Any]:
    """Channel -> value."""
    if table.empty or column not in table:
        return {}
    keys = zip(*(table[name] for name in CHANNEL), strict=True)
    return dict(zip(keys, table[column], strict=True))
