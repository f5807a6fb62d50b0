"""What may be read as a clip: regular files, within limits; any failure becomes an `InputError`.

Clips come from anywhere. On broken or hostile files decoders raise errors of every kind, or take
gigabytes and hours. Whatever goes wrong while a clip is read becomes one `InputError` with its
path, so that such clips can be left out and listed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threetconv.errors import InputError

__all__ = ["LIMITS", "Limits", "RefusedError", "Stopwatch", "check_file", "check_pixels", "told_as"]

LONGEST = 200
"""Characters of another library's message that are kept."""


@dataclass(frozen=True)
class Limits:
    """How much of a clip is read at most; a clip of more is a bad one.

    Attributes:
        pixels: of one frame, height x width.
        image_bytes: of an image file.
        video_bytes: of a video file, whose compressed stream is held in memory.
        frames: in a clip, chosen or not.
        seconds: of a processor's time for decoding a clip once. Waiting for a disk or for other
            processes does not count, so that a busy machine leaves no clip out.
    """

    pixels: int = 8192 * 4320  # 8K
    image_bytes: int = 1 << 27  # 128 MiB; 8K as an uncompressed image of 24 bits has 101
    video_bytes: int = 1 << 31  # 2 GiB
    frames: int = 100_000  # more than an hour of film
    seconds: float = 300.0


LIMITS = Limits()

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class RefusedError(ValueError):
    """What is wrong with a file, in words for `told_as`."""


@contextmanager
def told_as(where: str | Path, found: str, *, expected: str, remedy: str) -> Iterator[None]:
    """Whatever is raised inside becomes an `InputError` about `where`.

    Decoders raise nearly everything (OSError, AttributeError, SyntaxError, MemoryError, ...) on
    some files, so no list of exceptions would be complete. A fault in this package is reported in
    the same way: the message has its type, ``__cause__`` the exception.

    Args:
        where: the file or folder.
        found: what it is then, such as "an image that cannot be read"; the reason follows.
        expected: see `InputError`.
        remedy: see `InputError`.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            where, found=f"{found} ({_reason(error)})", expected=expected, remedy=remedy
        ) from error


def _reason(error: Exception) -> str:
    # strerror leaves out the file's name, which the message has already
    words = " ".join(str(getattr(error, "strerror", None) or error).split())
    if not isinstance(error, RefusedError):
        words = f"{type(error).__name__}: {words}" if words else type(error).__name__
    # text from the file itself may hold control characters, which a terminal would obey
    words = "".join(c if c.isprintable() else "?" for c in words)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."


def check_file(path: str | Path, most: int) -> int:
    """The size of a file in bytes.

    Opening a FIFO would wait for ever, and a device may have no end, so this comes first.

    Raises:
        RefusedError: not a regular file (where links lead), empty, or larger than `most` bytes.
        OSError: nothing there, or not allowed to look.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(
            f"{KINDS.get(stat.S_IFMT(status.st_mode), 'something')}, not a regular file"
        )
    if status.st_size == 0:
        raise RefusedError("an empty file")
    if status.st_size > most:
        raise RefusedError(f"{status.st_size:,} bytes, more than the {most:,} allowed")
    return status.st_size


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuse pictures of more than `most` pixels, from their header alone."""
    if width * height > most:
        raise RefusedError(f"{width:,} x {height:,} pixels, more than the {most:,} allowed")


class Stopwatch:
    """Raises a `RefusedError` after `seconds` of this thread's processor time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # processor time of this thread, not wall time; see `Limits.seconds`
        self._end = time.thread_time() + seconds

    def check(self) -> None:
        if time.thread_time() > self._end:
            raise RefusedError(f"more than {self._seconds:g} s to decode it")
