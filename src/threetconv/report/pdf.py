"""The report as a typeset PDF, by typst.

The document travels to the template as JSON, so no text of a user is ever parsed as typst markup;
formulas are the one exception, and they are this package's own.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typst

from threetconv.report.document import (
    Block,
    Callout,
    Code,
    Details,
    Document,
    Facts,
    Figure,
    Formula,
    ListBlock,
    Paragraph,
    Section,
    Table,
    parse_inline,
)
from threetconv.support.files import atomic

__all__ = ["encode", "render_pdf"]

TEMPLATE = Path(__file__).parent / "templates" / "report.typ"


def render_pdf(document: Document, path: str | Path) -> None:
    """Write `document` as a PDF, atomically; the same document gives the same bytes."""
    with tempfile.TemporaryDirectory(prefix="report-") as name:
        folder = Path(name)
        # typst reads files below its root only, so the pictures are copied beside the template.
        pictures: dict[Path, str] = {}
        for i, figure in enumerate(document.figures()):
            source = figure.path
            if source not in pictures:
                pictures[source] = f"figure-{i}{source.suffix.lower()}"
                shutil.copyfile(source, folder / pictures[source])
        data = json.dumps(encode(document, pictures), ensure_ascii=False)
        (folder / "document.json").write_text(data, encoding="utf-8")
        shutil.copyfile(TEMPLATE, folder / "report.typ")
        # No font folder, no date: the same document gives the same bytes.
        pdf = typst.compile(str(folder / "report.typ"), root=str(folder), format="pdf")
    with atomic(path) as temporary:
        temporary.write_bytes(pdf)


def encode(document: Document, pictures: dict[Path, str]) -> dict[str, Any]:
    """The document as plain types.

    Args:
        document: the report.
        pictures: file of a figure -> its name beside the template.
    """
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "keywords": list(document.keywords),
        "summary": blocks(document.summary, pictures),
        "sections": [section(part, pictures, 1) for part in document.sections],
    }


def section(part: Section, pictures: dict[Path, str], level: int) -> dict[str, Any]:
    """A section and those below it."""
    return {
        "title": part.title,
        "level": level,
        "blocks": blocks(part.blocks, pictures),
        "sections": [section(below, pictures, level + 1) for below in part.sections],
    }


def blocks(parts: Sequence[Block], pictures: dict[Path, str]) -> list[dict[str, Any]]:
    """Every block with its kind."""
    return [block(part, pictures) for part in parts]


def block(  # noqa: PLR0911 (a return for every kind)
    part: Block, pictures: dict[Path, str]
) -> dict[str, Any]:
    """One block."""
    match part:
        case Paragraph(text):
            return {"kind": "paragraph", "text": spans(text)}
        case ListBlock(items):
            return {"kind": "list", "items": [spans(item) for item in items]}
        case Table():
            return table(part)
        case Figure(path, caption, alt, label):
            return {
                "kind": "figure",
                "path": pictures[path],
                "caption": spans(caption),
                "alt": alt,
                "label": label,
            }
        case Formula(_, source, alt):
            return {"kind": "formula", "source": source, "alt": alt}
        case Callout(title, text, kind):
            return {"kind": "callout", "title": title, "text": spans(text), "tone": kind}
        case Facts(items):
            return {"kind": "facts", "items": [[spans(k), spans(v)] for k, v in items]}
        case Code(text, language):
            return {"kind": "code", "text": text, "language": language}
        case Details(summary, folded, printed):
            return {
                "kind": "details",
                "summary": summary,
                "printed": printed,
                # A PDF cannot fold; long blocks are left to the HTML page.
                "blocks": blocks(folded, pictures) if printed else [],
            }


def spans(text: str) -> list[dict[str, str]]:
    """Light markup as a list of styled pieces."""
    return [{"text": span.text, "style": span.style} for span in parse_inline(text)]


def table(part: Table) -> dict[str, Any]:
    """A table; repeated group names are blank."""
    return {
        "kind": "table",
        "label": part.label,
        "caption": spans(part.caption),
        "note": spans(part.note),
        "wide": part.wide,
        "align": [column.align for column in part.columns],
        "heads": [column.name for column in part.columns],
        "groups": [{"name": name, "span": width} for name, width in part.spans()]
        if part.grouped
        else [],
        "rows": [
            {
                "cells": ["" if part.repeats(i, j) else cell.text for j, cell in enumerate(row)],
                "start": part.starts_group(i),
                "muted": i in part.muted,
            }
            for i, row in enumerate(part.rows)
        ],
    }
