"""Which slices of a filter meet data, and how to convolve with those alone."""

from __future__ import annotations

import functools
from dataclasses import dataclass

__all__ = ["Crop", "crop_in_time"]


@dataclass(frozen=True)
class Crop:
    """A convolution along time by part of a filter.

    Attributes:
        slices: (first, last), the slices first <= d < last.
        padding: zeros (before, after); a negative number is so many frames left out.
    """

    slices: tuple[int, int]
    padding: tuple[int, int]


@functools.lru_cache(maxsize=4096)
def crop_in_time(
    frames: int, depth: int, stride: int, padding: tuple[int, int], dilation: int
) -> Crop:
    """Leave out the outer slices that meet only padding; the output stays what it was.

    Slice d meets data when some output position reads an input frame through it. Clips shorter than
    the filter, as in the last stages of a network, meet a part of it only: one frame, padded by one
    on each side, meets the middle one of three slices.

    Args:
        frames: length of the input.
        depth, stride, dilation: the convolution's, along time.
        padding: zeros (before, after).

    Returns:
        What to convolve with and how; the whole filter where there is no output at all, or none
        that meets data.
    """
    before, after = padding
    whole = Crop((0, depth), padding)
    outputs = (frames + before + after - dilation * (depth - 1) - 1) // stride + 1
    meeting = [
        d
        for d in range(depth)
        if any(0 <= out * stride + d * dilation - before < frames for out in range(outputs))
    ]
    if not meeting or len(meeting) == depth:
        return whole
    first, last = meeting[0], meeting[-1] + 1
    before -= first * dilation
    read = (outputs - 1) * stride + dilation * (last - first - 1) + 1
    after = read - before - frames
    if 0 <= after < before < after + stride:  # as many on both sides are simpler, and one output
        after = before  # more would need `stride` more of them
    return Crop((first, last), (before, after))
