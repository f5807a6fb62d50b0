"""Tables 1 and 3 of the paper, and accuracy by epoch."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Cell, Column, Paragraph, Section, Table
from threetconv.report.inputs import Inputs
from threetconv.report.wording import join_words

__all__ = ["section"]

CONVOLUTIONS = {"3t": "3T", "3d": "3D"}
STARTS = {"pretrained": "from 2D weights", "scratch": "from scratch"}


def section(inputs: Inputs) -> Section:
    """What can be said of how well the networks classify."""
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
    convolutions = table[table["init"] == "pretrained"]
    starts = table[table["convolution"] == "3t"]
    blocks.append(
        accuracy(
            convolutions,
            "Table 1",
            f"Pretrained {kinds(convolutions['convolution'], CONVOLUTIONS)} networks: accuracy and "
            "number of parameters.",
            variant="convolution",
        )
        if len(convolutions)
        else Paragraph("*Table 1 needs pretrained networks, and there are none here.*")
    )
    blocks.append(
        accuracy(
            starts,
            "Table 3",
            f"3T networks that started {kinds(starts['init'], STARTS)}: accuracy.",
            variant="init",
        )
        if len(starts)
        else Paragraph("*Table 3 needs 3T networks, and there are none here.*")
    )
    blocks += inputs.figure(
        "accuracy",
        label="Figure B",
        caption="Validation accuracy by epoch. Thin lines are runs, thick lines the mean of a "
        "variant; the "
        "dotted line is chance.",
        alt="Line charts of validation accuracy against epoch, one panel per network and dataset, "
        "with every run, the mean of each variant, and the chance level. "
        "The final values are in Tables 1 and 3.",
    )
    return Section("Accuracy", blocks)


def has_test(table: pd.DataFrame) -> bool:
    """Whether any variant was measured on clips that chose nothing."""
    return "test_mean" in table and bool(table["test_mean"].notna().any())


def kinds(column: pd.Series, names: dict[str, str]) -> str:
    """The values of a column in words: 3T and 3D."""
    present = sorted(set(column.astype(str)), key=lambda v: [*names, v].index(v))
    return join_words([names.get(name, name) for name in present])


def fetched(inputs: Inputs) -> str:
    """How fetched weights are meant, where there are any."""
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
    counts = variant == "convolution"
    paper = table["paper_accuracy"].notna().any() if "paper_accuracy" in table else False
    heads = [
        Column("network", "left"),
        Column("dataset", "left"),
        Column({"convolution": "conv.", "init": "start"}[variant], "left"),
        Column("runs"),
        Column("accuracy %", group="validation"),
        Column("clips", group="validation"),
    ]
    if has_test(table):
        heads += [Column("accuracy %", group="test"), Column("clips", group="test")]
    heads.append(Column("chance %", group="this study"))
    if counts:
        heads.append(Column("parameters", group="this study"))
    if paper:
        heads.append(Column("accuracy %", group="paper"))
        if counts:
            heads.append(Column("parameters", group="paper"))
    rows = []
    order = table.sort_values(["network", "dataset", variant], key=variant_order)
    for _, line in order.iterrows():
        shown = str(line[variant])
        row = [
            Cell(str(line["network"])),
            Cell(str(line["dataset"])),
            Cell(CONVOLUTIONS.get(shown, shown)),
            formats.count(line["n_runs"]),
            formats.percent_spread(
                line["accuracy_mean"], line["accuracy_min"], line["accuracy_max"]
            ),
            formats.count(line["n_clips"]),
        ]
        if has_test(table):
            row += [
                formats.percent_spread(line["test_mean"], line["test_min"], line["test_max"]),
                formats.count(line["n_test_clips"]),
            ]
        row.append(formats.percent(line["chance"]))
        if counts:
            row.append(formats.count(line["n_parameters"]))
        if paper:
            row.append(formats.percent(line["paper_accuracy"]))
            if counts:
                row.append(formats.count(line["paper_n_parameters"]))
        rows.append(tuple(row))
    note = (
        "The paper's figures are one run each, on Jester or UCF101, with networks of full width."
        if paper
        else without_paper(table)
    )
    return Table(heads, rows, caption, label=label, group_by=2, note=note)


def variant_order(column: pd.Series) -> pd.Series:
    """3T before 3D, pretrained before scratch, the rest by alphabet."""
    rank = {"3t": "0", "3d": "1", "pretrained": "0", "scratch": "1"}
    return column.map(lambda v: rank.get(str(v), str(v)))
