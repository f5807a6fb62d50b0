"""Transformation robustness: the input must excite a channel when shifted, zoomed and turned, too.

Without it ascent finds high-frequency patterns that work at exact pixel positions only. One
transform is drawn per step, the same for all frames: a free video must not be shaken in time.

Pad, jitter, zoom and rotation of the paper's code are done in one bilinear resampling about the
centre, so that pictures are blurred once; what is read outside a picture is 0, which for normalised
pictures is the mean colour (pad).

Source: Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017; ranges of arXiv
2006.15983's code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["PAPER", "STILL", "Robustness", "resample"]


@dataclass(frozen=True)
class Robustness:
    """How far pictures are moved about at random.

    Attributes:
        jitter: largest shift along either axis, as a fraction of the picture's longer side.
        zoom: smallest and largest factor; above 1 content grows.
        degrees: largest turn, either way.

    Raises:
        ValueError: a negative range, or zooms that are not 0 < smallest <= largest.
    """

    jitter: float = 1 / 16
    zoom: tuple[float, float] = (0.5, 1.5)
    degrees: float = 45.0

    def __post_init__(self) -> None:
        if not 0 < self.zoom[0] <= self.zoom[1] or not math.isfinite(self.zoom[1]):
            raise ValueError(
                f"zoom={self.zoom} must be (smallest, largest), 0 < smallest <= largest"
            )
        for name in ("jitter", "degrees"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0")

    def draw(self, generator: torch.Generator, height: int, width: int) -> Tensor:
        """A map, uniform in each range: from pixels of the result to those it is read from.

        Args:
            generator: on the CPU.
            height, width: of the pictures.

        Returns:
            float64 (3, 3), homogeneous, in pixels from the centre, x right and y down. Content at c
            goes to zoom * R c + shift, R clockwise as seen for positive angles, shift in whole
            pixels.
        """
        turn, zoom, x, y = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        angle = math.radians(self.degrees) * (2 * turn - 1)
        factor = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * zoom
        reach = self.jitter * max(height, width)
        right, down = round(reach * (2 * x - 1)), round(reach * (2 * y - 1))
        cosine, sine = factor * math.cos(angle), factor * math.sin(angle)
        forward = torch.tensor(
            [[cosine, -sine, right], [sine, cosine, down], [0.0, 0.0, 1.0]], dtype=torch.float64
        )
        # Resampling asks where each pixel of the result comes from: the inverse of the motion.
        return torch.linalg.inv(forward)


PAPER = Robustness()
"""The ranges of the paper's code."""
STILL = Robustness(jitter=0.0, zoom=(1.0, 1.0), degrees=0.0)
"""No robustness."""


def resample(pictures: Tensor, maps: Tensor, *, periodic: bool = False) -> Tensor:
    """Pictures read through affine maps, bilinearly; differentiable by the pictures.

    Args:
        pictures: (N, C, H, W); one picture serves all maps.
        maps: (3, 3) for all, or (N, 3, 3): from a place in the result to the one it is read from,
            in pixels from the centre, x right and y down.
        periodic: read outside a picture as if it were repeated without end, instead of zeros.

    Returns:
        As many (C, H, W) as there are pictures or maps, whichever are more.
    """
    height, width = pictures.shape[-2:]
    maps = maps.reshape(-1, 3, 3)
    count = max(len(pictures), len(maps))
    # Pixel centres from the picture's centre, so that zoom and rotation need no shift of origin.
    axes = [torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (height, width)]
    y, x = torch.meshgrid(*axes, indexing="ij")
    base = torch.stack((x.flatten(), y.flatten(), torch.ones(height * width, dtype=torch.float64)))
    places = maps[:, :2].cpu().to(torch.float64) @ base  # (M, 2, H W)
    columns, rows = places[:, 0] + (width - 1) / 2, places[:, 1] + (height - 1) / 2
    if periodic:  # one row and one column more, so that the last cell leads to the first pixel
        columns, rows = columns.remainder(width), rows.remainder(height)
        pictures = torch.cat((pictures, pictures[..., :1]), dim=-1)
        pictures = torch.cat((pictures, pictures[..., :1, :]), dim=-2)
    high, wide = pictures.shape[-2:]
    # grid_sample's normalised coordinates for align_corners=False: pixel i is at (2 i + 1) / n - 1.
    grid = torch.stack(((2 * columns + 1) / wide - 1, (2 * rows + 1) / high - 1), dim=-1)
    grid = grid.view(-1, height, width, 2).to(pictures)
    return F.grid_sample(
        pictures.expand(count, -1, -1, -1),
        grid.expand(count, -1, -1, -1),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )
