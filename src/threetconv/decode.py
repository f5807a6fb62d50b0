"""One clip from disk: decode it, choose frames evenly over its length, resize them.

Videos are read with PyAV, images with Pillow. Both kinds are resized by the same method,
Pillow's bilinear filter, which averages over the source pixels that a target pixel covers
(antialiased) and computes in integers. The aspect ratio is not kept: (height, width) is reached
exactly, as the paper's 150 x 224 and 168 x 224.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image, ImageOps

from threetconv.errors import InputError, look_up
from threetconv.truncation import announced_bytes

__all__ = ["SAMPLING", "Clip", "decode_clip", "frame_indices", "read_frames", "short_clip"]

Size = tuple[int, int] | None

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
REPAIR = (
    "copy or download the file again, re-encode it (ffmpeg -i FILE -c:v libx264 NEW.mp4), or "
    "take the clip out of the dataset"
)


class Clip(NamedTuple):
    """Frames of one clip, uint8 (T, H, W, 3) RGB, and how many frames its source has."""

    frames: NDArray[np.uint8]
    source_frames: int


def frame_indices(n: int, t: int) -> NDArray[np.int64]:
    """Which `t` of `n` frames to take: ``round(linspace(0, n - 1, t))``, halves to even.

    First and last frame are always among them (for t = 1 only the first). A clip of fewer than
    `t` frames gives all its frames in order, then the last one again and again.

    Returns:
        (t,) indices, non-decreasing.

    Raises:
        ValueError: `n` or `t` is less than 1.
    """
    if n < 1 or t < 1:
        raise ValueError(f"n and t must be at least 1, not {n} and {t}")
    if n < t:
        return np.minimum(np.arange(t), n - 1)
    return np.rint(np.linspace(0, n - 1, t)).astype(np.int64)


SAMPLING: dict[str, Callable[[int, int], NDArray[np.int64]]] = {"even": frame_indices}


def read_frames(
    path: str | Path, *, frames: int, size: Size, sampling: str = "even"
) -> NDArray[np.uint8]:
    """The chosen frames of a video file or of a folder of images.

    Logs a warning when the clip has fewer than `frames` frames and its last is repeated.

    Args:
        path: video file, or folder of .jpg, .jpeg or .png images.
        frames: T, how many frames to return.
        size: (H, W) in pixels; None keeps the clip's own.
        sampling: name in `SAMPLING`.

    Returns:
        uint8 (T, H, W, 3), RGB.

    Raises:
        InputError: the clip is missing, unreadable, cut short or without frames.
    """
    clip = decode_clip(path, frames=frames, size=size, sampling=sampling)
    if clip.source_frames < frames:
        log.warning(short_clip(path, clip.source_frames, frames))
    return clip.frames


def short_clip(path: str | Path, n: int, t: int) -> str:
    """The message about a clip with `n` frames of which `t` are wanted."""
    return f"{path}: {n} frames where {t} are wanted; its last frame is repeated {t - n} times"


def decode_clip(path: str | Path, *, frames: int, size: Size, sampling: str = "even") -> Clip:
    """`read_frames` without the warning, and with the number of frames of the source.

    That number is counted by decoding, since containers often state another one. The stated
    number is tried first, and only when the count differs is the file decoded once more, so at
    most `frames` pictures are held in memory however long the video is.
    """
    if frames < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise ValueError(f"frames and size must be positive, not {frames} and {size}")
    choose = look_up(SAMPLING, sampling, what="sampling")
    path = Path(path)
    if path.is_dir():
        return _decode_folder(path, frames, size, choose)
    if not path.exists():
        raise InputError(
            path,
            found="nothing at this path",
            expected="a video file or a folder of images",
            remedy="correct the path, or make the clip table anew if the data moved",
        )
    return _decode_video(path, frames, size, choose)


Choose = Callable[[int, int], NDArray[np.int64]]


def _decode_video(path: Path, frames: int, size: Size, choose: Choose) -> Clip:
    _refuse_cut_file(path)
    try:
        guess = _stated_frames(path)
        wanted = choose(guess, frames)
        kept, count = _one_pass(path, wanted, size)
        if count and count != guess:
            wanted = choose(count, frames)
            kept, count = _one_pass(path, wanted, size)
    except (av.FFmpegError, EOFError) as error:
        raise InputError(
            path,
            found=f"a file that cannot be decoded ({error.strerror or error})"
            if isinstance(error, OSError)
            else f"a file that cannot be decoded ({error})",
            expected="a whole video file",
            remedy=REPAIR,
        ) from error
    if not count:
        raise InputError(
            path,
            found="a video stream without a single frame",
            expected="at least one frame",
            remedy=REPAIR,
        )
    return Clip(np.stack([kept[int(i)] for i in wanted]), count)


def _refuse_cut_file(path: Path) -> None:
    have, announced = os.path.getsize(path), announced_bytes(path)
    if have == 0:
        raise InputError(path, found="an empty file", expected="a whole video file", remedy=REPAIR)
    if announced is not None and have < announced:
        raise InputError(
            path,
            found=f"a truncated file: {have:,} bytes",
            expected=f"at least {announced:,} bytes, as its container announces",
            remedy=REPAIR,
        )


def _open(path: Path) -> tuple[av.container.InputContainer, av.VideoStream]:
    container = av.open(str(path), metadata_errors="replace")
    if not container.streams.video:
        container.close()
        raise InputError(
            path,
            found="a file without a video stream",
            expected="a video file",
            remedy="take the file out of the dataset",
        )
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # clips are decoded side by side instead
    return container, stream


def _stated_frames(path: Path) -> int:
    """How many frames the container states or its duration implies; a first guess, at least 1."""
    container, stream = _open(path)
    with container:
        if stream.frames > 0:
            return stream.frames
        if container.duration and stream.average_rate:
            return max(1, round(container.duration / av.time_base * stream.average_rate))
    return 1


def _one_pass(
    path: Path, wanted: NDArray[np.int64], size: Size
) -> tuple[dict[int, NDArray[np.uint8]], int]:
    """Decode from the first frame to the last: (wanted frames by index, number of frames).

    Frames are counted in the order the decoder shows them. Seeking and time stamps are avoided:
    AVI files with B-frames have neither right.
    """
    keep = {int(i) for i in wanted}
    kept: dict[int, NDArray[np.uint8]] = {}
    count = 0
    container, stream = _open(path)
    reformatter = VideoReformatter()
    with container:
        for frame in container.decode(stream):
            if count in keep:
                rgb = reformatter.reformat(frame, format="rgb24").to_ndarray()
                upright = np.rot90(rgb, round(frame.rotation / 90))  # anticlockwise degrees
                kept[count] = _resize(Image.fromarray(np.ascontiguousarray(upright)), size)
            count += 1
    return kept, count


def _resize(image: Image.Image, size: Size) -> NDArray[np.uint8]:
    """RGB image -> uint8 (H, W, 3); size is (H, W), or None."""
    if size is None:
        return np.asarray(image)
    height, width = size
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def _decode_folder(path: Path, frames: int, size: Size, choose: Choose) -> Clip:
    files = [
        file
        for file in path.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise InputError(
            path,
            found="a folder without images",
            expected=f"frames as {', '.join(sorted(IMAGE_SUFFIXES))} files",
            remedy="extract the dataset again, or take the clip out",
        )
    files.sort(key=_natural)
    wanted = choose(len(files), frames)
    kept = {int(i): _resize(_read_image(files[i]), size) for i in np.unique(wanted)}
    return Clip(np.stack([kept[int(i)] for i in wanted]), len(files))


def _natural(file: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", file.stem)
    return [(int(digits or 0), text) for digits, text in parts], file.name


def _read_image(file: Path) -> Image.Image:
    """An image as RGB: turned by its EXIF orientation, transparency over black, grey as R=G=B."""
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits of grey
                grey = np.asarray(image).astype(np.float64) / 257
                return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                black = Image.new("RGBA", image.size, (0, 0, 0, 255))
                image = Image.alpha_composite(black, image)
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for broken files
        raise InputError(
            file,
            found=f"an image that cannot be read ({error})",
            expected="a whole JPEG or PNG file",
            remedy="extract or download it again, or take the clip out of the dataset",
        ) from error
