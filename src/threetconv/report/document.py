"""The parts of a report, independent of the output format.

Text carries light markup: ``**strong**``, ``*emphasis*``, `` `code` `` and backslash escapes.
Names that come from a user go through `escape`, so that they are shown as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

__all__ = [
    "Block",
    "Callout",
    "Cell",
    "Code",
    "Column",
    "Details",
    "Document",
    "Facts",
    "Figure",
    "Formula",
    "ListBlock",
    "Paragraph",
    "Section",
    "Span",
    "Table",
    "escape",
    "parse_inline",
]

# The characters that `TOKEN` treats as markup or as an escape; both must list the same.
SPECIAL = re.compile(r"([\\*`])")
# Order matters: an escaped marker is no marker, and "**" is not two of "*".
TOKEN = re.compile(r"\\(?P<escaped>[\\*`])|(?P<strong>\*\*)|(?P<emph>\*)|`(?P<code>[^`]*)`")
SLUG = re.compile(r"[^a-z0-9]+")

Style = Literal["", "strong", "emph", "code"]


class Span(NamedTuple):
    """A run of text in one style."""

    text: str
    style: Style


def escape(text: object) -> str:
    """Text that `parse_inline` gives back unchanged, whatever is in it."""
    return SPECIAL.sub(r"\\\1", str(text))


def parse_inline(text: str) -> list[Span]:
    """Split marked-up text into spans; markers that are not closed count as text."""
    spans: list[tuple[str, Style]] = []
    marks: dict[str, int] = {}
    style: list[Style] = []
    position = 0

    def put(piece: str) -> None:
        if piece:
            spans.append((piece, style[-1] if style else ""))

    for match in TOKEN.finditer(text):
        put(text[position : match.start()])
        position = match.end()
        if match["escaped"] is not None:
            put(match["escaped"])
        elif match["code"] is not None:
            spans.append((match["code"], "code"))
        else:
            name: Style = "strong" if match["strong"] else "emph"
            # A marker opens or closes, depending on whether its style is open.
            if name in marks:
                del marks[name]
                style.remove(name)
            # Only if it is closed later: "2 * 3" is not the start of emphasis.
            elif closes(text, position, match.group()):
                marks[name] = len(spans)
                style.append(name)
            else:
                # Never closed: the marker is text.
                put(match.group())
    put(text[position:])
    # Escapes cut text into pieces; equal neighbours are joined. Code is not, since `a``b` are two.
    merged: list[Span] = []
    for piece, kind in spans:
        if merged and merged[-1].style == kind != "code":
            merged[-1] = Span(merged[-1].text + piece, kind)
        else:
            merged.append(Span(piece, kind))
    return merged


def closes(text: str, start: int, marker: str) -> bool:
    """Whether the same marker comes again after `start`."""
    return any(match.group() == marker for match in TOKEN.finditer(text, start))


class Cell(NamedTuple):
    """A formatted table cell; `sort` orders it among numbers, None orders it by its text."""

    text: str
    sort: float | None = None


@dataclass(frozen=True)
class Column:
    """Head of a column: its name, alignment, and the group it stands under (or none)."""

    name: str
    align: Literal["left", "right", "center"] = "right"
    group: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Running text with light markup."""

    text: str


@dataclass(frozen=True)
class ListBlock:
    """Points, each with light markup."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of formatted cells.

    Args:
        columns: heads.
        rows: cells, one tuple per line, as many as columns.
        caption: what is shown; light markup.
        label: "Table 2"; printed in front of the caption.
        group_by: this many leading columns name a group: repeated names are left blank, and a thin
            line separates groups.
        muted: lines that are shown faintly (an untestable test).
        sortable: whether a reader can sort and search it on screen.
        note: small print below.
        wide: whether it needs the whole width of a page in small type.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str
    label: str = ""
    group_by: int = 0
    muted: frozenset[int] = frozenset()
    sortable: bool = False
    note: str = ""
    wide: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a line of {len(row)} cells under {len(self.columns)} heads")

    @property
    def grouped(self) -> bool:
        """Whether any column stands under a group."""
        return any(column.group for column in self.columns)

    def spans(self) -> list[tuple[str, int]]:
        """Neighbouring columns of one group as (group, how many)."""
        out: list[tuple[str, int]] = []
        for column in self.columns:
            # Columns without a group never merge, even next to each other.
            if out and column.group and out[-1][0] == column.group:
                out[-1] = (column.group, out[-1][1] + 1)
            else:
                out.append((column.group, 1))
        return out

    def starts_group(self, index: int) -> bool:
        """Whether line `index` has other leading cells than the line before it."""
        if index == 0 or not self.group_by:
            return False
        here, before = self.rows[index], self.rows[index - 1]
        return [c.text for c in here[: self.group_by]] != [c.text for c in before[: self.group_by]]

    def repeats(self, index: int, column: int) -> bool:
        """Whether a leading cell only repeats the cell above it."""
        if index == 0 or column >= self.group_by:
            return False
        here, before = self.rows[index], self.rows[index - 1]
        # Up to this column: a name is a repetition only within the same outer group.
        return [c.text for c in here[: column + 1]] == [c.text for c in before[: column + 1]]


@dataclass(frozen=True)
class Figure:
    """A picture on disk (SVG or PNG), its caption, and in words what it shows."""

    path: Path
    caption: str
    alt: str
    label: str = ""


@dataclass(frozen=True)
class Formula:
    """A displayed formula, once in LaTeX (for MathML) and once in typst's notation."""

    latex: str
    typst: str
    alt: str


@dataclass(frozen=True)
class Callout:
    """A remark that must not be overlooked."""

    title: str
    text: str
    kind: Literal["note", "warning"] = "note"


@dataclass(frozen=True)
class Facts:
    """Pairs of name and value."""

    items: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    """Program text, shown as it is."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Details:
    """Blocks that are folded away on screen (and left out of print where they are long)."""

    summary: str
    blocks: Sequence[Block]
    printed: bool = True


Block = Paragraph | ListBlock | Table | Figure | Formula | Callout | Facts | Code | Details


@dataclass(frozen=True)
class Section:
    """A heading, its blocks, and sections below it."""

    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()

    @property
    def anchor(self) -> str:
        """Name for links."""
        return SLUG.sub("-", self.title.lower()).strip("-") or "section"


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    summary: Sequence[Block]
    sections: Sequence[Section]
    keywords: Sequence[str] = field(default_factory=tuple)

    def blocks(self) -> Iterator[Block]:
        """All blocks in reading order, folded ones too."""
        yield from flatten(self.summary)
        for section in self.sections:
            yield from section_blocks(section)

    def figures(self) -> list[Figure]:
        """All figures in reading order."""
        return [block for block in self.blocks() if isinstance(block, Figure)]


def flatten(blocks: Sequence[Block]) -> Iterator[Block]:
    """Blocks and the blocks folded into them."""
    for block in blocks:
        yield block
        if isinstance(block, Details):
            yield from flatten(block.blocks)


def section_blocks(section: Section) -> Iterator[Block]:
    """Blocks of a section and of those below it."""
    yield from flatten(section.blocks)
    for below in section.sections:
        yield from section_blocks(below)
