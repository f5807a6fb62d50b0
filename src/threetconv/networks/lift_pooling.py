"""Pooling of images, called as a function, as pooling of clips (N, C, T, H, W)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from threetconv.layer import symmetric_time as symmetric
from threetconv.layer.build_filters import is_eager

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "average",
    "avg_pool2d",
    "dropout2d",
    "in_time",
    "max_pool",
    "max_pool2d",
    "max_pool2d_with_indices",
]


def in_time(kernel_size: Any, *others: Any) -> list[Any]:
    """(D, H, W) from (H, W): time gets the values of the axis with the larger kernel (H on a tie).

    Args:
        kernel_size: int or (H, W); it decides the axis.
        others: stride, padding, ...: int, str or None, which stay as they are, or (H, W).
    """
    # 1 x 7 and 7 x 1 kernels (Inception v3) both become 7 deep, with the stride and padding of the
    # longer side
    axis = int(not isinstance(kernel_size, int) and kernel_size[-1] > kernel_size[0])
    return [
        size if size is None or isinstance(size, int | str) else (size[axis % len(size)], *size)
        for size in (kernel_size, *others)
    ]


def max_pool(clip: Tensor, *sizes: Any) -> Tensor:
    """`F.max_pool3d`, on CPUs channels last: same outputs, same gradients, to the bit.

    torch's kernel for channels first takes one number at a time. Forward and backward of 16 clips
    of 48 x 4 x 4 x 4, stride 1, are 7 times quicker channels last; strided ones of 16 x 8 x 16 x 16
    1.8 times, of 64 x 8 x 56 x 56 as quick (torch 2.14.1, one core).
    """
    if clip.ndim == 5 and clip.device.type == "cpu" and is_eager((clip,)):
        last = clip.contiguous(memory_format=torch.channels_last_3d)
        return F.max_pool3d(last, *sizes).contiguous()
    return F.max_pool3d(clip, *sizes)


def max_pool2d(  # noqa: PLR0917 (F.max_pool2d's own signature)
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    symmetric_time: bool = False,
) -> Any:
    # an empty stride, torch.max_pool2d's default, means the kernel size, as None does
    kernel, step, edge, spacing = in_time(kernel_size, stride or None, padding, dilation)
    pool: Any = F.max_pool3d_with_indices if return_indices else max_pool
    sizes: Any = (kernel, step, edge, spacing, ceil_mode)
    if symmetric_time and not return_indices:
        return symmetric.pool(lambda clip: pool(clip, *sizes), input, *sizes)
    return pool(input, *sizes)


def max_pool2d_with_indices(*args: Any, **kwargs: Any) -> Any:
    return max_pool2d(*args, **{**kwargs, "return_indices": True})


def adaptive_max_pool2d_with_indices(*args: Any, **kwargs: Any) -> Any:
    return adaptive_max_pool2d(*args, **{**kwargs, "return_indices": True})


def average(  # noqa: PLR0917 (F.avg_pool3d's own signature)
    clip: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """`F.avg_pool3d` that also takes clips smaller than the window, if padding makes up for it.

    `F.avg_pool2d` takes such frames; torch's 3D version refuses such clips whatever the padding.
    The clip is padded beforehand instead.
    """
    sizes = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    if has_torch_function_unary(clip):  # a function of its own, not the calls below
        return handle_torch_function(average, (clip,), clip, *sizes)
    window = (kernel_size,) * 3 if isinstance(kernel_size, int) else kernel_size
    smaller = any(n < k for n, k in zip(clip.shape[2:], window, strict=True))
    # explicit zeros equal padding only if the average counts them and no window overhangs the edge
    if smaller and count_include_pad and not ceil_mode:
        edges = (padding,) * 3 if isinstance(padding, int) else padding
        clip = F.pad(clip, [edge for edge in reversed(edges) for _ in range(2)])
        padding = 0
    return F.avg_pool3d(
        clip, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool2d(  # noqa: PLR0917 (F.avg_pool2d's own signature)
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    symmetric_time: bool = False,
) -> Tensor:
    kernel, step, edge = in_time(kernel_size, stride or None, padding)
    if divisor_override is not None:  # as many times more terms in the window's sum as it is deep
        divisor_override *= kernel if isinstance(kernel, int) else kernel[0]
    sizes = (kernel, step, edge, ceil_mode)

    def pool(clip: Tensor) -> Tensor:
        return average(clip, *sizes, count_include_pad, divisor_override)

    if symmetric_time:
        return symmetric.pool(pool, input, kernel, step, edge, 1, ceil_mode)
    return pool(input)


def _adaptive_size(output_size: Any) -> tuple[int | None, ...]:
    # time becomes 1, so that a classifier behind the pooling keeps its input size
    return (1, *((output_size,) * 2 if isinstance(output_size, int) else output_size))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    return F.adaptive_avg_pool3d(input, _adaptive_size(output_size))  # type: ignore[arg-type]


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    pool = F.adaptive_max_pool3d_with_indices if return_indices else F.adaptive_max_pool3d
    return pool(input, _adaptive_size(output_size))  # type: ignore[arg-type]


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    return F.dropout3d(input, p, training, inplace)
