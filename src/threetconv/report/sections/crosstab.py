"""Lines of a table of tests set crosswise: a column for every parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Cell, Column, Table, escape
from threetconv.report.inputs import contrast_note, in_order

__all__ = ["cross", "stratum", "with_interval"]

EMPTY = Cell("")
PARAMETERS = ("s", "r", "px", "py")


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
    once = contrast_note(table)
    keys = [key for key in keys if not (once and key == "contrast")]
    names = {"family": "", "checkpoint": "at", "stratum": "block"}
    spoken = {"stratum": stratum}
    floors = "p_floor" in table and bool((table["p_floor"] > 0).any())
    heads = [Column(names.get(key, key), "left") for key in keys]
    heads += [Column(name) for name in PARAMETERS]
    heads.append(Column("status", "left"))
    heads += [Column("floor")] if floors else []
    rows: list[tuple[Cell, ...]] = []
    muted: set[int] = set()
    for key, lines in in_order(table).groupby(list(keys), sort=False, observed=True):
        by_name = {str(line["parameter"]): line for _, line in lines.iterrows()}
        shown = [show(by_name[p]) if p in by_name else [Cell(formats.DASH)] for p in PARAMETERS]
        statuses = list(dict.fromkeys(lines["status"].astype(str)))
        for i in range(max(map(len, shown))):
            row = [Cell(spoken.get(k, str)(v)) for k, v in zip(keys, key, strict=True)]
            row += [cells[i] if i < len(cells) else EMPTY for cells in shown]
            row.append(EMPTY if i else Cell(", ".join(statuses)))
            row += [EMPTY if i else formats.p_value(lines["p_floor"].max())] if floors else []
            if "ok" not in statuses and "descriptive" not in statuses:
                muted.add(len(rows))
            rows.append(tuple(row))
    return Table(
        heads,
        rows,
        caption,
        label=label,
        group_by=len(keys),
        muted=frozenset(muted),
        note=escape(f"{once}.") if once else "",
        wide=True,
    )


def with_interval(line: pd.Series, p: str = "") -> list[Cell]:
    """1.54 over [1.23, 1.92]."""
    ratio = formats.significant(line["estimate"])
    interval = formats.interval(line["ci_low"], line["ci_high"])
    first = Cell(f"{ratio.text}{p}", ratio.sort)
    return [first] if interval.text == formats.DASH else [first, interval]


def stratum(raw: object) -> str:
    """A stratum in words."""
    return "all blocks" if str(raw) == "all" else str(raw)
