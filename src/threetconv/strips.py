"""Choose the clips that a data set is shown by."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.decode import read_frames

__all__ = ["choose_clips", "read_strips"]


def choose_clips(table: pd.DataFrame, *, count: int, seed: int) -> pd.DataFrame:
    """One training clip of each of at most `count` classes, both drawn by `seed`; sorted by label.

    Args:
        table: clip table.
        count: number of clips at most.
        seed: decides which.
    """
    rng = np.random.default_rng(seed)
    training = table[table["split"] == "train"]
    labels = np.array(sorted(training["label"].unique()), dtype=object)
    chosen = sorted(rng.permutation(labels)[:count])
    rows = []
    for label in chosen:
        of_label = training.index[training["label"] == label]
        rows.append(of_label[int(rng.integers(len(of_label)))])
    return table.loc[rows]


def read_strips(clips: pd.DataFrame, *, frames: int) -> list[np.ndarray]:
    """Frames of each clip, evenly sampled, uint8 (T, H, W, 3) at the clip's own size."""
    return [read_frames(path, frames=frames, size=None) for path in clips["path"]]
