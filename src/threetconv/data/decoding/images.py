"""Pictures to RGB at a wanted size: the resizing of every frame, and image files.

Video frames and images are resized by the same method, libswscale's bilinear filter, which
averages over the source pixels that a target pixel covers (antialiased) and computes in integers
(flags accurate_rnd and bitexact: the same numbers on every machine). Frames in YUV are resized
before they become RGB, each chroma sample where the format says it lies (full_chroma_inp,
full_chroma_int): more exact than converting first, and several times faster.

JPEG files are decoded by FFmpeg, which reports damage that libjpeg conceals, and so stay in YUV
until they are resized; PNG files, and JPEG files that are not plain (turned by EXIF, CMYK,
arithmetic coding), by Pillow. The first bytes of a file decide what it is, not its name, so that
none of Pillow's other readers is used, some of which start programs.
"""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from threetconv.data.contents import IMAGE_SUFFIXES
from threetconv.data.decoding.clip_files import (
    LIMITS,
    Limits,
    RefusedError,
    check_file,
    check_pixels,
    told_as,
)
from threetconv.data.decoding.orientation import Orientation, orientation
from threetconv.errors import InputError

__all__ = ["ImageReader", "Size", "Stack", "list_images"]

Size = tuple[int, int] | None
"""(H, W) in pixels; None keeps the picture's own."""


FILTER = int(
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
# markers of quantisation and Huffman tables: the decoder keeps those of the file before, and
# would use them for a file without its own
JPEG_TABLES = (b"\xff\xdb", b"\xff\xc4")
EXIF = b"Exif\0"
JPEG_FORMATS = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "gray"})
READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
NUMBERS = re.compile(r"([0-9]+)|([^0-9]+)")


class SizesDifferError(ValueError):
    """Frames of several sizes, and none to bring them to."""


class Stack:
    """The chosen frames of one clip, resized and converted to RGB as they come by.

    Args:
        wanted: (T,) indices, non-decreasing; the same index may come several times.
        size: (H, W), or None for the size of the frames.
    """

    def __init__(self, wanted: NDArray[np.int64], size: Size) -> None:
        self._places: dict[int, list[int]] = {}
        for place, i in enumerate(wanted.tolist()):
            self._places.setdefault(i, []).append(place)
        self._shape = (len(wanted), size)
        self._frames: NDArray[np.uint8] | None = None
        self._shown: dict[int, Orientation] = {}
        self._reformatter = VideoReformatter()  # keeps the filters it has computed

    def __contains__(self, i: int) -> bool:
        """Whether frame `i` is wanted."""
        return i in self._places

    def put(self, i: int, frame: av.VideoFrame) -> None:
        """Frame `i`, which is wanted, in any pixel format; its transparency is dropped.

        It is turned and mirrored as its display matrix says (see
        `threetconv.data.decoding.orientation`).

        Raises:
            SizesDifferError: frames of two sizes, and none to bring them to.
        """
        length, size = self._shape
        shown = self._orientation(frame)
        size = size or shown.size((frame.height, frame.width))
        if self._frames is None:
            # channel-first in memory, as networks take it; `array` shows it as (T, H, W, 3)
            self._frames = np.empty((length, 3, *size), np.uint8)
        # a short clip repeats its last frame: resized once, then copied
        first, *others = self._places[i]
        out = self._frames[first]
        if out.shape[1:] != size:
            raise SizesDifferError(
                f"{size[0]} x {size[1]} after {out.shape[1]} x {out.shape[2]} pixels"
            )
        self._paint(frame, shown.undone(out))
        for other in others:
            self._frames[other] = out

    def array(self) -> NDArray[np.uint8]:
        """uint8 (T, H, W, 3), once every wanted frame was put; a view of (T, 3, H, W)."""
        assert self._frames is not None
        return self._frames.transpose(0, 2, 3, 1)

    def _orientation(self, frame: av.VideoFrame) -> Orientation:
        """The frame's orientation, read once for each angle: reading delays freeing the frame."""
        angle = frame.rotation
        if angle not in self._shown:
            self._shown[angle] = orientation(frame)
        return self._shown[angle]

    def _paint(self, frame: av.VideoFrame, out: NDArray[np.uint8]) -> None:
        height, width = out.shape[1:]
        planar = self._reformatter.reformat(
            frame, width=width, height=height, format="gbrp", interpolation=FILTER, threads=1
        )
        # gbrp has its planes in the order green, blue, red
        for channel, plane in zip((1, 2, 0), planar.planes, strict=True):
            # FFmpeg pads the rows of a plane to line_size bytes
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
            out[channel] = rows[:, :width]


def list_images(folder: Path) -> list[str]:
    """The images of a folder, hidden files left out; frame2 comes before frame10.

    Raises:
        InputError: there are none.
    """
    names = [
        name
        for name in os.listdir(folder)
        if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
    ]
    if not names:
        raise InputError(
            folder,
            found="a folder without images",
            expected=f"frames as {', '.join(sorted(IMAGE_SUFFIXES))} files",
            remedy="extract the dataset again, or take the clip out",
        )
    names.sort(key=_natural)
    return [os.path.join(folder, name) for name in names]


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key that takes digits in the name, without its suffix, as numbers."""
    stem = os.path.splitext(name)[0]
    if stem.isascii() and stem.isdigit():  # what the expression below would give, sooner
        return [(int(stem), "")], name
    # the whole name stands last: frame1 and frame01 have equal numbers, yet one order
    return [(int(digits or 0), text) for digits, text in NUMBERS.findall(stem)], name


class ImageReader:
    """Reads the image files of one clip."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._jpeg = av.CodecContext.create("mjpeg", "r")
        self._jpeg.thread_count = 1
        self._jpeg.options = {"err_detect": "explode", "max_pixels": str(limits.pixels)}

    def read(self, file: str) -> av.VideoFrame:
        """An image as a frame: turned by EXIF, transparency over black, grey as R = G = B.

        Raises:
            InputError: the file cannot be read, whatever the reason: cut short, damaged, of another
                format, not a regular file, not permitted, beyond the limits.
        """
        with told_as(
            file,
            "an image that cannot be read",
            expected="a whole JPEG or PNG file",
            remedy="extract or download it again, or take the clip out of the dataset",
        ):
            data = _content(file, check_file(file, self._limits.image_bytes))
            return self._plain_jpeg(data) or self._by_pillow(data)

    def _by_pillow(self, data: bytes) -> av.VideoFrame:
        with _header(data) as image:
            check_pixels(*image.size, self._limits.pixels)
            return av.VideoFrame.from_ndarray(np.asarray(_as_rgb(image)), "rgb24")

    def _plain_jpeg(self, data: bytes) -> av.VideoFrame | None:
        """The picture, or None where Pillow has to look at the file.

        Raises:
            av.FFmpegError: the compressed data are damaged.
            RefusedError: more pixels than allowed.
        """
        # anything unusual is left to Pillow: other bytes after the end marker or none of it, no
        # tables of its own, EXIF data that may turn the picture
        if not (
            data.startswith(JPEG_BEGIN)
            and data.endswith(JPEG_END)
            and all(table in data for table in JPEG_TABLES)
            and EXIF not in data
        ):
            return None
        try:
            frames = self._jpeg.decode(av.Packet(data))
        except av.PatchWelcomeError:  # a kind of JPEG that FFmpeg does not know
            return None
        except av.FFmpegError:  # too many pixels, among others
            with _header(data) as image:
                check_pixels(*image.size, self._limits.pixels)
            raise
        # CMYK and other unusual formats are for Pillow
        return frames[0] if frames and frames[0].format.name in JPEG_FORMATS else None


def _content(file: str, size: int) -> bytes:
    opened = os.open(file, READ)  # takes a third of the time of open(), and images are many
    try:
        return os.read(opened, size)
    finally:
        os.close(opened)


def _header(data: bytes) -> Image.Image:
    """An image of which nothing but the header was read."""
    if data.startswith(JPEG_BEGIN):
        return JpegImageFile(io.BytesIO(data))
    if data.startswith(PNG_BEGIN):
        return PngImageFile(io.BytesIO(data))
    raise RefusedError("its content is neither JPEG nor PNG")


def _as_rgb(opened: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):  # 16 bits of grey
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257  # rounded; there are no ties
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image.convert("RGB")
