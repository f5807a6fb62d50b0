"""Padding of frames as TensorFlow's "SAME" convolutions and pools have it."""

from __future__ import annotations

import math
from typing import Any

import torch.nn.functional as F
from torch import Tensor

__all__ = ["pad_frames_same"]


def pad_frames_same(
    clip: Tensor, kernel_size: Any, stride: Any, dilation: Any = 1, value: float = 0.0
) -> Tensor:
    """Pad frames, not time, as TensorFlow's "SAME": an output for every `stride` pixels.

    Args:
        clip: (..., T, H, W).
        kernel_size, stride, dilation: (D, H, W) or an int; those of time do not matter.
        value: what is padded with.
    """
    around: list[int] = []
    for axis in (-1, -2):  # columns, then rows
        n = clip.shape[axis]
        k, s, d = (v if isinstance(v, int) else v[axis] for v in (kernel_size, stride, dilation))
        missing = max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
        around += [missing // 2, missing - missing // 2]
    return F.pad(clip, around, value=value) if any(around) else clip
