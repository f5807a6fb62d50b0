"""The clips of a table, read one by one or as a stream: packed or from their files.

Worker processes of our own read ahead. torch's `DataLoader` was tried instead (torch 2.14, two
workers, 64 clips of 90 frames an epoch). An epoch took 1.5 s with ours and 1.5 to 1.6 s with a
`DataLoader`. These are processor times, measured on a busy machine, where wall times could not be
compared; they favour neither. The decision rests on three other points:

- start-up: a `DataLoader` worker imports torch and needs 2.0 s of processor time before its first
  clip, ours 0.25 s. A run has two sets of workers, and most runs of a study take a minute;
- memory: two workers of a `DataLoader` hold 1283 MB, two of ours 147 MB;
- crashes: when a decoder kills its worker, the error here names the clips that were being read. A
  `DataLoader` knows only the number of the process that died.
"""

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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from threetconv.clips.bad_clips import BadClips
from threetconv.data.decoding.decode import Clip, decode_clip, short_clip
from threetconv.data.decoding.frame_sampling import SAMPLING
from threetconv.errors import InputError, look_up
from threetconv.support.processes import Workers, pool, worker_died

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["IMAGENET_MEAN", "IMAGENET_SD", "Change", "ClipDataset", "Offset", "normalise"]

log = logging.getLogger(__name__)

Frames = NDArray[np.uint8]
Offset = Callable[[int], float]
"""Number of a clip -> place of its frames in their stretches, in [0, 1) (`frame_sampling`)."""
Change = Callable[[int, Frames], Frames]
"""What is done to a clip: (its number, frames) -> frames; pickled for worker processes."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's pixels, RGB in [0, 1] (torchvision's documentation)."""
IMAGENET_SD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's pixels, RGB in [0, 1] (torchvision's documentation)."""


def normalise(clips: NDArray[np.uint8] | torch.Tensor) -> torch.Tensor:
    """Pixels to what an ImageNet network expects: ``(pixel / 255 - mean) / sd`` per channel.

    Args:
        clips: uint8 (B, T, H, W, 3), array or tensor, RGB.

    Returns:
        float32 (B, 3, T, H, W) on the device of `clips`, on CPUs channels last in memory, as the
        pixels are: networks at the embedded size train 5 to 20 % quicker so, R(2+1)D most, and give
        the same numbers to rounding. Elsewhere contiguous.

    Raises:
        ValueError: another type or shape.
    """
    import torch  # only where tensors are made

    if isinstance(clips, np.ndarray):
        # a packed array is mapped read-only, and torch warns about tensors that share such memory
        clips = torch.from_numpy(clips if clips.flags.writeable else clips.copy())
    if clips.dtype != torch.uint8 or clips.ndim != 5 or clips.shape[-1] != 3:
        raise ValueError(
            f"clips must be uint8 (B, T, H, W, 3), not {clips.dtype} {tuple(clips.shape)}"
        )
    shape = (1, 3, 1, 1, 1)
    mean = torch.tensor(IMAGENET_MEAN, device=clips.device).view(shape)
    sd = torch.tensor(IMAGENET_SD, device=clips.device).view(shape)
    # (B, 3, T, H, W), still a view of the bytes; the next line copies it once
    moved = clips.permute(0, 4, 1, 2, 3)
    form = torch.preserve_format if clips.device.type == "cpu" else torch.contiguous_format
    pixels = moved.to(torch.float32, memory_format=form)
    return pixels.div_(255).sub_(mean).div_(sd)


class ClipDataset:
    """The clips of a table, from a packed array or decoded when asked for.

    Usable as a map-style dataset of torch without being a subclass of its `Dataset`. It owns the
    processes that read ahead: they start with the first stream that needs them and live until
    `close`, the end of a ``with`` block or of the dataset, so that only the first epoch waits for
    them to start.

    Args:
        table: clip table. With `packed`, its column ``row`` says where each clip is in the
            array; without that column the table must have one row per entry, in order.
        frames: T. Not needed with `packed`, checked against it when given.
        size: (H, W) in pixels, likewise.
        packed: array written by `threetconv.clips.packed.pack_clips`; None decodes each clip on the
            fly.
        classes: class names by index; the table's own, sorted, by default. Give it when the
            table is a part of the dataset, so that the same class has the same index.
        sampling: which frames are taken, name in `frame_sampling.SAMPLING`. Packed clips hold
            evenly spaced frames and can be given no others.
        bad: what `stream` does about clips that cannot be read; by default the first one stops.

    Attributes:
        paths: of the clips, by number.
        labels: int64 (N,), class indices.
        shape: (T, H, W, 3) of every clip.
        bad: the clips found unreadable, and what is done about them.

    Raises:
        InputError: the array is missing or does not fit the table, frames, size or sampling, or a
            label is not among `classes`.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        frames: int | None = None,
        size: tuple[int, int] | None = None,
        packed: str | Path | None = None,
        classes: Sequence[str] | None = None,
        sampling: str = "even",
        bad: BadClips | None = None,
    ) -> None:
        # pandas would triple the memory of the processes that decode, which import this module too
        from threetconv.clips.packed import open_packed
        from threetconv.data.table import class_names

        look_up(SAMPLING, sampling, what="sampling")
        self.classes = list(class_names(table) if classes is None else classes)
        self.paths = [str(path) for path in table["path"]]
        self.labels = _label_indices(table, self.classes)
        self.bad = BadClips(total=len(self.paths)) if bad is None else bad
        self._file, self._sampling = packed, sampling
        if packed is not None:
            if sampling != "even":
                raise InputError(
                    packed,
                    found=f"sampling {sampling!r} of packed clips",
                    expected="even: their frames were chosen when they were packed",
                    remedy="decode the clips on the fly, or sample evenly",
                )
            self._array, self._rows = open_packed(packed, table, frames=frames, size=size)
            frames, size = self._array.shape[1], self._array.shape[2:4]
        if frames is None or size is None:
            raise ValueError("frames and size are needed to decode clips on the fly")
        self.shape = (frames, *size, 3)
        self._processes: Workers | None = None
        # clips whose shortness is in the log already: one line a clip, not one an epoch
        self._told: set[str] = set()

    @property
    def is_packed(self) -> bool:
        """Whether clips come from a packed array."""
        return self._file is not None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Frames, int]:
        """Clip i, uint8 (T, H, W, 3), and its class index; an `InputError` whatever `bad` says."""
        return self._read(i, None), int(self.labels[i])

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
        # copying packed frames is faster than receiving them from another process
        if workers and (self._file is None or change is not None):
            yield from self._stream_ahead(order, workers, ahead, offset, change)
            return
        for i in order:
            frames = None
            if self.paths[i] not in self.bad.found:
                try:
                    frames = self._read(i, offset)
                    frames = frames if change is None else change(i, frames)
                except InputError as error:
                    self.bad.report(self.paths[i], error)
            yield frames

    def close(self) -> None:
        """End the worker processes. The dataset stays usable, and starts new ones when asked to."""
        if self._processes is not None:
            self._processes.close()
            self._processes = None

    def __enter__(self) -> ClipDataset:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_processes": None}  # a copy in another process starts its own

    def _read(self, i: int, offset: Offset | None) -> Frames:
        if self._file is not None:
            # a copy: `change` may write to it, and the caller holds no part of the mapped file
            return np.array(self._array[self._rows[i]])
        return self._checked(i, self._task(i, offset)())

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
                # tops up the tasks under way; their number bounds the frames that are held in
                # memory
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
            # the pool does not say which task killed its worker. Tasks are begun in order, so it is
            # one of the first `workers` that are unfinished; `i` where the pool broke at `submit`
            unread = [j for j, task in waiting if not _succeeded(task)][:workers] or [i]
            self.close()
            raise worker_died([self.paths[j] for j in unread]) from error
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
        """A picklable function that reads clip i, in any process."""
        if self._file is not None:
            return partial(_unpack, str(self._file), int(self._rows[i]))
        frames, *size, _ = self.shape
        how: dict[str, Any] = {"frames": frames, "size": tuple(size), "sampling": self._sampling}
        if offset is not None:
            # the number is sent, since the function need not be picklable
            how["offset"] = offset(i)
        return partial(decode_clip, self.paths[i], **how)

    def _checked(self, i: int, clip: Clip) -> Frames:
        """The frames of clip i as decoded; the first time, a warning when they are too few."""
        path = self.paths[i]
        if clip.source_frames < self.shape[0] and path not in self._told:
            self._told.add(path)
            log.warning(short_clip(path, clip.source_frames, self.shape[0]))
        return clip.frames


def _label_indices(table: pd.DataFrame, classes: list[str]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(classes)}
    strange = sorted(set(table["label"]) - set(index))
    if strange:
        raise InputError(
            "clip table",
            found=f"label {strange[0]!r}, which is not among the classes",
            expected=f"one of {len(classes)} classes: {', '.join(classes)}",
            remedy="make the table and the list of classes from the same dataset",
        )
    return np.array([index[name] for name in table["label"]], dtype=np.int64)


def _demand_picklable(change: Change | None) -> None:
    """Checked before a worker starts: with a task that cannot be sent it would wait for ever."""
    try:
        pickle.dumps(change)
    # local functions raise AttributeError, objects such as locks TypeError
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
    # the parent has checked the file (`open_packed`)
    array: np.memmap = np.load(file, mmap_mode="r", allow_pickle=False)
    return array


def _succeeded(task: Future[Clip]) -> bool:
    return task.done() and task.exception() is None
