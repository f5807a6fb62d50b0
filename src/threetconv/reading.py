"""Clips read from their files in a given order, here or ahead of need in worker processes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threetconv.bad_clips import BadClips
from threetconv.decode import SAMPLING, Clip, decode_clip, short_clip
from threetconv.errors import InputError, look_up
from threetconv.workers import Workers, pool, worker_died

__all__ = ["ClipReader", "Offset"]

log = logging.getLogger(__name__)

Offset = Callable[[int], float]
Frames = NDArray[np.uint8]


class ClipReader:
    """Reads clips by their number; owns the processes that read ahead.

    The processes start with the first stream that wants them and live until `close`, so that an
    epoch does not wait for them to start.

    Args:
        paths: the clips, by number.
        frames: T.
        size: (H, W) in pixels.
        sampling: which frames are taken, name in `threetconv.decode.SAMPLING`.
        bad: what `stream` does about clips that cannot be read.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        frames: int,
        size: tuple[int, int],
        sampling: str,
        bad: BadClips,
    ) -> None:
        look_up(SAMPLING, sampling, what="sampling")
        self.paths, self.frames, self.size = paths, frames, size
        self.sampling, self.bad = sampling, bad
        self._processes: Workers | None = None
        self._told: set[str] = set()

    def read(self, i: int, offset: Offset | None = None) -> Frames:
        """Clip i, uint8 (T, H, W, 3); an `InputError` whatever `bad` says."""
        return self._checked(i, decode_clip(self.paths[i], **self._how(i, offset)))

    def stream(
        self, order: Sequence[int], *, workers: int, ahead: int, offset: Offset | None = None
    ) -> Generator[Frames | None]:
        """The clips in the order given, None for one that is skipped.

        Args:
            order: numbers of clips.
            workers: processes; 0 reads in this one.
            ahead: clips that are being read, or wait to be taken, beyond the next.
            offset: number of a clip -> where its frames are taken, for "random-offset".

        Raises:
            InputError: a clip cannot be read, or too many cannot.
            RuntimeError: a worker process died.
            ValueError: another number of workers than before.
        """
        if workers:
            yield from self._stream_ahead(order, workers, ahead, offset)
            return
        for i in order:
            frames = None
            if self.paths[i] not in self.bad.found:
                try:
                    frames = self.read(i, offset)
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
        self, order: Sequence[int], workers: int, ahead: int, offset: Offset | None
    ) -> Generator[Frames | None]:
        processes = self._start(workers)
        coming = iter(order)
        waiting: deque[tuple[int, Future[Clip]]] = deque()
        i = -1
        try:
            while True:
                for i in islice(coming, ahead + 1 - len(waiting)):
                    how = self._how(i, offset)
                    waiting.append((i, processes.submit(decode_clip, self.paths[i], **how)))
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

    def _how(self, i: int, offset: Offset | None) -> dict[str, Any]:
        """Arguments with which `decode_clip` reads clip i."""
        how = {"frames": self.frames, "size": self.size, "sampling": self.sampling}
        return how if offset is None else how | {"offset": offset(i)}

    def _checked(self, i: int, clip: Clip) -> Frames:
        """The frames of clip i as decoded; the first time, a warning when they are too few."""
        path = self.paths[i]
        if clip.source_frames < self.frames and path not in self._told:
            self._told.add(path)
            log.warning(short_clip(path, clip.source_frames, self.frames))
        return clip.frames


def _succeeded(task: Future[Clip]) -> bool:
    return task.done() and task.exception() is None
