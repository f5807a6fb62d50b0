"""Batches of clips, normalised, as the training loop asks for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.clips.augment import Augment, ClipChange, draw
from threetconv.clips.dataset import Change, ClipDataset, Offset, normalise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Split", "batches", "prefetch"]

T = TypeVar("T")
_POLL = 0.05  # seconds between two looks of a waiting thread whether it is still wanted


class Split:
    """Some clips of a data set, in batches; what is drawn depends on seed, epoch and clip alone.

    Args:
        data: all clips.
        table: their table; row i is clip i.
        split: "train", "val" or "test".
        seed: for sampling and augmentation.
        workers: processes that read and change clips ahead. Packed clips that are not augmented are
            read in this process, since that takes next to no time, a control's change included.
        change: what a control does to clip i (see `threetconv.clips.controls`).
        augment: see `threetconv.clips.augment`; None: nothing is augmented. With workers, `change`
            and this one are pickled.
        random_offset: whether frames are sampled from an offset drawn anew in every epoch.
        device: where the clips are wanted.
        ahead: batches that a thread prepares before they are asked for, so that a GPU does not wait
            while they are stacked and sent; 0: none. Of no use on the CPU, where that work takes
            its time from training, and not done for clips that this process augments itself.
    """

    def __init__(
        self,
        data: ClipDataset,
        table: pd.DataFrame,
        split: str,
        *,
        seed: int,
        workers: int = 0,
        change: Change | None = None,
        augment: Augment | None = None,
        random_offset: bool = False,
        device: str = "cpu",
        ahead: int = 0,
    ) -> None:
        self._data, self._seed = data, seed
        self._workers = 0 if data.is_packed and augment is None else workers
        # augmentation draws from torch's own generator, which two threads cannot share
        self._device, self._ahead = device, ahead if augment is None or self._workers else 0
        self._change, self._augment, self._random_offset = change, augment, random_offset
        self._rows = np.flatnonzero((table["split"] == split).to_numpy())
        self.labels: NDArray[np.int64] = data.labels[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(
        self, groups: Sequence[NDArray[np.int64]], *, epoch: int
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """Normalised clips (B, 3, T, H, W) and labels (B,) of each group of positions."""

        def offset(i: int) -> float:
            # depends on seed, epoch and clip alone, not on the order of calls
            return float(draw(self._seed, epoch, i, 0).random())

        plain = self._change is None and self._augment is None
        change = None if plain else ClipChange(self._seed, epoch, self._change, self._augment)
        found = batches(
            self._data,
            [self._rows[group] for group in groups],
            workers=self._workers,
            change=change,
            offset=offset if self._random_offset else None,
            device=self._device,
        )
        return prefetch(found, ahead=self._ahead) if self._ahead else found


def batches(
    dataset: ClipDataset,
    groups: Sequence[Sequence[int] | NDArray[Any]],
    *,
    workers: int = 0,
    change: Change | None = None,
    offset: Offset | None = None,
    device: str | torch.device = "cpu",
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A batch for each group of clips, in order; what they hold does not depend on `workers`.

    Where `dataset.bad` skips unreadable clips, a batch lacks those of its group, all of them at
    worst. Its list grows in the order of the clips and does not depend on `workers` either.

    Args:
        dataset: the clips.
        groups: indices into `dataset`, one sequence for each batch.
        workers: processes that decode and change clips ahead, about one group and two clips for
            each of them; 0 does it in this one. `dataset` keeps them. A packed dataset without a
            `change` is always read in this process, since that costs next to nothing.
        change: what is done to clip i, (i, frames) -> frames of the same shape (see
            `threetconv.clips.controls` and `threetconv.clips.augment`). Workers get it pickled, so
            with them it cannot be a lambda or an inner function.
        offset: where in their stretches the frames of clip i are taken, in [0, 1), for the
            sampling "random-offset"; the middle by default.
        device: where clips are normalised and handed out. They are sent there as bytes, a quarter
            of the size of the floats that they become.

    Yields:
        Normalised clips, float32 (B, 3, T, H, W) on the device, and class indices, int64 (B,).

    Raises:
        InputError: a clip cannot be read, or too many cannot.
        RuntimeError: a worker process died; names the clips that were being read.
    """
    import torch  # only where tensors are made

    if workers < 0:
        raise ValueError(f"workers must be at least 0, not {workers}")
    # plain integers: they are pickled for the workers with every task
    chosen = [[int(i) for i in group] for group in groups]
    clips = dataset.stream(
        [i for group in chosen for i in group],
        workers=workers,
        # the next batch is read while this one is used, and no worker runs out of tasks
        ahead=max(map(len, chosen), default=0) + 2 * workers,
        offset=offset,
        change=change,
    )
    # cancels what is read ahead when the caller stops in mid-epoch
    with closing(clips):
        for group in chosen:
            # `group` stands first: `zip` then ends before it takes a clip of the next group
            read = [(i, clip) for i, clip in zip(group, clips, strict=False) if clip is not None]
            frames = [clip for _, clip in read]
            # (B, T, H, W, 3); B is 0 where no clip of the group could be read
            stacked = np.stack(frames) if frames else np.empty((0, *dataset.shape), np.uint8)
            labels = dataset.labels[np.array([i for i, _ in read], dtype=np.int64)]
            yield normalise(torch.from_numpy(stacked).to(device)), torch.from_numpy(labels)


def prefetch(items: Iterable[T], *, ahead: int = 1) -> Generator[T]:
    """The items, in order; a thread makes the next ones ahead.

    The thread runs `items` from its first item to its last, or until this generator is closed, and
    closes it there. It helps where making an item releases Python's global lock: reading,
    copying, converting, sending to a GPU.

    Args:
        items: an iterable that nobody else uses meanwhile.
        ahead: items made beyond the one that is being used; one more is under way.

    Raises:
        Whatever `items` raises, after the items that came before it.
        ValueError: `ahead` is less than 1.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, not {ahead}")
    return _taken(items, ahead)


def _taken(items: Iterable[T], ahead: int) -> Generator[T]:
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(ahead)
    stop = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stop.is_set():
            # with a time-out, because a caller that stopped no longer empties the queue
            with suppress(queue.Full):
                ready.put((kind, value), timeout=_POLL)
                return True
        return False

    def work() -> None:
        try:
            source = iter(items)
            try:
                for item in source:
                    if not put("item", item):
                        return
            finally:
                # in this thread, since a generator cannot be closed while another thread runs it
                getattr(source, "close", lambda: None)()
            put("end", None)
        # all of them: the caller waits for an item and would never get one
        except BaseException as error:
            put("error", error)

    # daemon: a program that ends without closing this generator does not wait for it
    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        # `items` is closed once the thread has ended, and may be used again
        thread.join()
