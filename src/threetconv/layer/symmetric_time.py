"""Windows along time that stand alike from both ends of a clip.

A stage with a stride reads a clip from its first frame on. Unless its windows happen to end as they
begin (`threetconv.layer.time_reach.mirror_shift` is 0), it treats early frames unlike late ones,
and a network can tell a clip from its reverse without any filter that changes over time. Here such
windows are placed twice, from the start and, as their mirror image, from the end, and the two
outputs are averaged. Where windows are symmetric already, nothing is changed or computed twice.

With stride 2 this is the dense stage (stride 1) of which neighbours are averaged in pairs; compare
the blurred subsampling of Zhang, "Making convolutional networks shift-invariant again" (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from threetconv.layer.time_reach import Padding, mirror_shift, placed_on_both_sides

__all__ = ["place_filter", "pool"]


def place_filter(  # noqa: PLR0917
    clip: Tensor, depth: int, stride: int, padding: Padding, dilation: int, data: bool = False
) -> tuple[Tensor, Padding]:
    """Prepare a clip for one convolution that equals the mean of both placements.

    Args:
        clip: (..., T, H, W).
        depth, stride, dilation: the convolution's, in time.
        padding: (before, after) in time.
        data: the clip is padded already, by the larger of `padding` on both sides.

    Returns:
        The clip and the zeros to add in time (negative: frames to crop); see
        `threetconv.layer.time_reach.placed_on_both_sides`. As given if windows are symmetric.
    """
    edge = max(padding) if data else 0
    shift, around = placed_on_both_sides(
        clip.shape[-3] - 2 * edge, depth, stride, padding, dilation
    )
    if not shift:
        return clip, (0, 0) if data else padding
    later, sooner = F.pad(clip, (0, 0, 0, 0, shift, 0)), F.pad(clip, (0, 0, 0, 0, 0, shift))
    return (later + sooner) / 2, (around[0] - edge, around[1] - edge)


def pool(  # noqa: PLR0917
    pooling: Callable[[Tensor], Tensor],
    clip: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """`pooling(clip)`, averaged with its mirror image in time unless that is the same.

    Args:
        pooling: (..., T, H, W) -> (..., T', H', W').
        clip: (..., T, H, W).
        kernel_size, stride, padding, dilation, ceil_mode: what `pooling` pools with, as for
            `torch.nn.MaxPool3d`.
    """
    depth, step, edge, spacing = (
        size if isinstance(size, int) else size[0]
        for size in (kernel_size, stride or kernel_size, padding, dilation)
    )
    pooled = pooling(clip)
    shift = mirror_shift(clip.shape[-3], depth, step, (edge, edge), spacing, ceil_mode)
    if not shift:
        return pooled
    return (pooled + pooling(clip.flip(-3)).flip(-3)) / 2
