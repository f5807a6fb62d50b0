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
from threetconv.report.inputs import Inputs
from threetconv.report.sections import alignment
from threetconv.report.tables import P_VALUES, RATIO, Shown, make_table, numbers, pair, when, words
from threetconv.report.wording import count_word, join_words, plural, verb

__all__ = ["recovered", "section"]

FLOOR, STILL = "noise floor", "no motion"
CELL = ["motion", "dataset", "network", "init"]
MOTIONS = ("translation", "rotation", "zoom", "none")
PARAMETERS = ("s", "r", "px", "py")
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


def section(inputs: Inputs) -> list[Section]:
    """Matrix, table, layers, direction; nothing where no motion was planted."""
    if inputs.planted.empty and inputs.alignment.empty:
        return []
    blocks: list[Block] = [
        Paragraph(
            f"Here the answer is known. {truth(inputs)} A parameter counts as moved when its "
            "displacement lies beyond the noise floor and beyond the negative controls of the "
            "same dataset. The floor is what gradients of pure noise would leave; a parameter "
            "that its gradient holds in place moves less than that. Below the floor the size of a "
            "displacement alone is no evidence, but a comparison with controls, which were "
            "trained alike, still is: it is given beside it."
        )
    ]
    if not inputs.planted.empty:
        table = ordered(inputs.planted)
        blocks += [ListBlock(verdicts(table)), *confusion(inputs, table)]
    if not inputs.planted_first.empty:
        blocks += first_layer(ordered(inputs.planted_first))
    blocks += in_layers(inputs.planted_layers)
    return [Section("Planted truth", blocks, alignment.sections(inputs))]


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
    planted = lines[lines["expected"].astype(bool)]
    others = lines[~lines["expected"].astype(bool)]
    yes, no, unknown = (
        int((planted["recovered"].astype(str) == name).sum())
        for name in ("yes", "no", "untestable")
    )
    extra = int((others["recovered"].astype(str) == "yes").sum())
    text = ""
    if len(planted):
        text = (
            f"Of {plural(len(planted), 'planted combination')} of motion and parameter, "
            f"{count_word(yes)} {verb(yes, 'was', 'were')} recovered, "
            f"{count_word(no)} {verb(no, 'was', 'were')} not"
            + (f" and {unknown} could not be tested" if unknown else "")
            + "; of"
        )
    return (
        f"{text or 'Of'} {plural(len(others), 'combination')} that had not been planted, "
        f"{count_word(extra)} moved beyond floor and controls. Leaving the floor aside, "
        f"{count_word(past_controls(planted))} of the planted and "
        f"{count_word(past_controls(others))} of the other combinations moved beyond the controls."
    )


def past_controls(lines: pd.DataFrame) -> int:
    """How many parameters moved further than in every negative control."""
    return int((lines["beyond_controls"].astype(str) == "yes").sum())


def verdicts(table: pd.DataFrame) -> list[str]:
    """A point for every dataset: which planted parameters were recovered, and what moved too."""
    points = []
    lines = table.drop_duplicates([*CELL, "parameter"])
    for key, cell in lines.groupby(CELL, sort=False, observed=True):
        motion, dataset, network, init = (escape(part) for part in key)
        expected = cell["expected"].astype(bool)
        said = [
            phrase
            for verdict, phrase in (
                ("yes", "recovered: {}"),
                ("no", "**not recovered**: {}"),
                ("untestable", "untestable: {}"),
            )
            for phrase in [listed(cell[expected], verdict, phrase)]
            if phrase
        ]
        # Beyond the controls but below the floor: evidence, though not what counts as recovered.
        short = cell[(cell["recovered"] != "yes") & (cell["beyond_controls"] == "yes")]
        for planted, phrase in (
            (True, "{} moved beyond the controls, though not beyond the floor"),
            (False, "{}, not planted, moved beyond the controls as well"),
        ):
            among = short.loc[short["expected"].astype(bool) == planted, "parameter"]
            said += [phrase.format(join_words([f"*{name}*" for name in among]))] * bool(len(among))
        what = motion if motion != "none" else "no motion"
        extra = listed(cell[~expected], "yes", "{} moved although that was not planted")
        said += [extra] if extra else []
        # A set without motion expects no parameter, so the phrases above say nothing.
        if motion == "none" and not extra:
            said.append(nothing(cell))
        points.append(f"**{what}** ({dataset}, {network}, {init}): {'; '.join(said)}.")
    return points


def nothing(cell: pd.DataFrame) -> str:
    """The sentence for a dataset without motion in which no parameter was shown to move."""
    cannot = listed(cell, "untestable", "{}")
    if (cell["recovered"].astype(str) == "untestable").all():
        return "nothing was planted, and no parameter could be tested"
    return "nothing was planted, and no parameter was shown to move" + (
        f" ({cannot} could not be tested)" if cannot else ""
    )


def listed(cell: pd.DataFrame, verdict: str, phrase: str) -> str:
    """The parameters with that verdict in a phrase, or nothing."""
    names = [f"*{p}*" for p in cell.loc[cell["recovered"].astype(str) == verdict, "parameter"]]
    return phrase.format(join_words(names)) if names else ""


def first_layer(table: pd.DataFrame) -> list[Block]:
    """The same for the first layer alone."""
    return [
        Paragraph(
            "A mean over layers can hide what one layer does. Only the first layer sees the "
            "clip itself, so there a transform is a motion in the picture. The same comparisons "
            "for it alone, as a further look and not as a second chance:"
        ),
        matrix(table, "Table L, first layer"),
    ]


def confusion(inputs: Inputs, table: pd.DataFrame) -> list[Block]:
    """Figure and table of motion x parameter."""
    return [
        *inputs.figure(
            "planted",
            label="Figure G",
            caption="Planted motion (rows) and parameter (columns): ratio of the mean "
            "displacement to the strongest negative control, and to the noise floor. Framed: the "
            "parameter that the motion should move.",
            alt="Two heat maps with a row for each planted motion and a column for each parameter; "
            "the numbers are in the table of planted motions.",
        ),
        matrix(table),
        Details(f"Every comparison ({len(table)})", [comparisons(table)], printed=False),
    ]


def matrix(table: pd.DataFrame, label: str = "Table L") -> Table:
    """A line for every motion and parameter, a column for every comparison."""
    present = [name for name in HEADS if (table["comparison"] == name).any()]
    cells = table[["network", "init"]].drop_duplicates()
    several = len(cells) > 1
    keys = ["motion", "dataset", *(["network", "init"] if several else []), "parameter"]
    columns = [
        words("planted", "motion"),
        words("dataset"),
        *when(several, words("network"), words("start", "init")),
        words("", "parameter"),
        words("expected", lambda line: "yes" if line["expected"] else "", centred=True),
        *ratios(present),
        words("beyond controls", "beyond_controls"),
        words("moved", "recovered"),
    ]
    return make_table(
        [compared(lines) for _, lines in table.groupby(keys, sort=False, observed=True)],
        columns,
        "Ratios of mean displacements by planted motion and parameter. A star: beyond the "
        "comparison (floor: the interval lies above 1; controls: above 1 and p after Holm's "
        "adjustment small enough). *Beyond controls* asks for the three negative controls, *moved* "
        "for the floor as well.",
        label=label,
        group_by=len(keys) - 1,
        muted=lambda line: line["recovered"] == "untestable",
        wide=True,
    )


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


def comparisons(table: pd.DataFrame) -> Table:
    """All lines with interval, p, floor and status."""
    columns = [
        words("planted", "motion"),
        words("dataset"),
        words("network"),
        words("start", "init"),
        words("", "parameter"),
        words("against", "comparison"),
        numbers("runs", ("n_a", "n_b"), pair),
        *RATIO,
        *P_VALUES,
        words("status"),
    ]
    caption = "Every comparison of a planted motion. The noise floor is a number: interval only."
    return make_table(
        table, columns, caption, label="Table L, in full", group_by=4, sortable=True, wide=True
    )


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
    keys = ["motion", "dataset", "network", "parameter", "layer_index"]
    rows = [compared(group) for _, group in lines.groupby(keys, sort=False, observed=True)]
    columns = [
        words("planted", "motion"),
        words("dataset"),
        words("network"),
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
        group_by=4,
        sortable=True,
        wide=True,
    )
    return [Details(f"Planted parameters by layer ({len(rows)} lines)", [shown], printed=False)]
