"""Strips of frames: what the networks were shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from threetconv.figures import theme
from threetconv.figures.theme import MUTED, plain

__all__ = ["clip_strip"]


def clip_strip(clips: Sequence[np.ndarray], labels: Sequence[str], *, frames: int = 8) -> Figure:
    """A row of evenly spaced frames for every clip, its label at the left, time running right.

    Args:
        clips: uint8 arrays (T, H, W, 3); sizes may differ between clips.
        labels: a label for every clip.
        frames: frames a row (fewer if no clip has that many).

    Raises:
        ValueError: another shape or type, or not a label for each clip.
    """
    if len(clips) != len(labels):
        raise ValueError(f"{len(clips)} clips but {len(labels)} labels")
    for clip in clips:
        if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8:
            raise ValueError(f"a clip is uint8 (T, H, W, 3), got {clip.dtype} {clip.shape}")
    if not clips:
        return theme.empty("No clips to show.")
    columns = min(frames, max(len(clip) for clip in clips))
    # Rows are as high as the tallest clip needs, so that no clip is squeezed.
    aspect = max(clip.shape[1] / clip.shape[2] for clip in clips)
    width, margin, gap = 7.6, 1.25, 0.03
    frame_width = (width - margin) / columns
    row = frame_width * aspect
    height = row * len(clips) + 0.28
    with theme.style():
        figure = Figure(figsize=(width, height))
        for i, (clip, label) in enumerate(zip(clips, labels, strict=True)):
            chosen = np.linspace(0, len(clip) - 1, min(columns, len(clip))).round().astype(int)
            # One image per clip instead of one axes per frame: SVG files stay small.
            strip = mosaic(clip[chosen], round(clip.shape[2] * gap))
            # A short clip fills only part of the row; its frames keep the size of the others.
            share = len(chosen) / columns
            bottom = (height - row * (i + 1)) / height
            axes = figure.add_axes(
                (margin / width, bottom, share * (1 - margin / width), row * (1 - gap) / height)
            )
            # Tiny clips are drawn with sharp pixels, since smoothing would blur what the network
            # saw.
            axes.imshow(strip, interpolation="nearest" if clip.shape[2] < 64 else "antialiased")
            axes.set_anchor("W")
            axes.axis("off")
            figure.text(
                (margin - 0.1) / width,
                bottom + row / height / 2,
                wrap(plain(label)),
                ha="right",
                va="center",
                fontsize=8,
            )
        arrow = "time \N{RIGHTWARDS ARROW}"
        figure.text(margin / width, 0.06 / height, arrow, color=MUTED, fontsize=7.5)
    return figure


def mosaic(frames: np.ndarray, gap: int) -> np.ndarray:
    """Frames (T, H, W, 3) beside each other as RGBA (H, T W + (T - 1) gap, 4), gaps transparent."""
    count, high, wide, _ = frames.shape
    gap = max(1, gap)
    out = np.zeros((high, count * wide + (count - 1) * gap, 4), dtype=np.uint8)
    for i, frame in enumerate(frames):
        left = i * (wide + gap)
        out[:, left : left + wide, :3] = frame
        out[:, left : left + wide, 3] = 255
    return out


def wrap(label: str, width: int = 15) -> str:
    """A label on at most three lines of about `width` characters, broken at spaces."""
    lines: list[str] = []
    for word in label.replace("_", " ").split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > 3:
        lines = [*lines[:2], lines[2] + "\N{HORIZONTAL ELLIPSIS}"]
    return "\n".join(lines)
