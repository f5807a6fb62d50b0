"""One document, two renderings: a self-contained HTML page and a typeset PDF.

`content.build_document` turns finished tables and figures into a `document.Document`;
`html.render_html` and `pdf.render_pdf` write it. Nothing is computed here beyond formatting.
This file imports nothing: the explorer reads the style below `templates`, and needs no typesetter.
"""
