"""Sizes of clips as a 2D network's code reads them: (N, C, H, W), which remember the frames.

A network's code asks for sizes and hands them on: `b, c, h, w = x.shape`, `x.view(b, c, h * w)`,
`F.interpolate(x, size=y.shape[-2:])`. For clips it reads the sizes of a frame, of which height and
width know how many frames the clip has. Where they come back as a size, time comes back with them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Area", "Rows", "Shape", "Side", "frames_of", "image_sizes", "with_time"]


class _OfClip(int):
    """A size that remembers the number of frames of the clip that it was read from."""

    frames: int

    def __new__(cls, value: int, frames: int) -> Any:
        size = super().__new__(cls, value)
        size.frames = frames
        return size

    def __reduce__(self) -> Any:  # pickles and copies of what a network keeps are plain
        return int, (int(self),)


class Rows(_OfClip):
    """Number of clips; single frames have `frames` times as many."""


class Side(_OfClip):
    """Height or width of frames."""

    def __mul__(self, other: Any) -> Any:
        product = int.__mul__(self, other)
        same = isinstance(other, Side) and other.frames == self.frames
        return Area(product, self.frames) if same else product


class Area(_OfClip):
    """Height times width of frames, the number of places of one frame."""


class Shape(tuple):
    """What `Tensor.shape` gives a 2D network's code for a clip: (..., H, W) without time."""

    def __getitem__(self, index: Any) -> Any:
        got = super().__getitem__(index)
        return Shape(got) if isinstance(index, slice) else got

    def numel(self) -> int:
        return math.prod(self)


def image_sizes(clip: Tensor) -> Shape:
    """Sizes of a clip (..., T, H, W) for code that counts the axes of images."""
    with torch._C.DisableTorchFunction():
        (rows, *sizes), frames = clip.shape, clip.shape[-3]
    del sizes[-3]
    if type(frames) is not int:  # a symbol of a graph that is traced cannot be marked
        return Shape((rows, *sizes))
    return Shape(
        (Rows(rows, frames), *sizes[:-2], Side(sizes[-2], frames), Side(sizes[-1], frames))
    )


def frames_of(size: Any) -> int | None:
    """Frames of the clip whose frame size this is; None for any other size."""
    sides = size if isinstance(size, tuple | list) else (size,)
    if len(sides) in (1, 2) and all(isinstance(side, Side) for side in sides):
        return sides[0].frames
    return None


def with_time(sizes: Iterable[Any]) -> tuple[Any, ...]:
    """Sizes with that of time before height and width, where they come from a clip."""
    given = tuple(sizes)
    pairs = [
        i
        for i, (one, other) in enumerate(itertools.pairwise(given))
        if isinstance(one, Side) and isinstance(other, Side)
    ]
    if pairs:
        at = pairs[-1]
        return (*given[:at], given[at].frames, *given[at:])
    return tuple(int(n) * n.frames if isinstance(n, Area) else n for n in given)
