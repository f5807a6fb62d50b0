"""Figure 1: what each temporal parameter does to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from threetconv.figures import theme
from threetconv.figures.theme import MUTED, plain

__all__ = ["gallery"]

FROM = 6  # so many transforms stand in two columns


def gallery(images: np.ndarray, labels: Sequence[str]) -> Figure:
    """A row of images for each transform, steps in time running right.

    Args:
        images: (rows, D, H, W) grey levels in [0, 1], as `threetconv.explain.motion.affine_gallery`
            makes them.
        labels: one per row.

    Raises:
        ValueError: another shape, or not a label for each row.
    """
    if images.ndim != 4 or len(images) != len(labels):
        raise ValueError(
            f"images {images.shape} and {len(labels)} labels: expected (rows, D, H, W)"
        )
    count, depth, high, wide = images.shape
    columns = 2 if count >= FROM else 1
    rows = math.ceil(count / columns)
    width, margin, head, gap = 7.4, 1.0, 0.26, 0.03
    block = width / columns
    # As large as fits in a column, but no larger than 0.95 inches for few slices.
    cell = min(0.95, (block - margin) / depth)
    row = cell * high / wide
    height = head + row * rows
    with theme.style():
        figure = Figure(figsize=(width, height))
        for i, label in enumerate(labels):
            # Filled column by column: rows of a column are read downwards.
            start, top = (i // rows) * block, head + (i % rows) * row
            figure.text(
                (start + margin - 0.08) / width,
                1 - (top + row / 2) / height,
                plain(label).replace(": ", "\n"),
                ha="right",
                va="center",
                fontsize=7,
            )
            for t in range(depth):
                left = start + margin + t * cell
                place = left / width, 1 - (top + row - gap) / height
                axes = figure.add_axes((*place, (cell - gap) / width, (row - gap) / height))
                axes.imshow(images[i, t], cmap="gray", vmin=0, vmax=1, interpolation="antialiased")
                axes.axis("off")
                if i % rows == 0:
                    figure.text(
                        (left + cell / 2) / width,
                        1 - 0.6 * head / height,
                        f"slice {t + 1}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color=MUTED,
                    )
    return figure
