"""Pictures of a variant as data: URIs; films become strips that a page can step through."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, ImageSequence

from threetconv.errors import InputError
from threetconv.explorer.variant import Variant, shown_layers

__all__ = ["pictures", "strip"]

SMALL = 2048  # bytes of a file that stays as it is
WIDEST = 16383  # of a WebP file, in pixels
MEDIA = {"PNG": "image/png", "WEBP": "image/webp", "JPEG": "image/jpeg"}


def pictures(variant: Variant, *, side: int = 224, quality: int = 88) -> str:
    """The pictures of a variant as JSON: ``files``, data: URIs without doubles, and ``rows``.

    Left out are those that the page draws by itself: pictograms, and filters of the first layer.

    Args:
        variant: with its table of images and their folder.
        side: the longest side of a frame in the page; larger ones are scaled down.
        quality: of WebP, for pictures that are smaller that way than as they are; files of 2 kB
            and less stay as they are.

    Raises:
        InputError: a file that is missing or no picture, or a strip that its frames do not divide.
    """
    table = variant.table("images")
    if len(table):
        table = table[~_drawn(variant, table)]
    files: dict[str, int] = {}
    # Rows may share a file; it is encoded once.
    made: dict[tuple[Hashable, int], tuple[int, int, int, int]] = {}
    rows = []
    for row in table.to_dict("records"):
        count = int(_given(row.get("n_frames"), 1))
        key = (row["file"], count)
        if key not in made:
            uri, frames, height, width = strip(
                variant.image_folder / str(row["file"]), count, side=side, quality=quality
            )
            made[key] = (files.setdefault(uri, len(files)), frames, height, width)
        file, frames, height, width = made[key]
        rows.append(
            {
                "layer": row["layer"],
                "channel": int(row["channel"]),
                "method": row["method"],
                "clip": str(_given(row["clip_id"], "")),
                "label": str(_given(row["label"], "")),
                "frame": int(_given(row["frame"], -1)),
                "note": str(_given(row.get("note"), "")),
                "file": file,
                "frames": frames,
                "height": height,
                "width": width,
            }
        )
    text = json.dumps(
        {"files": list(files), "rows": rows}, ensure_ascii=False, separators=(",", ":")
    )
    return text.replace("<", "\\u003c")  # no "</script>" in the page


def _drawn(variant: Variant, table: pd.DataFrame) -> pd.Series:
    """Which rows the page draws by itself: pictograms, and filters that it has in numbers."""
    filters = variant.first_layer_filters
    known = 0 if filters is None else len(filters)
    first = (table["layer"] == shown_layers(variant)[0].name) & (table["channel"] < known)
    return (table["method"] == "pictogram") | ((table["method"] == "filters") & first)


def strip(path: Path, n_frames: int, *, side: int, quality: int) -> tuple[str, int, int, int]:
    """A picture file as (data: URI, frames side by side, height and width of one frame).

    An animation becomes a strip; a still picture of `n_frames` frames is one already.
    """
    try:
        with Image.open(path) as image:
            kind, animated = str(image.format), getattr(image, "n_frames", 1)
            frames = [f.convert("RGB") for f in ImageSequence.Iterator(image)]
    except OSError as error:
        raise InputError(
            path,
            found="no such file" if not path.exists() else f"no picture ({error})",
            expected="a PNG or WebP file that the table of images names",
            remedy="make the pictures of this run again",
        ) from None
    picture, count = frames[0], max(1, n_frames)
    if animated > 1:
        count = len(frames)
        picture = Image.new("RGB", (frames[0].width * count, frames[0].height))
        for i, frame in enumerate(frames):
            picture.paste(frame, (i * frame.width, 0))
    elif picture.width % count:
        raise InputError(
            path,
            found=f"a width of {picture.width} pixels",
            expected=f"a strip of {count} frames of one width",
            remedy="make the picture again, or correct n_frames in the table of images",
        )
    width, height = picture.width // count, picture.height
    # Never enlarged; a long strip may have to shrink further to fit the format.
    scale = min(1.0, side / max(width, height), WIDEST / picture.width)
    changed = animated > 1 or scale < 1 or kind not in MEDIA
    if scale < 1:
        # The width is rounded down, since count frames must fit into WIDEST.
        width, height = max(1, int(width * scale)), max(1, round(height * scale))
        scaled = Image.new("RGB", (width * count, height))
        for i in range(count):  # frame by frame, so that none bleeds into its neighbour
            old = picture.width // count
            part = picture.crop((i * old, 0, (i + 1) * old, picture.height))
            scaled.paste(part.resize((width, height), Image.Resampling.LANCZOS), (i * width, 0))
        picture = scaled
    raw, media = _smallest(picture, None if changed else path.read_bytes(), kind, quality)
    return f"data:{media};base64,{base64.b64encode(raw).decode('ascii')}", count, height, width


def _smallest(
    picture: Image.Image, original: bytes | None, kind: str, quality: int
) -> tuple[bytes, str]:
    if original is not None and len(original) <= SMALL:  # nothing worth blurring for
        return original, MEDIA[kind]
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=2)
    options = [(buffer.getvalue(), "image/webp")]
    if original is not None:
        options.append((original, MEDIA[kind]))
    # Flat drawings are often smaller as PNG, photographs as WebP.
    return min(options, key=lambda option: len(option[0]))


def _given(value: Any, default: Any) -> Any:
    missing = value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA
    return default if missing else value
