"""Light markup and tables of the intermediate document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threetconv.report.document import (
    Cell,
    Code,
    Column,
    Details,
    Document,
    Paragraph,
    Section,
    Span,
    Table,
    escape,
    parse_inline,
)

ONE = [Column("a", "left", "g"), Column("b", group="g"), Column("c")]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("plain", [Span("plain", "")]),
        (
            "a **b** *c* `d`",
            [
                Span("a ", ""),
                Span("b", "strong"),
                Span(" ", ""),
                Span("c", "emph"),
                Span(" ", ""),
                Span("d", "code"),
            ],
        ),
        ("2 * 3 = 6", [Span("2 * 3 = 6", "")]),
        ("`**x**`", [Span("**x**", "code")]),
        (r"\*a\* \\", [Span("*a* \\", "")]),
        ("", []),
    ],
)
def test_markup_becomes_spans(text: str, spans: list[Span]) -> None:
    assert parse_inline(text) == spans


@given(st.text())
def test_escaped_text_comes_back_whole_and_unstyled(text: str) -> None:
    spans = parse_inline(escape(text))
    assert "".join(span.text for span in spans) == text
    assert {span.style for span in spans} <= {""}


@given(st.text(alphabet="ab*`\\ "))
def test_any_markup_parses_and_loses_no_letters(text: str) -> None:
    shown = "".join(span.text for span in parse_inline(text))
    for letter in "ab":
        assert shown.count(letter) == text.count(letter)


def test_a_table_refuses_lines_of_another_length() -> None:
    with pytest.raises(ValueError, match="2 cells under 3 heads"):
        Table(ONE, [(Cell("1"), Cell("2"))], "caption")


def test_group_spans_and_repeated_names() -> None:
    lines = [("x", "1", "p"), ("x", "1", "q"), ("x", "2", "p"), ("y", "2", "p")]
    table = Table(ONE, [tuple(map(Cell, line)) for line in lines], "", group_by=2)
    assert table.spans() == [("g", 2), ("", 1)]
    assert [table.starts_group(i) for i in range(4)] == [False, False, True, True]
    assert [table.repeats(i, 0) for i in range(4)] == [False, True, True, False]
    # the second name is the same, but below another first name it must be printed
    assert [table.repeats(i, 1) for i in range(4)] == [False, True, False, False]
    assert not any(table.repeats(i, 2) for i in range(4))


def test_blocks_come_in_reading_order_with_the_folded_ones() -> None:
    inner = Section("B", [Paragraph("3")])
    document = Document(
        "t", "s", [Paragraph("1")], [Section("A", [Details("d", [Code("2")])], [inner])]
    )
    kinds = [type(block).__name__ for block in document.blocks()]
    assert kinds == ["Paragraph", "Details", "Code", "Paragraph"]


def test_anchors_are_safe_in_links() -> None:
    assert Section("Tables 2 and 4").anchor == "tables-2-and-4"
    assert Section("<x>").anchor == "x"
    assert Section("\u4e2d").anchor == "section"
