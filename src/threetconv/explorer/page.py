"""The page itself: style, script and data of all variants in one HTML text that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from threetconv.errors import InputError
from threetconv.explorer.payload import payload
from threetconv.explorer.pictures import pictures
from threetconv.explorer.variant import Variant, shown_layers
from threetconv.records.noise_floor import WALK_SHARE
from threetconv.schemas.runs import CONVOLUTIONS

__all__ = ["explorer", "script"]

MODULES = (
    *("motion.js", "data.js", "dom.js", "plots.js", "player.js", "list.js"),
    *("panels.js", "detail.js", "app.js"),
)  # each after those that it imports
IMPORT = re.compile(r'^import\s[^;]*?from "\./[\w.]+";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=const|let|function|class|async)", re.MULTILINE)


def explorer(variants: Sequence[Variant], *, title: str, side: int = 224, quality: int = 88) -> str:
    """The explorer as the text of an HTML page that needs no other file and no network.

    Args:
        variants: what to show, in this order; the first is shown when the link names none.
        title: of the page.
        side: longest side of a frame of its pictures, in pixels.
        quality: of WebP, for pictures that are smaller that way.

    Raises:
        InputError: no variant, two of one key, or tables that do not fit (see `Variant`).
    """
    keys = [variant.key for variant in variants]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if not keys or twice:
        raise InputError(
            "explorer",
            found=f"run {twice[0]!r} twice" if twice else "no run",
            expected="at least one run, each once",
            remedy="give the runs that have explanations",
        )
    code = script()
    # For the page's content security policy: browsers then run this script and no other.
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
    environment = Environment(
        loader=PackageLoader("threetconv.explorer", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    index = {"title": title, "variants": [_head(variant) for variant in variants]}
    text = json.dumps(index, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return environment.get_template("explorer.html.j2").render(
        title=title,
        digest=digest,
        style=Markup(_report_style() + _asset("explorer.css")),
        script=Markup(code),
        # "</script>" in a class name would end the script element.
        index=Markup(text.replace("<", "\\u003c")),
        blocks=[
            (Markup(payload(v)), Markup(pictures(v, side=side, quality=quality))) for v in variants
        ],
    )


def script() -> str:
    """The modules of the page joined into one: their imports of each other are left out."""
    parts = [EXPORT.sub("", IMPORT.sub("", _asset(name))) for name in MODULES]
    return '\n"use strict";\n' + "\n".join(parts)


def _head(variant: Variant) -> dict[str, Any]:
    """What the page needs to list a variant, before its data are unpacked."""
    floor = float(variant.noise_floor)
    return {
        "key": variant.key,
        "network": variant.network,
        "dataset": variant.dataset,
        "init": variant.init,
        "convolution": variant.convolution,
        "kind": CONVOLUTIONS[variant.convolution].label,
        "control": variant.control,
        "classes": list(variant.classes),
        "accuracy": {k: float(v) for k, v in variant.accuracy.items() if math.isfinite(v)},
        "noise": {"turn": WALK_SHARE["r"] * floor, "shift": WALK_SHARE["px"] * floor}
        if math.isfinite(floor)
        else None,
        "layers": [
            {
                "index": place.index,
                "name": place.name,
                "channels": place.channels,
                "kernel": place.kernel,
                "jump": place.jump,
                "frames": place.frames,
                "reachable": place.reachable,
            }
            for place in shown_layers(variant)
        ],
    }


def _asset(name: str) -> str:
    return (files("threetconv.explorer") / "templates" / name).read_text(encoding="utf-8")


def _report_style() -> str:
    """The report's own style, which the explorer builds on."""
    return (files("threetconv.report") / "templates" / "report.css").read_text(encoding="utf-8")
