"""Which frames of a clip are taken: rules by name, from (n, t, offset) to t indices of n frames."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SAMPLING", "Choose", "Sampling", "frame_indices", "offset_indices"]

Choose = Callable[[int, int, float], NDArray[np.int64]]
"""(n, t, offset) -> (t,) indices into n frames, non-decreasing; offset in [0, 1)."""


def frame_indices(n: int, t: int) -> NDArray[np.int64]:
    """Which `t` of `n` frames to take: ``round(linspace(0, n - 1, t))``, halves to even.

    First and last frame are always among them (for t = 1 only the first). A clip of fewer than
    `t` frames gives all its frames in order, then the last one again and again.

    Returns:
        (t,) indices, non-decreasing.

    Raises:
        ValueError: `n` or `t` is less than 1.
    """
    if n < 1 or t < 1:
        raise ValueError(f"n and t must be at least 1, not {n} and {t}")
    if n < t:
        return np.minimum(np.arange(t), n - 1)
    return np.rint(np.linspace(0, n - 1, t)).astype(np.int64)


def offset_indices(n: int, t: int, offset: float) -> NDArray[np.int64]:
    """One frame from each of `t` equal stretches, at the same place in all: jitter for training.

    Index i is ``floor((i + offset) * n / t)``, the frame at the share `offset` of the stretch from
    i n/t to (i + 1) n/t. With an offset drawn uniformly from [0, 1), every frame is as likely as
    any other. For a clip of fewer than `t` frames the result is that of `frame_indices`.

    Args:
        n: frames of the clip.
        t: frames to take.
        offset: in [0, 1); 0.5 takes the middles of the stretches.

    Returns:
        (t,) indices, non-decreasing; strictly increasing where n >= t.

    Raises:
        ValueError: `n` or `t` is less than 1, or `offset` is not in [0, 1).
    """
    if not 0 <= offset < 1:
        raise ValueError(f"offset must be in [0, 1), not {offset}")
    if n < t or t < 1:
        return frame_indices(n, t)
    within = min(n - 1, math.floor(offset * n))  # 0.999... * n may round up to n
    return (np.arange(t) * n + within) // t  # the formula in integers, free of rounding


class Sampling(NamedTuple):
    """A rule, and whether training draws its offset anew in every epoch."""

    choose: Choose
    draws: bool


SAMPLING = {
    "even": Sampling(lambda n, t, offset: frame_indices(n, t), draws=False),  # the paper's
    "random-offset": Sampling(offset_indices, draws=True),
}
