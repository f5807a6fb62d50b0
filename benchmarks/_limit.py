"""Why building filters is not faster still: what a call costs beside the arithmetic.

An `autograd.Function` written in Python costs some time forward and backward even if it computes
nothing; the rest are the compiled kernels. Both are measured here, beside the arithmetic alone
as a matrix product of the same number of multiplications and additions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from _timing import Row, interleaved
from torch import Tensor

from threetconv import filters


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


def limit(
    name: str, parameters: list[Tensor], gradient: Tensor, plain: Callable[[], object], rounds: int
) -> list[Row]:
    """The parts of one construction, forward and backward, and what they allow at most.

    Args:
        name: of the construction.
        parameters: weight, scale, rotate, translate_x, translate_y.
        gradient: of the filters.
        plain: the plain loop on the same tensors, which the ratios refer to.
        rounds: how often everything is measured.
    """

    def both_ways(build: Callable[..., Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(build(*parameters), parameters, gradient)

    def kernels() -> None:
        context = _Context()
        with torch.no_grad():
            filters._Compiled.forward(context, *parameters, slices, "zeros", True)
            filters._Compiled.backward(context, gradient)

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
            "ours": both_ways(filters.build_filters),
            "no work": both_ways(_Empty.apply),
            "kernels": kernels,
            "matmul": lambda: left @ right,
            "moving": lambda: (gradient.clone(), gradient.sum()),
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
            "no work": "an autograd function that does nothing (no kernel can be above this)",
            "kernels": "our kernels without autograd",
            "moving": "writing the filters and reading their gradient once",
            "matmul": "a matrix product of as many multiplications",
        }.items()
    ]


class _Context:
    """Enough of autograd's context for `_Compiled`."""

    needs_input_grad = (True,) * 5

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors
