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

__all__ = ["affine_matrix", "sampling_matrix", "tap_coordinates", "tap_units"]


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


def tap_coordinates(
    size: int, *, dtype: torch.dtype, device: torch.device | str, align_corners: bool = True
) -> Tensor:
    """Normalised coordinates of `size` taps, (size,): -1 ... 1, and 0 for a single tap.

    Without `align_corners` -1 and 1 are the outer edges of the first and the last tap, not their
    centres. The arithmetic is that of `F.affine_grid`, rounding included, because the one-sided
    gradient at a grid node depends on which side of the node rounding falls.
    """
    if size == 1:
        return torch.zeros(1, dtype=dtype, device=device)
    coordinates = torch.linspace(-1, 1, size, dtype=dtype, device=device)
    return coordinates if align_corners else coordinates * (size - 1) / size


def tap_units(size: int, align_corners: bool = True) -> tuple[float, float]:
    """Constants that turn a normalised coordinate x into a tap index: (x + 1) * units - half.

    Returns:
        (units, half): taps per unit, and 0, or half a tap without `align_corners`.
    """
    return ((size - 1) / 2, 0.0) if align_corners else (size / 2, 0.5)


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
    x = tap_coordinates(width, align_corners=align_corners, **options).repeat(height)
    y = tap_coordinates(height, align_corners=align_corners, **options).repeat_interleave(width)
    base = torch.stack((x, y, torch.ones_like(x)))  # (3, HW)
    grid = theta @ base  # (..., 2, HW)
    border = filter_padding == "border"
    weights_x = _bilinear_weights(grid[..., 0, :], width, border, align_corners)
    weights_y = _bilinear_weights(grid[..., 1, :], height, border, align_corners)
    # bilinear weights factor into rows times columns: (..., HW, H, 1) * (..., HW, 1, W)
    return (weights_y.unsqueeze(-1) * weights_x.unsqueeze(-2)).flatten(-2)


def _bilinear_weights(coordinate: Tensor, size: int, border: bool, align_corners: bool) -> Tensor:
    """Weights of the `size` taps for reading at normalised `coordinate` (...): (..., size)."""
    units, half = tap_units(size, align_corners)
    position = (coordinate + 1) * units - half  # in taps, 0 at the centre of the first
    if border:  # positions on the outermost taps get no gradient either, as in `F.grid_sample`
        position = torch.where(position <= 0, 0.0, position)
        position = torch.where(position >= size - 1, size - 1.0, position)
    cell = torch.floor(position.detach())
    fraction = (position - cell).unsqueeze(-1)
    offset = torch.arange(size, dtype=position.dtype, device=position.device) - cell.unsqueeze(-1)
    # NaN where the coordinate is NaN or inf: plain zeros would hide parameters that diverged
    zero = fraction.detach() * 0
    return torch.where(offset == 0, 1 - fraction, torch.where(offset == 1, fraction, zero))
