"""The nearest 3T filter of any 3D filter: a ruler for how far one slice, carried, explains it.

A filter that repeats its mean slice has no change over time, and already explains most of a trained
filter. What is measured is therefore the **share of the change over time** that a 3T filter
explains,

    1 - ||W - fit||^2 / ||W - mean over time of W||^2,

0 for the repeated mean (which is a 3T filter: transforms at the identity), 1 for filters of a 3T
layer. Noise is explained in part as well, the more the fewer taps a filter has. The chance level is
found by fitting twins in which the change of every tap keeps or turns its sign at random: their
mean slice, and the size and course of the change of every tap, are the filter's own.

Given its transforms, the nearest 3T filter is linear in its first slice, so only transforms are
searched for: every channel from several starts (no motion, translation in eight directions, turns,
zooms and random ones), by gradient descent with Adam's steps, the first slice solved for anew in
each. All starts take a few steps, the best few take all. The same numbers give the same result;
it is a lower bound, since a better fit may have been missed.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from threetconv.layer.affine import affine_matrix, sampling_matrix
from threetconv.layer.build_filters import build_filters

__all__ = ["Nearest", "nearest_3t", "sign_twins"]

FIRST, LAST, KEPT = 12, 80, 3  # steps of all starts; of the starts that are kept; how many are
RATE = 0.12  # of the first step, in radians and half-extents of the kernel; falls to nearly 0
DECAYS = (0.8, 0.95)  # of Adam's two moments
RANDOM = 4  # random starts
SMALLEST = 0.2  # scale of a transform: a smaller one reads one place everywhere


class Nearest(NamedTuple):
    """The nearest 3T filters that were found.

    Attributes:
        share: (out,) of the change over time that they explain, 0 to 1; NaN of filters that do not
            change.
        change: (out,) ||W - mean over time||^2 / ||W||^2.
        weight: (out, in, H, W) their first slices.
        scale, rotate, translate_x, translate_y: (D - 1, out), as `Conv3T` stores them.
    """

    share: Tensor
    change: Tensor
    weight: Tensor
    scale: Tensor
    rotate: Tensor
    translate_x: Tensor
    translate_y: Tensor


def nearest_3t(weight: Tensor, *, seed: int = 0, filter_padding: str = "zeros") -> Nearest:
    """The 3T filter nearest to each output channel of a 3D convolution, by least squares.

    Args:
        weight: (out, in / groups, D, H, W), D and one of H and W above 1; finite.
        seed: of the random starts.
        filter_padding: what a warp reads outside the kernel, as for `build_filters`.

    Returns:
        In float64. The fit is ``build_filters(weight, scale, rotate, translate_x, translate_y)``.

    Raises:
        ValueError: another shape, or numbers that are not finite.
    """
    if weight.ndim != 5 or weight.shape[2] < 2 or max(weight.shape[3:]) < 2:
        raise ValueError(
            "weight must be (out, in, D, H, W) with depth and extent in space, not "
            f"{tuple(weight.shape)}"
        )
    if not torch.isfinite(weight).all():
        raise ValueError("weight holds numbers that are not finite")
    filters = weight.detach().double()
    channels = len(filters)
    change = (filters - filters.mean(2, keepdim=True)).square().sum((1, 2, 3, 4))
    # filters of unit change, so that one rate serves all; those without change keep their size
    unit = torch.where(change > 0, change, 1.0).sqrt().view(-1, 1, 1, 1, 1)
    starts = _starts(filters.shape[2] - 1, seed)  # (starts, 4, D - 1)
    count = len(starts)
    search = _Search(filters / unit, filter_padding)
    owner = torch.arange(channels).repeat_interleave(count)
    found = search.descend(starts.repeat(channels, 1, 1), owner, FIRST)
    best = found.error.view(channels, count).argsort(dim=1, stable=True)[:, :KEPT]
    rows = (torch.arange(channels)[:, None] * count + best).flatten()
    found = search.descend(found.transforms[rows], owner[rows], LAST)
    rows = torch.arange(channels) * KEPT + found.error.view(channels, KEPT).argmin(1)
    transforms = found.transforms[rows]
    first = search.first_slices(transforms, torch.arange(channels))
    share = (1 - found.error[rows]).clamp(0, 1)
    total = filters.square().sum((1, 2, 3, 4))
    return Nearest(
        torch.where(change > 0, share, math.nan),
        torch.where(total > 0, change / total, math.nan),
        first * unit[..., 0],
        *transforms.permute(1, 2, 0).unbind(),
    )


def sign_twins(weight: Tensor, *, seed: int = 0) -> Tensor:
    """Filters whose mean slice is the same, and whose change over time has lost its pattern.

    Args:
        weight: (out, in, D, H, W).
        seed: of the signs.

    Returns:
        The mean over time plus the deviations from it, those of each tap (in, H, W) times +1 or -1.
    """
    mean = weight.mean(2, keepdim=True)
    signs = torch.rand(mean.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    return mean + (weight - mean) * torch.where(signs, 1.0, -1.0).to(weight)


class _Found(NamedTuple):
    transforms: Tensor  # (problems, 4, D - 1)
    error: Tensor  # (problems,)


class _Search:
    """Searches for the transforms that suit some filters (out, in, D, H, W) best."""

    def __init__(self, filters: Tensor, filter_padding: str) -> None:
        self.filters, self.filter_padding = filters, filter_padding

    def descend(self, transforms: Tensor, owner: Tensor, steps: int) -> _Found:
        """The best of so many steps of every problem, which is a start of the filter `owner`."""
        here = transforms.clone()
        best = _Found(here.clone(), torch.full((len(here),), math.inf, dtype=here.dtype))
        moments = [torch.zeros_like(here), torch.zeros_like(here)]
        for step in range(1, steps + 1):
            error, gradient = self._error(here, owner)
            better = error < best.error
            best.transforms[better], best.error[better] = here[better], error[better]
            for moment, value, decay in zip(
                moments, (gradient, gradient.square()), DECAYS, strict=True
            ):
                moment.lerp_(value, 1 - decay)
            first, second = (m / (1 - d**step) for m, d in zip(moments, DECAYS, strict=True))
            rate = RATE * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
            here = here - rate * first / (second.sqrt() + 1e-12)
            here[:, 0] = here[:, 0].clamp_min(SMALLEST)
        return best

    def _error(self, transforms: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error of each problem, and its gradient by the transforms.

        The first slice is the best for these transforms, so its own derivative adds nothing.
        """
        first = self.first_slices(transforms, owner)
        with torch.enable_grad():
            theta = transforms.detach().requires_grad_()
            parameters = theta.permute(1, 2, 0).unbind()
            fit = build_filters(first, *parameters, filter_padding=self.filter_padding)
            error = (fit - self.filters[owner]).square().sum((1, 2, 3, 4))
            (gradient,) = torch.autograd.grad(error.sum(), theta)
        return error.detach(), gradient

    def first_slices(self, transforms: Tensor, owner: Tensor) -> Tensor:
        """(problems, in, H, W): those with the least squared error for these transforms."""
        height, width = self.filters.shape[3:]
        theta = affine_matrix(*transforms.permute(1, 2, 0).unbind())
        warps = sampling_matrix(theta, height, width, filter_padding=self.filter_padding)
        slices = self.filters[owner].flatten(3).permute(2, 0, 3, 1)  # (D, problems, HW, in)
        # slice t is this times the first slice
        carried = torch.eye(height * width, dtype=theta.dtype).expand(len(owner), -1, -1)
        normal, right = carried.clone(), slices[0].clone()
        for warp, target in zip(warps, slices[1:], strict=True):
            carried = warp @ carried
            normal = torch.baddbmm(normal, carried.mT, carried)
            right = torch.baddbmm(right, carried.mT, target)
        # the identity is among the summands, so the matrix is far from singular
        first = torch.cholesky_solve(right, torch.linalg.cholesky(normal))
        return first.mT.reshape(len(owner), -1, height, width)


def _starts(steps: int, seed: int) -> Tensor:
    """(starts, 4, D - 1): the same motion in every step; of the whole filter, about as far as its
    kernel shows."""
    rows: list[tuple[float, float, float, float]] = [(0, 0, 0, 0)]
    for k in range(8):
        angle = math.pi * k / 4
        rows.append((0, 0, 1.2 * math.cos(angle), 1.2 * math.sin(angle)))
    rows += [(0, turn, 0, 0) for turn in (0.8, -0.8)] + [(zoom, 0, 0, 0) for zoom in (0.4, -0.4)]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(RANDOM, 4, steps, generator=generator, dtype=torch.float64)
    spread = torch.tensor([0.3, 0.6, 0.8, 0.8], dtype=torch.float64)[:, None]
    even = torch.tensor(rows, dtype=torch.float64)[:, :, None].expand(-1, -1, steps) / steps
    starts = torch.cat((even, drawn * spread / math.sqrt(steps)))
    starts[:, 0] += 1  # of the scale, where the others have 0
    return starts
