"""One table as one page that sorts and searches, offline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from itables import to_html_datatable
from itables.javascript import generate_init_offline_itables_html
from itables.utils import find_package_file
from markupsafe import escape

from threetconv.support.files import write_text

__all__ = ["write_page"]

MAX_ROWS = 2_000  # about a megabyte of a wide table; the library takes another


def write_page(table: pd.DataFrame, path: str | Path, *, title: str) -> None:
    """Write a table as a self-contained page: the library that shows it is inside."""
    path = Path(path)
    note = ""
    if len(table) > MAX_ROWS:
        note = (
            f"<p>The first {MAX_ROWS:,} of {len(table):,} rows; all are in {path.stem}.csv.</p>\n"
        )
    library = generate_init_offline_itables_html(find_package_file("html", "dt_bundle.js"))
    body = to_html_datatable(
        table.head(MAX_ROWS),
        # The library is in the page, not fetched from a server.
        connected=False,
        lengthMenu=[25, 100, -1],
        allow_html=False,
        showIndex=False,
        # 0 switches off the library's own limit on size; MAX_ROWS is ours.
        maxBytes=0,
        warn_on_undocumented_option=False,
    )
    write_text(
        path,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        f"<style>body{{font:14px system-ui,sans-serif;margin:2rem}}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{note}{library}\n{body}\n</body></html>\n",
    )
