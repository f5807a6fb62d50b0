"""Tables 1 and 3 of the paper, and accuracy by epoch."""

from __future__ import annotations

import pandas as pd

from threetconv.figures.theme import ordered
from threetconv.report import formats
from threetconv.report.document import Block, Paragraph, Section, Table
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, numbers, when, words
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
