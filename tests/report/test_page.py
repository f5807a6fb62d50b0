"""Pages of single tables need nothing from the network."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from threetconv.report import page
from threetconv.report.page import write_page


def test_a_page_has_its_table_and_the_library_that_shows_it(tmp_path: Path) -> None:
    table = pd.DataFrame({"name": ["a<b>", "c"], "value": [1.5, None]})
    write_page(table, tmp_path / "page.html", title="Tests & more")
    text = (tmp_path / "page.html").read_text()
    assert "<title>Tests &amp; more</title>" in text
    assert "a<b>" not in text
    assert not re.search(r"""(?:src|href)=["']https?://|import\(?.{0,40}["']https?://""", text)
    version = re.search(r"await window\.(_itables_\w+)", text)
    assert version is not None  # what the table waits for
    assert text.index(f"window.{version[1]} =") < text.index('<table id="itables')
    assert len(text) > 700_000  # DataTables itself
    assert len(text) < 1_500_000


def test_a_long_table_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_ROWS", 3)
    table = pd.DataFrame({"value": ["first", "second", "third", "fourth"]})
    write_page(table, tmp_path / "long.html", title="long")
    text = (tmp_path / "long.html").read_text()
    assert "third" in text
    assert "fourth" not in text
    assert "The first 3 of 4 rows; all are in long.csv." in text
    write_page(table.head(3), tmp_path / "short.html", title="short")
    assert "rows; all are in" not in (tmp_path / "short.html").read_text()
