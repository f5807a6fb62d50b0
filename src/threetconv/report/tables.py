"""Tables declared by their columns: each has a head and makes a cell of a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Cell, Column, Table

__all__ = [
    "P_VALUES",
    "RATIO",
    "Shown",
    "Source",
    "make_table",
    "not_ok",
    "numbers",
    "pair",
    "two_digits",
    "when",
    "words",
]

Source = str | tuple[str, ...] | Callable[[Any], Any]
"""What a column shows of a line: a key of it, several keys, or a function of the whole line."""


class Shown(NamedTuple):
    """A column: its head, and the cell that it makes of a line."""

    head: Column
    cell: Callable[[Any], Cell]


def words(head: str, source: Source = "", *, group: str = "", centred: bool = False) -> Shown:
    """A column of text; without `source` it shows the key that it is called by.

    A function may give a `Cell` of its own, one that is sorted by a number, say.
    """
    column = Column(head, "center" if centred else "left", group)
    return Shown(column, partial(_cell, source or head, _text))


def numbers(
    head: str, source: Source, show: str | Callable[..., Cell] | None = None, *, group: str = ""
) -> Shown:
    """A column of numbers.

    Args:
        head: its name.
        source: key or keys, whose values `show` is given; a function of the line gives a value for
            `show`, or without `show` a finished cell.
        show: one of `formats`, or a pattern for `formats.number`.
        group: what it stands under.
    """
    if isinstance(show, str):
        show = partial(formats.number, pattern=show)
    return Shown(Column(head, group=group), partial(_cell, source, show or _text))


def when(condition: object, *columns: Shown) -> tuple[Shown, ...]:
    """These columns, or none."""
    return columns if condition else ()


def make_table(
    lines: pd.DataFrame | Iterable[Any],
    columns: Iterable[Shown],
    caption: str,
    *,
    muted: Callable[[Any], bool] = lambda line: False,
    **options: Any,
) -> Table:
    """A table with a row for every line.

    Args:
        lines: a data frame, or mappings; with functions for sources anything else.
        columns: from left to right.
        caption: what is shown.
        muted: which lines are shown faintly.
        options: further fields of `Table`.
    """
    columns = list(columns)
    if isinstance(lines, pd.DataFrame):
        lines = lines.to_dict("records")
    lines = list(lines)
    return Table(
        [column.head for column in columns],
        [tuple(column.cell(line) for column in columns) for line in lines],
        caption,
        muted=frozenset(i for i, line in enumerate(lines) if muted(line)),
        **options,
    )


def not_ok(line: Mapping[str, Any]) -> bool:
    """Whether the line has no valid test."""
    return bool(line["status"] != "ok")


def pair(first: Any, second: Any) -> Cell:
    """5 / 4: runs or rows of both groups."""
    return Cell(f"{formats.count(first).text} / {formats.count(second).text}")


two_digits = partial(formats.significant, digits=2)


def _text(value: object) -> Cell:
    return value if isinstance(value, Cell) else Cell(str(value))


def _cell(source: Source, show: Callable[..., Cell], line: Any) -> Cell:
    if callable(source):
        return show(source(line))
    # Several keys become several arguments, e.g. the two ends of an interval.
    return show(*(line[key] for key in ([source] if isinstance(source, str) else source)))


RATIO = (
    numbers("ratio", "estimate", formats.significant),
    numbers("95 % interval", ("ci_low", "ci_high"), formats.interval),
)
P_VALUES = (
    numbers("p", "p_raw", formats.p_value),
    numbers("floor", "p_floor", formats.p_value),
    numbers("p (Holm)", "p_adjusted", formats.p_value),
)
