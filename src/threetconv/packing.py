"""A clip table packed into one memory-mappable array: every clip is decoded once, not per epoch."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from threetconv.decode import decode_clip, short_clip
from threetconv.errors import InputError
from threetconv.files import atomic
from threetconv.workers import pool

__all__ = ["pack_clips"]

log = logging.getLogger(__name__)

CLIPS_PER_TASK = 16
Progress = Callable[[int, int], None]


def pack_clips(
    table: pd.DataFrame,
    *,
    frames: int,
    size: tuple[int, int],
    out: str | Path,
    workers: int = 1,
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
        progress: called with (clips done, clips in all) as the work goes on.

    Returns:
        `table` (index 0..N-1) with int64 columns ``row``, the clip's entry in the array, which
        outlives filtering; ``n_frames_read``, how many frames its source has; and
        ``repeated_frames``, how many copies of its last frame were added.

    Raises:
        InputError: a clip cannot be read, or the disk has too little space.
    """
    if workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    out = Path(out)
    paths = [str(path) for path in table["path"]]
    shape = (len(paths), frames, *size, 3)
    out.parent.mkdir(parents=True, exist_ok=True)
    _check_space(out, shape)
    counts: list[int] = []
    with atomic(out) as temporary:
        array = open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        array.flush()
        del array
        for part in _pack_parts(paths, temporary, frames, size, workers):
            for n in part:
                if n < frames:
                    log.warning(short_clip(paths[len(counts)], n, frames))
                counts.append(n)
            if progress is not None:
                progress(len(counts), len(paths))
    read = np.array(counts, dtype=np.int64)
    return table.reset_index(drop=True).assign(
        row=np.arange(len(paths), dtype=np.int64),
        n_frames_read=read,
        repeated_frames=np.maximum(frames - read, 0),
    )


def _check_space(out: Path, shape: tuple[int, ...]) -> None:
    need = int(np.prod(shape, dtype=np.int64)) + 4096  # the header is far shorter
    free = shutil.disk_usage(out.parent).free
    if need > free:
        raise InputError(
            out,
            found=f"{free / 1e9:,.2f} GB free on this disk",
            expected=f"{need / 1e9:,.2f} GB for {shape[0]} clips of {shape[1]} frames "
            f"{shape[2]} x {shape[3]}",
            remedy="free some space, choose fewer or smaller frames, or decode on the fly",
        )


def _pack_parts(
    paths: list[str], array: Path, frames: int, size: tuple[int, int], workers: int
) -> Iterator[list[int]]:
    """Decode into the array part by part; yields the frame counts of each part, in order."""
    parts = [
        (start, paths[start : start + CLIPS_PER_TASK], str(array), frames, size)
        for start in range(0, len(paths), CLIPS_PER_TASK)
    ]
    if workers == 1:
        yield from (_pack_part(*part) for part in parts)
        return
    with pool(min(workers, max(1, len(parts)))) as processes:
        futures = [processes.submit(_pack_part, *part) for part in parts]
        yield from (future.result() for future in futures)


def _pack_part(
    start: int, paths: list[str], array: str, frames: int, size: tuple[int, int]
) -> list[int]:
    """Decode `paths` into entries start, start + 1, ...; returns their frame counts."""
    packed = open_memmap(array, mode="r+")
    counts = []
    for row, path in enumerate(paths, start=start):
        clip = decode_clip(path, frames=frames, size=size)
        packed[row] = clip.frames
        counts.append(clip.source_frames)
    packed.flush()
    return counts
