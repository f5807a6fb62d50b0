"""Filter construction: 3D filters from a first slice and its transforms, the quickest exact way.

Two backends give the same numbers: "compiled", numba's any_size, for float32 and float64 on the
CPU; and "torch", ordinary torch operators (`threetconv.layer.affine`), everywhere else.

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
from torch.utils._python_dispatch import _get_current_dispatch_mode

from threetconv.layer.affine import affine_matrix, sampling_matrix, tap_coordinates, tap_units
from threetconv.layer.cpu.openmp import carry_out, make_order
from threetconv.layer.cpu.order_layout import DERIVATIVES, Task

__all__ = ["BACKENDS", "FILTER_PADDINGS", "build_filters", "is_eager"]

log = logging.getLogger(__name__)

BACKENDS = ("auto", "compiled", "torch")
FILTER_PADDINGS = ("zeros", "border")
_NUMPY = {torch.float32: np.dtype("float32"), torch.float64: np.dtype("float64")}
Slices = tuple[int, int]

# With fewer numbers in the filters another thread is not worth it: if it sleeps, waking it takes
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

    With zeros outside the kernel the identity, where training starts, is a kink: every tap stands
    on a node of the grid, and a shift to one side or the other brings in different neighbours, so
    that left and right derivatives by the temporal parameters differ. The derivative returned is
    the one in the cell to the right of and below each tap: `F.grid_sample`'s, which the paper
    trained with. For training this means that the gradient at the start speaks for one side only;
    the loss may rise along it, and a minimum at the identity is a corner, with gradients that do
    not fade as it comes near. Off the identity filters are smooth but where a tap crosses a node.

    Args:
        weight: (out, in / groups, H, W), the first slice K1.
        scale, rotate, translate_x, translate_y: (D - 1, out) each; radians, kernel half-extents.
        filter_padding: what a warp reads outside the kernel: "zeros", as the paper, or the nearest
            tap ("border"); `padding_mode` of `F.grid_sample`.
        align_corners: whether -1 and 1 are the centres of the outer taps, as in the paper, or their
            outer edges. Then, unless H and W are powers of 2, taps at the identity stand beside
            their nodes, on the side where rounding puts them: that differs between machines.
        slices: (first, last): build only the slices first <= d < last; all without it.
        backend: "compiled", "torch", or whichever serves ("auto"). "compiled" is chosen for float32
            and float64 on the CPU, outside of tracing, `torch.compile` and `torch.func`; where it
            is differentiated twice, the second derivatives come from "torch".

    Returns:
        (out, in / groups, last - first, H, W), contiguous; in the dtype of `weight`. Half precision
        is built in float32 and rounded at the end: coordinates of taps do not survive it.

    Raises:
        ValueError: for an unknown option, slices that are not there, or a backend that cannot
            build these filters.
    """
    if filter_padding not in FILTER_PADDINGS:
        raise ValueError(f"filter_padding={filter_padding!r} is not one of {FILTER_PADDINGS}")
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is not one of {BACKENDS}")
    parameters = (weight, scale, rotate, translate_x, translate_y)
    depth = len(scale) + 1
    first, last = (0, depth) if slices is None else slices
    if not 0 <= first < last <= depth:
        raise ValueError(f"slices={slices!r} do not lie within 0 and D={depth}")
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
    current = weight.flatten(2)
    built = [current]
    if last > 1:
        theta = affine_matrix(*(parameter[: last - 1] for parameter in transforms))
        warps = sampling_matrix(
            theta, height, width, filter_padding=filter_padding, align_corners=align_corners
        )
        for warp in warps.transpose(-1, -2):  # (last - 1, out, HW, HW)
            current = torch.bmm(current, warp)
            built.append(current)
    elif len(scale):  # transforms of slices that are not built still get their gradient: zero
        nothing = torch.stack([parameter[:0].sum() for parameter in transforms]).sum()
        built = [current + nothing]
    filters = torch.stack(built[first:], dim=2)
    return filters.view(out_channels, in_channels, last - first, height, width)


def is_eager(parameters: Iterable[Tensor]) -> bool:
    """Whether these are tensors of numbers and what happens to them happens now.

    Not so in `torch.compile`, tracing, `torch.func` and dispatch modes (FLOP counters, fake
    tensors).
    """
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return False
    if _transforming() or _get_current_dispatch_mode() is not None:
        return False
    return all(type(tensor) is nn.Parameter or type(tensor) is Tensor for tensor in parameters)


def _compilable(parameters: tuple[Tensor, ...]) -> bool:
    dtype = parameters[0].dtype
    if dtype not in _NUMPY or parameters[0].numel() == 0 or not is_eager(parameters):
        return False
    if not all(tensor.is_cpu and tensor.dtype == dtype for tensor in parameters):
        return False
    return _kernels() is not None


def _transforming() -> bool:
    """Whether vmap, grad, jvp, ... of `torch.func` is at work."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@functools.cache
def _kernels() -> dict[str, Any] | None:
    """The compiled kernels; imported when first needed, because numba takes a second to import."""
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


@functools.cache
def _grid(
    height: int, width: int, dtype: torch.dtype, align_corners: bool
) -> tuple[np.ndarray, int, int]:
    """The kernels' grid (`taps` and `units` of `warp_coordinates.read`), its address and length.

    It is kept for good, so that an order can name the address.
    """
    xs, ys = (
        tap_coordinates(size, dtype=dtype, device="cpu", align_corners=align_corners).numpy()
        for size in (width, height)
    )
    per_tap = np.array([tap_units(size, align_corners) for size in (width, height)])
    taps = np.full((2, -(-height * width // 16) * 16), np.nan, xs.dtype)
    taps[:, : height * width] = np.tile(xs, height), np.repeat(ys, width)
    grid = np.concatenate([taps.ravel(), per_tap.T.ravel()]).astype(xs.dtype)
    return grid, grid.ctypes.data, len(grid)


def _flat(tensor: Tensor) -> Tensor:
    """The numbers of a tensor one behind the other, as its address promises them."""
    if tensor.is_contiguous() and not tensor.is_neg():
        return tensor
    return tensor.resolve_neg().contiguous()


class _Compiled(torch.autograd.Function):
    """`build_filters` by numba's kernels; torch's number of threads share output channels."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *parameters, slices, filter_padding, align_corners = arguments
        weight, (first, last) = parameters[0], slices
        ctx.save_for_backward(*parameters)
        ctx.options = slices, filter_padding, align_corners
        if last == 1:
            return weight.detach().unsqueeze(2).clone(memory_format=torch.contiguous_format)
        out_channels, in_channels, height, width = weight.shape
        # detached: where the numbers are stays so, even if a parameter's `data` is exchanged
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
        parameters = ctx.saved_tensors  # raises when one has been changed since
        # to be differentiated again, or batched, or no numbers
        if torch.is_grad_enabled() or _transforming() or type(gradient) is not Tensor:
            return (*_backward_by_torch(ctx, parameters, gradient), None, None, None)
        last = ctx.options[0][1]
        if last == 1:
            zeros = (torch.zeros_like(parameter) for parameter in parameters[1:])
            return (gradient.squeeze(2), *zeros, None, None, None)
        whole = last == len(parameters[1]) + 1
        make = torch.empty_like if whole else torch.zeros_like
        found = [make(tensor) for tensor in ctx.given]
        gradient = _flat(gradient)
        addresses = zip(DERIVATIVES, [tensor.data_ptr() for tensor in found], strict=True)
        task = ctx.task._replace(slices=gradient.data_ptr(), **dict(addresses))
        _run("backward", gradient, task)
        return (*found, None, None, None)


def _run(name: str, slices: Tensor, task: Task) -> None:
    """Call a kernel, in several threads where `slices` are many numbers."""
    kernels = _kernels()
    assert kernels is not None
    if slices.shape[3] * slices.shape[4] == 9:
        name = f"{name}_nine"
    threads = torch.get_num_threads() if slices.numel() >= _SHARE_FROM else 1
    function = kernels[name].address(_NUMPY[slices.dtype])
    carry_out(function, make_order(task), len(slices), threads)


def _backward_by_torch(
    ctx: Any, parameters: tuple[Tensor, ...], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    wanted = [p for p, needed in zip(parameters, ctx.needs_input_grad, strict=False) if needed]
    with torch.enable_grad():
        filters = _by_torch(*parameters, *ctx.options)
        found = iter(torch.autograd.grad(filters, wanted, gradient, create_graph=True))
    needed = ctx.needs_input_grad[: len(parameters)]
    return tuple(next(found) if need else None for need in needed)
