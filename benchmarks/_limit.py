"""Why building filters is not faster still: what a call costs beside the arithmetic.

An `autograd.Function` written in Python costs some time forward and backward even if it computes
nothing. Memory has to be moved: the filters are written, their gradient is read. The rest are our
compiled kernels. All three are measured here, and the arithmetic alone as a matrix product of the
same number of multiplications and additions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _timing import Row, interleaved
from torch import Tensor

from threetconv.layer import build_filters
from threetconv.layer.cpu.compile import Callback
from threetconv.layer.cpu.work_order import filled_at, next_share, order_at, piece_done, task_of


class _Empty(torch.autograd.Function):
    """As many tensors in and out as `build_filters` has, of the same shapes, and no work."""

    @staticmethod
    def forward(ctx: Any, *parameters: Tensor) -> Tensor:
        ctx.save_for_backward(*parameters)
        weight, scale = parameters[:2]
        return torch.empty(*weight.shape[:2], len(scale) + 1, *weight.shape[2:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        weight, scale = ctx.saved_tensors[:2]
        return torch.empty_like(weight), *torch.empty(4, *scale.shape).unbind(0)


@Callback
def _copy(pointer: Any) -> None:
    """In place of a forward kernel: every slice is the first one."""
    order, like = order_at(pointer)
    _, _, _, sizes, wanted, k1, _, out = task_of(order, like)
    inputs, area, depth = sizes[1], sizes[3] * sizes[4], wanted[1] - wanted[0]
    share = next_share(order)
    while share[0] < share[1]:
        for row in range(share[0] * inputs, share[1] * inputs):
            for d in range(depth):
                at = (row * depth + d) * area
                if area == 9:  # its copying becomes two instructions instead of a loop
                    for tap in range(9):
                        out[at + tap] = k1[row * 9 + tap]
                else:
                    for tap in range(area):
                        out[at + tap] = k1[row * area + tap]
        piece_done(order)
        share = next_share(order)


@Callback
def _add(pointer: Any) -> None:
    """In place of a backward kernel: derivatives by all slices added up, and K1 read again."""
    order, like = order_at(pointer)
    _, _, _, sizes, wanted, k1, _, gradient = task_of(order, like)
    dk1, _ = filled_at(order, sizes, like)
    inputs, area, depth = sizes[1], sizes[3] * sizes[4], wanted[1] - wanted[0]
    share = next_share(order)
    while share[0] < share[1]:
        for row in range(share[0] * inputs, share[1] * inputs):
            at, by = row * area, row * depth * area
            if area == 9 and depth == 3:
                for tap in range(9):
                    more = gradient[by + tap] + gradient[by + 9 + tap] + gradient[by + 18 + tap]
                    dk1[at + tap] = k1[at + tap] + more
            else:
                for tap in range(area):
                    dk1[at + tap] = k1[at + tap]
                for d in range(depth):
                    for tap in range(area):
                        dk1[at + tap] += gradient[by + d * area + tap]
        piece_done(order)
        share = next_share(order)


_MOVING = {"forward": _copy, "backward": _add, "forward_nine": _copy, "backward_nine": _add}


def limit(
    name: str, parameters: list[Tensor], gradient: Tensor, plain: Callable[[], object], rounds: int
) -> list[Row]:
    """The parts of one construction, forward and backward, and what they allow at most.

    Args:
        name: of the construction.
        parameters: weight, scale, rotate, translate_x, translate_y.
        gradient: of the build_filters.
        plain: the plain loop on the same tensors, which the ratios refer to.
        rounds: how often everything is measured.
    """

    def both_ways(build: Callable[..., Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(build(*parameters), parameters, gradient)

    ours, real = both_ways(build_filters.build_filters), build_filters._kernels

    def moving() -> None:
        build_filters._kernels = lambda: _MOVING
        try:
            ours()
        finally:
            build_filters._kernels = real

    def kernels() -> None:
        context = _Context()
        with torch.no_grad():
            build_filters._Compiled.forward(context, *parameters, slices, "zeros", True)
            build_filters._Compiled.backward(context, gradient)

    weight, depth = parameters[0], gradient.shape[2]
    slices = (0, depth)
    area = weight.shape[2] * weight.shape[3]
    # each of D - 1 warps reads four taps for every tap: forward, again backward, and the two
    # derivatives, by the taps and by the places
    products = 4 * 4 * (depth - 1) * weight.shape[0] * weight.shape[1] * area
    side = max(16, round(products ** (1 / 3)))
    left, right = torch.randn(side, side), torch.randn(side, side)
    medians = interleaved(
        {
            "plain": plain,
            "ours": ours,
            "no work": both_ways(_Empty.apply),
            "moving": moving,
            "kernels": kernels,
            "matmul": lambda: left @ right,
        },
        rounds=rounds,
        calls=5,
    )
    return [
        Row(
            f"{name}: the plain loop / {what}",
            "times",
            medians["plain"] / medians[key],
            None,
            None,
            True,
            {key: medians[key]},
        )
        for key, what in {
            "no work": "an autograd function that does nothing (nothing can be above this)",
            "moving": "our call with kernels that only copy K1 and add up gradients (nor this)",
            "kernels": "our kernels without autograd",
            "matmul": "a matrix product of as many multiplications",
        }.items()
    ]


class _Context:
    """Enough of autograd's context for `_Compiled`."""

    needs_input_grad = (True,) * 5

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors
