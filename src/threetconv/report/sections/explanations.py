"""Single channels: their motion, its effect on the class scores, and checks of the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Details, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs
from threetconv.report.sections.faithfulness import (
    CELL,
    CELL_COLUMNS,
    CHANNEL,
    classes,
    in_order,
    lookup,
    matters,
    others,
    overall,
)
from threetconv.report.tables import make_table, numbers, words
from threetconv.report.wording import convolutions, join_words, of_all, verb

__all__ = ["section"]

TITLE = "What channels learned"
NAMES = {
    "faithfulness": "largest fall",
    "displacement": "largest displacement",
    "random": "drawn at random",
}


def section(
    inputs: Inputs,
    *,
    channels: pd.DataFrame | None = None,
    faithfulness: pd.DataFrame | None = None,
    chosen: pd.DataFrame | None = None,
    sanity: pd.DataFrame | None = None,
) -> Section:
    """Gallery, channels in pictures, channels that matter, classes, sanity checks.

    Args:
        inputs: the study.
        channels: motion of every channel in words and numbers (`channel_table`), all runs.
        faithfulness: fall of the class scores for channels and whole layers, all runs.
        chosen: channels that were explained, and by which rule.
        sanity: similarity of explanations under randomised weights and labels.
    """
    tables = [with_runs(inputs, table) for table in (channels, faithfulness, chosen, sanity)]
    moved, drops, picked, checks = tables
    if all(table.empty for table in tables):
        return Section(TITLE, [Paragraph("No channel was explained in this study.")])
    blocks: list[Block] = [
        Paragraph(
            "A filter of a 3T layer is one image that moves: from slice to slice it is zoomed, "
            "turned and shifted. So the motion of every channel can be read off its parameters and "
            "put into words. Whether that motion matters is another question: the transforms of "
            "one channel are set to the identity, and the fall of the log-probability of the true "
            f"class, in nats, is measured on validation clips.{rules(picked)}"
        )
    ]
    # Optional: a missing gallery needs no remark.
    if "explained_gallery" in inputs.figures:
        blocks += inputs.figure(
            "explained_gallery",
            label="Figure I",
            caption="What each parameter does to an image, one at a time, drawn by the layer's own "
            "code (the paper's Figure 1).",
            alt="Rows of images, for scale, rotation and the two translations; in each the same "
            "image changes from left to right.",
        )
    blocks += motion(moved)
    parts = [
        *pictures(inputs, moved, drops, picked),
        *matters(drops),
        *classes(inputs, drops),
        *sane(checks),
    ]
    return Section(TITLE, blocks, parts)


def rules(picked: pd.DataFrame) -> str:
    """By which rules channels were chosen, where any were."""
    if picked.empty:
        return ""
    present = [name for rule, name in NAMES.items() if (picked["rule"] == rule).any()]
    return f" Which channels are shown is decided by rule ({join_words(present, last='or')})."


def with_runs(inputs: Inputs, table: pd.DataFrame | None) -> pd.DataFrame:
    """Lines of known runs, with the columns that say what kind of run it is."""
    if table is None or table.empty:
        return pd.DataFrame()
    # Inner join with real runs: explained controls are left out.
    known = inputs.real_runs[["run_id", *CELL, "replicate"]].astype({"run_id": str})
    return table.astype({"run_id": str}).merge(known, on="run_id", how="inner", sort=False)


def motion(moved: pd.DataFrame) -> list[Block]:
    """How many channels of each kind of run move beyond noise."""
    if moved.empty:
        return []
    rows: list[dict[Any, Any]] = []
    for key, lines in moved.groupby(CELL[:3], sort=True, observed=True):
        able = lines[lines["reachable"].astype(bool)]
        # Without known learning rates there is no noise floor to exceed.
        tested = able[able["floor_zoom"].notna()]
        counts = {"n": len(lines), "able": len(able), "tested": len(tested)}
        # `moves` is False where the floor is unknown, so only `tested` may be the denominator.
        counts["beyond"] = int(tested["moves"].astype(bool).sum())
        rows.append(dict(zip(CELL[:3], key, strict=True)) | counts)
    columns = [
        *CELL_COLUMNS[:3],
        numbers("channels", "n", formats.count),
        numbers("can move", lambda x: x["able"] / x["n"], formats.share),
        numbers(
            "move beyond noise",
            lambda x: x["beyond"] / x["tested"] if x["tested"] else None,
            formats.share,
        ),
    ]
    note = "Of noise-only channels 5 % would be counted as moving."
    if any(x["tested"] < x["able"] for x in rows):
        note += " Runs whose learning rates are not known have no noise floor and are left out."
    caption = "Channels whose transforms can move at all, and of those the share beyond noise."
    return [make_table(rows, columns, caption, label="Table P", group_by=1, note=note)]


def pictures(
    inputs: Inputs, moved: pd.DataFrame, drops: pd.DataFrame, picked: pd.DataFrame
) -> list[Section]:
    """A figure for each network and dataset, and all explained channels in words."""
    if picked.empty:
        return []
    blocks: list[Block] = []
    combinations = (
        picked[["network", "dataset"]].drop_duplicates().sort_values(["network", "dataset"])
    )
    for i, (network, dataset) in enumerate(combinations.itertuples(index=False), start=1):
        label = f"Figure J{i}" if len(combinations) > 1 else "Figure J"
        blocks += inputs.figure(
            f"explained_{network}_{dataset}",
            label=label,
            caption=f"Channels of {escape(network)} on {escape(dataset)}, a block for each: a "
            "frame, where in it the channel's strongest unit looks, the input that "
            "excites the channel most; for 3T channels the exact course of zoom, turn (clockwise) "
            "and path (circle: start, square: end), the film that its own transforms make of one "
            "optimised image, and the filter or a letter moved by the transforms"
            f"{plain(picked, network, dataset)}.",
            alt=f"Blocks of pictures and curves for channels of {network} on {dataset}. The same "
            "channels in words are in Table S.",
        )
    summary = f"Explained channels in words ({len(picked)})"
    blocks.append(Details(summary, [in_words(picked, moved, drops)]))
    return [Section("Channels in pictures", blocks)]


def plain(picked: pd.DataFrame, network: object, dataset: object) -> str:
    """A remark on channels without transforms, where the figure shows any."""
    names = others(picked[(picked["network"] == network) & (picked["dataset"] == dataset)])
    if not names:
        return ""
    return (
        f"; {names} channels have no transforms, and their whole optimised video stands there "
        "instead"
    )


def in_words(picked: pd.DataFrame, moved: pd.DataFrame, drops: pd.DataFrame) -> Table:
    """Rule, fall and sentence of each explained channel."""
    sentence = lookup(moved, "sentence")
    fall = lookup(overall(drops), "drop")

    def of_channel(known: Mapping[Any, Any], line: Mapping[Any, Any], default: Any = None) -> Any:
        return known.get(tuple(line[name] for name in CHANNEL), default)

    def motion_of(line: Mapping[Any, Any]) -> str:
        # The channels table has 3T channels only.
        kind = str(line["convolution"])
        no_words = formats.DASH if kind == "3t" else f"a plain {convolutions([kind])} convolution"
        return str(of_channel(sentence, line, no_words))

    columns = [
        *CELL_COLUMNS,
        words("rule"),
        words("layer"),
        numbers("channel", "channel", formats.count),
        numbers("fall, nats", partial(of_channel, fall), ".4f"),
        words("motion", motion_of),
    ]
    by_rule = picked.assign(place=picked["rule"].map([*NAMES].index))
    lines = in_order(by_rule, "place", "rank")
    caption = "What the channels do, in words, and the fall of the log-probability without it."
    note = "3T: the channel's transforms set to the identity."
    if names := others(picked):
        note += (
            f" {names}: the channel replaced by its mean, which takes more away; the two are not "
            "to be compared."
        )
    return make_table(lines, columns, caption, label="Table S", group_by=4, note=note, wide=True)


def sane(checks: pd.DataFrame) -> list[Section]:
    """Similarity of explanations of a trained and a randomised network."""
    if checks.empty:
        return []
    deep = checks["layer_index"] > 0
    checks = checks.assign(depth=np.where(deep, "deeper layers", "first layer"), deep=deep)
    by = ["method", "depth", "randomised"]
    # Methods in the order of the table, not of the alphabet.
    checks["method"] = pd.Categorical(checks["method"], checks["method"].unique())
    in_turn = checks.sort_values(["method", "deep"], kind="stable")
    rows: list[dict[Any, Any]] = []
    for key, lines in in_turn.groupby(by, sort=False, observed=True):
        # NaN (the method showed nothing on any clip) is left out of the mean.
        means = lines.groupby("similarity", observed=True)["value"].mean()
        counts = {"n": len(lines.drop_duplicates(CHANNEL)), "flagged": lines["flagged"].mean()}
        rows.append(dict(zip(by, key, strict=True)) | means.to_dict() | counts)
    columns = [
        words("method"),
        words("channels of", "depth"),
        words("randomised"),
        *(
            numbers(head, partial(similarity, kind), ".2f")
            for kind, head in (("spearman", "rank correlation"), ("ssim", "SSIM"))
            if (checks["similarity"] == kind).any()
        ),
        numbers("compared", "n", formats.count),
        numbers("flagged", "flagged", formats.share),
        words("verdict", lambda line: verdict(line["flagged"])),
    ]
    flagged_methods = [
        f"{line['method']} ({line['depth']}, {line['randomised']})"
        for line in rows
        # Half of the comparisons, as in `verdict`.
        if line["flagged"] >= 0.5
    ]
    said = unchanged(flagged_methods, len(rows))
    caption = (
        "Similarity of explanations before and after randomisation, mean over channels and runs: "
        "1 is the same picture."
    )
    note = (
        "Flagged: the share of comparisons in which the explanation did not change. Both maps are "
        "of the same unit, the channel's strongest in the network as it is, and compared where at "
        "least one of them is not 0; two that hardly overlap there are near \N{MINUS SIGN}1. "
        "Last layer: the weights of the channel's own layer are drawn anew; all layers: those of "
        "the layers below it too; labels: the network was trained on permuted ones."
    )
    return [
        Section(
            "Do explanations depend on what was learned?",
            [
                Paragraph(
                    "An explanation of a network must change when the network forgets (Adebayo et "
                    f"al. 2018). Here it is compared with that of {forgetful(checks)}."
                ),
                Paragraph(escape(said)),
                make_table(rows, columns, caption, label="Table R", group_by=2, note=note),
            ],
        )
    ]


def similarity(kind: str, line: Mapping[Any, Any]) -> Any:
    """The mean of one kind of similarity, where it was measured."""
    return line.get(kind)


def unchanged(methods: list[str], total: int) -> str:
    """Which combinations kept their pictures in at least half of the comparisons."""
    text = (
        f"{of_all(len(methods), total, 'combination')} of method, depth and randomisation "
        f"{verb(len(methods), 'keeps its', 'keep their')} pictures in at least half of the "
        "comparisons"
    )
    text = text[0].upper() + text[1:]
    if not methods:
        return f"{text}."
    return (
        f"{text}: {join_words(methods)}. What is shown there does not depend on what was "
        "randomised."
    )


def forgetful(checks: pd.DataFrame) -> str:
    """The networks that have forgotten something: what the column `randomised` holds, in words."""
    found = checks["randomised"].astype(str)
    words = ["the network with weights drawn anew"] * bool((found != "labels").any())
    words += ["one trained on permuted labels"] * bool((found == "labels").any())
    return join_words(words)


def verdict(share: float) -> str:
    """What a share of unchanged explanations means."""
    if share == 0:
        return "changes"
    return "does not change" if share >= 0.5 else "changes mostly"
