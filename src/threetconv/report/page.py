"""One table as one page that sorts and searches, offline."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from itables import to_html_datatable
from markupsafe import escape

from threetconv.files import write_text

__all__ = ["write_page"]


def write_page(table: pd.DataFrame, path: str | Path, *, title: str) -> None:
    """Write a table as a self-contained page (itables, everything embedded)."""
    body = to_html_datatable(
        table,
        connected=False,
        lengthMenu=[25, 100, -1],
        allow_html=False,
        showIndex=False,
        maxBytes=0,
        warn_on_undocumented_option=False,
    )
    write_text(
        path,
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        f"<style>body{{font:14px system-ui,sans-serif;margin:2rem}}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n",
    )
