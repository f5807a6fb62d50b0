"""The PDF: it compiles, repeats, and takes any text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from threetconv.report.content import build_document
from threetconv.report.document import (
    Callout,
    Cell,
    Code,
    Column,
    Details,
    Document,
    Facts,
    Figure,
    ListBlock,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.pdf import encode, render_pdf

Study = dict[str, Any]
ON_SCREEN = {"Table D", "Table J", "Table O, continued"}  # too long to be printed
HOSTILE = (
    '#panic("x") $x$ *b* _i_ @ref <label> `c` \\ // /* "q" ~ -- [l] {u} = - + 1. \u2028 \U0001f600'
)


def pages(path: Path) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", path.read_bytes()))


def test_the_report_has_pages_and_the_same_bytes_every_time(study: Study, tmp_path: Path) -> None:
    document = build_document(**study)
    one, two = tmp_path / "one.pdf", tmp_path / "two.pdf"
    render_pdf(document, one)
    render_pdf(document, two)
    assert one.read_bytes().startswith(b"%PDF")
    assert pages(one) >= 5
    assert one.read_bytes() == two.read_bytes()
    assert b"CreationDate" not in one.read_bytes()


def test_any_text_is_taken_as_it_is(study: Study, tmp_path: Path) -> None:
    text = escape(HOSTILE)
    table = Table(
        [Column(HOSTILE, group=HOSTILE)],
        [(Cell(HOSTILE),)],
        text,
        label=HOSTILE,
        note=text,
        muted=frozenset({0}),
    )
    blocks = [
        Paragraph(text),
        ListBlock([text]),
        table,
        Figure(study["figures"]["effects"], text, HOSTILE, HOSTILE),
        Callout(HOSTILE, text, "warning"),
        Facts([(text, text)]),
        Code(HOSTILE, "python"),
        Details(HOSTILE, [Paragraph(text)]),
        Details(HOSTILE, [table], printed=False),
    ]
    document = Document(HOSTILE, HOSTILE, blocks, [Section(HOSTILE, blocks)], (HOSTILE,))
    render_pdf(document, tmp_path / "hostile.pdf")
    assert pages(tmp_path / "hostile.pdf") >= 1


def test_a_document_without_sections_and_an_empty_table_compile(tmp_path: Path) -> None:
    render_pdf(Document("t", "s", [], []), tmp_path / "a.pdf")
    table = Table([Column("a"), Column("b")], [], "nothing")
    render_pdf(Document("t", "s", [table, Paragraph("")], []), tmp_path / "b.pdf")
    assert pages(tmp_path / "a.pdf") == pages(tmp_path / "b.pdf") == 1


def test_a_study_of_one_dataset_compiles(make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(("resnet18",), ("my_videos",), 1, synthetic=False)
    render_pdf(build_document(**study), tmp_path / "one.pdf")
    assert pages(tmp_path / "one.pdf") >= 3


def test_every_table_cell_reaches_the_template(study: Study) -> None:
    document = build_document(**study)
    data = json.dumps(encode(document, {f.path: "x" for f in document.figures()}))
    for block in document.blocks():
        if isinstance(block, Table) and block.label not in ON_SCREEN:
            for row in block.rows:
                assert all(json.dumps(cell.text) in data for cell in row)


def test_what_is_not_printed_is_left_out(study: Study) -> None:
    document = build_document(**study)
    data = json.dumps(encode(document, {f.path: "x" for f in document.figures()}))
    assert "Every run (36)" in data
    assert study["runs"]["run_id"].iloc[0] not in data
