"""Channels side by side, laid out like the paper's Figures 2 and 3; classes against layers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from threetconv.figures import theme
from threetconv.figures.theme import DATASETS, INK, MUTED, PAPER, plain

__all__ = ["ChannelRow", "channel_rows_figure", "class_drops"]

Frames = NDArray[np.uint8]

WIDTH = 7.4
PICTURE, GAP = 0.8, 0.07
STRIP, MARGIN = 0.4, 0.04
"""Inches: width of the figure, side of a picture, gap between two, greatest height of a strip,
space above the first block."""
MOST_FRAMES = 8
SLICES = {"filter", "transforms"}
"""Frames of a strip at most; strips that show the slices of a filter."""
CURVES = (("zoom", "zoom, factor", 0.02), ("turn_deg", "turn, degrees", 1.0))
LEAST = 0.05
"""Columns, titles and smallest half-ranges of the two curves; smallest half-range of a path, in
kernel pixels: rounding is not to look like motion."""


@dataclass(frozen=True)
class ChannelRow:
    """All that is drawn of one channel.

    Attributes:
        heading: which channel of which network.
        sentence: its motion in words, "" for none.
        aside: small print at the right of the heading (what the class scores lose without it).
        pictures: name -> uint8 (H, W, 3); at most four are drawn, in this order.
        strips: name -> uint8 (n, H, W, 3), time running right.
        path: `step`, `zoom`, `turn_deg`, `right_px`, `up_px`, a line per time step; None for a
            channel without transforms.
    """

    heading: str
    sentence: str = ""
    aside: str = ""
    pictures: Mapping[str, Frames] = field(default_factory=dict)
    strips: Mapping[str, Frames] = field(default_factory=dict)
    path: pd.DataFrame | None = None


def channel_rows_figure(rows: Sequence[ChannelRow]) -> Figure:
    """One block for each channel: pictures, trajectories, and films as strips.

    Args:
        rows: in the order of the figure.
    """
    if not rows:
        return theme.empty("No channel was explained.")
    heights = [_height(row) for row in rows]
    total = sum(heights) + MARGIN
    with theme.style():
        figure = Figure(figsize=(WIDTH, total))
        top = total - MARGIN
        for i, (row, height) in enumerate(zip(rows, heights, strict=True)):
            if i:
                y = (top + 0.07) / total
                figure.add_artist(Line2D([0, 1], [y, y], color=theme.GRID, lw=0.8))
            _Block(figure, total).draw(row, top)
            top -= height
    return figure


def class_drops(table: pd.DataFrame) -> Figure:
    """The drop of every class when all transforms of a layer are set to the identity.

    One panel for each `panel`; layers down, classes across; one scale for all panels, with white
    at zero.

    Args:
        table: panel, layer_index, layer, label, drop (nats); a line for each panel, layer, label.
    """
    if table.empty:
        return theme.empty("The scores of single classes were not measured.")
    panels = [str(name) for name in table["panel"].unique()]
    grids = {
        panel: theme.where(table, panel=panel).pivot_table(
            index=["layer_index", "layer"], columns="label", values="drop"
        )
        for panel in panels
    }
    # Symmetric about 0, so that colour strength means the same for falls and rises.
    limit = float(np.abs(theme.finite(table["drop"])).max(initial=0.0)) or 1.0
    norm = TwoSlopeNorm(0.0, -limit, limit)
    lines = max(len(grid) for grid in grids.values())
    columns = sum(grid.shape[1] for grid in grids.values())
    longest = max(len(str(label)) for label in table["label"])
    with theme.style():
        figure = theme.new_figure(WIDTH, 0.9 + 0.155 * lines + 0.055 * min(longest, 30))
        ratios = [grid.shape[1] for grid in grids.values()]
        axes_of = list(figure.subplots(1, len(panels), squeeze=False, width_ratios=ratios)[0])
        for i, (axes, (panel, grid)) in enumerate(zip(axes_of, grids.items(), strict=True)):
            image = axes.pcolormesh(
                grid.to_numpy(), cmap="PuOr_r", norm=norm, edgecolors=PAPER, lw=0.4, rasterized=True
            )
            axes.invert_yaxis()
            axes.grid(visible=False)
            axes.set_title(plain(panel), loc="left")
            names = [plain(_short(str(name))) for _, name in grid.index]
            # Layer names once for panels with equal layers.
            same = i and list(grid.index) == list(next(iter(grids.values())).index)
            axes.set_yticks(np.arange(len(grid)) + 0.5, [] if same else names, fontsize=6.5)
            labels = [plain(_short(str(label), 30)) for label in grid.columns]
            # More labels than this would overlap at the figure's width.
            if columns <= 60:
                axes.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=90, fontsize=6.5)
            else:
                axes.set_xticks([])
                axes.set_xlabel(f"{len(labels)} classes, by alphabet", fontsize=7)
            axes.tick_params(length=0)
        bar = figure.colorbar(image, ax=axes_of, aspect=30, pad=0.01)
        bar.set_label("fall of log p (true class), nats", fontsize=7)
        bar.outline.set_visible(False)
    return figure


def _height(row: ChannelRow) -> float:
    """Inches that a block takes."""
    strips = 0.2 + _strip_height(row) if row.strips else 0.0
    # Heading, sentence, captions, pictures, strips, space to the next block; as `_Block.draw`
    # places them.
    return 0.16 + 0.15 * len(_lines(row)) + 0.12 + PICTURE + strips + 0.18


def _strip_height(row: ChannelRow) -> float:
    """Inches of all strips of a block: what makes them fit beside each other."""
    # All strips share one height h with sum(n * 1.04 * h * W / H) + gaps = WIDTH; 1.04 leaves 4 %
    # between frames, 0.2 inches between strips.
    films = [_thinned(film) for film in row.strips.values()]
    width = sum(len(film) * 1.04 * film.shape[2] / film.shape[1] for film in films)
    return min(STRIP, (WIDTH - 0.2 * (len(films) - 1)) / width)


def _lines(row: ChannelRow) -> list[str]:
    return textwrap.wrap(row.sentence, 112)


class _Block:
    """One channel's place in the figure; all measures are inches from the top left."""

    def __init__(self, figure: Figure, total: float) -> None:
        self.figure, self.total = figure, total

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        return self.figure.add_axes(
            (left / WIDTH, (top - height) / self.total, width / WIDTH, height / self.total)
        )

    def text(self, left: float, top: float, text: str, *, size: float, **look: Any) -> None:
        self.figure.text(
            left / WIDTH, top / self.total, plain(text), fontsize=size, va="top", **look
        )

    def draw(self, row: ChannelRow, top: float) -> None:
        self.text(0, top, row.heading, size=7, fontweight="bold")
        self.text(WIDTH, top, row.aside, size=6.5, ha="right", color=MUTED)
        top -= 0.16
        for line in _lines(row):
            self.text(0, top, line, size=7.5)
            top -= 0.15
        left = 0.0
        for name, picture in list(row.pictures.items())[:4]:
            short = name.replace("integrated-", "integr. ")  # as wide as the picture
            self.text(left, top, short, size=6, color=MUTED)
            _show(self.axes(left, top - 0.12, PICTURE, PICTURE), picture)
            left += PICTURE + GAP
        # The curves start right of four pictures, however many there are, so that blocks line up.
        self.paths(row.path, 4 * (PICTURE + GAP) + 0.12, top)
        if row.strips:
            self.strips(row, top - 0.12 - PICTURE - 0.08)

    def paths(self, path: pd.DataFrame | None, left: float, top: float) -> None:
        """Curves of zoom, turn and path; for a channel without transforms a sentence instead."""
        if path is None:
            y = top - 0.12 - PICTURE / 2
            self.text(left, y, "A plain convolution: no transforms.", size=7, color=MUTED)
            return
        wide = (WIDTH - left) / 3
        for i, (column, title, least) in enumerate(CURVES):
            axes = self.axes(left + i * wide + 0.28, top - 0.12, wide - 0.34, PICTURE - 0.1)
            _curve(axes, path["step"].to_numpy(), path[column].to_numpy())
            self.text(left + i * wide + 0.28, top, title, size=6, color=MUTED)
            axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.set_ylim(_range(path[column].to_numpy(), least))
        axes = self.axes(left + 2 * wide + 0.28, top - 0.12, wide - 0.34, PICTURE - 0.1)
        right, up = path["right_px"].to_numpy(), path["up_px"].to_numpy()
        _curve(axes, right, up)
        self.text(left + 2 * wide + 0.28, top, "path, kernel px", size=6, color=MUTED)
        # Equal reach both ways and a square box: directions on paper are those in the picture.
        reach = max(np.ptp(right) / 2, np.ptp(up) / 2, LEAST)
        axes.set_xlim(_range(right, reach))
        axes.set_ylim(_range(up, reach))
        axes.set_box_aspect(1)
        axes.set_anchor("NW")

    def strips(self, row: ChannelRow, top: float) -> None:
        """Films beside each other, time running right in each."""
        height = _strip_height(row)
        left = 0.0
        for name, whole in row.strips.items():
            film = _thinned(whole)
            side = height * film.shape[2] / film.shape[1]
            unit = "slices" if name in SLICES else "frames"
            title = f"{name}, {len(whole)} {unit} \N{RIGHTWARDS ARROW}"
            self.text(left, top, title, size=6, color=MUTED)
            for i, frame in enumerate(film):
                _show(self.axes(left + i * 1.04 * side, top - 0.12, side, height), frame)
            left += len(film) * 1.04 * side + 0.2


def _thinned(film: Frames) -> Frames:
    """At most `MOST_FRAMES` frames, evenly spaced, the first and the last among them."""
    if len(film) <= MOST_FRAMES:
        return film
    return film[np.linspace(0, len(film) - 1, MOST_FRAMES).round().astype(int)]


def _show(axes: Axes, picture: Frames) -> None:
    axes.imshow(picture, interpolation="nearest" if picture.shape[1] < 96 else "antialiased")
    axes.set_anchor("NW")
    axes.axis("off")


def _curve(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """A line with a hollow circle where it starts and a square where it ends."""
    axes.plot(x, y, color=DATASETS[0], lw=1.1, marker=".", ms=2.5)
    axes.plot(x[:1], y[:1], ls="", marker="o", mfc=PAPER, mec=INK, ms=4.5, mew=0.9, clip_on=False)
    axes.plot(x[-1:], y[-1:], ls="", marker="s", color=DATASETS[1], ms=4, clip_on=False)
    axes.tick_params(labelsize=5.5, length=1.5, pad=1.5)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_locator(MaxNLocator(3))
    # Offsets such as "+1" above an axis are unreadable at this size.
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.margins(0.12)


def _range(values: np.ndarray, least: float) -> tuple[float, float]:
    """Limits about the middle of `values`, at least 2 `least` apart."""
    middle = float(values.min() + values.max()) / 2
    half = 1.15 * max(float(np.ptp(values)) / 2, least)
    return middle - half, middle + half


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else name[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
