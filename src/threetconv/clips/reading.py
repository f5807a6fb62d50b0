"""Clips read in a given order, and changed, here or ahead of need in worker processes."""

from __future__ import annotations

import logging
import pickle
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from threetconv.clips.bad_clips import BadClips
from threetconv.data.decoding.decode import SAMPLING, Clip, decode_clip, short_clip
from threetconv.errors import InputError, look_up
from threetconv.support.processes import Workers, pool, worker_died

__all__ = ["Change", "ClipReader", "Offset", "Packed"]

log = logging.getLogger(__name__)

Offset = Callable[[int], float]
Frames = NDArray[np.uint8]
Change = Callable[[int, Frames], Frames]
"""What is done to a clip: (its number, frames) -> frames; for worker processes it is pickled."""


class Packed(NamedTuple):
    """Clips that are in one array: its file, what of it is mapped into memory, each clip's entry.

    See `threetconv.clips.packed.open_packed`.
    """

    file: str | Path
    array: Frames
    rows: NDArray[np.int64]


class ClipReader:
    """Reads clips by their number; owns the processes that read ahead.

    The processes start with the first stream that wants them and live until `close`, so that an
    epoch does not wait for them to start.

    Args:
        paths: the clips, by number.
        frames: T.
        size: (H, W) in pixels.
        sampling: which frames are taken, name in `threetconv.data.decoding.decode.SAMPLING`.
        bad: what `stream` does about clips that cannot be read.
        packed: where the clips are; None: each in the file of its path.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        frames: int,
        size: tuple[int, int],
        sampling: str,
        bad: BadClips,
        packed: Packed | None = None,
    ) -> None:
        look_up(SAMPLING, sampling, what="sampling")
        self.paths, self.frames, self.size = paths, frames, size
        self.sampling, self.bad, self.packed = sampling, bad, packed
        self._processes: Workers | None = None
        self._told: set[str] = set()

    def read(self, i: int, offset: Offset | None = None) -> Frames:
        """Clip i, uint8 (T, H, W, 3); an `InputError` whatever `bad` says."""
        if self.packed is not None:
            return np.array(self.packed.array[self.packed.rows[i]])
        return self._checked(i, self._task(i, offset)())

    def stream(
        self,
        order: Sequence[int],
        *,
        workers: int,
        ahead: int,
        offset: Offset | None = None,
        change: Change | None = None,
    ) -> Generator[Frames | None]:
        """The clips in the order given, None for one that is skipped.

        Args:
            order: numbers of clips.
            workers: processes; 0 reads in this one. Packed clips are read in this one unless there
                is something to change: what a worker reads has to be sent here.
            ahead: clips that are being read, or wait to be taken, beyond the next.
            offset: number of a clip -> where its frames are taken, for "random-offset".
            change: what is done to each clip, by the process that read it.

        Raises:
            InputError: a clip cannot be read, or too many cannot.
            RuntimeError: a worker process died.
            ValueError: another number of workers than before, or a `change` that cannot be sent to
                them.
        """
        if workers and (self.packed is None or change is not None):
            yield from self._stream_ahead(order, workers, ahead, offset, change)
            return
        for i in order:
            frames = None
            if self.paths[i] not in self.bad.found:
                try:
                    frames = self.read(i, offset)
                    frames = frames if change is None else change(i, frames)
                except InputError as error:
                    self.bad.report(self.paths[i], error)
            yield frames

    def close(self) -> None:
        """End the processes. The next stream that wants some starts new ones."""
        if self._processes is not None:
            self._processes.close()
            self._processes = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_processes": None}  # a copy in another process starts its own

    def _stream_ahead(
        self,
        order: Sequence[int],
        workers: int,
        ahead: int,
        offset: Offset | None,
        change: Change | None,
    ) -> Generator[Frames | None]:
        _demand_picklable(change)
        processes = self._start(workers)
        coming = iter(order)
        waiting: deque[tuple[int, Future[Clip]]] = deque()
        i = -1
        try:
            while True:
                for i in islice(coming, ahead + 1 - len(waiting)):
                    read = self._task(i, offset)
                    waiting.append((i, processes.submit(_changed_clip, read, i, change)))
                if not waiting:
                    return
                i, task = waiting[0]
                frames = None
                if self.paths[i] not in self.bad.found:
                    try:
                        frames = self._checked(i, task.result())
                    except InputError as error:
                        self.bad.report(self.paths[i], error)
                waiting.popleft()
                yield frames
        except BrokenProcessPool as error:
            unread = [j for j, task in waiting if not _succeeded(task)][:workers] or [i]
            self.close()
            raise worker_died([self.paths[j] for j in unread]) from error  # taken in order
        finally:
            for _, task in waiting:
                task.cancel()

    def _start(self, workers: int) -> Workers:
        if self._processes is None:
            self._processes = pool(workers)
        if self._processes.count != workers:
            raise ValueError(
                f"these clips have {self._processes.count} workers, not {workers}: close them first"
            )
        return self._processes

    def _task(self, i: int, offset: Offset | None) -> Callable[[], Clip]:
        """What reads clip i, in any process."""
        if self.packed is not None:
            return partial(_unpack, str(self.packed.file), int(self.packed.rows[i]))
        how: dict[str, Any] = {"frames": self.frames, "size": self.size, "sampling": self.sampling}
        if offset is not None:
            how["offset"] = offset(i)
        return partial(decode_clip, self.paths[i], **how)

    def _checked(self, i: int, clip: Clip) -> Frames:
        """The frames of clip i as decoded; the first time, a warning when they are too few."""
        path = self.paths[i]
        if clip.source_frames < self.frames and path not in self._told:
            self._told.add(path)
            log.warning(short_clip(path, clip.source_frames, self.frames))
        return clip.frames


def _demand_picklable(change: Change | None) -> None:
    """Before any process starts: tasks that cannot be sent would leave them waiting for ever."""
    try:
        pickle.dumps(change)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"with workers, change must be picklable, not a lambda or inner function ({error})"
        ) from error


def _changed_clip(read: Callable[[], Clip], i: int, change: Change | None) -> Clip:
    """In a worker: clip i as `read` gives it, changed."""
    clip = read()
    return clip if change is None else clip._replace(frames=change(i, clip.frames))


def _unpack(file: str, row: int) -> Clip:
    """In a worker: an entry of a packed array."""
    frames = np.array(_mapped(file)[row])
    return Clip(frames, len(frames))


@lru_cache(maxsize=1)
def _mapped(file: str) -> np.memmap:
    """A packed array; a worker belongs to one data set and maps it once."""
    array: np.memmap = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def _succeeded(task: Future[Clip]) -> bool:
    return task.done() and task.exception() is None
