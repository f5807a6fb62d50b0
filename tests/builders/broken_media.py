"""Clips that cannot be read, one of each kind, made in a folder; what must be said of each."""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image, features

from .media_files import corners_picture, write_video

HUGE = 20 << 30


def _png(width: int, height: int) -> bytes:
    """A PNG whose header promises pixels that are not there."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(bytes(1000))
    chunks = b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c))
        for c in (header, body, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def saved(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(corners_picture()).save(stream, kind, **options)
    return stream.getvalue()


def _jpeg(side: int, **options: object) -> bytes:
    """A JPEG whose header claims side x side pixels."""
    raw = bytearray(saved("JPEG", **options))
    struct.pack_into(">HH", raw, raw.index(b"\xff\xc0") + 5, side, side)
    return bytes(raw)


def _exif() -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags


def _dds() -> bytes:
    """A DirectDraw surface without a pixel format (Pillow: NotImplementedError)."""
    return b"DDS " + struct.pack("<7I", 124, 0x1007, 16, 16, 0, 0, 0) + bytes(44 + 32 + 20 + 500)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
OTHER = "Invalid argument; formats that are read: mov, matroska, avi, "
NEITHER = "its content is neither JPEG nor PNG"
CONTENTS: dict[str, tuple[bytes, str]] = {
    "bomb": (_png(20_000, 10_000), "20,000 x 10,000 pixels, more than the 35,389,440 allowed"),
    "header": (_png(100_000, 100_000), "100,000 x 100,000 pixels, more than"),
    "large": (_png(12_000, 9_000), "12,000 x 9,000 pixels, more than"),  # Pillow only warns
    "jpeg": (_jpeg(65_500), "65,500 x 65,500 pixels, more than"),
    "jpeg-turned": (_jpeg(65_500, exif=_exif()), "65,500 x 65,500 pixels, more than"),
    "dds": (_dds(), NEITHER),
    "postscript": (POSTSCRIPT, NEITHER),
    **{kind.lower(): (saved(kind), NEITHER) for kind in ("GIF", "TIFF", "BMP", "WEBP")},
    **({"avif": (saved("AVIF"), NEITHER)} if features.check("avif") else {}),
    "text": (b"nonsense", NEITHER),
    "empty": (b"", "an empty file"),
}


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(HUGE)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "a FIFO, not a regular file"),
    "socket": (lambda p: os.mknod(p, stat.S_IFSOCK | 0o600), "a socket, not a regular file"),
    "zero": (lambda p: p.symlink_to("/dev/zero"), "a device, not a regular file"),
    "folder": (Path.mkdir, "a folder, not a regular file"),
    "dangling": (lambda p: p.symlink_to("gone"), "No such file or directory"),
    "circle": (lambda p: p.symlink_to(p.name), "Too many levels of symbolic links"),
    "sparse": (_sparse, "21,474,836,480 bytes, more than the 134,217,728 allowed"),
}
"""What there may be in place of a file; not all of it as a video, see `videos`."""


def frame_folders(root: Path) -> dict[str, str]:
    """Folders of images with a good frame and a bad one: name -> what must be found."""
    found = {}
    for name, (content, what) in CONTENTS.items():
        (root / name).mkdir(parents=True)
        (root / name / "00002.png").write_bytes(content)
        found[name] = what
    for name, (make, what) in FILES.items():
        (root / name).mkdir()
        make(root / name / "00002.png")
        found[name] = what
    for name in found:
        Image.fromarray(corners_picture()).save(root / name / "00001.png")
    return found


def _no_codec(path: Path) -> None:
    """Matroska of a codec that FFmpeg does not have (PyAV: no codec context)."""
    write_video(path, "ffv1", "gray", [corners_picture()] * 4)
    raw = path.read_bytes()
    assert raw.count(b"V_FFV1") == 1
    path.write_bytes(raw.replace(b"V_FFV1", b"V_NONE"))


def _ebml(path: Path) -> None:
    """Matroska whose header is 2^55 bytes long, further than a system can seek."""
    write_video(path, "ffv1", "gray", [corners_picture()])
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + b"\x01\x80" + bytes(6) + raw[12:])


def _wide(width: int, height: int) -> Callable[[Path], None]:
    """Matroska of as many pixels, as its header says."""

    def make(path: Path) -> None:
        write_video(path, "ffv1", "gray", [corners_picture()] * 2)
        raw = path.read_bytes()
        own = b"\xb0\x81\x50\xba\x81\x40" + b"\x54\xb2\x81\x04"  # width, height, display unit
        assert raw.count(own) == 1
        sizes = struct.pack(">2sH2sH", b"\xb0\x82", width, b"\xba\x82", height)
        path.write_bytes(raw.replace(own, sizes + b"\xec\x80"))  # as long: void

    return make


def _playlist(text: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write_video(path.with_name("good.mkv"), "ffv1", "gray", [corners_picture()] * 4)
        path.write_text(text)

    return make


VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "codec.mkv": (_no_codec, "its codec is one that FFmpeg does not have"),
    "wide.mkv": (_wide(8_000, 6_000), "8,000 x 6,000 pixels, more than the 35,389,440 allowed"),
    "huge.mkv": (_wide(65_500, 65_500), "cannot be decoded"),
    "ebml.mkv": (_ebml, "a truncated file"),
    "concat.mp4": (_playlist("ffconcat version 1.0\nfile good.mkv\n"), OTHER),
    "hls.mp4": (_playlist("#EXTM3U\n#EXTINF:1,\ngood.mkv\n#EXT-X-ENDLIST\n"), "cannot be decoded"),
    "picture.mp4": (lambda p: p.write_bytes(saved("PNG")), OTHER),
    "moving.avi": (lambda p: p.write_bytes(saved("GIF")), OTHER),
    "fifo.mp4": FILES["fifo"],
    "socket.mp4": FILES["socket"],
    "zero.mp4": FILES["zero"],
    "dangling.mp4": (FILES["dangling"][0], "nothing at this path"),
    "circle.mp4": (FILES["circle"][0], "nothing at this path"),
    "sparse.mp4": (_sparse, "21,474,836,480 bytes, more than the 2,147,483,648 allowed"),
    "empty.webm": (Path.touch, "an empty file"),
    "text.avi": (lambda p: p.write_text("not a film"), "Invalid data found"),
}


def videos(root: Path) -> dict[str, str]:
    """Video files in folders of their own: path below `root` -> what must be found."""
    for name, (make, _) in VIDEOS.items():
        folder = root / name.split(".")[0]
        folder.mkdir(parents=True)
        make(folder / name)
    return {f"{name.split('.')[0]}/{name}": found for name, (_, found) in VIDEOS.items()}
