"""Videos made for tests, and boxes of MP4 files changed in place."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
from PIL import Image

COLOURS = {"R": (220, 30, 30), "G": (30, 200, 30), "B": (30, 30, 220), "Y": (230, 220, 30)}
ONE = 1 << 16


def write_video(path: Path, codec: str, pix_fmt: str, pictures: list[np.ndarray], **options: str):
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.bit_rate = 4_000_000
        stream.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def corners_picture(height: int = 64, width: int = 80) -> np.ndarray:
    """Red and green above blue and yellow."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = COLOURS["R"]
    picture[: height // 2, width // 2 :] = COLOURS["G"]
    picture[height // 2 :, : width // 2] = COLOURS["B"]
    picture[height // 2 :, width // 2 :] = COLOURS["Y"]
    return picture


def corners(picture: np.ndarray) -> str:
    """The colours top left, top right, bottom left and bottom right of an RGB picture."""
    height, width = picture.shape[:2]
    points = [(y, x) for y in (height // 8, -height // 8) for x in (width // 8, -width // 8)]
    distances = [
        {name: abs(picture[point].astype(int) - rgb).sum() for name, rgb in COLOURS.items()}
        for point in points
    ]
    assert max(min(d.values()) for d in distances) < 60, distances
    return "".join(min(d, key=d.__getitem__) for d in distances)


def set_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Write the display matrix into the first `tkhd` of an MP4 (ISO 14496-12, 8.3.2)."""
    raw = bytearray(path.read_bytes())
    place = raw.index(b"tkhd") + 4 + 40
    assert struct.unpack_from(">9i", raw, place) == (ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30)
    whole = [round(ONE * value) for value in (a, b, c, d)]
    struct.pack_into(">9i", raw, place, *whole[:2], 0, *whole[2:], 0, 0, 0, 1 << 30)
    path.write_bytes(raw)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def add_cover(path: Path, picture: np.ndarray) -> None:
    """Put a cover picture into an MP4, before its tracks, as iTunes tags do."""
    jpeg = path.with_suffix(".jpg")
    Image.fromarray(picture).save(jpeg)
    data = _box(b"data", struct.pack(">II", 13, 0) + jpeg.read_bytes())
    jpeg.unlink()
    handler = _box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    tags = _box(b"ilst", _box(b"covr", data))
    udta = _box(b"udta", _box(b"meta", bytes(4) + handler + tags))
    raw = path.read_bytes()
    moov = raw.index(b"moov")
    assert moov > raw.index(b"mdat")  # so that no offset changes
    (size,) = struct.unpack_from(">I", raw, moov - 4)
    first = raw.index(b"trak", moov) - 4
    path.write_bytes(
        raw[: moov - 4] + struct.pack(">I", size + len(udta)) + raw[moov:first] + udta + raw[first:]
    )
