"""Tables 1 and 3 of the paper, and accuracy by epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd

from threetconv.figures.theme import ordered
from threetconv.report import formats
from threetconv.report.document import Block, Cell, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs, differs, verdict
from threetconv.report.tables import P_VALUES, make_table, not_ok, numbers, pair, when, words
from threetconv.report.wording import convolutions, join_words

__all__ = ["section"]

STARTS = {"pretrained": "from 2D weights", "scratch": "from scratch"}


def section(inputs: Inputs) -> Section:
    """The accuracy of the networks: Tables 1 and 3, and the curves by epoch."""
    table = inputs.accuracy
    if table.empty:
        return Section(
            "Accuracy", [Paragraph("No validation accuracy was recorded, so there is no table.")]
        )
    blocks: list[Block] = [
        Paragraph(
            "Share of validation clips classified correctly, in per cent, by the checkpoint of "
            f"each run's best validation epoch{fetched(inputs)}: mean over runs, and in brackets "
            "the range. Chance is 100 / classes." + tested(inputs)
        )
    ]
    # The paper's Table 1 compares 3T with 3D from pretrained weights, its Table 3 the starts of
    # 3T; here also those of others that have runs from scratch.
    pretrained = table[table["init"] == "pretrained"]
    begun = {"3t", *table.loc[table["init"] == "scratch", "convolution"].astype(str)}
    starts = table[table["convolution"].astype(str).isin(begun)]
    blocks.append(
        accuracy(
            pretrained,
            "Table 1",
            f"Pretrained {convolutions(pretrained['convolution'])} networks: accuracy and number "
            "of parameters.",
            variant="convolution",
        )
        if len(pretrained)
        else Paragraph("*Table 1 needs pretrained networks, and there are none here.*")
    )
    blocks.append(
        accuracy(
            starts,
            "Table 3",
            f"{convolutions(starts['convolution'])} networks that started "
            f"{join_words([STARTS.get(x, x) for x in ordered(starts['init'])])}: accuracy.",
            variant="init",
        )
        if len(starts)
        else Paragraph("*Table 3 needs 3T networks, and there are none here.*")
    )
    blocks += differences(inputs.accuracy_tests, inputs.alpha)
    blocks += inputs.figure(
        "accuracy",
        label="Figure B",
        caption="Validation accuracy by epoch. Thin lines are runs, thick lines the mean of a "
        "variant; the dotted line is chance.",
        alt="Line charts of validation accuracy against epoch, one panel per network and dataset, "
        "with every run, the mean of each variant, and the chance level. "
        "The final values are in Tables 1 and 3.",
    )
    return Section("Accuracy", blocks)


def differences(table: pd.DataFrame, alpha: float) -> list[Block]:
    """What differs between variants, tested with runs as the unit; the largest in a sentence."""
    if table.empty:
        return []
    columns = [
        words("dataset"),
        words("start or conv. of both", lambda line: named(line["at"])),
        words("difference", lambda line: " \N{MINUS SIGN} ".join(arms(line))),
        words("network"),
        numbers("runs", ("n_a", "n_b"), pair),
        numbers("points", "estimate", "+.1f"),
        numbers("95 % interval", ("ci_low", "ci_high"), points),
        *P_VALUES,
        words("status", lambda line: verdict(line, alpha)),
    ]
    caption = (
        "Differences of accuracy, in percentage points, between kinds of convolution and between "
        "starts; over all networks that have both, and in each."
    )
    split = {"val": "validation", "test": "test"}
    counted = join_words([split.get(str(name), str(name)) for name in ordered(table["split"])])
    note = (
        f"The unit is the run; clips of the {counted} split. Intervals are Welch's; p by "
        "relabelling runs within networks, after Holm over the contrasts of one dataset and "
        "network, those between convolutions and those between starts apart; floor: the smallest "
        "p that so few runs can give."
    )
    shown = make_table(
        table, columns, caption, label="Table T", group_by=2, muted=not_ok, note=note, wide=True
    )
    return [Paragraph(largest(table, alpha)), shown]


def largest(table: pd.DataFrame, alpha: float) -> str:
    """The largest difference that is shown, or if none is the largest of all, in a sentence."""
    shown = table[differs(table, alpha)]
    of = shown if len(shown) else table
    line = of.iloc[int(of["estimate"].abs().argmax())]
    first, second = arms(line)
    way = "more" if line["estimate"] >= 0 else "less"
    interval = points(line["ci_low"], line["ci_high"]).text
    said = f"95 % interval {interval}" if interval != formats.DASH else "no interval"
    network = "over all networks" if line["network"] == "all" else f"in {line['network']}"
    p = f"p = {formats.p_prose(line['p_adjusted'])} after Holm"
    return escape(
        f"The largest difference{' that is' if len(shown) else ', which is not'} shown: "
        f"{first} gives {abs(line['estimate']):.1f} points {way} than {second} on "
        f"{line['dataset']} ({named(line['at'])}, {network}; {said}"
        f"{'; ' + p if line['status'] == 'ok' else '; untestable'})."
    )


def arms(line: Any) -> list[str]:
    """Both arms in words."""
    return [named(part) for part in str(line["contrast"]).split(" / ")]


def named(level: object) -> str:
    """A kind of convolution, with its recipe where that is not the paper's, or a start."""
    kind, _, recipe = str(level).partition(" ")
    return f"{convolutions([kind])} {recipe}".strip()


def points(low: Any, high: Any) -> Cell:
    """An interval of differences."""
    if pd.isna(low) or pd.isna(high):
        return Cell(formats.DASH)
    return Cell(f"{formats.number(low, '+.1f').text} to {formats.number(high, '+.1f').text}")


def has_test(table: pd.DataFrame) -> bool:
    """Whether any variant was measured on a test split, which chose no checkpoint."""
    return "test_mean" in table and bool(table["test_mean"].notna().any())


def fetched(inputs: Inputs) -> str:
    """Which checkpoint of fetched runs is meant, where there are any."""
    return " (of fetched runs: as they were fetched)" if inputs.fetched.any() else ""


def tested(inputs: Inputs) -> str:
    """A sentence about the test split, where there is one."""
    if not has_test(inputs.accuracy):
        return ""
    text = " Where a data set has a test split, its clips were looked at once, by these networks"
    return text + (
        "; on what fetched weights were chosen is not known."
        if inputs.fetched.any()
        else ", and chose nothing."
    )


def without_paper(table: pd.DataFrame) -> str:
    """Why no figure of the paper is printed."""
    if (table["paper_dataset"].astype(str) != "").any():
        return "The paper has no figures for these networks."
    return "No dataset here stands for one of the paper's, so none of its figures is printed."


def accuracy(table: pd.DataFrame, label: str, caption: str, *, variant: str) -> Table:
    """Lines network x dataset x variant, this study beside the paper."""
    # Only Table 1 compares networks of different size.
    counts = variant == "convolution"
    # Columns without a single number are left out.
    paper = "paper_accuracy" in table and table["paper_accuracy"].notna().any()
    spread = formats.percent_spread
    validation = ("accuracy_mean", "accuracy_min", "accuracy_max")
    columns = [
        words("network"),
        words("dataset"),
        *when(
            counts or len(set(table["convolution"])) > 1,
            words("conv.", lambda x: convolutions([x["convolution"]])),
        ),
        *when(not counts, words("start", "init")),
        *when("recipe" in table and (table["recipe"] != "paper").any(), words("recipe")),
        numbers("runs", "n_runs", formats.count),
        numbers("accuracy %", validation, spread, group="validation"),
        numbers("clips", "n_clips", formats.count, group="validation"),
        *when(
            has_test(table),
            numbers("accuracy %", ("test_mean", "test_min", "test_max"), spread, group="test"),
            numbers("clips", "n_test_clips", formats.count, group="test"),
        ),
        numbers("chance %", "chance", formats.percent, group="this study"),
        *when(counts, numbers("parameters", "n_parameters", formats.count, group="this study")),
        *when(paper, numbers("accuracy %", "paper_accuracy", formats.percent, group="paper")),
        *when(
            paper and counts,
            numbers("parameters", "paper_n_parameters", formats.count, group="paper"),
        ),
    ]
    note = (
        "The paper's figures are one run each, on Jester or UCF101, with networks of full width."
        if paper
        else without_paper(table)
    )
    # Only known names get a rank.
    order = table.sort_values(["network", "dataset", "convolution", "init"], key=variant_order)
    return make_table(order, columns, caption, label=label, group_by=2, note=note)


def variant_order(column: pd.Series) -> pd.Series:
    """Convolutions in their order, pretrained before scratch, the rest by alphabet."""
    return column.map({name: i for i, name in enumerate(ordered(column))})
