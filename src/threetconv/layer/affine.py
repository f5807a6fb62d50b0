"""Affine maps of a 3T layer: (s, r, tx, ty) to 2x3 matrices and to bilinear sampling weights.

The affine map of a 3TConv works on the kernel's own grid: x runs right and y runs down, both from
-1 (centre of the first tap) to +1 (centre of the last tap), as ``align_corners=True`` has it. It is
the *inverse* map, from a tap of the new slice to the place it is read from, so content moves the
other way: content at c goes to R(r)^T c / s - t. Hence tx > 0 moves content left, ty > 0 moves it
up, s > 1 shrinks it and r > 0 turns it counter-clockwise as seen.

Units and exact composition over time are in `threetconv.layer.units` and `threetconv.layer.motion`,
which do not import torch (that takes a second).

Source: arXiv 2006.15983, equations 3 to 5.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["affine_matrix", "half_extent", "sampling_matrix", "tap_coordinates"]


def affine_matrix(
    scale: Tensor, rotate: Tensor, translate_x: Tensor, translate_y: Tensor
) -> Tensor:
    """Equation 3: the 2x3 matrix of each transform.

    Args:
        scale, rotate, translate_x, translate_y: any shape (...), the same for all four; rotation in
            radians, translations in units of half the kernel's extent.

    Returns:
        (..., 2, 3): ``[[s cos r, -s sin r, tx s cos r - ty s sin r],
        [s sin r, s cos r, tx s sin r + ty s cos r]]``.
    """
    cosine, sine = scale * torch.cos(rotate), scale * torch.sin(rotate)
    # p -> s R(r) (p + t): the translation comes first, so the third column is s R(r) t
    rows = (
        torch.stack((cosine, -sine, translate_x * cosine - translate_y * sine), dim=-1),
        torch.stack((sine, cosine, translate_x * sine + translate_y * cosine), dim=-1),
    )
    return torch.stack(rows, dim=-2)


def tap_coordinates(size: int, *, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Distances of `size` taps from the kernel's centre, in taps, (size,): exact in every dtype.

    Normalised coordinates are these divided by `half_extent`. `F.affine_grid` divides first, and
    its rounding puts taps at the identity beside their nodes, on either side (sizes 4, 6, 7, 8, 11
    and others in float32), which decides the one-sided gradient there.
    """
    return torch.arange(size, dtype=dtype, device=device) - (size - 1) / 2


def half_extent(size: int, align_corners: bool = True) -> float:
    """Half a kernel's extent in taps: what 1 means in normalised coordinates and translations.

    From the centre to the outer taps' centres, or to their outer edges without `align_corners`.
    """
    return (size - 1) / 2 if align_corners else size / 2


def sampling_matrix(
    theta: Tensor,
    height: int,
    width: int,
    *,
    filter_padding: str = "zeros",
    align_corners: bool = True,
) -> Tensor:
    """Equations 4 and 5: bilinear warping of an (height, width) slice as one matrix.

    Multiplying a flattened slice by this matrix equals bilinear
    ``F.grid_sample(slice, F.affine_grid(theta))``, gradients included. At a grid node the
    derivative is that of the cell to the right of (below) the node, as ``floor`` implies. Written
    literally as equation 5, ``max(0, 1 - |x - i|)``, the derivative at a node would be zero. The
    identity puts *every* tap on a node, so a layer that starts there would never learn.

    Args:
        theta: (..., 2, 3).
        height, width: the kernel's spatial size H, W.
        filter_padding: what is read outside the kernel, "zeros" or the nearest tap ("border").
        align_corners: as for `F.grid_sample`.

    Returns:
        (..., H W, H W): row = tap of the new slice, column = tap of the old one, both row by row.
    """
    options: dict[str, Any] = {"dtype": theta.dtype, "device": theta.device}
    x = tap_coordinates(width, **options).repeat(height)
    y = tap_coordinates(height, **options).repeat_interleave(width)
    across, down = half_extent(width, align_corners), half_extent(height, align_corners)
    # theta maps half-extents; y in taps becomes x in taps by the ratio of the two. An axis of one
    # tap has no extent, and its coordinate is 0 anyway
    taps = [[1, across / down if down else 0], [down / across if across else 0, 1]]
    linear = theta[..., :2] * torch.tensor(taps, **options)
    shift = theta[..., 2:] * torch.tensor([[across], [down]], **options)
    # exact where theta is the identity: every tap is read from its own node
    places = linear @ torch.stack((x, y)) + shift  # (..., 2, HW), from the centre
    border = filter_padding == "border"
    weights_x = _bilinear_weights(places[..., 0, :] + (width - 1) / 2, width, border)
    weights_y = _bilinear_weights(places[..., 1, :] + (height - 1) / 2, height, border)
    # bilinear weights factor into rows times columns: (..., HW, H, 1) * (..., HW, 1, W)
    return (weights_y.unsqueeze(-1) * weights_x.unsqueeze(-2)).flatten(-2)


def _bilinear_weights(position: Tensor, size: int, border: bool) -> Tensor:
    """Weights of `size` taps, (..., size), for reading at `position` (...), 0 at the first tap."""
    if border:  # positions on the outermost taps get no gradient either, as in `F.grid_sample`
        position = torch.where(position <= 0, 0.0, position)
        position = torch.where(position >= size - 1, size - 1.0, position)
    cell = torch.floor(position.detach())
    fraction = (position - cell).unsqueeze(-1)
    offset = torch.arange(size, dtype=position.dtype, device=position.device) - cell.unsqueeze(-1)
    # NaN where the coordinate is NaN or inf: plain zeros would hide parameters that diverged
    zero = fraction.detach() * 0
    return torch.where(offset == 0, 1 - fraction, torch.where(offset == 1, fraction, zero))
