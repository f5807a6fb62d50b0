"""Where windows stand in time and which slices of a filter meet data: arithmetic, no torch.

Slice d of a filter meets data if it is multiplied with an input frame, not with padding, at some
output position. In a network's last stages, feature maps are often shorter in time than the filter,
and some slices never do: one frame, padded by one on each side, meets only the middle of three.

Windows with a stride need not stand alike from both ends of a clip: the last frames may be left
over, or padding may count once. Such a stage tells a clip from its reverse even if its filter is
constant in time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

__all__ = [
    "Crop",
    "crop_in_time",
    "mirror_shift",
    "output_frames",
    "padding_along",
    "placed_on_both_sides",
    "reachable_transitions",
    "tells_order",
]

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


def output_frames(  # noqa: PLR0917
    frames: int,
    depth: int,
    stride: int,
    padding: Padding = (0, 0),
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """Length of the output, as of `torch.nn.Conv3d` and of torch's pooling layers."""
    span = frames + padding[0] + padding[1] - dilation * (depth - 1) - 1
    if not ceil_mode:
        return span // stride + 1
    outputs = -(-span // stride) + 1
    # a last window that would begin behind the last frame, among the padding, is dropped
    return outputs - ((outputs - 1) * stride >= frames + padding[0])


def mirror_shift(  # noqa: PLR0917
    frames: int,
    depth: int,
    stride: int,
    padding: Padding = (0, 0),
    dilation: int = 1,
    ceil_mode: bool = False,
) -> int:
    """By how many frames windows miss their own mirror image when time is reversed.

    Args:
        frames: length in time of the input.
        depth, stride, dilation, ceil_mode: of the windows, in time.
        padding: (before, after).

    Returns:
        0: the stage commutes with reversal. With equal padding, the frames that no window reads
        ((frames + padding - extent) modulo stride), or, negative, those that the last window reads
        beyond the padding (`ceil_mode`); otherwise also the difference of the paddings.
    """
    outputs = output_frames(frames, depth, stride, padding, dilation, ceil_mode)
    read = (outputs - 1) * stride + dilation * (depth - 1) + 1
    return frames + 2 * padding[0] - read


def tells_order(  # noqa: PLR0917
    frames: int,
    depth: int,
    stride: int,
    padding: Padding = (0, 0),
    dilation: int = 1,
    ceil_mode: bool = False,
) -> bool:
    """Whether windows that weigh all frames alike tell a clip from its reverse.

    Zeros weigh nothing. So a shift (`mirror_shift`) does not matter if windows and their mirror
    images read the same frames, as a single window over a whole clip does.
    """
    windows = [
        [f for f in range(at, at + dilation * depth, dilation) if 0 <= f < frames]
        for at in range(
            -padding[0],
            output_frames(frames, depth, stride, padding, dilation, ceil_mode) * stride
            - padding[0],
            stride,
        )
    ]
    return windows != [[frames - 1 - f for f in reversed(window)] for window in reversed(windows)]


def placed_on_both_sides(
    frames: int, depth: int, stride: int, padding: Padding, dilation: int
) -> tuple[int, Padding]:
    """How to average a convolution and its mirror image in time by one convolution.

    The two differ by a shift. A convolution is linear, so the mean of their outputs is the
    convolution of the mean of a clip and its shifted copy.

    Args:
        frames, depth, stride, padding, dilation: as for `mirror_shift`; the two paddings may only
            differ with stride 1.

    Returns:
        The shift in frames, by which the mean of clip and copy is longer than the clip, and the
        zeros (before, after) around that mean; a negative number crops. The windows are symmetric.
    """
    shift = abs(mirror_shift(frames, depth, stride, padding, dilation))
    edge = max(padding) - shift
    return shift, (edge, edge)


def _meeting(frames: int, depth: int, stride: int, padding: Padding, dilation: int) -> list[int]:
    """The slices that meet data."""
    outputs = range(output_frames(frames, depth, stride, padding, dilation))
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
    outputs = output_frames(frames, depth, stride, padding, dilation)
    read = (outputs - 1) * stride + dilation * (last - first - 1) + 1  # padded length it needs
    after = read - before - frames
    # equal padding on both sides needs no extra copy of the clip; with fewer than `stride` frames
    # more there is still no further output
    if 0 <= after < before < after + stride:
        after = before
    return Crop((first, last), (before, after))
