"""Pictures travel inside the page; films as strips."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from threetconv.errors import InputError
from threetconv.explorer.pictures import pictures, strip
from threetconv.explorer.variant import Variant

Make = Callable[..., Variant]


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


def test_rows_share_equal_files(make: Make) -> None:
    found = json.loads(pictures(make()))
    rows = found["rows"]
    assert [row["method"] for row in rows] == ["frame", "gradient", "motion-film"]  # no pictogram
    assert [row["file"] for row in rows] == [0, 0, 1]
    assert (rows[0]["label"], rows[0]["frame"], rows[0]["width"]) == ("left", 3, 12)
    assert (rows[2]["label"], rows[2]["frames"], rows[2]["width"]) == ("", 3, 4)
    assert picture(found["files"][0]).getpixel((5, 5)) == (200, 30, 30)


def test_an_animation_becomes_a_strip(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 8), (80 * i, 0, 0)) for i in range(3)]
    path = tmp_path / "film.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    uri, count, height, width = strip(path, 3, side=64, quality=90)
    image = picture(uri)
    assert (count, height, width, image.size) == (3, 8, 16, (48, 8))
    assert [image.getpixel((16 * i + 8, 4))[0] for i in range(3)] == pytest.approx(
        [0, 80, 160], abs=8
    )


def test_large_frames_are_scaled_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    pixels = np.zeros((100, 400, 3), np.uint8)
    pixels[:, 200:] = 255
    Image.fromarray(pixels).save(path)
    uri, count, height, width = strip(path, 2, side=50, quality=95)
    image = picture(uri).convert("L")
    assert (count, height, width, image.size) == (2, 25, 50, (100, 25))
    assert image.getpixel((48, 12)) < 20
    assert image.getpixel((51, 12)) > 235


def test_a_strip_of_no_whole_frames(make: Make) -> None:
    table = make().images.assign(n_frames=5)
    with pytest.raises(InputError, match="a width of 12 pixels"):
        pictures(make(images=table))


@pytest.mark.parametrize(("content", "found"), [(None, "no such file"), (b"text", "no picture")])
def test_a_bad_file(tmp_path: Path, content: bytes | None, found: str) -> None:
    path = tmp_path / "x.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=found):
        strip(path, 1, side=9, quality=90)
