"""Find video files that are shorter than their container says: an interrupted copy or download.

Decoders play a cut file without complaint and only deliver fewer frames, so the sizes written
in the container are the evidence. Sources: Microsoft's RIFF specification (AVI), RFC 8794 and
RFC 9559 (EBML, Matroska and WebM), ISO/IEC 14496-12 (MP4).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

__all__ = ["announced_bytes"]

MOST_BOXES = 100_000  # a file of nothing but tiny boxes is not followed to its end
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def announced_bytes(path: str | Path) -> int | None:
    """The least size in bytes that the container announces, or None when it announces none.

    Args:
        path: a readable file of any kind; one that is not AVI, Matroska, WebM or MP4 gives None.
    """
    with open(path, "rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[:4] == b"RIFF":
            size = int.from_bytes(head[4:8], "little")
            # RIFF counts what follows its 8 bytes; a size of 0 was never filled in by the writer
            return size + 8 if size and len(head) == 12 else None
        if head[:4] == EBML:
            return _matroska(file)
        if head[4:8] == b"ftyp":
            return _mp4(file)
    return None


def _matroska(file: BinaryIO) -> int | None:
    """End of the Segment, the element after the EBML header; None while its size is unknown."""
    total = file.seek(0, os.SEEK_END)
    file.seek(len(EBML))
    header = _vint(file)
    if header is None:
        return None
    segment = file.tell() + header
    if segment > total:  # may be more than the system lets one seek to
        return segment
    file.seek(segment)
    if file.read(4) != SEGMENT:
        return None
    size = _vint(file)
    return None if size is None else file.tell() + size


def _vint(file: BinaryIO) -> int | None:
    """An EBML variable-size integer; None for "unknown" (all ones) or at the end of the file."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    # the leading zero bits of the first byte give the number of bytes that follow
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + rest, "big")
    unknown = value == (1 << (7 * length)) - 1
    return None if unknown or len(rest) < length - 1 else value


def _mp4(file: BinaryIO) -> int | None:
    """End of the last top-level box that begins inside the file; None for too many boxes."""
    total = file.seek(0, os.SEEK_END)
    place = 0
    for _ in range(MOST_BOXES):
        if place + 8 > total:
            return place
        file.seek(place)
        size = int.from_bytes(file.read(4), "big")
        file.read(4)  # the box's type
        # the real size, 64 bits, follows the type
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if size < 8:  # 0: to the end of the file, whatever that is; less than a header: no box
            return place or None
        place += size
    return None
