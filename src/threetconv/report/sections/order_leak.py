"""What a network knows of the direction of time before it has learned any motion."""

from __future__ import annotations

from typing import Any

from threetconv.report import formats
from threetconv.report.document import Block, Callout, Paragraph, Section, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, numbers, words
from threetconv.report.wording import join_words

__all__ = ["section"]


def section(inputs: Inputs) -> list[Section]:
    """A line per network, convolution and length of clip; nothing without the table."""
    table = inputs.order_leak
    if table.empty:
        return []
    whole = table[table["kind"] == "network"]
    keys = ["network", "dataset", "convolution"]
    leaking = table[table["leaks"] & (table["kind"] != "network")]
    stages = leaking.groupby(keys, observed=True, sort=False)["layer"].agg(list).to_dict()
    told = whole[whole["leaks"]]
    blocks: list[Block] = [
        Paragraph(
            "With all transforms at the identity, and every other filter replaced by its mean over "
            "time, no filter answers to motion. A network that then still answers otherwise to a "
            "clip played backwards reads the direction of time from where strided windows and "
            "their padding stand."
        ),
        make_table(
            whole.drop_duplicates(["network", "convolution", "frames"]),
            [
                words("network"),
                words("convolution"),
                numbers("frames", "frames", formats.count),
                words("it can", lambda line: "yes" if line["leaks"] else "no"),
                words("relative difference", difference),
                words(
                    "stages",
                    lambda line: ", ".join(stages.get(tuple(line[k] for k in keys), [])),
                ),
            ],
            "Whether networks without any motion filter tell a clip from its reverse; relative "
            "difference of the outputs for random clips and their reverses, before training; and "
            "the stages that leak.",
            label="Table U",
        ),
    ]
    if len(told):
        names = join_words([escape(name) for name in dict.fromkeys(told["network"].astype(str))])
        blocks.append(
            Callout(
                "The networks of this study can tell order without motion",
                f"In {names} strided windows tell a clip from its reverse. Accuracy on classes "
                "that are each other's reverse is therefore no sign that transforms or 3D filters "
                "have learned motion: set symmetric_time to true, or compare with clips of a "
                "length without a leak.",
                "warning",
            )
        )
    else:
        blocks.append(
            Paragraph(
                "None can: what the networks of this study tell of the direction of time, they "
                "tell by filters that change over time."
            )
        )
    return [
        Section("Can the network tell a clip from its reverse without any motion filter?", blocks)
    ]


def difference(line: Any) -> str:
    """What is left where nothing leaks is rounding; its digits tell nothing."""
    return formats.significant(line["difference"]).text if line["leaks"] else "rounding"
