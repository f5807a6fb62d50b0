"""The alternatives: how 3T filters are built without kernels of one's own.

`plain_loop` is `affine_grid` and `grid_sample`, slice after slice, as lean as these two allow. The
authors' published layer does the same but grows its tensors step by step; `growing_loop` has its
sequence of operators. Both stand here for comparison, and `PlainConv3T` to train with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from threetconv.layer.conv3t import Conv3T

SAMPLING = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": True}


def plain_loop(weight: Tensor, *transforms: Tensor) -> Tensor:
    """The 3D filters, (out, in, D, H, W); arguments as for `build_filters`."""
    current, slices = weight, [weight]
    for s, r, tx, ty in zip(*transforms, strict=True):
        a, b = s * r.cos(), s * r.sin()
        first = torch.stack((a, -b, tx * a - ty * b), dim=-1)
        second = torch.stack((b, a, tx * b + ty * a), dim=-1)
        theta = torch.stack((first, second), dim=-2)
        grid = F.affine_grid(theta, list(current.shape), align_corners=True)
        current = F.grid_sample(current, grid, **SAMPLING)
        slices.append(current)
    return torch.stack(slices, dim=2)


def growing_loop(weight: Tensor, *transforms: Tensor) -> Tensor:
    """The same filters in the steps of the authors' layer: entry by entry, growing tensors."""
    size = list(weight.shape)
    matrices = torch.zeros(1, size[0], 2, 3)
    for s, r, tx, ty in zip(*transforms, strict=True):
        matrix = torch.zeros(size[0], 2, 3)
        matrix[:, 0, 0] = s * torch.cos(r)
        matrix[:, 0, 1] = -s * torch.sin(r)
        matrix[:, 0, 2] = tx * s * torch.cos(r) - ty * s * torch.sin(r)
        matrix[:, 1, 0] = s * torch.sin(r)
        matrix[:, 1, 1] = s * torch.cos(r)
        matrix[:, 1, 2] = tx * s * torch.sin(r) + ty * s * torch.cos(r)
        matrices = torch.cat((matrices, matrix.unsqueeze(0)))
    grids = torch.zeros(1, size[0], size[2], size[3], 2)
    F.affine_grid(matrices[1], size, align_corners=True)  # their probe for a CUDA fault
    for matrix in matrices[1:]:
        grid = F.affine_grid(matrix, size, align_corners=True)
        grids = torch.cat((grids, grid.unsqueeze(0)))
    filters = weight.unsqueeze(2)
    F.grid_sample(filters[:, :, 0], grids[1], **SAMPLING)
    for grid in grids[1:]:
        warped = F.grid_sample(filters[:, :, -1], grid, **SAMPLING)
        filters = torch.cat((filters, warped.unsqueeze(2)), dim=2)
    return filters


class PlainConv3T(Conv3T):
    """`Conv3T` with the plain loop's filters: all slices, every time."""

    def forward(self, clip: Tensor) -> Tensor:
        transforms = (self.scale, self.rotate, self.translate_x, self.translate_y)
        filters = plain_loop(self.weight, *transforms)
        return F.conv3d(
            clip, filters, self.bias, self.stride, self.padding, self.dilation, self.groups
        )
