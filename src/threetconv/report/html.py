"""One self-contained HTML page: styles, scripts, pictures and formulas inside, nothing fetched."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from threetconv.figures.theme import ROLES
from threetconv.report.document import Document, Figure, Formula, Section, Table, parse_inline
from threetconv.support.files import write_text

__all__ = ["render_html", "to_html"]

STYLE = re.compile(r'style="([^"]*)"')
# Every way in which matplotlib's SVG defines or uses an identifier.
IDENTIFIER = re.compile(r'(\bid="|\bxlink:href="#|\bhref="#|url\(#)')
NAMESPACE = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
SIZE = re.compile(r'\s(width|height)="[^"]*"')
WIDTH = re.compile(r'<svg\b[^>]*?\swidth="([\d.]+)pt"')
MEDIA = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}


def render_html(document: Document, path: str | Path) -> None:
    """Write `document` as one HTML file, atomically."""
    write_text(path, to_html(document))


def to_html(document: Document) -> str:
    """`document` as the text of an HTML page that needs no other file and no network."""
    # StrictUndefined: a misspelt name in the template is an error, not an empty string.
    environment = Environment(
        loader=PackageLoader("threetconv.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A counter: identifiers of each figure get a prefix of their own, see `inline_svg`.
    figures = iter(range(10**6))
    environment.filters["inline"] = inline
    environment.filters["mathml"] = mathml
    environment.filters["picture"] = lambda figure: picture(figure, prefix=f"f{next(figures)}-")
    environment.filters["kind"] = lambda block: type(block).__name__
    # Equal sections may occur twice; numbers belong to the object, not to its value.
    environment.filters["identity"] = id
    environment.globals["number"] = number_sections(document.sections)
    return environment.get_template("report.html.j2").render(
        document=document,
        css=Markup(asset("report.css")),
        script=Markup(asset("report.js")),
        align=align,
    )


def asset(name: str) -> str:
    """A file beside the templates."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def number_sections(sections: Sequence[Section], prefix: str = "") -> dict[int, str]:
    """Section number ("4.2") by the identity of the section."""
    numbers: dict[int, str] = {}
    for i, section in enumerate(sections, start=1):
        numbers[id(section)] = f"{prefix}{i}"
        numbers |= number_sections(section.sections, f"{prefix}{i}.")
    return numbers


def inline(text: str) -> Markup:
    """Light markup as HTML; everything else is escaped."""
    tags = {"strong": "strong", "emph": "em", "code": "code"}
    pieces = []
    for span in parse_inline(text):
        tag = tags.get(span.style)
        content = Markup("{}").format(span.text)
        pieces.append(Markup(f"<{tag}>{content}</{tag}>") if tag else content)
    return Markup().join(pieces)


def align(table: Table, index: int) -> str:
    """Class of a column's cells."""
    return {"left": "l", "right": "r", "center": "c"}[table.columns[index].align]


def mathml(formula: Formula) -> Markup:
    """A displayed formula as MathML, which browsers draw by themselves."""
    # HTML needs no namespaces, and the page is scanned for addresses that it might fetch.
    markup = NAMESPACE.sub("", convert(formula.latex, display="block"))
    label = Markup("{}").format(formula.alt)
    return Markup(markup.replace("<math", f'<math aria-label="{label}"', 1))


def picture(figure: Figure, *, prefix: str) -> Markup:
    """The picture itself: SVG inlined so that it follows the page's colours, others as data."""
    suffix = figure.path.suffix.lower()
    raw = figure.path.read_bytes()
    if suffix == ".svg":
        text = raw.decode("utf-8")
        # An SVG with active content is embedded as an image, where browsers do not run it.
        if "<script" not in text and "<foreignObject" not in text:
            return inline_svg(text, figure.alt, prefix)
    data = base64.b64encode(raw).decode("ascii")
    return Markup('<img class="raster" alt="{}" src="data:{};base64,{}">').format(
        figure.alt, MEDIA[suffix], data
    )


def inline_svg(text: str, alt: str, prefix: str) -> Markup:
    """An SVG of matplotlib as part of the page.

    Identifiers get a prefix, so that two figures do not share any; colours that have a role become
    custom properties (`--fig-ink`, ...), so that a dark page can give them other values.
    """
    width = WIDTH.search(text)
    # The XML prologue is not allowed inside HTML, and metadata would only add bytes.
    text = METADATA.sub("", PROLOGUE.sub("", text, count=1))
    text = NAMESPACE.sub("", text)
    # The first tag is <svg ...>, since the prologue is gone.
    head, rest = text.split(">", 1)
    head = SIZE.sub("", head)
    # Points to CSS pixels (96 / 72): the figure shrinks with the page, but never grows.
    limit = f"max-width:{float(width[1]) * 4 / 3:.0f}px" if width else ""
    label = Markup("{}").format(alt)
    head = head.replace("<svg", f'<svg role="img" aria-label="{label}" style="{limit}"', 1)
    rest = IDENTIFIER.sub(lambda m: m[1] + prefix, rest)
    rest = STYLE.sub(lambda m: f'style="{colour_roles(m[1])}"', rest)
    return Markup(f"{head}>{rest}".strip())


def colour_roles(style: str) -> str:
    """Replace the theme's colours in a style by custom properties."""
    for colour, role in ROLES.items():
        # With the colour itself as the fallback, for pages that do not define the property.
        style = style.replace(colour, f"var(--fig-{role},{colour})")
    return style
