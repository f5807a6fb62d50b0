"""The page: self-contained, complete, escaped."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from threetconv.report.content import build_document
from threetconv.report.document import Cell, Column, Document, Figure, Paragraph, Section, Table
from threetconv.report.html import render_html, to_html

Study = dict[str, Any]
HOSTILE = '<script>alert("x")</script> & $x$ #set *b* _i_ @ref `code` [l](u) \\'
VOID = {"meta", "img", "input", "br", "path", "use", "link", "hr"}


class Page(HTMLParser):
    """Collects text, attributes and identifiers; checks that elements are closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return "".join(self.text)


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


@pytest.fixture(scope="module")
def html(document: Document) -> str:
    return to_html(document)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return read(html)


def test_nothing_is_fetched(html: str) -> None:
    assert not re.search(r"(https?:)?//[\w.]+\.\w+", html.replace("</", ""))
    page = read(html)
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert "@import" not in html
    policy = next(a for t, a in page.tags if "http-equiv" in a)["content"]
    assert policy is not None
    assert "default-src 'none'" in policy


def test_elements_are_closed_and_identifiers_unique(page: Page) -> None:
    assert page.unbalanced == []
    assert page.open == []
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        for name in ("href", "xlink:href"):
            target = attributes.get(name) or ""
            if target.startswith("#"):
                assert target[1:] in ids, target


def test_every_table_number_is_on_the_page(full: Document) -> None:
    document = full
    cells = [
        cell.text
        for block in document.blocks()
        if isinstance(block, Table)
        for row in block.rows
        for cell in row
    ]
    assert len(cells) > 500
    words = read(to_html(document)).words
    assert [cell for cell in cells if cell not in words] == []


def test_every_figure_is_inside_with_its_text_alternative(document: Document, page: Page) -> None:
    drawn = [a["aria-label"] for t, a in page.tags if t == "svg" and a.get("role") == "img"]
    raster = [a["alt"] for t, a in page.tags if t == "img"]
    assert sorted(drawn + raster, key=str) == sorted(f.alt for f in document.figures())
    assert len(raster) == 1  # the first of the made-up figures is a PNG
    assert all(document_alt and len(document_alt) > 30 for document_alt in drawn + raster)


def test_svg_colours_follow_the_scheme_of_the_page(html: str) -> None:
    assert "var(--fig-ink,#1f2a37)" in html
    assert "--fig-ink: #" in html


def test_formulas_are_mathml(page: Page) -> None:
    formulas = [a for t, a in page.tags if t == "math"]
    assert len(formulas) == 4
    assert all(a["aria-label"] for a in formulas)


def test_contents_link_to_every_section(document: Document, html: str) -> None:
    for section in document.sections:
        assert f'<a href="#{section.anchor}">{section.title}</a>' in html
        assert f'<section id="{section.anchor}">' in html


def test_hostile_text_is_shown_and_not_run(study: Study, tmp_path: Path) -> None:
    path = study["figures"]["effects"]
    cell, column = Cell(HOSTILE), Column(HOSTILE, group=HOSTILE)
    document = Document(
        HOSTILE,
        HOSTILE,
        [Paragraph("fine")],
        [
            Section(
                HOSTILE,
                [
                    Table([column], [(cell,)], "caption", label=HOSTILE),
                    Figure(path, "caption", HOSTILE, HOSTILE),
                ],
            )
        ],
    )
    html = to_html(document)
    page = read(html)
    assert "<script>alert" not in html
    assert sum(t == "script" for t, _ in page.tags) == 1
    assert page.words.count(HOSTILE) >= 6
    labels = [a["aria-label"] for t, a in page.tags if t == "svg"]
    assert labels == [HOSTILE]


def test_hostile_names_pass_through_a_whole_study(make_study: Callable[..., Study]) -> None:
    name = "<b>$x$</b> *y* `z` _u_ #v @w"
    html = to_html(build_document(**make_study(("resnet18",), (name,), 1, synthetic=False)))
    assert "<b>$x$" not in html
    assert name in read(html).words


def test_an_svg_with_a_script_is_only_ever_an_image(tmp_path: Path) -> None:
    path = tmp_path / "evil.svg"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>')
    html = to_html(Document("t", "s", [Figure(path, "c", "alt")], []))
    assert "<script>1" not in html
    assert 'src="data:image/svg+xml;base64,' in html


def test_the_file_has_the_same_bytes_every_time(study: Study, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        render_html(build_document(**study), tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_sortable_table_carries_its_numbers(page: Page) -> None:
    keys = [a["data-sort"] for t, a in page.tags if t == "td" and "data-sort" in a]
    assert {"1000.0", "734219.0"} <= set(keys)
