"""Planted motion: one kind of motion alone separates the classes; do the parameters show it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import (
    Block,
    Cell,
    Details,
    ListBlock,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import Inputs, checkpoint_name
from threetconv.report.sections import alignment
from threetconv.report.sections.endpoints import at_best
from threetconv.report.tables import P_VALUES, RATIO, Shown, make_table, numbers, pair, when, words
from threetconv.report.wording import join_words, of_all, verb

__all__ = ["recovered", "section"]

FLOOR, STILL = "noise floor", "no motion"
CELL = ["motion", "dataset", "network", "init"]
MOTIONS = ("translation", "rotation", "zoom", "none")
# parameters, and the indices of tuning that belong to them
PARAMETERS = ("s", "r", "px", "py", "zoom_index", "turn_index", "direction_x", "direction_y")
ANSWERS = {"zoom_index": "zoom", "turn_index": "turn", "direction_x": "right", "direction_y": "up"}
PLANTED = {
    "translation": "translation alone tells the classes apart (*px* and *py* should move)",
    "rotation": "rotation alone tells the classes apart (*r* should move)",
    "zoom": "zoom alone tells the classes apart (*s* should move)",
    "none": "nothing moves, and the class is the shape",
}
"""Planted motion -> what it means for the classes."""
HEADS = {
    FLOOR: "/ floor",
    "static": "/ static",
    "frame-shuffled": "/ frame-sh.",
    "label-shuffled": "/ label-sh.",
    STILL: "/ no motion",
}
SIZE = {
    "yes": "it moved further than in each control",
    "no": "it was not shown to move further than in each control",
    "untestable": "whether it moved further than in each control could not be tested",
}
DIRECTION = {
    "yes": "channels of the first layer point the way they prefer",
    "no": "channels of the first layer were not shown to point the way they prefer",
    "untestable": "whether channels of the first layer point the way they prefer could not be "
    "tested",
}
VERDICTS = {"yes": "recovered", "no": "**not recovered**", "untestable": "untestable"}
"""Verdicts of the table of planted motions in words."""


def section(inputs: Inputs) -> list[Section]:
    """Both matrices, where motion is lost, layers, direction; nothing where none was planted."""
    table = inputs.planted
    if table.empty and inputs.alignment.empty:
        return []
    blocks: list[Block] = [
        Paragraph(
            f"Here the answer is known. {truth(inputs)} A planted parameter is **recovered** when "
            "real runs moved it further than runs of each negative control of the same dataset, "
            "and when channels of the first layer point the way they prefer. "
            f"{when_measured(table)}The noise floor, what gradients of pure noise would leave, is "
            f"printed beside. {at_best(inputs)}"
        )
    ]
    if not table.empty:
        table = ordered(table)
        said = [
            recovered(table),
            moved_first(inputs.planted_first),
            answered(inputs.planted_tuning_first),
            besides(table),
        ]
        blocks += [
            Paragraph(" ".join(text for text in said if text)),
            *matrices(inputs, table),
            ListBlock(combinations(table, inputs.planted_where)),
            *lost(inputs.planted_where),
            *first_layer(inputs),
        ]
    blocks += in_layers(inputs.planted_layers)
    return [Section("Planted truth", blocks, alignment.sections(inputs))]


def when_measured(table: pd.DataFrame) -> str:
    """That displacements and directions may be of different checkpoints."""
    names = [checkpoint_name(name) for name in dict.fromkeys(table.get("checkpoint", []))]
    if not names:
        return ""
    where = " and ".join(names)
    return (
        f"Displacements are compared at {where}, direction and tuning are those of the best "
        "checkpoint, so that both parts of a verdict may be of different updates. "
        if names != [checkpoint_name("best")]
        else "Both are of the best checkpoint. "
    )


def truth(inputs: Inputs) -> str:
    """In which datasets which motion was planted."""
    table = inputs.alignment if inputs.planted.empty else inputs.planted
    named = table[["motion", "dataset"]].astype(str).drop_duplicates()
    said = []
    for motion, sets in named.groupby("motion", sort=False):
        names = join_words([f"*{escape(name)}*" for name in sets["dataset"]])
        said.append(f"in {names} {PLANTED.get(str(motion), escape(motion))}")
    text = "; ".join(said)
    return f"Plain shapes were rendered: {text}."


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Lines by network, start, motion and parameter."""
    # Ranks instead of names, to sort in the order of MOTIONS and PARAMETERS; unknown motions last.
    keys = table.assign(
        motion=table["motion"].map({name: i for i, name in enumerate(MOTIONS)}).fillna(9),
        parameter=table["parameter"].map({name: i for i, name in enumerate(PARAMETERS)}),
    )
    by = ["network", "init", "motion", "dataset", "parameter"]
    return table.loc[keys.sort_values(by, kind="stable").index]


def recovered(table: pd.DataFrame) -> str:
    """One sentence for the summary: of the planted parameters, how many were recovered."""
    if table.empty:
        return ""
    lines = table.drop_duplicates([*CELL, "parameter"])
    planted = lines["expected"].astype(bool)
    said = []
    if planted.any():
        yes, cannot, total = verdicts(lines[planted])
        said.append(
            f"Of what was planted, {of_all(yes, total, 'combination')} of motion and parameter "
            f"{verb(yes, 'was', 'were')} recovered (moved further than in each negative control, "
            f"with first-layer channels that point the way they prefer){cannot}"
        )
    if not planted.all():
        yes, cannot, total = verdicts(lines[~planted])
        others = of_all(yes, total, "combination")
        start = "of what was not" if said else "Of what was not planted"
        said.append(f"{start}, {others} moved beyond the controls{cannot}")
    return f"{'; '.join(said)}."


def verdicts(lines: pd.DataFrame) -> tuple[int, str, int]:
    """How many lines are recovered, how many could not be tested in words, how many there are."""
    found = lines["recovered"].astype(str)
    cannot = int((found == "untestable").sum())
    words_ = f", {cannot} could not be tested" if cannot else ""
    return int((found == "yes").sum()), words_, len(lines)


def moved_first(first: pd.DataFrame) -> str:
    """How many parameters of the first layer alone moved further than in each control."""
    if first.empty:
        return ""
    lines = first.drop_duplicates([*CELL, "parameter"])
    planted, moved = lines["expected"].astype(bool), lines["beyond_controls"].astype(str) == "yes"
    if not planted.any():
        return ""
    others = (
        f", and so did {of_all(int(moved[~planted].sum()), int((~planted).sum()), 'other one')}"
        if not planted.all()
        else ""
    )
    return (
        "In the first layer alone, "
        f"{of_all(int(moved[planted].sum()), int(planted.sum()), 'planted combination')} moved "
        f"further than in each control{others}."
    )


def answered(first: pd.DataFrame) -> str:
    """How often channels of the first layer answer more to what was planted than controls."""
    if first.empty:
        return ""
    lines = first[first["expected"].astype(bool)].drop_duplicates([*CELL, "parameter"])
    if lines.empty:
        return ""
    yes, cannot, total = verdicts(lines)
    return (
        "Shown stimuli of known motion, channels of the first layer answer more to the planted "
        f"motion than in each control in {of_all(yes, total, 'planted combination')} of motion "
        f"and index{cannot}."
    )


def besides(table: pd.DataFrame) -> str:
    """Which parameters moved that were not planted, where there are any."""
    lines = table.drop_duplicates([*CELL, "parameter"])
    extra = lines[~lines["expected"].astype(bool) & (lines["recovered"].astype(str) == "yes")]
    if extra.empty:
        return ""
    return f"Not planted, and beyond the controls: {join_words([place(e) for e in rows(extra)])}."


def combinations(table: pd.DataFrame, where: pd.DataFrame) -> list[str]:
    """A point for every planted combination: the verdict, what failed, and where it is lost."""
    keys = [*CELL, "parameter"]
    found = {tuple(line[k] for k in keys): line for line in rows(where)}
    points = []
    lines = table[table["expected"].astype(bool)].drop_duplicates(keys)
    for line in rows(lines):
        size, way = SIZE[line["beyond_controls"]], DIRECTION[line["in_direction"]]
        agree = line["beyond_controls"] == line["in_direction"]
        why = f"{size}, {'and' if agree else 'but'} {way}"
        beyond = tuple(line[k] for k in keys)
        more = lost_in_words(found[beyond]) if beyond in found else ""
        points.append(
            f"**{escape(line['motion'])}**, {place(line)}: {VERDICTS[line['recovered']]}; "
            f"{why}.{more}"
        )
    return points


def lost_in_words(line: Mapping[str, Any]) -> str:
    """Where a planted parameter is lost, if not by size or direction, which are told anyhow."""
    of = {name: formats.percent(line[name]).text for name in ("drop", "drop_all", "drop_layer",
                                                              "drop_first")}  # fmt: skip
    shuffled = "that of label-shuffled runs"
    told = {
        "not learned": "The networks were not shown to have learned it: direction use does not "
        f"exceed {shuffled}",
        "not in this parameter": f"It is not in this parameter: with {escape(line['kind'])}s at "
        f"the identity accuracy is lower by {of['drop']} points, with transforms as a whole "
        f"by {of['drop_all']}",
        "in other layers": f"It is in other layers: those of {escape(line['layer'])} at the "
        f"identity cost {of['drop_layer']} points, those of the first layer {of['drop_first']}",
        "unknown": f"Where it is lost is not known: {escape(line['reason'])}",
    }.get(str(line["lost"]))
    return f" {told}." if told else ""


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines as dictionaries."""
    return [{str(k): v for k, v in line.items()} for line in table.to_dict("records")]


def place(line: Mapping[str, Any]) -> str:
    """r in turning (resnet18, scratch)."""
    inside = f"{escape(line['network'])}, {escape(line['init'])}"
    return f"*{escape(line['parameter'])}* in *{escape(line['dataset'])}* ({inside})"


def matrices(inputs: Inputs, table: pd.DataFrame) -> list[Block]:
    """Figure and tables of motion x parameter, and x tuning."""
    tuning = inputs.planted_tuning
    tuned = not tuning.empty
    right = " Right: the same ratio of what channels answer to." * tuned
    blocks: list[Block] = [
        *inputs.figure(
            "planted",
            label="Figure G",
            caption=f"Planted motion (rows){', left' * tuned}: ratio of the mean displacement of "
            f"each parameter to that of the strongest negative control.{right} Framed: what the "
            "motion should move.",
            alt="Heat maps with a row for each planted motion; the numbers are in the tables of "
            "planted motions.",
        ),
        matrix(table),
    ]
    folded: list[Block] = [comparisons(table, "Table L, in full")]
    if tuned:
        tuning = ordered(tuning)
        blocks.append(matrix(tuning, "Table L, tuning"))
        folded.append(comparisons(tuning, "Table L, tuning in full"))
    count = len(table) + len(tuning)
    return [*blocks, Details(f"Every comparison ({count})", folded, printed=False)]


def first_layer(inputs: Inputs) -> list[Block]:
    """The same for the first layer alone."""
    tables = [
        matrix(ordered(table), f"Table L, {name}first layer")
        for name, table in (("", inputs.planted_first), ("tuning, ", inputs.planted_tuning_first))
        if not table.empty
    ]
    text = (
        "A mean over layers can hide what one layer does. The first layer sees the clip itself, "
        "so there a transform is a motion in the picture. The same comparisons for it alone, as a "
        "further look and not as a second chance:"
    )
    return [Paragraph(text), *tables] if tables else []


def matrix(table: pd.DataFrame, label: str = "Table L") -> Table:
    """A line for every motion and parameter (or index), a column for every comparison."""
    present = [name for name in HEADS if (table["comparison"] == name).any()]
    several = len(table[["network", "init"]].drop_duplicates()) > 1
    keys = ["motion", "dataset", *(["network", "init"] if several else []), "parameter"]
    tuned = bool(table["parameter"].isin(list(ANSWERS)).any())
    caption = (
        "Ratios of what channels answer to (mean size of the index; beyond the first layer, what "
        "transforms add to it) by planted motion and index of tuning."
        if tuned
        else "Ratios of mean displacements by planted motion and parameter."
    )
    note = (
        "A star: beyond the comparison, that is above 1 with p after Holm's adjustment small "
        "enough: one-sided over what was planted, two-sided over the rest."
        + " The floor is a number: there a star says that the interval lies above 1."
        * (FLOOR in present)
    )
    columns = [
        words("planted", "motion"),
        words("dataset"),
        *when(several, words("network"), words("start", "init")),
        words("", lambda line: ANSWERS.get(line["parameter"], line["parameter"])),
        words("expected", lambda line: "yes" if line["expected"] else "", centred=True),
        *ratios(present),
        words("beyond controls", "beyond_controls"),
        *when(not tuned, words("in direction", "in_direction"), words("recovered", verdict)),
    ]
    return make_table(
        [compared(lines) for _, lines in table.groupby(keys, sort=False, observed=True)],
        columns,
        caption,
        label=label,
        group_by=len(keys) - 1,
        muted=lambda line: line["recovered"] == "untestable",
        note=note,
        wide=True,
    )


def verdict(line: Mapping[Any, Any]) -> str:
    """What was planted is recovered or not; nothing else can be."""
    return str(line["recovered"]) if line["expected"] else ""


def lost(where: pd.DataFrame) -> list[Block]:
    """What networks need of each planted combination, and where it is lost."""
    if where.empty:
        return []
    several = [name for name in ("network", "init") if len(set(where[name])) > 1]

    def costliest(line: Mapping[Any, Any]) -> str:
        name, loss = escape(line["layer"]), formats.percent(line["drop_layer"]).text
        return f"{name} ({loss})" if name else formats.DASH

    columns = [
        words("planted", "motion"),
        words("dataset"),
        *when("network" in several, words("network")),
        *when("init" in several, words("start", "init")),
        words("", "parameter"),
        numbers("real", "accuracy", formats.percent, group="accuracy"),
        numbers("shuffled", "accuracy_shuffled", formats.percent, group="accuracy"),
        numbers("chance", "chance", formats.percent, group="accuracy"),
        numbers("points", "direction_use", formats.percent, group="direction use"),
        numbers("p", "use_p", formats.p_value, group="direction use"),
        numbers("kind", "drop", formats.percent, group="lost without"),
        numbers("whole", "drop_all", formats.percent, group="lost without"),
        *when((where["layer_index"] >= 0).any(), words("costliest layer", costliest)),
        *when((where["tuning"] != "").any(), words("tuning")),
        words("lost", lambda line: line["lost"] or formats.DASH),
    ]
    return [
        make_table(
            ordered(where),
            columns,
            "Where planted motion is lost, by planted parameter.",
            label="Table L, where",
            group_by=len(several) + 2,
            muted=lambda line: line["lost"] == "unknown",
            note="Accuracies in per cent, the rest in points: means over runs (intervals are in "
            "planted_where.parquet). Shuffled: label-shuffled runs; p: direction use against "
            "theirs, one-sided, by relabelling runs. Lost without: with transforms of the "
            "parameter's kind, as a whole, or of one layer at the identity, batch norms computed "
            "anew. Tuning: whether the first layer answers to the motion beyond the controls.",
            wide=True,
        )
    ]


def compared(lines: pd.DataFrame) -> dict[Any, Any]:
    """The first of these lines, and all of them by what is compared with."""
    records = lines.to_dict("records")
    # Verdicts (`recovered`, `beyond_controls`) are the same on all lines of a parameter.
    return records[0] | {"comparisons": {str(line["comparison"]): line for line in records}}


def ratios(comparisons: Iterable[str]) -> list[Shown]:
    """A column for every comparison."""

    def ratio_to(name: str, line: Mapping[Any, Any]) -> Cell:
        return marked(line["comparisons"].get(name))

    return [numbers(HEADS[name], partial(ratio_to, name)) for name in comparisons]


def marked(line: Mapping[Any, Any] | None) -> Cell:
    """1.54*, a dash where nothing was compared."""
    if line is None:
        return Cell(formats.DASH)
    cell = formats.significant(line["estimate"])
    return Cell(f"{cell.text}{'*' * (str(line['beyond']) == 'yes')}", cell.sort)


def comparisons(table: pd.DataFrame, label: str) -> Table:
    """All lines with interval, p, floor and status."""
    columns = [
        words("planted", "motion"),
        words("dataset"),
        words("network"),
        words("start", "init"),
        words("", lambda line: ANSWERS.get(line["parameter"], line["parameter"])),
        words("against", "comparison"),
        numbers("runs", ("n_a", "n_b"), pair),
        *RATIO,
        *P_VALUES,
        words("status"),
    ]
    caption = "Every comparison of a planted motion. The noise floor is a number: interval only."
    return make_table(table, columns, caption, label=label, group_by=4, sortable=True, wide=True)


def in_layers(table: pd.DataFrame) -> list[Block]:
    """Ratios to floor and controls by layer, the expected parameters only."""
    if table.empty:
        return []
    lines = table[table["expected"].astype(bool)]
    if lines.empty:
        return []
    # `ordered` is stable, so layers stay in order within each motion and parameter.
    lines = ordered(lines.sort_values("layer_index", kind="stable"))
    present = [name for name in HEADS if (lines["comparison"] == name).any()]
    keys = ["motion", "dataset", "network", "init", "parameter", "layer_index"]
    rows = [compared(group) for _, group in lines.groupby(keys, sort=False, observed=True)]
    columns = [
        words("planted", "motion"),
        words("dataset"),
        words("network"),
        words("start", "init"),
        words("", "parameter"),
        words("layer", lambda line: Cell(str(line["layer"]), float(line["layer_index"]))),
        *ratios(present),
    ]
    shown = make_table(
        rows,
        columns,
        "The planted parameters layer by layer: ratios of mean displacements; a star where the "
        "95 % interval lies above 1 (not adjusted for the number of layers).",
        label="Table M",
        group_by=5,
        sortable=True,
        wide=True,
    )
    return [Details(f"Planted parameters by layer ({len(rows)} lines)", [shown], printed=False)]
