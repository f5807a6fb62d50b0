"""Padding along an axis, and which slices of a filter meet data: arithmetic on sizes, no torch.

Slice d of a filter meets data if it is multiplied with an input frame, not with padding, at some
output position. In a network's last stages, feature maps are often shorter in time than the filter,
and some slices never do: one frame, padded by one on each side, meets only the middle of three.
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
    # length of the output: `torch.nn.Conv3d`'s formula
    return (frames + sum(padding) - dilation * (depth - 1) - 1) // stride + 1


def _meeting(frames: int, depth: int, stride: int, padding: Padding, dilation: int) -> list[int]:
    """The slices that meet data."""
    outputs = range(_outputs(frames, depth, stride, padding, dilation))
    # output `out` reads frame out * stride + d * dilation - padding[0] through slice d
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
    # slice `last` depends on transitions 0 ... last - 1 (equation 2)
    last = max(_meeting(frames, depth, stride, padding, dilation), default=0)
    return tuple(t < last for t in range(depth - 1))


@dataclass(frozen=True)
class Crop:
    """A convolution along time by part of a filter.

    Attributes:
        slices: (first, last), the slices first <= d < last.
        padding: zeros (before, after); a negative number crops that many frames.
    """

    slices: tuple[int, int]
    padding: Padding


@functools.lru_cache(maxsize=4096)
def crop_in_time(frames: int, depth: int, stride: int, padding: Padding, dilation: int) -> Crop:
    """Leave out the outer slices that meet only padding; the output stays the same.

    Args:
        frames: length of the input.
        depth, stride, dilation: the convolution's, along time.
        padding: zeros (before, after).

    Returns:
        The slices and the padding to convolve with; the whole filter if there is no output at all,
        or no slice meets data.
    """
    before, after = padding
    whole = Crop((0, depth), padding)
    meeting = _meeting(frames, depth, stride, padding, dilation)
    if not meeting or len(meeting) == depth:
        return whole
    first, last = meeting[0], meeting[-1] + 1
    before -= first * dilation  # the shorter filter starts `first` slices later
    outputs = _outputs(frames, depth, stride, padding, dilation)
    read = (outputs - 1) * stride + dilation * (last - first - 1) + 1  # padded length it needs
    after = read - before - frames
    # equal padding on both sides needs no extra copy of the clip; with fewer than `stride` frames
    # more there is still no further output
    if 0 <= after < before < after + stride:
        after = before
    return Crop((first, last), (before, after))
