"""The data: what the networks were shown."""

from __future__ import annotations

from typing import Any

from threetconv.report import formats
from threetconv.report.document import Block, Callout, Cell, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, numbers, words
from threetconv.report.wording import join_words

__all__ = ["section"]

SETS = {
    "gestures": "The class of a clip is in the **motion only**: hand, tone, size, background, "
    "light, start and speed vary independently of it.",
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
            f"left to right. {SETS.get(kind, '')} {spread(inputs, dataset)}".strip(),
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
    # Only then do the paper's numbers stand beside those of rendered clips.
    if set(inputs.synthetic) & set(inputs.papers):
        text += (
            " What is printed beside the paper's numbers is for orientation; it is not a "
            "replication."
        )
    return Callout("Rendered, not recorded", text, "warning")


def table(inputs: Inputs) -> Table:
    """Layout, origin, classes and clips of each dataset."""

    def setting(name: str, key: str) -> Any:
        return inputs.setting(f"datasets.{name}.{key}")

    columns = [
        words("dataset", str),
        words("origin", lambda n: "rendered here" if n in inputs.synthetic else "recorded"),
        words("layout", lambda n: formats.text(setting(n, "adapter"))),
        words("beside the paper's", lambda n: PAPER.get(setting(n, "stands_for"), formats.DASH)),
        numbers("classes", lambda n: classes(inputs, n)),
        numbers("train", lambda n: clips(inputs, n, "train"), group="clips"),
        numbers("validation", lambda n: clips(inputs, n, "val"), group="clips"),
        numbers("test", lambda n: clips(inputs, n, "test"), group="clips"),
    ]
    return make_table(inputs.datasets, columns, "Datasets.", label="Table B")


def classes(inputs: Inputs, dataset: str) -> str:
    """Number of classes of a dataset, as its runs have it."""
    if "num_classes" not in inputs.runs:
        return formats.DASH
    mine = inputs.runs["dataset"].astype(str) == dataset
    return formats.count_range(inputs.runs.loc[mine, "num_classes"])


def spread(inputs: Inputs, dataset: str) -> str:
    """What a single frame may reveal where `variety` is below 1, in a sentence."""
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
    # The runs table is the better source: metrics exist only for splits that were measured.
    if f"n_{split}" in recorded:
        return Cell(formats.count_range(recorded[f"n_{split}"]))
    metrics = inputs.metrics
    if metrics.empty or "n" not in metrics:
        return Cell(formats.DASH)
    mine = metrics[metrics["run_id"].isin(recorded["run_id"]) & (metrics["split"] == split)]
    return formats.count(mine["n"].max() if len(mine) else None)
