"""Negative controls: the same training on clips from which motion, or the labels, were taken away.

What each takes away is told in `threetconv.schemas.runs.CONTROLS`. Where temporal parameters differ
from those of a control, the cause is what the control took away.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.clips.dataset import Change
from threetconv.errors import look_up

__all__ = ["FRAMES", "change_frames", "shuffle_labels"]

Frames = NDArray[np.uint8]


def _static(frames: Frames, rng: np.random.Generator) -> Frames:
    return np.repeat(frames[rng.integers(len(frames))][None], len(frames), axis=0)


def _frame_shuffled(frames: Frames, rng: np.random.Generator) -> Frames:
    return frames[rng.permutation(len(frames))]


def _as_they_are(frames: Frames, rng: np.random.Generator) -> Frames:
    return frames


FRAMES: dict[str, Callable[[Frames, np.random.Generator], Frames]] = {
    "none": _as_they_are,
    "static": _static,
    "frame-shuffled": _frame_shuffled,
    # its frames stay; `shuffle_labels` changes the table
    "label-shuffled": _as_they_are,
}


def change_frames(control: str, *, seed: int) -> Change | None:
    """What a control does to the frames of clip i; None where it leaves them as they are.

    Args:
        control: name in `FRAMES`.
        seed: of the run. Frame or order are drawn once for each clip, so a clip looks the same in
            every epoch, in training and in validation.

    Returns:
        A function of (index of the clip, uint8 (T, H, W, 3)) -> uint8 (T, H, W, 3); it can be sent
        to other processes.
    """
    change = look_up(FRAMES, control, what="control")
    if change is _as_they_are:
        return None
    # a partial of module functions can be pickled, a closure cannot
    return partial(_changed, change, seed)


def _changed(
    change: Callable[[Frames, np.random.Generator], Frames], seed: int, i: int, frames: Frames
) -> Frames:
    # no epoch in the seed: a control is another data set, not augmentation
    return change(frames, np.random.default_rng([seed, i]))


def shuffle_labels(table: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """The clip table with the labels of its training clips permuted; validation keeps its own."""
    rows = np.flatnonzero((table["split"] == "train").to_numpy())
    labels = table["label"].to_numpy(copy=True)
    # a permutation, so that every class keeps its number of training clips
    labels[rows] = labels[rows[np.random.default_rng([seed]).permutation(len(rows))]]
    return table.assign(label=labels)
