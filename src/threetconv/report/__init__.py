"""One document, two renderings: a self-contained HTML page and a typeset PDF.

`build_document` turns finished tables and figures into a `Document`; `render_html` and
`render_pdf` write it. Nothing is computed here beyond formatting.
"""

from __future__ import annotations

from threetconv.report.content import build_document
from threetconv.report.document import Document
from threetconv.report.html import render_html
from threetconv.report.pdf import render_pdf

__all__ = ["Document", "build_document", "render_html", "render_pdf"]
