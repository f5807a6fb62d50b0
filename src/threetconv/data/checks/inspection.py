"""One clip looked at before training: does it decode, how long is it, what is its content?

`inspect_clips` does it for many, in processes side by side; `clips_on_disk` finds the clips of a
data set whose lists cannot be read.
"""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from threetconv.data.adapters.disk import is_there, walk
from threetconv.data.contents import IMAGE_SUFFIXES
from threetconv.data.decoding.clip_files import told_as
from threetconv.data.table import COLUMNS, VIDEO_SUFFIXES, is_text
from threetconv.errors import InputError
from threetconv.support.processes import pool

__all__ = ["Inspected", "clips_on_disk", "inspect_clip", "inspect_clips"]

CLIPS_PER_TASK = 8  # few, so that an interrupt does not wait long for the ones being read
SMALL = (16, 16)  # decoded frames are looked at and dropped; small ones cost no memory

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Inspected:
    """What was found at one path.

    Attributes:
        path: as given.
        problem: why the clip cannot be used; empty for a good one.
        remedy: what to do about it; empty for a good one.
        frames: in the clip; 0 when unknown.
        height, width: of its first frame in px; 0 when unknown.
        digest: SHA-256 of its bytes (of a folder: of its images in order of name); empty when they
            were not read.
    """

    path: str
    problem: str = ""
    remedy: str = ""
    frames: int = 0
    height: int = 0
    width: int = 0
    digest: str = ""


def inspect_clip(path: str | Path, *, quick: bool = False) -> Inspected:
    """Decode a clip from its first frame to its last and hash its bytes.

    Args:
        path: video file or folder of images.
        quick: compare the file's size with what its container announces and decode the first frame
            only; `frames` is then what the container states (0 if nothing), and nothing is hashed.
    """
    from threetconv.data.decoding.decode import decode_clip, glance  # PyAV

    path, digest = Path(path), ""
    try:
        if quick and not _is_folder(path):
            frames, height, width = glance(path)
        else:
            first = decode_clip(path, frames=1, size=None)  # a video is read to its end for this
            frames, (height, width) = first.source_frames, first.frames.shape[1:3]
        if not quick:
            if _is_folder(path) and frames > 1:
                decode_clip(path, frames=frames, size=SMALL)  # every image
            with told_as(
                path,
                "a clip that cannot be read again",
                expected="the same file as a moment before",
                remedy="check the disk",
            ):
                digest = _digest(path)
    except InputError as error:
        # of a folder of images, the name of the bad image
        inside = "" if error.where == str(path) else f"{Path(error.where).name}: "
        return Inspected(str(path), problem=inside + error.found, remedy=error.remedy)
    return Inspected(str(path), "", "", frames, height, width, digest)


def _is_folder(path: Path) -> bool:
    """Whether a folder can be seen at a path; reading it says why none can."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _digest(path: Path) -> str:
    """SHA-256 of a clip's file, or of the digests of a folder's images; what is there was read."""
    if path.is_dir():
        from threetconv.data.decoding.images import list_images  # PyAV

        # by plain name, which does not depend on how numbers in names are read
        images = map(Path, sorted(list_images(path)))
        return hashlib.sha256("".join(map(_digest, images)).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inspect_clips(
    paths: Sequence[str],
    *,
    workers: int = 1,
    quick: bool = False,
    progress: Progress | None = None,
) -> list[Inspected]:
    """`inspect_clip` for every path, in order.

    Args:
        paths: of clips.
        workers: processes side by side; 1 works in this one.
        quick: see `inspect_clip`.
        progress: called with (clips done, clips in all).
    """
    parts = [paths[i : i + CLIPS_PER_TASK] for i in range(0, len(paths), CLIPS_PER_TASK)]
    found: list[Inspected] = []
    for part in _parts(parts, min(workers, len(parts)), quick):
        found += part
        if progress is not None:
            progress(len(found), len(paths))
    return found


def _parts(parts: Sequence[Sequence[str]], workers: int, quick: bool) -> Iterator[list[Inspected]]:
    if workers <= 1:
        yield from ([inspect_clip(path, quick=quick) for path in part] for part in parts)
        return
    with pool(workers) as processes:
        with _interrupts_ignored():  # processes that start in here inherit this
            # submitting starts the processes
            futures = [processes.submit(_inspect_part, part, quick) for part in parts]
        yield from (future.result() for future in futures)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """An interrupt is for the parent, which then drops what has not begun."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _inspect_part(paths: Sequence[str], quick: bool) -> list[Inspected]:
    return [inspect_clip(path, quick=quick) for path in paths]


def clips_on_disk(root: str | Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Whatever looks like a clip below a folder: video files, and folders that hold images.

    For data sets whose lists cannot be read. The columns are a clip table's; ``split`` is empty,
    because only the lists know it, and ``label`` is the name of the folder around the clip (empty
    for folders of images, whose classes stand in lists).

    Returns:
        (the clips, path -> why of whatever cannot be looked at or put into a table).
    """
    rows = []
    faults: dict[str, str] = {}
    for folder, names in walk(Path(root), faults) if is_there(Path(root)) else ():
        for name in names:
            if Path(name).suffix.lower() in VIDEO_SUFFIXES:
                rows.append((Path(name).stem, str(folder / name), folder.name, ""))
        # a folder with images in it is a clip, whatever else is in it
        if any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in names):
            rows.append((folder.name, str(folder), "", ""))
    faults |= {
        path: "clips whose name is not UTF-8 text" for _, path, *_ in rows if not is_text(path)
    }
    rows = [row for row in rows if row[1] not in faults]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype="str"), faults
