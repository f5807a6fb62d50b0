"""Families F1 (dataset) and F2 (start): what was tested, how, and what came out."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import (
    Block,
    Cell,
    Column,
    Details,
    Formula,
    ListBlock,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import Inputs

__all__ = ["section"]

EFFECT = Formula(
    latex=r"D = \ln \frac{1}{n} \sum_{j=1}^{n} |z_j|, \qquad "
    r"\text{ratio} = \exp\left(\bar{D}_a - \bar{D}_b\right)",
    typst='D = ln 1/n sum_(j=1)^n abs(z_j), quad "ratio" = exp(macron(D)_a - macron(D)_b)',
    alt="D is the logarithm of the mean absolute displacement of a run; the ratio is the "
    "exponential of the difference of the mean D of both groups of runs.",
)
QUESTIONS = {
    "F1": "**F1**: does the *dataset* matter? Compared within blocks of the same network and "
    "start.",
    "F2": "**F2**: does the *start* matter? Compared within blocks of the same network and "
    "dataset.",
}


def section(inputs: Inputs) -> Section:
    """Method, blocked tests with a sentence each, the forest plot, tests inside blocks."""
    table = inputs.tests
    if table.empty:
        return Section(
            "Tests",
            [
                Paragraph(
                    "No contrast could be formed: a test needs runs on at least two datasets "
                    "(F1) or "
                    "from two starts (F2), with the same networks."
                )
            ],
        )
    families = [str(name) for name in table["family"].unique()]
    absent = [name for name in QUESTIONS if name not in families]
    blocked, within = table[table["stratum"] == "all"], table[table["stratum"] != "all"]
    blocks: list[Block] = [
        Paragraph(
            "A run contributes one number per parameter, *D*: the logarithm of its mean "
            "displacement from "
            "the identity, at its best checkpoint. The effect is a ratio of mean displacements "
            "between two groups of runs; 1 means no difference."
        ),
        EFFECT,
        ListBlock([QUESTIONS.get(name, f"**{escape(name)}**") for name in families]),
        Paragraph(
            "The test permutes the labels of *runs* within blocks and asks how often a "
            "relabelled study "
            "shows a difference at least as large. Rows of one network are not independent of each "
            "other, so they are never the unit of a test. With few runs a small p is out of "
            "reach: the "
            "**floor** is the smallest p that the design can give. Where even that would not pass "
            f"\N{GREEK SMALL LETTER ALPHA} = {inputs.alpha:g} after Holm's adjustment over the "
            "four parameters, the "
            "contrast is called **untestable**; that is not evidence of no difference. "
            "Intervals cover 95 % on *D* and are exponentiated: Welch's within a block, and "
            "with Satterthwaite's degrees of freedom over several."
        ),
    ]
    blocks += [
        Paragraph(f"*{name} is missing here: {why}*") for name in absent for why in [missing(name)]
    ]
    if len(blocked):
        blocks.append(
            results(blocked, "Table C", "Tests over all blocks.", inputs.alpha, strata=False)
        )
        blocks += spoken(blocked)
    blocks += inputs.figure(
        "effects",
        label="Figure C",
        caption="Ratios of mean displacements with their 95 % intervals. Filled: tested; hollow: "
        "an estimate "
        "only, because no p could be small enough with these runs. The vertical line is no "
        "difference.",
        alt="Forest plot of the ratio of mean displacements for each contrast, block and "
        "parameter, with "
        "95 percent intervals on a logarithmic axis. The values are in the tables of tests.",
    )
    if len(within):
        blocks.append(
            Details(
                f"Tests inside single blocks ({len(within)})",
                [
                    results(
                        within,
                        "Table C, continued",
                        "Tests inside each block.",
                        inputs.alpha,
                        strata=True,
                    ),
                    *folded(within),
                ],
            )
        )
    return Section("Tests", blocks)


def missing(family: str) -> str:
    """Why a family was not tested."""
    return {
        "F1": "the study has no two datasets to compare, or names none to contrast.",
        "F2": "the study has no two starts to compare.",
    }[family]


def spoken(table: pd.DataFrame) -> list[Block]:
    """The sentence of every test, if the table has them."""
    if "sentence" not in table:
        return []
    return [ListBlock([escape(text) for text in table["sentence"].astype(str)])]


def folded(table: pd.DataFrame) -> list[Block]:
    """The sentences of single blocks, on screen only: there are many."""
    sentences = spoken(table)
    return [Details("In words", sentences, printed=False)] if sentences else []


def results(table: pd.DataFrame, label: str, caption: str, alpha: float, *, strata: bool) -> Table:
    """Estimate, interval, p, floor, adjusted p and status of every test."""
    heads = [Column("", "left"), Column("contrast", "left")]
    if strata:
        heads.append(Column("block", "left"))
    heads += [
        Column("", "left"),
        Column("runs"),
        Column("ratio"),
        Column("95 % interval"),
        Column("p"),
        Column("floor"),
        Column("p (Holm)"),
        Column("Hedges g"),
        Column("status", "left"),
    ]
    rows, muted = [], set()
    for i, (_, line) in enumerate(table.iterrows()):
        row = [Cell(str(line["family"])), Cell(str(line["contrast"]))]
        if strata:
            row.append(Cell(str(line["stratum"])))
        row += [
            Cell(str(line["parameter"])),
            Cell(f"{formats.count(line['n_a']).text} / {formats.count(line['n_b']).text}"),
            formats.significant(line["estimate"]),
            formats.interval(line["ci_low"], line["ci_high"]),
            formats.p_value(line["p_raw"]),
            formats.p_value(line["p_floor"]),
            formats.p_value(line["p_adjusted"]),
            formats.number(line.get("hedges_g"), ".2f"),
            Cell(verdict(line, alpha)),
        ]
        rows.append(tuple(row))
        if line["status"] != "ok":
            muted.add(i)
    methods = "; ".join(sorted({str(m) for m in table["method"]})) if "method" in table else ""
    return Table(
        heads,
        rows,
        caption,
        label=label,
        group_by=3 if strata else 2,
        muted=frozenset(muted),
        note=escape(f"Method: {methods}.") if methods else "",
        wide=True,
        sortable=strata,
    )


def verdict(line: pd.Series, alpha: float) -> str:
    """The status, and where a test was made which way it went."""
    if line["status"] != "ok":
        return str(line["status"])
    return "differs" if float(line["p_adjusted"]) <= alpha else "no difference shown"
