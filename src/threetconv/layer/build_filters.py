"""Filter construction: 3D filters from a first slice and its transforms.

Two backends give the same numbers. "compiled" runs the numba kernels of `threetconv.layer.cpu`, for
float32 and float64 on the CPU. "torch" uses ordinary torch operators (`threetconv.layer.affine`)
and works everywhere.

Source: arXiv 2006.15983, equations 1 to 5.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

from threetconv.layer.affine import affine_matrix, half_extent, sampling_matrix, tap_coordinates
from threetconv.layer.cpu.openmp import carry_out, make_order
from threetconv.layer.cpu.order_layout import DERIVATIVES, Task

__all__ = ["BACKENDS", "FILTER_PADDINGS", "build_filters", "is_eager", "warm_up"]

log = logging.getLogger(__name__)

BACKENDS = ("auto", "compiled", "torch")
FILTER_PADDINGS = ("zeros", "border")
_NAMES = ("weight", "scale", "rotate", "translate_x", "translate_y")
_NUMPY = {torch.float32: np.dtype("float32"), torch.float64: np.dtype("float64")}
Slices = tuple[int, int]

# Kernels for nine taps make a matrix of each transform, which pays for more input channels than
# this: depthwise filters are built 1.6 times quicker without.
_FEW = 4

# Filters with fewer elements than this are built in one thread: waking a sleeping thread would take
# longer than the work.
_SHARE_FROM = 50_000


def build_filters(
    weight: Tensor,
    scale: Tensor,
    rotate: Tensor,
    translate_x: Tensor,
    translate_y: Tensor,
    *,
    filter_padding: str = "zeros",
    align_corners: bool = True,
    slices: Slices | None = None,
    backend: str = "auto",
) -> Tensor:
    """The 3D filters: slice t + 1 is slice t warped by transform t.

    Forward and gradients are those of `F.affine_grid` and `F.grid_sample` applied slice by slice.

    Training starts at the identity, where the filters are not differentiable: every tap stands on a
    grid node, and shifts to the left and to the right bring in different neighbours, so the
    one-sided derivatives by the temporal parameters differ. The derivative returned is that of the
    cell to the right of and below each tap, exactly, in every dtype and for every size of kernel.
    `F.grid_sample`, which the paper trained with, means the same side, but `F.affine_grid` rounds
    its coordinates: in float32 some taps of kernels of 4, 6, 7, 8, 11, ... fall on the other side.
    The first gradient therefore describes one side only, and the loss may rise along it. A minimum
    at the identity is a corner, where gradients do not vanish. Elsewhere filters are smooth except
    where a tap crosses a node.

    Args:
        weight: (out, in / groups, H, W), the first slice K1.
        scale, rotate, translate_x, translate_y: (D - 1, out) each; radians, kernel half-extents.
        filter_padding: what a warp reads outside the kernel: "zeros", as the paper, or the nearest
            tap ("border"); `padding_mode` of `F.grid_sample`.
        align_corners: True if -1 and 1 are the centres of the outer taps, as in the paper; False if
            they are their outer edges.
        slices: (first, last): build only the slices first <= d < last; None builds all.
        backend: "compiled", "torch" or "auto". "auto" takes "compiled" for float32 and float64 on
            the CPU, outside of tracing, `torch.compile` and `torch.func`. Second derivatives always
            come from "torch".

    Returns:
        (out, in / groups, last - first, H, W), contiguous, in the dtype of `weight`. Half precision
        is built in float32 and rounded at the end.

    Raises:
        ValueError: for an unknown option, slices outside 0 ... D, or a backend that cannot build
            these filters.
    """
    if filter_padding not in FILTER_PADDINGS:
        raise ValueError(f"filter_padding={filter_padding!r} is not one of {FILTER_PADDINGS}")
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is not one of {BACKENDS}")
    parameters = (weight, scale, rotate, translate_x, translate_y)
    depth = len(scale) + 1
    # kernels read by address: a transform that is too short would let them read other memory
    wanted = scale.shape[0], weight.shape[0]
    for name, tensor in zip(_NAMES[1:], parameters[1:], strict=True):
        if is_eager(()) and tensor.shape != wanted:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}, not (D - 1, out) = {tuple(wanted)}, with "
                f"{wanted[0]} steps in `scale`"
            )
    first, last = (0, depth) if slices is None else slices
    if not 0 <= first < last <= depth:
        raise ValueError(f"slices={slices!r} do not lie within 0 and D={depth}")
    if any(parameter.dtype != weight.dtype for parameter in parameters):
        kinds = {name: tensor.dtype for name, tensor in zip(_NAMES, parameters, strict=True)}
        raise ValueError(f"the parameters of a 3T layer must have one dtype, not {kinds}")
    # half precision is too coarse for sampling coordinates
    if weight.dtype in (torch.float16, torch.bfloat16):
        wide = (parameter.float() for parameter in parameters)
        options: dict[str, Any] = {"filter_padding": filter_padding, "align_corners": align_corners}
        built = build_filters(*wide, slices=(first, last), backend=backend, **options)
        return built.to(weight.dtype)
    if backend != "torch":
        if _compilable(parameters):
            return _Compiled.apply(*parameters, (first, last), filter_padding, align_corners)
        if backend == "compiled":
            raise ValueError(
                "backend='compiled' needs numba and float32 or float64 tensors of one dtype on the "
                f"CPU; these are {weight.dtype} on {weight.device}"
            )
    return _by_torch(*parameters, (first, last), filter_padding, align_corners)


def _by_torch(*arguments: Any) -> Tensor:
    device = arguments[0].device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return _warp_by_torch(*arguments)
    # autocast would run the matrix products in half precision
    with torch.autocast(device, enabled=False):
        return _warp_by_torch(*arguments)


def _warp_by_torch(  # noqa: PLR0917
    weight: Tensor,
    scale: Tensor,
    rotate: Tensor,
    translate_x: Tensor,
    translate_y: Tensor,
    slices: Slices,
    filter_padding: str,
    align_corners: bool,
) -> Tensor:
    (first, last), transforms = slices, (scale, rotate, translate_x, translate_y)
    out_channels, in_channels, height, width = weight.shape
    current = weight.flatten(2)  # (out, in / groups, HW)
    built = [current]
    if last > 1:
        theta = affine_matrix(*(parameter[: last - 1] for parameter in transforms))
        warps = sampling_matrix(
            theta, height, width, filter_padding=filter_padding, align_corners=align_corners
        )
        # equation 2, one transition at a time: each slice is the previous one warped
        for warp in warps.transpose(-1, -2):  # (last - 1, out, HW, HW)
            current = torch.bmm(current, warp)
            built.append(current)
    elif len(scale):  # keep the transforms in the graph: their gradient is zero, not None
        nothing = torch.stack([parameter[:0].sum() for parameter in transforms]).sum()
        built = [current + nothing]
    filters = torch.stack(built[first:], dim=2)
    return filters.view(out_channels, in_channels, last - first, height, width)


def is_eager(parameters: Iterable[Tensor]) -> bool:
    """Whether these are plain tensors with data, computed on eagerly.

    False under `torch.compile`, tracing, `torch.func`, `torch.autograd.forward_ad` and dispatch
    modes (FLOP counters, fake tensors).
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return False
    if forward_ad._current_level >= 0:  # kernels carry no tangents
        return False
    if _transforming() or _get_current_dispatch_mode() is not None:
        return False
    # `type`, not `isinstance`: tensor subclasses may have no data at the address that they report
    return all(type(tensor) is nn.Parameter or type(tensor) is Tensor for tensor in parameters)


def _compilable(parameters: tuple[Tensor, ...]) -> bool:
    dtype = parameters[0].dtype
    if dtype not in _NUMPY or parameters[0].numel() == 0 or not is_eager(parameters):
        return False
    if not all(tensor.is_cpu and tensor.dtype == dtype for tensor in parameters):
        return False
    return _kernels() is not None


def _transforming() -> bool:
    """Whether a transform of `torch.func` (vmap, grad, jvp, ...) is active."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@functools.cache
def _kernels() -> dict[str, Any] | None:
    """The compiled kernels, or None without numba, which takes a second to import."""
    try:
        from threetconv.layer.cpu import any_size, nine_taps
    except ImportError as error:
        log.warning("numba cannot be used (%s): filters are built by torch, more slowly", error)
        return None
    return {
        "forward": any_size.forward_any,
        "backward": any_size.backward_any,
        "forward_nine": nine_taps.forward_nine,
        "backward_nine": nine_taps.backward_nine,
    }


def warm_up() -> bool:
    """Compile the CPU kernels, or read them from the cache; False without numba.

    Otherwise the first filters that are built wait for it, in every process at once.
    """
    kernels = _kernels() or {}
    for kernel in kernels.values():
        for dtype in _NUMPY.values():
            kernel.address(dtype)
    return bool(kernels)


@functools.cache
def _grid(
    height: int, width: int, dtype: torch.dtype, align_corners: bool
) -> tuple[np.ndarray, int, int]:
    """The kernels' grid (`taps` and `halves` of `work_order.task_of`), its address and length.

    Cached for ever: orders refer to it by address only, so it must never be freed.
    """
    xs, ys = (tap_coordinates(size, dtype=dtype, device="cpu").numpy() for size in (width, height))
    halves = [half_extent(size, align_corners) for size in (width, height)]
    centres = [(size - 1) / 2 for size in (width, height)]
    # kernels take 16 taps at a time; NaN marks the padding after the last tap
    taps = np.full((2, -(-height * width // 16) * 16), np.nan, xs.dtype)
    taps[:, : height * width] = np.tile(xs, height), np.repeat(ys, width)
    grid = np.concatenate([taps.ravel(), halves, centres]).astype(xs.dtype)
    return grid, grid.ctypes.data, len(grid)


def _flat(tensor: Tensor) -> Tensor:
    """The tensor, or a copy, laid out contiguously, so that a kernel can read it by address."""
    # a lazily negated tensor (`is_neg`) holds the negatives of its values in memory
    if tensor.is_contiguous() and not tensor.is_neg():
        return tensor
    return tensor.resolve_neg().contiguous()


class _Compiled(torch.autograd.Function):
    """`build_filters` by numba's kernels; `torch.get_num_threads()` threads share the channels."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *parameters, slices, filter_padding, align_corners = arguments
        weight, (first, last) = parameters[0], slices
        ctx.save_for_backward(*parameters)
        ctx.options = slices, filter_padding, align_corners
        if last == 1:  # the first slice alone: there is nothing to warp
            return weight.detach().unsqueeze(2).clone(memory_format=torch.contiguous_format)
        out_channels, in_channels, height, width = weight.shape
        # detached tensors keep this memory alive even if `parameter.data` is replaced before
        # backward, which reads the same addresses again
        ctx.given = given = [_flat(parameter.detach()) for parameter in parameters]
        out = weight.new_empty((out_channels, in_channels, last - first, height, width))
        _, grid, grid_length = _grid(height, width, weight.dtype, align_corners)
        k1, scale, rotate, translate_x, translate_y = [tensor.data_ptr() for tensor in given]
        ctx.task = Task(
            grid=grid,
            grid_length=grid_length,
            border=filter_padding == "border",
            out_channels=out_channels,
            in_channels=in_channels,
            depth=len(parameters[1]) + 1,
            height=height,
            width=width,
            first=first,
            last=last,
            weight=k1,
            scale=scale,
            rotate=rotate,
            translate_x=translate_x,
            translate_y=translate_y,
            slices=out.data_ptr(),
        )
        _run("forward", out, ctx.task)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        parameters = ctx.saved_tensors  # raises if one was changed in place since forward
        # second derivatives (create_graph), vmap and subclasses such as fake tensors need operators
        # that torch can see
        batched = torch._C._functorch.is_legacy_batchedtensor(gradient)  # `is_grads_batched`
        if torch.is_grad_enabled() or _transforming() or batched or type(gradient) is not Tensor:
            return (*_backward_by_torch(ctx, parameters, gradient), None, None, None)
        last = ctx.options[0][1]
        if last == 1:
            zeros = (torch.zeros_like(parameter) for parameter in parameters[1:])
            return (gradient.squeeze(2), *zeros, None, None, None)
        # kernels fill every element only if all slices are built; later transforms get zeros
        whole = last == len(parameters[1]) + 1
        make = torch.empty_like if whole else torch.zeros_like
        found = [make(tensor) for tensor in ctx.given]
        gradient = _flat(gradient)
        addresses = zip(DERIVATIVES, [tensor.data_ptr() for tensor in found], strict=True)
        task = ctx.task._replace(slices=gradient.data_ptr(), **dict(addresses))
        _run("backward", gradient, task)
        return (*found, None, None, None)


def _run(name: str, slices: Tensor, task: Task) -> None:
    """Call a kernel, in several threads if `slices` is large."""
    kernels = _kernels()
    assert kernels is not None
    nine_taps = slices.shape[3] * slices.shape[4] == 9  # 3 x 3, but also 1 x 9 and 9 x 1
    if nine_taps and slices.shape[1] > _FEW:
        name = f"{name}_nine"
    threads = torch.get_num_threads() if slices.numel() >= _SHARE_FROM else 1
    function = kernels[name].address(_NUMPY[slices.dtype])
    carry_out(function, make_order(task), len(slices), threads)


def _backward_by_torch(
    ctx: Any, parameters: tuple[Tensor, ...], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    # needs_input_grad also has entries for the three options, hence not strict
    wanted = [p for p, needed in zip(parameters, ctx.needs_input_grad, strict=False) if needed]
    with torch.enable_grad():
        filters = _by_torch(*parameters, *ctx.options)
        found = iter(torch.autograd.grad(filters, wanted, gradient, create_graph=True))
    needed = ctx.needs_input_grad[: len(parameters)]
    return tuple(next(found) if need else None for need in needed)
