"""Padding along an axis, and which slices of a filter meet data: arithmetic on sizes, no torch.

Slice d of a filter meets data when some output position reads an input frame through it. Clips
shorter than the filter, as in the last stages of a network, meet a part of it only: one frame,
padded by one on each side, meets the middle one of three slices.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

__all__ = ["Crop", "crop_in_time", "padding_along", "reachable_transitions"]

Padding = tuple[int, int]  # zeros (before, after)


def padding_along(padding: int | str, kernel: int, dilation: int) -> Padding:
    """The zeros before and after one axis, as `torch.nn.Conv3d` adds them.

    Args:
        padding: a size, "valid" (none) or "same" (an odd number puts one more after).
        kernel, dilation: the convolution's, along the axis.
    """
    if padding == "same":
        total = dilation * (kernel - 1)
        return total // 2, total - total // 2
    return (0, 0) if isinstance(padding, str) else (int(padding), int(padding))


def _outputs(frames: int, depth: int, stride: int, padding: Padding, dilation: int) -> int:
    return (frames + sum(padding) - dilation * (depth - 1) - 1) // stride + 1


def _meeting(frames: int, depth: int, stride: int, padding: Padding, dilation: int) -> list[int]:
    """The slices that meet data."""
    outputs = range(_outputs(frames, depth, stride, padding, dilation))
    return [
        d
        for d in range(depth)
        if any(0 <= out * stride + d * dilation - padding[0] < frames for out in outputs)
    ]


def reachable_transitions(
    frames: int, depth: int, stride: int = 1, padding: Padding = (0, 0), dilation: int = 1
) -> tuple[bool, ...]:
    """Which transitions of a layer can receive a gradient, from sizes in time alone.

    A slice that meets only padding gets no gradient. Transition t shapes slices t + 1, t + 2, ...,
    so it is reachable when any of those meets data.

    Args:
        frames: length in time of the layer's input.
        depth, stride, dilation: the layer's, in time.
        padding: zeros (before, after).

    Returns:
        `depth` - 1 booleans.
    """
    last = max(_meeting(frames, depth, stride, padding, dilation), default=0)
    return tuple(t < last for t in range(depth - 1))


@dataclass(frozen=True)
class Crop:
    """A convolution along time by part of a filter.

    Attributes:
        slices: (first, last), the slices first <= d < last.
        padding: zeros (before, after); a negative number is so many frames left out.
    """

    slices: tuple[int, int]
    padding: Padding


@functools.lru_cache(maxsize=4096)
def crop_in_time(frames: int, depth: int, stride: int, padding: Padding, dilation: int) -> Crop:
    """Leave out the outer slices that meet only padding; the output stays what it was.

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
    meeting = _meeting(frames, depth, stride, padding, dilation)
    if not meeting or len(meeting) == depth:
        return whole
    first, last = meeting[0], meeting[-1] + 1
    before -= first * dilation
    outputs = _outputs(frames, depth, stride, padding, dilation)
    read = (outputs - 1) * stride + dilation * (last - first - 1) + 1
    after = read - before - frames
    if 0 <= after < before < after + stride:  # as many on both sides are simpler, and one output
        after = before  # more would need `stride` more of them
    return Crop((first, last), (before, after))
