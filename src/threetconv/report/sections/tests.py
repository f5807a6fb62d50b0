"""The families dataset, init and dataset x init: questions, method and results."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import (
    Block,
    Details,
    Formula,
    ListBlock,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import MAIN, Inputs, checkpoint_name, contrast_note, verdict
from threetconv.report.sections import sensitivity
from threetconv.report.tables import P_VALUES, RATIO, make_table, not_ok, numbers, pair, when, words
from threetconv.report.wording import join_words, plural

__all__ = ["results", "section", "spoken"]

EFFECT = Formula(
    latex=r"D = \ln \frac{1}{n} \sum_{j=1}^{n} |z_j|, \qquad "
    r"\text{ratio} = \exp\left(\bar{D}_a - \bar{D}_b\right)",
    typst='D = ln 1/n sum_(j=1)^n abs(z_j), quad "ratio" = exp(macron(D)_a - macron(D)_b)',
    alt="D is the logarithm of the mean absolute displacement of a run; the ratio is the "
    "exponential of the difference of the mean D of both groups of runs.",
)
QUESTIONS = {
    "dataset": "**dataset**: do runs on *these datasets* differ? Compared within blocks of the "
    "same network and start.",
    "init": "**init**: do runs that start from *these 2D weights* differ from runs that start from "
    "random ones? Compared within blocks of the same network and dataset.",
    "dataset x init": "**dataset x init**: is the difference between datasets larger *from "
    "scratch* than pretrained? The ratio from scratch is divided by the ratio pretrained, so 1 "
    "means that both are equal. The labels are permuted after the dataset's main effect has been "
    "removed; the p is approximate.",
}
TOGETHER = {
    "joint": (
        "Table C, together",
        "The four parameters together, over all blocks.",
        "A data set or a start may move several parameters a little: the joint test permutes runs "
        "with the four of them, and asks how much of their variance the labels explain. The ratio "
        "is the geometric mean over parameters.",
    ),
    "depth": (
        "Table C, by depth",
        "Early against late layers, over all blocks.",
        "It may also move early layers further and late ones less, which a mean over layers hides. "
        "For each run the mean *D* of the first half of the layers, less that of the second half, "
        "is compared; the ratio is that of early to late displacement between both groups.",
    ),
}
"""Scope of the tests table -> label and caption of its table, and what it asks."""
MOST_SENTENCES = 16
"""More sentences than this are folded."""
MISSING = {
    "dataset": "it needs 3T runs on two datasets, those that the study names to contrast.",
    "init": "it needs 3T runs from two starts.",
    "dataset x init": "it needs 3T runs on two datasets and from two starts.",
}


def section(inputs: Inputs) -> Section:
    """Method, blocked tests with a sentence each, the forest plot, tests inside blocks."""
    table = inputs.tested(*MAIN)
    if table.empty:
        return Section(
            "Tests",
            [
                Paragraph(
                    "No contrast could be formed: a test needs runs on at least two datasets "
                    "or from two starts, with the same networks."
                )
            ],
        )
    families = [name for name in MAIN if (table["family"] == name).any()]
    blocked, within = table[table["stratum"] == "all"], inside(table)
    blocks: list[Block] = [
        *method(inputs.alpha),
        ListBlock([QUESTIONS[name] for name in families]),
        *(
            Paragraph(f"*Family {name} is missing here: {MISSING[name]}*")
            for name in MAIN
            if name not in families
        ),
    ]
    if len(blocked):
        blocks.append(results(blocked, "Table C", "Tests over all blocks.", inputs.alpha))
        blocks += in_words(blocked)
    for scope, (label, caption, text) in TOGETHER.items():
        lines = inputs.tested(*families, scope=scope)
        lines = lines[lines["stratum"] == "all"]
        if len(lines):
            blocks += [Paragraph(text), results(lines, label, caption, inputs.alpha)]
            blocks += in_words(lines)
    blocks += inputs.figure(
        "effects",
        label="Figure C",
        caption="Ratios of mean displacements with their 95 % intervals, a column for each "
        "parameter. Filled: tested; hollow: an estimate only, untestable. The vertical line is no "
        "difference.",
        alt="Forest plot of the ratio of mean displacements for each contrast, block, parameter "
        "and checkpoint, with 95 percent intervals on a logarithmic axis. The values are in the "
        "tables of tests.",
    )
    blocks += detectable(inputs.power, inputs.alpha)
    if len(within):
        caption = "Tests inside each block."
        inner = results(within, "Table C, continued", caption, inputs.alpha, strata=True)
        blocks.append(
            Details(f"Tests inside single blocks ({len(within)})", [inner, *folded(within)])
        )
    return Section("Tests", blocks, sensitivity.sections(inputs))


def detectable(table: pd.DataFrame, alpha: float) -> list[Block]:
    """Which ratios this study could have found, at the spread between its own runs."""
    if table.empty:
        return []
    line = table.iloc[0]
    tau, seeds = formats.significant(line["tau"], 2).text, int(line["seeds"])
    found = table[table["testable"] & table["detectable_ratio"].notna()]
    ratios = [
        f"{name} ({design}) {formats.significant(ratio).text}"
        for name, design, ratio in zip(
            found["family"], found["design"], found["detectable_ratio"], strict=True
        )
    ]
    text = (
        f"Runs of one cell differ by a standard deviation of {tau} in *D* (median over "
        f"parameters), and D of px and py correlate by {line['correlation']:.2f}. With "
        f"{plural(seeds, 'run')} per cell, the fewest here, and that spread, the smallest ratio "
        "above 1 that 80 % of such studies find is: "
        f"{'; '.join(ratios) if ratios else 'not among those tried'}. The level is "
        f"\N{GREEK SMALL LETTER ALPHA} = {alpha:g} after Holm's adjustment over four parameters "
        "of which one moves; joint tests are of four that move together."
    )
    silent = table[~table["testable"]]
    if len(silent):
        names = [f"{n} ({d})" for n, d in zip(silent["family"], silent["design"], strict=True)]
        text += f" Out of reach: {join_words(names)}."
    return [Paragraph(text)]


def method(alpha: float) -> list[Block]:
    """What is compared, how it is tested, and what the words of the tables mean."""
    return [
        Paragraph(
            "A run contributes one number per parameter, *D*: the logarithm of the mean "
            "displacement of its reachable rows since the start of training. The effect is a "
            "ratio of mean displacements between two groups of runs; 1 means no difference."
        ),
        EFFECT,
        ListBlock(
            [
                "**Matched noise budgets** (confirmatory): runs are compared where the "
                "squared learning rates of their updates add up to the same (within 1 %): then the "
                "length of training and its schedule take both arms equally far by noise alone. "
                "Without such snapshots a contrast is not matched, and not tested.",
                "**Best checkpoint** (replication of the paper): every run at its best validation "
                "epoch, however long it had been trained by then.",
            ]
        ),
        Paragraph(
            "The test permutes the labels of *runs* within blocks and asks how often a "
            "relabelled study shows a difference at least as large. Rows of one network are not "
            "independent of each other, so they are not the unit. Where the groups "
            "of a block differ in size, the difference is divided by its standard error "
            "(studentised). With few runs a small p is out of reach: the **floor** is the "
            "smallest p that the design can give. "
            f"Where even that would not pass \N{GREEK SMALL LETTER ALPHA} = {alpha:g} after "
            "Holm's adjustment over the four parameters, the contrast is called **untestable**; "
            "that is not evidence of no difference. A difference is shown where the adjusted p is "
            f"at most {alpha:g}. Intervals are of level 95 % on *D* and exponentiated: Welch's "
            "within a block, and with Satterthwaite's degrees of freedom over several."
        ),
    ]


def inside(table: pd.DataFrame) -> pd.DataFrame:
    """Tests inside single blocks, where a contrast has more than one block."""
    within = table[table["stratum"] != "all"]
    pairs = within[["family", "contrast", "stratum"]].drop_duplicates()
    counts = pairs.groupby(["family", "contrast"], observed=True)["stratum"].transform("size")
    # With one block the test inside it is the test over all blocks.
    several = pairs[counts > 1]
    keys = set(zip(several["family"], several["contrast"], strict=True))
    return within[[k in keys for k in zip(within["family"], within["contrast"], strict=True)]]


def in_words(table: pd.DataFrame) -> list[Block]:
    """The confirmatory sentences openly, those of the best checkpoint folded."""
    if "checkpoint" not in table:
        return spoken(table)
    matched = table[table["checkpoint"] == "matched"]
    rest = table[table["checkpoint"] != "matched"]
    # One checkpoint only: nothing to tell apart.
    if matched.empty or rest.empty:
        return spoken(table)
    first, later = spoken(matched), spoken(rest)
    if not later:
        return []
    blocks: list[Block] = [Paragraph("At matched noise budgets, in words:"), *first]
    if len(matched) > MOST_SENTENCES:
        blocks = [Details("In words, at matched noise budgets", first)]
    names = join_words([checkpoint_name(name) for name in rest["checkpoint"].unique()])
    return [*blocks, Details(f"In words, at the {names}", later, printed=False)]


def spoken(table: pd.DataFrame) -> list[Block]:
    """The sentence of every test, if the table has them."""
    if "sentence" not in table or table.empty:
        return []
    return [ListBlock([escape(text) for text in table["sentence"].astype(str)])]


def folded(table: pd.DataFrame) -> list[Block]:
    """The sentences of single blocks, on screen only: there are many."""
    sentences = spoken(table)
    return [Details("In words", sentences, printed=False)] if sentences else []


def results(
    table: pd.DataFrame, label: str, caption: str, alpha: float, *, strata: bool = False
) -> Table:
    """Estimate, interval, p, floor, adjusted p and status of every test.

    Args:
        table: lines of the tests table.
        label: "Table C".
        caption: what the table shows.
        alpha: level of the tests.
        strata: whether lines belong to single blocks, whose names are then printed.
    """
    checkpoints = "checkpoint" in table
    once = contrast_note(table)
    families = len(set(table["family"])) > 1
    # Columns whose value would be the same on every line are left out.
    leading = [
        *when(families, words("", "family")),
        *when(not once, words("contrast")),
        *when(checkpoints, words("at", "checkpoint")),
        *when(strata, words("block", "stratum")),
    ]
    columns = [
        *leading,
        words("", "parameter"),
        numbers("runs", ("n_a", "n_b"), pair),
        *RATIO,
        *P_VALUES,
        # Tables without Hedges' g show a dash.
        numbers("g", lambda line: line.get("hedges_g"), ".2f"),
        words("status", lambda line: verdict(line, alpha)),
    ]
    return make_table(
        table,
        columns,
        caption,
        label=label,
        group_by=len(leading),
        muted=not_ok,
        note=methods(table),
        wide=True,
        # Tables inside blocks are long.
        sortable=strata,
    )


def methods(table: pd.DataFrame) -> str:
    """The note of a table of tests: abbreviations and methods."""
    names = sorted({str(m) for m in table["method"]} - {""}) if "method" in table else []
    # An empty note leaves ". ", which is removed.
    once = f"{contrast_note(table)}. ".removeprefix(". ")
    text = (
        f"{once}At: matched noise budgets or best checkpoint; g: Hedges' g; not shown: no "
        "difference shown."
    )
    return escape(f"{text} Method: {'; '.join(names)}." if names else text)
