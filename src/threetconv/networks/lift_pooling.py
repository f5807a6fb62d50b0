"""Pooling, resizing and filtering of images, called as functions, for clips (N, C, T, H, W)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

from threetconv.layer import symmetric_time as symmetric
from threetconv.layer.build_filters import is_eager
from threetconv.networks.lift_sizes import Side, frames_of

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "average",
    "avg_pool2d",
    "conv2d",
    "dropout2d",
    "filtered",
    "in_time",
    "interpolate",
    "lp_pool2d",
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
    frames = frames_of(kernel_size)
    if frames is not None:  # as large as the frame, so as deep as the clip
        sides = (kernel_size,) * 2 if isinstance(kernel_size, Side) else kernel_size
        return [(frames, *map(int, sides)), *in_time(1, *others)[1:]]
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
    """`F.avg_pool3d` that also takes clips smaller than the window, as `F.avg_pool2d` takes frames.

    Padding or `ceil_mode` makes up for it; torch's 3D version refuses such clips whatever they are.
    """
    sizes = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    if has_torch_function_unary(clip):  # a function of its own, not the calls below
        return handle_torch_function(average, (clip,), clip, *sizes)
    window, edges = _triple(kernel_size), _triple(padding)
    if all(n >= k for n, k in zip(clip.shape[-3:], window, strict=True)):
        return F.avg_pool3d(
            clip, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        )
    ends = []
    steps = window if stride is None else _triple(stride)
    for n, k, s, p in zip(clip.shape[-3:], window, steps, edges, strict=True):
        places = (n + 2 * p - k + (s - 1 if ceil_mode else 0)) // s + 1
        # no window begins behind the clip and its padding
        places -= int(ceil_mode and (places - 1) * s >= n + p)
        if places < 1:
            raise ValueError(
                f"average pooling of {k} places with padding {p} and ceil_mode={ceil_mode} needs "
                f"more than {n}: clips (frames, height, width) are {tuple(clip.shape[-3:])} here"
            )
        ends.append((places - 1) * s + k - n - p)

    def padded(clip: Tensor, pads: list[tuple[int, int]], value: float = 0.0) -> Tensor:
        return F.pad(clip, [amount for pair in reversed(pads) for amount in pair], value=value)

    def sums(clip: Tensor) -> Tensor:
        return F.avg_pool3d(clip, window, steps, divisor_override=1)

    around = list(zip(edges, ends, strict=True))
    summed = sums(padded(clip, around))
    if divisor_override is not None:
        return summed / divisor_override
    counted = torch.ones_like(clip[:1])
    if count_include_pad:  # but not what overhangs it
        counted = padded(counted, [(p, min(p, end)) for p, end in around], 1.0)
        around = [(0, end - min(p, end)) for p, end in around]
    return summed / sums(padded(counted, around))


def _triple(size: Any) -> tuple[int, int, int]:
    return (size,) * 3 if isinstance(size, int) else tuple(size)


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


def lp_pool2d(  # noqa: PLR0917 (F.lp_pool2d's own signature)
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    symmetric_time: bool = False,
) -> Tensor:
    """The norm over a window of the frame, of powers averaged over its depth in time."""
    kernel = in_time(kernel_size)[0]
    area = kernel**2 if isinstance(kernel, int) else kernel[1] * kernel[2]
    options: Any = {"ceil_mode": ceil_mode, "symmetric_time": symmetric_time}
    mean = avg_pool2d(input.pow(norm_type), kernel_size, stride, **options)
    return (torch.sign(mean) * F.relu(mean.abs()) * area).pow(1 / norm_type)


def interpolate(  # noqa: PLR0917 (F.interpolate's own signature)
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Frames resized as in 2D; time by the scale factor too, or to that of the clip of that size.

    A size that was not read from a clip leaves time as it is.
    """
    options: Any = {"mode": mode, "align_corners": align_corners}
    if isinstance(size, Side):
        size = (size, size)
    plain = None if size is None else _pair(size)
    frames, batch = input.shape[2], len(input)
    resized = F.interpolate(
        input.transpose(1, 2).flatten(0, 1),
        plain,
        scale_factor,
        **options,
        recompute_scale_factor=recompute_scale_factor,
        antialias=antialias,
    )
    clip = resized.unflatten(0, (batch, frames)).transpose(1, 2)
    wanted = frames_of(size)
    if scale_factor is not None:
        rows = scale_factor[0] if isinstance(scale_factor, tuple | list) else scale_factor
        wanted = max(1, math.floor(frames * rows))
    if wanted in (None, frames):
        return clip
    if mode.startswith("bi"):  # linear in time; the frame has its size already
        options = {"mode": "trilinear", "align_corners": align_corners}
    return F.interpolate(clip, (wanted, *clip.shape[-2:]), **options)


def _pair(size: Any) -> Any:
    return tuple(map(int, size)) if isinstance(size, tuple | list) else int(size)


def filtered(  # noqa: PLR0917 (clip and sizes stand where pooling has them)
    clip: Tensor,
    filters: Tensor,
    stride: Any,
    padding: Any,
    bias: Tensor | None = None,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """`F.conv3d`, as a function of its own: not that of a layer."""
    if has_torch_function_unary(clip):
        sizes = (stride, padding, bias, dilation, groups)
        return handle_torch_function(filtered, (clip,), clip, filters, *sizes)
    return F.conv3d(clip, filters, bias, stride, padding, dilation, groups)


def conv2d(  # noqa: PLR0917 (F.conv2d's own signature)
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    symmetric_time: bool = False,
) -> Tensor:
    """The 2D filter repeated over depth and divided by it, as layers carry theirs into 3D."""
    sides = tuple(weight.shape[-2:])
    (depth, *_), step, edge, spacing = in_time(sides, stride, padding, dilation)
    flat = weight if weight.ndim == 4 else weight.squeeze(2)
    filters = (flat / depth).unsqueeze(2).expand(-1, -1, depth, -1, -1)

    def convolve(clip: Tensor) -> Tensor:
        return filtered(clip, filters, step, edge, bias, spacing, groups)

    if symmetric_time and not isinstance(edge, str):
        return symmetric.pool(convolve, input, (depth, *sides), step, edge, spacing)
    return convolve(input)


def _adaptive_size(output_size: Any) -> tuple[int | None, ...]:
    # time becomes 1, so that a classifier behind the pooling keeps its input size, unless the size
    # is that of a clip
    sides = (output_size,) * 2 if isinstance(output_size, int) else tuple(output_size)
    return (frames_of(sides) or 1, *(side if side is None else int(side) for side in sides))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    return F.adaptive_avg_pool3d(input, _adaptive_size(output_size))  # type: ignore[arg-type]


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    pool = F.adaptive_max_pool3d_with_indices if return_indices else F.adaptive_max_pool3d
    return pool(input, _adaptive_size(output_size))  # type: ignore[arg-type]


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    return F.dropout3d(input, p, training, inplace)
