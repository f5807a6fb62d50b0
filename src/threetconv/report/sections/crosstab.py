"""Cross tables of tests: a column for every parameter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Cell, Table, escape
from threetconv.report.inputs import contrast_note, in_order
from threetconv.report.tables import make_table, numbers, when, words

__all__ = ["cross", "stratum", "with_interval"]

PARAMETERS = ("s", "r", "px", "py")
NAMES = {"family": "", "checkpoint": "at", "stratum": "block"}
"""Key -> head of its column, where that is another word."""


def cross(
    table: pd.DataFrame,
    keys: Sequence[str],
    label: str,
    caption: str,
    show: Callable[[pd.Series], Sequence[Cell]],
) -> Table:
    """A line for every combination of `keys`, a column for every parameter, then status and floor.

    Args:
        table: lines with parameter and status.
        keys: leading columns; the contrast goes into the note where each family has one only.
        label: "Table F".
        caption: what is shown.
        show: a line of the table as cells, one below the other.
    """
    # One contrast per family is said in the note, and its column left out.
    once = contrast_note(table)
    keys = [key for key in keys if not (once and key == "contrast")]
    lines: list[dict[str, Any]] = []
    for key, group in in_order(table).groupby(keys, sort=False, observed=True):
        cells = {p: [Cell(formats.DASH)] for p in PARAMETERS}
        cells |= {str(line["parameter"]): list(show(line)) for _, line in group.iterrows()}
        statuses = list(dict.fromkeys(group["status"].astype(str)))
        named = dict(zip(keys, key, strict=True))
        # Faint only if no parameter of the line could be tested.
        named["muted"] = not {"ok", "descriptive"} & {*statuses}
        once_each = {
            "status": ", ".join(statuses),
            "floor": formats.p_value(group["p_floor"].max() if "p_floor" in group else None),
        }
        # Each parameter has a list of cells (ratio, then interval); they become lines below each
        # other.
        for beside in zip_longest(*(cells[p] for p in PARAMETERS), fillvalue=""):
            lines.append(named | dict(zip(PARAMETERS, beside, strict=True)) | once_each)
            # Cells of several lines: status and floor stand on the first one only.
            once_each = {}
    columns = [
        *(words(NAMES.get(key, key), partial(spoken, key)) for key in keys),
        *(numbers(name, name) for name in PARAMETERS),
        words("status", lambda line: line.get("status", "")),
        *when(
            "p_floor" in table and (table["p_floor"] > 0).any(),
            numbers("floor", lambda line: line.get("floor", "")),
        ),
    ]
    return make_table(
        lines,
        columns,
        caption,
        label=label,
        group_by=len(keys),
        muted=lambda line: line["muted"],
        note=escape(f"{once}.") if once else "",
        wide=True,
    )


def spoken(key: str, line: Mapping[str, Any]) -> str:
    """A leading cell."""
    return stratum(line[key]) if key == "stratum" else str(line[key])


def with_interval(line: pd.Series, p: str = "") -> list[Cell]:
    """1.54 over [1.23, 1.92]."""
    ratio = formats.significant(line["estimate"])
    interval = formats.interval(line["ci_low"], line["ci_high"])
    first = Cell(f"{ratio.text}{p}", ratio.sort)
    return [first] if interval.text == formats.DASH else [first, interval]


def stratum(raw: object) -> str:
    """A stratum in words."""
    return "all blocks" if str(raw) == "all" else str(raw)
