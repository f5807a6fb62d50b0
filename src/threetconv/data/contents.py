"""Marks of clips on disk, by which clips that were replaced under the same names are noticed.

The mark of a streamed clip is made of size and modification time of its file, or of every image in
its folder; that of a packed one is the digest of its frames (`threetconv.clips.packed`).

Nothing outside the standard library is imported: `note_changes` is called while Snakemake reads the
workflow, on hosts that may have nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "IMAGE_SUFFIXES",
    "bytes_mark",
    "clip_mark",
    "clip_marks",
    "contents_text",
    "data_digest",
    "note_changes",
    "table_text",
]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
LOOKED_AT = 20_000
"""Clips at most that `note_changes` looks at."""


def bytes_mark(data: bytes | bytearray | memoryview) -> str:
    """A digest of 16 hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def clip_mark(path: str) -> str:
    """16 hexadecimal digits of a clip: a digest of sizes and modification times, not of contents.

    All images of a folder are looked at, about 150,000 a second where the system has them in its
    cache (Jester's 5.5 million in 40 s; training reads every one of them in every epoch). A clip
    that is missing has a mark too; the error comes when it is read.
    """
    try:
        with os.scandir(path) as entries:
            # sorted, because file systems list a folder in any order
            images = sorted(entry.name for entry in entries if _is_image(entry.name))
    except NotADirectoryError:
        return bytes_mark(str(_size_and_time(path)).encode())
    except OSError:
        images = []
    seen = [(name, _size_and_time(f"{path}/{name}")) for name in images]
    # names on Linux are bytes and need not be UTF-8
    return bytes_mark(str(seen).encode("utf-8", "surrogateescape"))


def clip_marks(table: pd.DataFrame, *, packed: bool) -> dict[str, str]:
    """Path of each clip -> its mark.

    Args:
        table: clip table. For packed clips the one that `threetconv.clips.packed.pack_clips`
            returned, whose column ``digest`` is taken; without that column nothing is known of the
            clips.
        packed: whether the clips are read from a packed array.
    """
    if packed:
        # an empty mark is the same for all clips, so nothing counts as changed
        marks = table["digest"] if "digest" in table else [""] * len(table)
        return dict(zip(table["path"], marks, strict=True))
    return {path: clip_mark(path) for path in table["path"]}


def table_text(table: pd.DataFrame) -> bytes:
    """A clip table without its digests, as bytes to hash."""
    return table.drop(columns="digest", errors="ignore").to_csv(index=False).encode()


def data_digest(table: pd.DataFrame, marks: Mapping[str, str]) -> str:
    """SHA-256 of a clip table and of the marks of its clips."""
    return hashlib.sha256(table_text(table) + "".join(marks.values()).encode()).hexdigest()


def contents_text(paths: Iterable[str]) -> str:
    """What `note_changes` compares with, as JSON: a line for each clip.

    Path -> [mark, what a glance shows]: of a file, size in bytes and time of change in ns; of a
    folder, its time of change, and name, size and time of change of its first image.
    """
    # a line for each clip, so that a person can read the file and compare two of them
    lines = (f"{json.dumps(p)}: {json.dumps([clip_mark(p), *_glance(p)])}" for p in paths)
    return "{\n" + ",\n".join(lines) + "\n}\n"


def note_changes(contents: str | Path, note: str | Path) -> str:
    """Whether clips have changed since their table was made; if so, writes a note.

    The note is an input of the rule that makes the table. Snakemake does nothing about a table
    that is missing in the middle of a finished workflow, but it runs a rule whose input is newer.
    Only the note is written, so that a dry run changes nothing else. At most `LOOKED_AT` clips,
    evenly spaced, get a glance. A folder whose glance differs is looked at image by image, because
    a file manager that leaves a file of its own there has changed no clip.

    Args:
        contents: file with `contents_text`, written with the table.
        note: the file to write; removed where it no longer holds.

    Returns:
        What was found, in words; empty when nothing has changed or nothing is known yet.
    """
    contents, note = Path(contents), Path(note)
    try:
        before = json.loads(contents.read_bytes())
    except FileNotFoundError:
        return ""
    except ValueError:
        before = {str(contents): []}  # damaged: counts as changed
    # -(-a // b) rounds up, so that no more than `LOOKED_AT` are left
    looked = list(before)[:: max(1, -(-len(before) // LOOKED_AT))]
    changed = [path for path in looked if _differs(path, before[path])]
    if not changed:
        if note.exists() and note.stat().st_mtime_ns > contents.stat().st_mtime_ns:
            note.unlink()  # the clips are again what they were
        return ""
    found = (
        f"{len(changed):,} of {len(looked):,} clips looked at have changed or are gone since the "
        f"clip table was made, first {changed[0]}"
    )
    # a further change to the same clips must change the note, or Snakemake would not run again
    state = bytes_mark(json.dumps([_glance(path) for path in changed]).encode())
    text = f"{found}\nstate: {state}\n"
    # rewriting an equal note would make it newer, and the rule run at every start
    if not note.exists() or note.read_text(encoding="utf-8") != text:
        # several Snakemake processes may plan at once; each has a temporary file of its own
        temporary = note.with_name(f".{note.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, note)
    return found


def _differs(path: str, before: list[Any]) -> bool:
    # [] stands for a damaged file, which no glance equals
    mark, *glance = before or [""]
    # a folder's glance names its first image, which spares listing the folder again
    if _glance(path, *glance[1:2]) == glance:
        return False
    return not os.path.isdir(path) or clip_mark(path) != mark


def _glance(path: str, first: str | int | None = None) -> list[Any]:
    """Of a file, size and time; of a folder, time, and name, size and time of its first image."""
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            return [status.st_size, status.st_mtime_ns]
        if not isinstance(first, str):
            first = min(filter(_is_image, os.listdir(path)), default="")
        return [status.st_mtime_ns, first, *_size_and_time(f"{path}/{first}")]
    except OSError:
        return []


def _size_and_time(file: str) -> list[int]:
    try:
        status = os.stat(file)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _is_image(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
