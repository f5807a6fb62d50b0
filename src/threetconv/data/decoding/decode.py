"""One clip from disk: decode it, choose frames over its length, resize them.

Which frames are chosen: `threetconv.data.decoding.frame_sampling`; which files are read, and how
much of them: `threetconv.data.decoding.clip_files`.

Videos are read with PyAV, folders of images as `threetconv.data.decoding.images` says; the latter
resizes both. The aspect ratio is not kept: (height, width) is reached exactly, as the paper's 150 x
224 and 168 x 224.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from threetconv.data.decoding.clip_files import (
    LIMITS,
    Limits,
    RefusedError,
    Stopwatch,
    check_file,
    check_pixels,
    told_as,
)
from threetconv.data.decoding.frame_sampling import SAMPLING
from threetconv.data.decoding.images import ImageReader, Size, SizesDifferError, Stack, list_images
from threetconv.data.decoding.truncation import announced_bytes
from threetconv.errors import InputError, look_up

__all__ = [
    "CONTAINERS",
    "Clip",
    "Glance",
    "decode_clip",
    "glance",
    "read_frames",
    "short_clip",
]

log = logging.getLogger(__name__)

REPAIR = (
    "copy or download the file again, re-encode it (ffmpeg -i FILE -c:v libx264 NEW.mp4), or "
    "take the clip out of the dataset"
)
MIDDLE = 0.5
CONTAINERS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "ivf"),
    *("m4v", "mpegvideo", "h264", "hevc"),  # without a container
    *("mp3", "flac", "wav", "aac"),  # of which one can say that they have no film
)
"""What FFmpeg may take a file for, by content: nothing that names other files, as playlists do."""
DEFAULT_PIXELS = 5_000_000
"""Pixels that a mark as default stream is worth in the choice of the ffmpeg program."""
EDGES = 1 << 16
"""Pixels allowed to FFmpeg beyond twice the limit, because it counts padding as well."""
SWELLING, SWELLING_FROM = 8, 1 << 26
"""A stream above 64 MiB may be this many times as large as its file: frames may share bytes."""


StackFor = Callable[[int], Stack]
"""From the number of frames of a clip to what takes the chosen ones."""


class Clip(NamedTuple):
    """Frames of one clip, uint8 (T, H, W, 3) RGB, and how many frames its source has."""

    frames: NDArray[np.uint8]
    source_frames: int


class Glance(NamedTuple):
    """How many frames a video's container states (0: nothing), and the first one's size in px."""

    stated_frames: int
    height: int
    width: int


def read_frames(
    path: str | Path,
    *,
    frames: int,
    size: Size,
    sampling: str = "even",
    offset: float = MIDDLE,
    limits: Limits = LIMITS,
) -> NDArray[np.uint8]:
    """The chosen frames of a video file or of a folder of images.

    Logs a warning when the clip has fewer than `frames` frames and its last is repeated.

    Args:
        path: video file, or folder of .jpg, .jpeg or .png images.
        frames: T, how many frames to return.
        size: (H, W) in pixels; None keeps the clip's own.
        sampling: name in `threetconv.data.decoding.frame_sampling.SAMPLING`.
        offset: in [0, 1), for sampling "random-offset" (see
            `threetconv.data.decoding.frame_sampling`).
        limits: how much of a clip is read at most; beyond them it is a bad clip.

    Returns:
        uint8 (T, H, W, 3), RGB; channel-first in memory, as networks take it.

    Raises:
        InputError: the clip cannot be read, whatever the reason: missing, not permitted, cut short,
            damaged, without frames, beyond the limits, of a format or codec that is not known.
    """
    clip = decode_clip(
        path, frames=frames, size=size, sampling=sampling, offset=offset, limits=limits
    )
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
    limits: Limits = LIMITS,
) -> Clip:
    """`read_frames` without the warning, and with the number of frames of the source.

    That number is counted by decoding, since containers often state another one. The first pass
    chooses frames by the number of compressed packets. The file is decoded a second time only when
    the count differs. So no more than the compressed stream and `frames` pictures are in memory.

    Of several video streams the one that the ffmpeg program would take is read, cover pictures
    (attached_pic) never.

    Damage inside a stream: frames that the decoder reports as broken or patched up are an
    InputError, whether they are among the chosen or not. VP8, VP9 and AV1 streams carry nothing
    by which a decoder could tell; there only grave damage is found.
    """
    if frames < 1 or (size is not None and (len(size) != 2 or min(size) < 1)):
        raise ValueError(f"frames and size must be positive, not {frames} and {size}")
    choose = look_up(SAMPLING, sampling, what="sampling").choose

    def stack_for(n: int) -> Stack:
        return Stack(choose(n, frames, offset), size)

    stack_for(1)  # raises on wrong arguments here, where it is not reported as the clip's fault
    path = Path(path)
    with _broken_clip(path):
        return (_decode_folder if path.is_dir() else _decode_video)(path, stack_for, limits)


def glance(path: str | Path, *, limits: Limits = LIMITS) -> Glance:
    """Open a video and decode its first frame only.

    Raises:
        InputError: that failed, or the file is shorter than its container announces.
    """
    path = Path(path)
    with _broken_clip(path):
        bytes_ = _whole_file(path, limits)
        container, stream = _open(path, limits)
        with container:
            # returns in the first round; a file without frames falls through
            for frame in _decoded(path, _packets(container, stream, bytes_, limits), limits):
                stack = Stack(np.zeros(1, np.int64), None)
                stack.put(0, frame)
                return Glance(stream.frames, *stack.array().shape[1:3])
    raise _without_frames(path)


def _broken_clip(path: Path) -> AbstractContextManager[None]:
    return told_as(
        path,
        "a clip that cannot be decoded",
        expected="a whole video file, or a folder of JPEG or PNG images",
        remedy=REPAIR,
    )


def _decode_folder(path: Path, stack_for: StackFor, limits: Limits) -> Clip:
    files = list_images(path)
    if len(files) > limits.frames:
        raise RefusedError(f"{len(files):,} images, more than the {limits.frames:,} allowed")
    stack = stack_for(len(files))
    reader, watch = ImageReader(limits), Stopwatch(limits.seconds)
    for i, file in enumerate(files):
        if i in stack:
            _put(stack, i, reader.read(file), path)
            watch.check()
    return Clip(stack.array(), len(files))


def _put(stack: Stack, i: int, frame: av.VideoFrame, path: Path) -> None:
    try:
        stack.put(i, frame)
    except SizesDifferError as error:
        raise InputError(
            path,
            found=f"frames of several sizes (frame {i}: {error})",
            expected="one size throughout, since no other was asked for",
            remedy="ask for a size, to which all frames are brought",
        ) from error


def _decode_video(path: Path, stack_for: StackFor, limits: Limits) -> Clip:
    bytes_ = _whole_file(path, limits)
    # frames are chosen by their number in the clip, which is known only after decoding; the number
    # of packets is right for most files
    stack, guess, count = _one_pass(path, stack_for, bytes_, limits)
    if count and count != guess:
        known = count
        stack, _, count = _one_pass(path, lambda _: stack_for(known), bytes_, limits)
    if not count:
        raise _without_frames(path)
    return Clip(stack.array(), count)


def _without_frames(path: Path) -> InputError:
    return InputError(
        path,
        found="a video stream without a single frame",
        expected="at least one frame",
        remedy=REPAIR,
    )


def _whole_file(path: Path, limits: Limits) -> int:
    """The file's size in bytes, once it is known to be there and not cut short."""
    if not path.exists():
        raise InputError(
            path,
            found="nothing at this path",
            expected="a video file or a folder of images",
            remedy="correct the path, or make the clip table anew if the data moved",
        )
    have, announced = check_file(path, limits.video_bytes), announced_bytes(path)
    if announced is not None and have < announced:
        raise InputError(
            path,
            found=f"a truncated file: {have:,} bytes",
            expected=f"at least {announced:,} bytes, as its container announces",
            remedy=REPAIR,
        )
    return have


def _open(path: Path, limits: Limits) -> tuple[av.container.InputContainer, av.VideoStream]:
    most = str(2 * limits.pixels + EDGES)
    try:
        container = av.open(
            f"file:{path}",  # a name such as "http:clip.mp4" is a file too
            # titles in other encodings are no reason to refuse a film
            metadata_errors="replace",
            options={
                "format_whitelist": ",".join(CONTAINERS),
                "protocol_whitelist": "file",
                "max_pixels": most,  # also while the file is being probed
            },
        )
    except av.ArgumentError as error:  # raised for a format that is not in the list
        raise RefusedError(
            f"{error.strerror}; formats that are read: {', '.join(CONTAINERS)}"
        ) from error
    try:
        stream = _film(container, path)
        context = stream.codec_context
        if context is None:
            raise RefusedError("its codec is one that FFmpeg does not have")
        check_pixels(context.width, context.height, limits.pixels)
        context.thread_count = 1  # clips are decoded side by side instead
        context.options = {"max_pixels": most}
        if context.name == "mjpeg":  # other decoders mark damaged frames as corrupt
            context.options = {"max_pixels": most, "err_detect": "explode"}
    except BaseException:
        container.close()
        raise
    return container, stream


def _film(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The video stream that the ffmpeg program would take; attached pictures are left out.

    Streams that can be decoded come first, then the largest, where a mark as default counts for
    5 million pixels, then the first in the file.
    """

    def rank(stream: av.VideoStream) -> tuple[bool, int]:
        context = stream.codec_context
        area = context.width * context.height if context else 0
        # tuples: any stream that can be decoded comes before any that cannot
        return context is not None, area + DEFAULT_PIXELS * bool(
            stream.disposition & Disposition.default
        )

    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not films:
        raise InputError(
            path,
            found="a file without a video stream",
            expected="a video file",
            remedy="take the file out of the dataset",
        )
    return max(films, key=rank)


def _packets(
    container: av.container.InputContainer, stream: av.VideoStream, bytes_: int, limits: Limits
) -> Iterator[av.Packet]:
    """The compressed stream; the last packet is empty and flushes the decoder.

    An index may name the same bytes any number of times, so their sum is watched too.
    """
    total, most = 0, min(limits.video_bytes, max(SWELLING * bytes_, SWELLING_FROM))
    for count, packet in enumerate(container.demux(stream)):
        total += packet.size
        if count > limits.frames:
            raise RefusedError(f"more than {limits.frames:,} packets")
        if total > most:
            raise RefusedError(f"a stream of more than {most:,} bytes in a file of {bytes_:,}")
        yield packet


def _decoded(path: Path, packets: Iterable[av.Packet], limits: Limits) -> Iterator[av.VideoFrame]:
    """Frames in the order the decoder shows them."""
    watch, count = Stopwatch(limits.seconds), 0
    for packet in packets:
        for frame in packet.decode():
            # the decoder may have filled the damage with parts of other frames
            if frame.is_corrupt:
                raise InputError(
                    path,
                    found=f"damaged data in frame {count}, which the decoder patched up",
                    expected="a whole video file",
                    remedy=REPAIR,
                )
            if count == limits.frames:
                raise RefusedError(f"more than {limits.frames:,} frames")
            check_pixels(frame.width, frame.height, limits.pixels)  # a stream may change its size
            yield frame
            count += 1
        watch.check()


def _one_pass(
    path: Path, stack_for: StackFor, bytes_: int, limits: Limits
) -> tuple[Stack, int, int]:
    """Decode from the first frame to the last: (stack, packets, number of frames).

    Frames are counted in the order the decoder shows them. Seeking and time stamps are avoided:
    AVI files with B-frames have neither right. A packet need not be a frame: an edit list hides
    some (discard), VP8 has some that are never shown, and DivX packs two frames into one.

    Args:
        path: the file.
        stack_for: from the number of packets to what takes the frames.
        bytes_: the file's size.
        limits: see `Limits`.
    """
    container, stream = _open(path, limits)
    with container:
        # read to the end before decoding, since the number of packets decides which frames are
        # wanted
        packets = list(_packets(container, stream, bytes_, limits))
        # the flushing packet is empty; a discarded one is decoded and not shown
        guess = max(1, sum(packet.size > 0 and not packet.is_discard for packet in packets))
        stack = stack_for(guess)
        count = 0
        for frame in _decoded(path, packets, limits):
            # all frames are decoded, as later ones refer to them; only the wanted are resized
            if count in stack:
                _put(stack, count, frame, path)
            count += 1
    return stack, guess, count
