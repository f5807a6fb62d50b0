"""One clip from disk: decode it, choose frames over its length, resize them.

Which frames are chosen: `threetconv.sampling`.

Videos are read with PyAV, folders of images as `threetconv.images` says; the latter resizes both.
The aspect ratio is not kept: (height, width) is reached exactly, as the paper's 150 x 224 and
168 x 224.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from threetconv.errors import InputError, look_up
from threetconv.images import ImageReader, Size, Stack, list_images
from threetconv.sampling import SAMPLING, Choose, frame_indices
from threetconv.truncation import announced_bytes

__all__ = ["SAMPLING", "Clip", "decode_clip", "frame_indices", "read_frames", "short_clip"]

log = logging.getLogger(__name__)

REPAIR = (
    "copy or download the file again, re-encode it (ffmpeg -i FILE -c:v libx264 NEW.mp4), or "
    "take the clip out of the dataset"
)
MIDDLE = 0.5


class Clip(NamedTuple):
    """Frames of one clip, uint8 (T, H, W, 3) RGB, and how many frames its source has."""

    frames: NDArray[np.uint8]
    source_frames: int


def read_frames(
    path: str | Path,
    *,
    frames: int,
    size: Size,
    sampling: str = "even",
    offset: float = MIDDLE,
) -> NDArray[np.uint8]:
    """The chosen frames of a video file or of a folder of images.

    Logs a warning when the clip has fewer than `frames` frames and its last is repeated.

    Args:
        path: video file, or folder of .jpg, .jpeg or .png images.
        frames: T, how many frames to return.
        size: (H, W) in pixels; None keeps the clip's own.
        sampling: name in `SAMPLING`.
        offset: in [0, 1), for sampling "random-offset" (see `threetconv.sampling`).

    Returns:
        uint8 (T, H, W, 3), RGB; channel-first in memory, as networks take it.

    Raises:
        InputError: the clip is missing, unreadable, cut short, damaged or without frames.
    """
    clip = decode_clip(path, frames=frames, size=size, sampling=sampling, offset=offset)
    if clip.source_frames < frames:
        log.warning(short_clip(path, clip.source_frames, frames))
    return clip.frames


def short_clip(path: str | Path, n: int, t: int) -> str:
    """The message about a clip with `n` frames of which `t` are wanted."""
    return f"{path}: {n} frames where {t} are wanted; its last frame is repeated {t - n} times"


def decode_clip(
    path: str | Path,
    *,
    frames: int,
    size: Size,
    sampling: str = "even",
    offset: float = MIDDLE,
) -> Clip:
    """`read_frames` without the warning, and with the number of frames of the source.

    That number is counted by decoding, since containers often state another one. The number of
    compressed packets is tried first, and only when the count differs is the file decoded once
    more, so the compressed stream and `frames` pictures are all that is held in memory.

    Damage inside a stream: frames that the decoder reports as broken or patched up are an
    InputError, whether they are among the chosen or not. VP8, VP9 and AV1 streams carry nothing
    by which a decoder could tell; there only grave damage is found.
    """
    if frames < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise ValueError(f"frames and size must be positive, not {frames} and {size}")
    choose = look_up(SAMPLING, sampling, what="sampling")
    path = Path(path)
    if path.is_dir():
        return _decode_folder(path, frames, size, choose, offset)
    if not path.exists():
        raise InputError(
            path,
            found="nothing at this path",
            expected="a video file or a folder of images",
            remedy="correct the path, or make the clip table anew if the data moved",
        )
    return _decode_video(path, frames, size, choose, offset)


def _decode_folder(path: Path, frames: int, size: Size, choose: Choose, offset: float) -> Clip:
    files = list_images(path)
    stack = Stack(choose(len(files), frames, offset), size)
    reader = ImageReader()
    for i, file in enumerate(files):
        if i in stack:
            _put(stack, i, reader.read(file), path)
    return Clip(stack.array(), len(files))


def _put(stack: Stack, i: int, frame: av.VideoFrame, path: Path) -> None:
    try:
        stack.put(i, frame)
    except ValueError as error:
        raise InputError(
            path,
            found=f"frames of several sizes (frame {i}: {error})",
            expected="one size throughout, since no other was asked for",
            remedy="ask for a size, to which all frames are brought",
        ) from error


def _decode_video(path: Path, frames: int, size: Size, choose: Choose, offset: float) -> Clip:
    _refuse_cut_file(path)
    try:
        stack, guess, count = _one_pass(path, lambda n: Stack(choose(n, frames, offset), size))
        if count and count != guess:
            wanted = choose(count, frames, offset)
            stack, _, count = _one_pass(path, lambda _: Stack(wanted, size))
    except (av.FFmpegError, EOFError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise InputError(
            path,
            found=f"a file that cannot be decoded ({reason})",
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
    return Clip(stack.array(), count)


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
    if stream.codec_context.name == "mjpeg":  # others mark their damaged frames
        stream.codec_context.options = {"err_detect": "explode"}
    return container, stream


def _one_pass(path: Path, stack_for: Callable[[int], Stack]) -> tuple[Stack, int, int]:
    """Decode from the first frame to the last: (stack, packets, number of frames).

    Frames are counted in the order the decoder shows them. Seeking and time stamps are avoided:
    AVI files with B-frames have neither right. A packet need not be a frame: an edit list hides
    some (discard), VP8 has some that are never shown, and DivX packs two frames into one.

    Args:
        path: the file.
        stack_for: from the number of packets to what takes the frames.
    """
    container, stream = _open(path)
    with container:
        packets = list(container.demux(stream))  # the last is empty and flushes the decoder
        guess = max(1, sum(packet.size > 0 and not packet.is_discard for packet in packets))
        stack = stack_for(guess)
        count = 0
        for packet in packets:
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise InputError(
                        path,
                        found=f"damaged data in frame {count}, which the decoder patched up",
                        expected="a whole video file",
                        remedy=REPAIR,
                    )
                if count in stack:
                    _put(stack, count, frame, path)
                count += 1
    return stack, guess, count
