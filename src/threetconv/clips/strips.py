"""Choose the clips that a data set is shown by."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.clips.bad_clips import BadClips
from threetconv.data.decoding.decode import read_frames
from threetconv.errors import InputError

__all__ = ["draw_clips"]


def draw_clips(
    table: pd.DataFrame, *, count: int, frames: int, seed: int, bad: BadClips
) -> tuple[pd.DataFrame, list[NDArray[np.uint8]]]:
    """One training clip of each of at most `count` classes, both drawn by `seed`, and its frames.

    A clip that is skipped is replaced by another one of its class, and a class without a readable
    clip by another class.

    Args:
        table: clip table.
        count: number of clips at most.
        frames: of each clip, evenly sampled.
        seed: decides which.
        bad: what is done about clips that cannot be read.

    Returns:
        Rows of the table, sorted by label, and of each the frames, uint8 (T, H, W, 3) at the clip's
        own size.

    Raises:
        InputError: a clip cannot be read, or too many, as `bad` says; or none can.
    """
    rng = np.random.default_rng(seed)
    training = table[table["split"] == "train"]
    # object: `permutation` then gives back Python strings
    labels = np.array(sorted(training["label"].unique()), dtype=object)
    found: dict[str, tuple[int, NDArray[np.uint8]]] = {}
    for label in rng.permutation(labels):
        if len(found) == count:
            break
        # in random order until one clip of the class can be read
        for row in rng.permutation(np.flatnonzero(training["label"] == label)):
            path = training["path"].iloc[row]
            try:
                found[label] = int(row), read_frames(path, frames=frames, size=None)
            except InputError as error:
                bad.report(path, error)
                continue
            break
    if not found:
        raise InputError(
            "clip table",
            found=f"none of {len(training):,} training clips can be read",
            expected="training clips to show",
            remedy="look at the data set with `threetconv data check`",
        )
    drawn = [found[label] for label in sorted(found)]
    return training.iloc[[row for row, _ in drawn]], [clip for _, clip in drawn]
