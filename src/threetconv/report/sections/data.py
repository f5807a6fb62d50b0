"""The data: what the networks were shown."""

from __future__ import annotations

from typing import Any

from threetconv.report import formats
from threetconv.report.document import (
    Block,
    Callout,
    Cell,
    Column,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import Inputs
from threetconv.report.wording import join_words

__all__ = ["section"]

SETS = {
    "gestures": "The class of a clip is in the **motion only**: hand, tone, size, background, "
    "light, "
    "start and speed vary independently of it.",
    "scenes": "The class of a clip is in the **appearance only**: the motion of camera and objects "
    "varies independently of it.",
}
PAPER = {"jester": "Jester", "ucf101": "UCF101"}


def section(inputs: Inputs) -> Section:
    """A warning where data are synthetic, a table, a strip of clips for every dataset."""
    if not inputs.datasets:
        return Section("The data", [Paragraph("No run names a dataset.")])
    blocks: list[Block] = []
    if inputs.synthetic:
        blocks.append(stand_ins(inputs))
    blocks.append(table(inputs))
    for letter, dataset in enumerate(inputs.datasets, start=1):
        kind = str(inputs.setting(f"datasets.{dataset}.render.set", ""))
        name = escape(dataset)
        blocks += inputs.figure(
            f"clips_{dataset}",
            label=f"Figure A{letter}",
            caption=f"Clips of *{name}*: one clip per row, evenly spaced frames, time runs from "
            "left to "
            f"right. {SETS.get(kind, '')} {spread(inputs, dataset)}".strip(),
            alt=f"A strip of example clips of the dataset {dataset}, one clip per row, "
            "with frames from left to right in time.",
        )
    return Section("The data", blocks)


def stand_ins(inputs: Inputs) -> Callout:
    """Which datasets are rendered, and what they stand for."""
    pieces = []
    for name in inputs.synthetic:
        paper = PAPER.get(str(inputs.setting(f"datasets.{name}.stands_for", "")))
        pieces.append(f"**{escape(name)}**" + (f" (in the place of {paper})" if paper else ""))
    text = (
        f"{join_words(pieces)} {'are synthetic sets' if len(pieces) > 1 else 'is a synthetic set'} "
        "drawn by this project, simpler than real video."
    )
    if set(inputs.synthetic) & set(inputs.papers):
        text += (
            " What is printed beside the paper's numbers is for orientation; it is not a "
            "replication."
        )
    return Callout("Rendered, not recorded", text, "warning")


def table(inputs: Inputs) -> Table:
    """Layout, origin, classes and clips of each dataset."""
    heads = [
        Column("dataset", "left"),
        Column("origin", "left"),
        Column("layout", "left"),
        Column("beside the paper's", "left"),
        Column("classes"),
        Column("train", group="clips"),
        Column("validation", group="clips"),
        Column("test", group="clips"),
    ]
    rows = []
    for name in inputs.datasets:
        settings: Any = inputs.setting(f"datasets.{name}", {})
        runs = inputs.runs[inputs.runs["dataset"].astype(str) == name]
        rows.append(
            (
                Cell(name),
                Cell("rendered here" if name in inputs.synthetic else "recorded"),
                formats.text(settings.get("adapter")),
                Cell(PAPER.get(str(settings.get("stands_for", "")), formats.DASH)),
                Cell(
                    formats.count_range(runs["num_classes"])
                    if "num_classes" in runs
                    else formats.DASH
                ),
                clips(inputs, name, "train"),
                clips(inputs, name, "val"),
                clips(inputs, name, "test"),
            )
        )
    return Table(rows=rows, columns=heads, caption="Datasets.", label="Table B")


def spread(inputs: Inputs, dataset: str) -> str:
    """What a `variety` below 1 gives away, in a sentence."""
    variety = float(inputs.setting(f"datasets.{dataset}.render.variety", 1.0))
    if variety >= 1:
        return ""
    return (
        f"(Variety {variety:g}: coordinates that do not move stay nearer the middle, so a single "
        "frame may hint at which of them moves, never at the direction.)"
    )


def clips(inputs: Inputs, dataset: str, split: str) -> Cell:
    """Number of clips of a split, as recorded with the runs or else with their metrics."""
    recorded = inputs.runs.loc[inputs.runs["dataset"].astype(str) == dataset]
    if f"n_{split}" in recorded:
        return Cell(formats.count_range(recorded[f"n_{split}"]))
    metrics = inputs.metrics
    if metrics.empty or "n" not in metrics:
        return Cell(formats.DASH)
    mine = metrics[metrics["run_id"].isin(recorded["run_id"]) & (metrics["split"] == split)]
    return formats.count(mine["n"].max() if len(mine) else None)
