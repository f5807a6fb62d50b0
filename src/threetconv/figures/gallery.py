"""Figure 1: what each temporal parameter does to an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from threetconv.figures import theme
from threetconv.figures.theme import MUTED, plain

__all__ = ["gallery"]


def gallery(images: np.ndarray, labels: Sequence[str]) -> Figure:
    """A row of images for each transform, steps in time running right.

    Args:
        images: (rows, D, H, W) grey levels in [0, 1], as `threetconv.explain.gallery` makes them.
        labels: one per row.

    Raises:
        ValueError: another shape, or not a label for each row.
    """
    if images.ndim != 4 or len(images) != len(labels):
        raise ValueError(
            f"images {images.shape} and {len(labels)} labels: expected (rows, D, H, W)"
        )
    rows, depth, high, wide = images.shape
    width, margin, head = 7.4, 1.55, 0.26
    cell = min(0.95, (width - margin) / depth)
    row = cell * high / wide
    width, height = margin + cell * depth, head + row * rows
    gap = 0.03
    with theme.style():
        figure = Figure(figsize=(width, height))
        for i, label in enumerate(labels):
            top = head + i * row
            figure.text(
                (margin - 0.1) / width,
                1 - (top + row / 2) / height,
                plain(label).replace(": ", "\n"),
                ha="right",
                va="center",
                fontsize=8,
            )
            for t in range(depth):
                left = margin + t * cell
                axes = figure.add_axes(
                    (
                        left / width,
                        1 - (top + row - gap) / height,
                        (cell - gap) / width,
                        (row - gap) / height,
                    )
                )
                axes.imshow(images[i, t], cmap="gray", vmin=0, vmax=1, interpolation="antialiased")
                axes.axis("off")
        for t in range(depth):
            figure.text(
                (margin + (t + 0.5) * cell) / width,
                1 - 0.6 * head / height,
                f"slice {t + 1}",
                ha="center",
                va="center",
                fontsize=7.5,
                color=MUTED,
            )
    return figure
