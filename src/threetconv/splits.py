"""The clips of one split of a data set, as the training loop asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from threetconv.clips import ClipDataset, batches
from threetconv.controls import Change

__all__ = ["Augment", "Split"]

Augment = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


class Split:
    """Some clips of a data set, in batches; what is drawn depends on seed, epoch and clip alone.

    Args:
        data: all clips.
        table: their table; row i is clip i.
        split: "train", "val" or "test".
        seed: for sampling and augmentation.
        workers: processes that decode clips ahead when they are not packed.
        change: what a control does to clip i (see `threetconv.controls`).
        augment: (uint8 (T, H, W, 3), seed) -> the same shape; None: nothing is augmented.
        random_offset: whether frames are sampled from an offset drawn anew in every epoch.
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
    ) -> None:
        self._data, self._seed, self._workers = data, seed, workers
        self._change, self._augment, self._random_offset = change, augment, random_offset
        self._rows = np.flatnonzero((table["split"] == split).to_numpy())
        self.labels: NDArray[np.int64] = data.labels[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(
        self, groups: Sequence[NDArray[np.int64]], *, epoch: int
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """Normalised clips (B, 3, T, H, W) and labels (B,) of each group of positions."""

        def draw(i: int, what: int) -> np.random.Generator:
            return np.random.default_rng([self._seed, epoch, i, what])

        def change(i: int, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
            if self._change is not None:
                frames = self._change(i, frames)
            if self._augment is not None:
                frames = self._augment(frames, int(draw(i, 1).integers(2**31)))
            return frames

        def offset(i: int) -> float:
            return float(draw(i, 0).random())

        plain = self._change is None and self._augment is None
        return batches(
            self._data,
            [self._rows[group] for group in groups],
            workers=self._workers,
            change=None if plain else change,
            offset=offset if self._random_offset else None,
        )
