"""What the accuracy of networks needs: the order of frames, motion, transforms."""

from __future__ import annotations

from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Details, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs, differs, verdict
from threetconv.report.sections.accuracy import points
from threetconv.report.sections.endpoints import at_best
from threetconv.report.tables import (
    P_VALUES,
    Shown,
    make_table,
    not_ok,
    numbers,
    pair,
    when,
    words,
)
from threetconv.report.wording import convolutions, of_all, plural

__all__ = ["section"]

SINGLE = ("translation", "scale", "rotation")
CELL = ["dataset", "network", "convolution", "recipe", "init", "control"]
Key = tuple[str, str, str, str]
# column of the table -> measure, clips, transforms, batch norm
SHOWN: dict[str, Key] = {
    "forwards": ("accuracy", "forwards", "intact", "trained"),
    "backwards": ("accuracy", "backwards", "intact", "trained"),
    "opposite": ("opposite", "backwards", "intact", "trained"),
    "frozen": ("accuracy", "frozen", "intact", "trained"),
    "shuffled": ("accuracy", "shuffled", "intact", "trained"),
    "use": ("direction use", "", "intact", "trained"),
    "identity": ("accuracy", "forwards", "all", "trained"),
    "identity_anew": ("accuracy", "forwards", "all", "recomputed"),
    "identity_use": ("direction use", "", "all", "recomputed"),
    "translation": ("accuracy", "forwards", "translation", "recomputed"),
    "scale": ("accuracy", "forwards", "scale", "recomputed"),
    "rotation": ("accuracy", "forwards", "rotation", "recomputed"),
    "drop": ("drop", "forwards", "all", "recomputed"),
}


def section(inputs: Inputs) -> list[Section]:
    """A table over all variants, a figure for each recipe; nothing where it was not measured."""
    if inputs.need_cells.empty:
        return []
    lines = cells(inputs.need_cells)
    blocks: list[Block] = [
        Paragraph(
            "The runs were shown validation clips as they are, backwards, frozen (the middle frame "
            "repeated) and shuffled; 3T networks also with transforms set to the identity. "
            "**Direction use** is accuracy forwards minus backwards. What stands behind a layer "
            "has adapted to it, so ablated networks are also measured with batch norm statistics "
            "computed anew on training clips."
        ),
        Paragraph(" ".join(said(lines, inputs))),
        *overview(lines),
        *differences(inputs),
        *by_pair(inputs.need_classes),
        *by_layer(inputs.need_cells),
    ]
    several = len(inputs.recipes) > 1
    beside = several and any(line["convolution"] != "3t" for line in lines)
    reference = " Networks without 3T layers have no recipe and stand in each figure."
    for recipe in inputs.recipes or ["paper"]:
        blocks += inputs.of_recipe(recipe).figure(
            "need",
            label=f"Figure Y (recipe {recipe})" if several else "Figure Y",
            caption="Validation accuracy of the runs by what was taken from its clips (left) or "
            "from its transforms (right: at the identity, batch norm statistics computed anew). "
            "Filled marks are real runs, hollow ones negative controls; the dotted line is chance."
            + reference
            * beside,
            alt="Dot plots of accuracy by condition, one panel per network and dataset, with a dot "
            "per run. The means are in Table Y.",
        )
    return [Section("What do the networks need?", blocks)]


def cells(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A line per cell: the mean of every column, real runs before their controls."""
    whole = table[table["layer_index"] < 0]
    keys = ["measure", "clips", "transforms", "batch_norm"]
    found = []
    for key, rows in whole.groupby(CELL, observed=True, sort=True):
        values = {tuple(row[k] for k in keys): row for row in rows.to_dict("records")}
        line = dict(zip(CELL, key, strict=True))
        for name, wanted in SHOWN.items():
            row = values.get(wanted, {})
            line[name] = row.get("mean")
            line[f"{name}_least"], line[f"{name}_most"] = row.get("least"), row.get("most")
        line["n_runs"] = int(rows["n_runs"].max())
        found.append(line)
    return sorted(
        found, key=lambda line: [line[k] for k in CELL[:-1]] + [line["control"] != "none"]
    )


def name_of(line: dict[str, Any]) -> str:
    """A cell in words: 3T fast resnet18, pretrained, on gestures."""
    recipe = "" if line["recipe"] == "paper" else f" {line['recipe']}"
    return escape(
        f"{convolutions([line['convolution']])}{recipe} {line['network']} ({line['init']}) on "
        f"{line['dataset']}"
    )


def said(lines: list[dict[str, Any]], inputs: Inputs) -> list[str]:
    """At most three sentences: direction use, the identity, controls."""
    sentences = []
    for name, form, kind in (
        ("use", "Mean direction use is {} points in {}", "variant"),
        (
            "drop",
            "With transforms at the identity and batch norms computed anew, mean accuracy "
            "is lower by {} points in {}",
            "3T variant",
        ),
    ):
        found = [line for line in lines if not is_control(line) and pd.notna(line[name])]
        if not found:
            continue
        least, *_, most = sorted(found * 2, key=lambda line: float(line[name]))
        text = form.format(number(most[name]), name_of(most))
        if len(found) > 1:
            ends = f"the most of {plural(len(found), kind)}, and {number(least[name])} in"
            text += f", {ends} {name_of(least)}, the least"
        sentences.append(f"{text}.")
    tests = inputs.need_tests
    if len(tests):
        testable = counted(tests)
        more = int((differs(testable, inputs.alpha) & (testable["estimate"] > 0)).sum())
        sentences.append(
            "No comparison with a negative control has enough runs to show a difference."
            if testable.empty
            else "Direction use, or the loss at the identity, is larger in real runs than in their "
            f"negative controls in {of_all(more, len(testable), 'testable comparison')}."
        )
    return sentences


def counted(tests: pd.DataFrame) -> pd.DataFrame:
    """Testable lines, without those of cells that a testable line over cells holds as well."""
    testable = tests[tests["status"] == "ok"]
    keys = ["dataset", "convolution", "recipe", "control", "measure"]
    pooled = pd.MultiIndex.from_frame(testable.loc[testable["network"] == "all", keys])
    held = pd.MultiIndex.from_frame(testable[keys]).isin(pooled)
    return testable[(testable["network"] == "all") | ~held]


def number(value: float) -> str:
    """Percentage points with one decimal."""
    return formats.number(value, ".1f").text


def overview(lines: list[dict[str, Any]]) -> list[Table]:
    """All cells: what they recognise of changed clips; of 3T ones, without their transforms."""

    def mean(name: str, head: str, *, several: bool = False) -> Shown:
        keys = (name, f"{name}_least", f"{name}_most") if several else name
        return numbers(head, keys, formats.percent_spread if several else formats.percent)

    place = [
        words("dataset"),
        words("network"),
        words("conv.", lambda line: convolutions([line["convolution"]])),
        *when(any(line["recipe"] != "paper" for line in lines), words("recipe")),
        words("start", "init"),
        *when(any(line["control"] != "none" for line in lines), words("control", control)),
        numbers("runs", "n_runs", formats.count),
    ]
    clips = [
        mean("forwards", "forwards"),
        mean("backwards", "backwards"),
        *when(any(pd.notna(line["opposite"]) for line in lines), mean("opposite", "to opposite")),
        mean("frozen", "frozen"),
        mean("shuffled", "shuffled"),
        mean("use", "direction use", several=True),
    ]
    ablated = [line for line in lines if pd.notna(line["identity"])]
    transforms = [
        mean("forwards", "none"),
        mean("identity", "all"),
        *when(
            any(pd.notna(line["identity_anew"]) for line in lines),
            mean("identity_anew", "all, anew"),
            mean("identity_use", "direction use, anew"),
            *(mean(name, f"{name}, anew") for name in SINGLE),
        ),
    ]
    tables = [
        make_table(
            lines,
            [*place, *clips],
            "What is recognised of changed clips, by network and variant.",
            label="Table Y",
            group_by=2,
            muted=is_control,
            note="Accuracies in per cent, direction use in points: means over runs, and the range "
            "of direction use. To opposite: share of backward clips taken for the class that they "
            "then show, where a class has an opposite. Intervals are in need_cells.parquet.",
            wide=True,
        )
    ]
    if ablated:
        tables.append(
            make_table(
                ablated,
                [*place, *transforms],
                "What is recognised with transforms at the identity, by variant.",
                label="Table Y, transforms",
                group_by=2,
                muted=is_control,
                note="Accuracies in per cent, direction use in points: means over runs. Anew: with "
                "batch norm statistics computed anew.",
                wide=True,
            )
        )
    return tables


def control(line: Any) -> str:
    """The negative control that a line is of."""
    return "" if line["control"] == "none" else str(line["control"])


def is_control(line: Any) -> bool:
    """Whether a line is of a negative control."""
    return bool(line["control"] != "none")


def differences(inputs: Inputs) -> list[Block]:
    """Real runs against negative controls."""
    tests, alpha = inputs.need_tests, inputs.alpha
    if tests.empty:
        return []
    columns = [
        words("dataset"),
        words("network"),
        words("conv.", lambda line: convolutions([line["convolution"]])),
        words("recipe"),
        words("start", "init"),
        words("control"),
        words("measure"),
        numbers("runs", ("n_a", "n_b"), pair),
        numbers("points", "estimate", "+.1f"),
        numbers("95 % interval", ("ci_low", "ci_high"), points),
        *P_VALUES,
        words("status", lambda line: verdict(line, alpha)),
    ]
    note = (
        "The unit is the run. Drop: by transforms at the identity, batch norms computed anew. "
        "Intervals are Welch's; p by relabelling runs, after Holm over both measures of a line's "
        "network, variant and control; lines over several cells, each a block, are one test and "
        f"not adjusted; floor: the smallest p that so few runs can give. {at_best(inputs)}"
    )
    return [
        make_table(
            tests,
            columns,
            "Direction use, and the drop by the identity, of real runs less those of negative "
            "controls, in percentage points.",
            label="Table Y, controls",
            group_by=2,
            muted=not_ok,
            note=note,
            wide=True,
        )
    ]


def by_pair(table: pd.DataFrame) -> list[Block]:
    """Direction use of intact networks by pair of opposite classes; folded away."""
    if table.empty:
        return []
    pairs = table[(table["measure"] == "direction use") & (table["transforms"] == "intact")]
    pairs = pairs[pairs["batch_norm"] == "trained"].sort_values([*CELL, "classes"], kind="stable")
    if pairs.empty:
        return []
    columns = [
        words("dataset"),
        words("network"),
        words("conv.", lambda line: convolutions([line["convolution"]])),
        *when((pairs["recipe"] != "paper").any(), words("recipe")),
        words("start", "init"),
        *when((pairs["control"] != "none").any(), words("control", control)),
        words("classes", lambda line: escape(line["classes"])),
        numbers("runs", "n_runs", formats.count),
        numbers("direction use", ("mean", "least", "most"), formats.percent_spread),
        numbers("95 % interval", ("ci_low", "ci_high"), points),
    ]
    shown = make_table(
        pairs,
        columns,
        "Direction use by pair of opposite classes, in percentage points: means over runs, and "
        "their range.",
        label="Table Y, pairs",
        group_by=2,
        muted=is_control,
        sortable=True,
        note="Recall class by class and by condition is in need_classes.parquet.",
    )
    return [Details(f"Pair by pair ({len(pairs)})", [shown], printed=False)]


def by_layer(table: pd.DataFrame) -> list[Block]:
    """The drop with the transforms of one layer at a time at the identity; folded away."""
    drops = table[(table["layer_index"] >= 0) & (table["measure"] == "drop")]
    if drops.empty:
        return []
    drops = drops.sort_values([*CELL, "layer_index"], kind="stable")
    columns = [
        words("dataset"),
        words("network"),
        *when((drops["recipe"] != "paper").any(), words("recipe")),
        words("start", "init"),
        *when((drops["control"] != "none").any(), words("control", control)),
        numbers("layer", "layer_index", formats.count),
        words("name", lambda line: escape(line["layer"])),
        numbers("runs", "n_runs", formats.count),
        numbers("drop", ("mean", "least", "most"), formats.percent_spread),
        numbers("95 % interval", ("ci_low", "ci_high"), points),
    ]
    shown = make_table(
        drops,
        columns,
        "Accuracy lost with the transforms of one layer at the identity, in percentage points: "
        "means over runs, and their range.",
        label="Table Y, layers",
        group_by=2,
        muted=is_control,
        sortable=True,
        note="Where networks have batch norms, their statistics are computed anew, and compared "
        "are intact networks with such statistics. Losses of layers need not add up to that of "
        "the whole network.",
    )
    return [Details(f"Layer by layer ({len(drops)})", [shown], printed=False)]
