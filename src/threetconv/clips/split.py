"""The clips of one split of a data set, as the training loop asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from threetconv.clips.augment import Augment, ClipChange, draw
from threetconv.clips.controls import Change
from threetconv.clips.dataset import ClipDataset, batches
from threetconv.clips.prefetch import prefetch

__all__ = ["Split"]


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
        ahead: batches that a thread has there before they are asked for, so that a GPU does not
            wait while they are put together and sent; 0: none. Not for the CPU, where that work
            would take its time from training all the same, and not for clips that this process has
            to augment itself.
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
