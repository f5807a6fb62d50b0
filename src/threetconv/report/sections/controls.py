"""Noise floor and negative controls: how far parameters move without motion to learn."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Details, ListBlock, Paragraph, Section, escape
from threetconv.report.inputs import Inputs, checkpoint_name, differs
from threetconv.report.sections.tests import results, spoken
from threetconv.report.tables import make_table, numbers, words
from threetconv.report.wording import join_words, plural, verb
from threetconv.schemas.runs import CONTROLS

__all__ = ["section"]


def section(inputs: Inputs) -> Section:
    """What a control is, the figure, the tests of real runs against controls."""
    blocks: list[Block] = [
        Paragraph(
            "Two yardsticks can say how far parameters move for nothing. The **noise floor** is "
            "the mean displacement that Adam would make of a run's own gradients if they had no "
            "direction. Gradients are not that; **negative "
            "controls** are runs of the same network and settings on clips without the motion, or "
            "without a lesson."
        )
    ]
    if not inputs.controls:
        blocks.append(
            Paragraph(
                "**No negative controls were trained by this recipe.** "
                f"{alone(inputs.displacement)}"
            )
        )
        return Section("Noise floor and controls", blocks)
    blocks += [
        ListBlock([f"**{name}**: {CONTROLS[name].about}." for name in inputs.controls]),
        Paragraph(escape(coverage(inputs))),
        *accuracies(inputs),
        *inputs.figure(
            "controls",
            label="Figure E",
            caption="Mean displacement of the reachable rows as a multiple of the noise floor, "
            "for real runs and negative controls at the best checkpoint (log axis): mean over "
            "runs, and the range of the runs. The vertical line is the floor.",
            alt="Dot plot of the ratio of mean displacement to noise floor for real clips and "
            "each negative control, a row for each network, dataset and start, a column for each "
            "parameter. The tests are in the table of controls.",
        ),
        *tested(inputs),
    ]
    return Section("Noise floor and controls", blocks)


def alone(table: pd.DataFrame) -> str:
    """The caveat where there are no controls."""
    if table.empty or table["noise_floor"].isna().all():
        return "Neither is there a noise floor: the learning rates are not known."
    return (
        "The noise floor is the only yardstick here; a displacement above it shows that gradients "
        "agreed over many updates, but it does not show that they came from motion."
    )


def coverage(inputs: Inputs) -> str:
    """Which cells have controls."""
    runs = inputs.runs[inputs.control != "none"]
    cells = runs.groupby(["network", "dataset", "init"], observed=True).size()
    networks = join_words(sorted({str(n) for n in runs["network"]}))
    return (
        f"There {verb(len(runs), 'is', 'are')} {plural(len(runs), 'control run')} in "
        f"{plural(len(cells), 'combination')} of network, dataset and start ({networks})."
    )


def accuracies(inputs: Inputs) -> list[Block]:
    """Validation accuracy of the controls, that of the real runs of the same cell beside it."""
    table = inputs.control_accuracy
    if table.empty:
        return []
    keys = ["network", "dataset", "init", "convolution"]
    real = inputs.accuracy
    # A control is compared with real runs of its own cell.
    known = {} if real.empty else real.set_index(keys)["accuracy_mean"].to_dict()
    caption = (
        "Validation accuracy of negative controls, and of the real runs of the same network, "
        "dataset and start: mean over runs, and the range."
    )
    columns = [
        words("network"),
        words("dataset"),
        words("start", "init"),
        words("control"),
        numbers("runs", "n_runs", formats.count),
        numbers(
            "accuracy %",
            ("accuracy_mean", "accuracy_min", "accuracy_max"),
            formats.percent_spread,
        ),
        numbers("real runs %", lambda x: known.get(tuple(x[k] for k in keys)), formats.percent),
        numbers("chance %", "chance", formats.percent),
    ]
    lines = table.sort_values([*keys, "control"])
    return [make_table(lines, columns, caption, label="Table O, accuracy", group_by=3)]


def tested(inputs: Inputs) -> list[Block]:
    """Tables of the family, blocked tests first."""
    table = inputs.tested("controls")
    if table.empty:
        return [Paragraph("*Real runs were not tested against controls.*")]
    # Stratum "all": the test over all blocks; others are tests inside one block.
    blocked, within = table[table["stratum"] == "all"], table[table["stratum"] != "all"]
    blocks: list[Block] = [ListBlock(counts(blocked, inputs.alpha))] if len(blocked) else []
    if len(blocked):
        caption = (
            "Real runs against negative controls, over all blocks of network, dataset and start: "
            "a ratio above 1 says that real runs moved the parameters further."
        )
        blocks.append(results(blocked, "Table O", caption, inputs.alpha))
        sentences = spoken(blocked)
        if sentences:
            blocks.append(Details("In words", sentences, printed=False))
    if len(within):
        inner = results(
            within, "Table O, continued", "The same inside each block.", inputs.alpha, strata=True
        )
        title = f"Controls inside single blocks ({len(within)})"
        blocks.append(Details(title, [inner], printed=False))
    return blocks


def counts(table: pd.DataFrame, alpha: float) -> list[str]:
    """For each control and checkpoint: parameters that moved further in real runs, or less."""
    keys = ["contrast", "parameter"]
    shown = table[differs(table, alpha)]
    known = {
        tuple(line[keys]): bool(line["estimate"] > 1)
        for _, line in shown[shown["checkpoint"] == "matched"].iterrows()
    }
    points = []
    for (contrast, checkpoint), lines in table.groupby(
        ["contrast", "checkpoint"], sort=False, observed=True
    ):
        # Contrasts are named "none / <control>": "none" are the real runs.
        control = escape(str(contrast).split(" / ")[-1])
        mine = lines[differs(lines, alpha)]
        # An estimate is real runs / control.
        further = [str(p) for p in mine.loc[mine["estimate"] > 1, "parameter"]]
        less = [str(p) for p in mine.loc[mine["estimate"] < 1, "parameter"]]
        untested = [str(p) for p in lines.loc[lines["status"] != "ok", "parameter"]]
        said = []
        if further:
            said.append(f"{join_words(further)} moved further in real runs")
        if less:
            said.append(f"{join_words(less)} moved less in real runs")
        # What the best checkpoint shows, but matched noise budgets do not (or the other way round),
        # may come from a longer training.
        open_ = [p for p in further if known.get((contrast, p)) is not True]
        open_ += [p for p in less if known.get((contrast, p)) is not False]
        if open_ and checkpoint != "matched":
            said.append(
                f"this is not shown at matched noise budgets for {join_words(open_)}, so the "
                "length of training may be the reason"
            )
        if untested:
            said.append(f"{join_words(untested)} could not be tested")
        # Tested, but not shown to differ.
        rest = len(lines) - len(further) - len(less) - len(untested)
        if rest:
            said.append(f"no difference was shown for {plural(rest, 'parameter')}")
        points.append(f"Against **{control}**, {checkpoint_name(checkpoint)}: {'; '.join(said)}.")
    return points
