"""A clip table packed into one memory-mappable array: every clip is decoded once, not per epoch."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from threetconv.clips.bad_clips import BadClips
from threetconv.data.contents import bytes_mark
from threetconv.data.decoding.decode import decode_clip, short_clip
from threetconv.errors import InputError
from threetconv.support.files import atomic
from threetconv.support.processes import pool, worker_died

__all__ = ["open_packed", "pack_clips"]

log = logging.getLogger(__name__)

CLIPS_PER_TASK = 16
SPOT_CHECKS = 8  # clips whose digest is compared when an array is opened
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # disk full, quota used up, file size limit
Progress = Callable[[int, int], None]


class _Array(NamedTuple):
    """The file being written.

    `path` is its temporary name and `final` its last one, `offset` the length of the header in
    bytes, `shape` (N, T, H, W, 3); `skip`: whether packing goes on after a clip that is bad.
    """

    path: Path
    final: Path
    offset: int
    shape: tuple[int, int, int, int, int]
    skip: bool


def pack_clips(
    table: pd.DataFrame,
    *,
    frames: int,
    size: tuple[int, int],
    out: str | Path,
    workers: int = 1,
    bad: BadClips | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Decode every clip once into one ``.npy`` file that is read by memory mapping.

    The bytes do not depend on `workers`. The file appears when it is complete. A warning is
    logged for every clip with fewer than `frames` frames.

    Args:
        table: clip table; row i becomes entry i of the array.
        frames: T.
        size: (H, W) in pixels.
        out: the file to write: uint8 (N, T, H, W, 3).
        workers: processes that decode side by side; 1 decodes in this one.
        bad: what to do about clips that cannot be read; by default the first one stops the work.
        progress: called with (clips done, clips in all) as the work goes on.

    Returns:
        `table` without the skipped clips, whose entries in the array are zero (index from 0),
        with int64 columns ``row``, the clip's entry in the array, which outlives filtering;
        ``n_frames_read``, how many frames its source has; ``repeated_frames``, how many copies
        of its last frame were added; and the string column ``digest``, of its frames as packed.

    Raises:
        InputError: a clip cannot be read or too many cannot, or the disk has too little space.
        RuntimeError: a worker process died.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    out = Path(out)
    bad = BadClips(total=len(table)) if bad is None else bad
    paths = [str(path) for path in table["path"]]
    # clips known to be bad are not tried again; their entries stay zero
    rows = [row for row, path in enumerate(paths) if path not in bad.found]
    shape = (len(paths), frames, *size, 3)
    out.parent.mkdir(parents=True, exist_ok=True)
    _check_space(out, shape)
    counts: dict[int, _Packed] = {}
    done = len(paths) - len(rows)
    with atomic(out) as temporary:
        array = _create(temporary, out, shape, skip=bad.policy == "skip")
        for part in _pack_parts([(row, paths[row]) for row in rows], array, workers):
            for row, result in part:
                if isinstance(result, InputError):
                    bad.report(paths[row], result)
                    continue
                if result.frames < frames:
                    log.warning(short_clip(paths[row], result.frames, frames))
                counts[row] = result
            done += len(part)
            if progress is not None:
                progress(done, len(paths))
        _flush(array)
    # parts come in order, so `counts` has its rows in the order of the table
    read = np.array([clip.frames for clip in counts.values()], dtype=np.int64)
    kept = np.array(list(counts), dtype=np.int64)
    return (
        table.iloc[kept]
        .reset_index(drop=True)
        .assign(
            row=kept,
            n_frames_read=read,
            repeated_frames=np.maximum(frames - read, 0),
            digest=pd.Series([clip.digest for clip in counts.values()], dtype="str"),
        )
    )


def open_packed(
    path: str | Path,
    table: pd.DataFrame,
    *,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
) -> tuple[np.memmap, NDArray[np.int64]]:
    """The array that `pack_clips` wrote, mapped into memory, and each table row's entry in it.

    Args:
        path: the array.
        table: clip table with a column ``row``, or one with a row per entry, in order.
        frames: T, checked when given.
        size: (H, W), likewise.

    Returns:
        uint8 (N, T, H, W, 3), read only, and int64 (len(table),).

    Raises:
        InputError: no such array, or another one: of another shape, or with other frames than the
            table's column ``digest`` says, for the few clips that are looked at.
    """
    remedy = "pack the clips again with pack_clips"
    path = Path(path)
    try:
        packed = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            path,
            found=f"no readable array ({error})",
            expected="clips packed as uint8 (N, T, H, W, 3)",
            remedy=remedy,
        ) from error
    # what is not given is taken from the array itself
    want = (frames or packed.shape[1], *(size or packed.shape[2:4]), 3) if packed.ndim == 5 else ()
    if packed.ndim != 5 or packed.dtype != np.uint8 or packed.shape[1:] != want:
        raise InputError(
            path,
            found=f"an array {packed.dtype} {packed.shape}",
            expected=f"clips packed as uint8 (N, {', '.join(map(str, want)) or 'T, H, W, 3'})",
            remedy=remedy,
        )
    if "row" in table.columns:
        rows = table["row"].to_numpy(dtype=np.int64)
        fits = not len(rows) or (rows.min() >= 0 and rows.max() < len(packed))
    else:
        rows = np.arange(len(table), dtype=np.int64)
        fits = len(table) == len(packed)
    if not fits:
        raise InputError(
            path,
            found=f"{len(packed)} packed clips for a table of {len(table)}",
            expected="the array that was packed from this table, and its column 'row'",
            remedy=remedy,
        )
    if "digest" in table.columns and len(table):
        # hashing every clip would read the whole file at every start
        some = np.unique(np.linspace(0, len(table) - 1, SPOT_CHECKS).astype(np.int64))
        differ = [i for i in some if bytes_mark(packed[rows[i]].data) != table["digest"].iloc[i]]
        if differ:
            raise InputError(
                path,
                found=f"other frames than the table says, in {len(differ)} of {len(some)} clips "
                f"looked at, first {table['path'].iloc[differ[0]]}",
                expected="the array that was packed together with this table",
                remedy=remedy,
            )
    return packed, rows


def _check_space(out: Path, shape: tuple[int, ...]) -> None:
    if _bytes(shape) > shutil.disk_usage(out.parent).free:
        raise _no_space(out, shape)


def _bytes(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) + 4096  # the header is far shorter


def _no_space(out: Path, shape: tuple[int, ...]) -> InputError:
    free = shutil.disk_usage(out.parent).free
    return InputError(
        out,
        found=f"a full disk: {free / 1e9:,.2f} GB free, or less within a quota",
        expected=f"{_bytes(shape) / 1e9:,.2f} GB for {shape[0]} clips of {shape[1]} frames "
        f"{shape[2]} x {shape[3]}",
        remedy="free some space, choose fewer or smaller frames, or decode on the fly",
    )


def _create(
    path: Path, final: Path, shape: tuple[int, int, int, int, int], *, skip: bool
) -> _Array:
    """A file of zeros with its disk space reserved, where the system can do that."""
    try:
        # NumPy writes the header; the clips follow from `offset` on
        mapped = open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        offset = int(mapped.offset)
        del mapped
        # a sparse file would only run out of space after hours of decoding
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, offset + int(np.prod(shape, dtype=np.int64)))
    except OSError as error:
        if error.errno in FULL:
            raise _no_space(final, shape) from error
        # these two: a file system that cannot reserve space; packing works without
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    return _Array(path, final, offset, shape, skip)


def _flush(array: _Array) -> None:
    """Write the bytes to the disk; some file systems notice only then that it is full."""
    with array.path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise _unwritten(array, error) from error


def _unwritten(array: _Array, error: OSError) -> Exception:
    return _no_space(array.final, array.shape) if error.errno in FULL else error


class _Packed(NamedTuple):
    """How many frames the source of a packed clip has, and the digest of those that were packed."""

    frames: int
    digest: str


Part = list[tuple[int, _Packed | InputError]]
"""Entries of the array, each with what was packed or why it cannot be read."""


def _pack_parts(clips: list[tuple[int, str]], array: _Array, workers: int) -> Iterator[Part]:
    """Decode into the array part by part; yields the parts in order."""
    parts = [clips[i : i + CLIPS_PER_TASK] for i in range(0, len(clips), CLIPS_PER_TASK)]
    if workers == 1:
        yield from (_pack_part(part, array) for part in parts)
        return
    with pool(min(workers, max(1, len(parts)))) as processes:
        k = 0
        try:
            futures = [processes.submit(_pack_part, part, array) for part in parts]
            for future in futures:
                yield future.result()
                k += 1
        except BrokenProcessPool as error:
            # parts before k are done, and at most `count` are under way
            at = parts[k : k + processes.count]
            raise worker_died([path for part in at for _, path in part]) from error


def _pack_part(clips: Sequence[tuple[int, str]], array: _Array) -> Part:
    """Decode clips into their entries; stops after the first bad one unless they are skipped."""
    _, frames, height, width, _ = array.shape
    done: Part = []
    # by system calls: on a full disk, writing to mapped memory kills the process (SIGBUS)
    with array.path.open("r+b") as file:
        for row, path in clips:
            try:
                clip = decode_clip(path, frames=frames, size=(height, width))
            except InputError as error:
                done.append((row, error))
                if not array.skip:
                    break
                continue
            # frames are (T, 3, H, W) in memory; the file and its digest are (T, H, W, 3)
            packed = np.ascontiguousarray(clip.frames)
            _write(file.fileno(), array, row, packed)
            done.append((row, _Packed(clip.source_frames, bytes_mark(packed.data))))
    return done


def _write(file: int, array: _Array, row: int, clip: np.ndarray) -> None:
    left = clip.data.cast("B")
    place = array.offset + row * clip.nbytes
    try:
        while left:
            # may write less than asked for; a position of its own lets processes share the file
            written = os.pwrite(file, left, place)
            left, place = left[written:], place + written
    except OSError as error:
        raise _unwritten(array, error) from error
