"""A small antialiased drawing surface in scene units: where scenes and stills are painted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["Canvas", "Colour", "jagged", "mix", "recolour", "rolling", "vary"]

Colour = tuple[float, float, float]  # red, green, blue, 0..255
Points = Sequence[tuple[float, float]]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from `a` to `b`."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def vary(rng: np.random.Generator, colour: Colour, amount: float = 12.0) -> Colour:
    """`colour` with every channel moved by a normal step of `amount` (of 255), kept in range."""
    r, g, b = np.clip(np.add(colour, rng.normal(0.0, amount, 3)), 0.0, 255.0)
    return float(r), float(g), float(b)


def recolour(image: Image.Image, angle: float) -> Image.Image:
    """Turn every hue by `angle` (radians) about the grey axis; greys and alpha stay."""
    # rotation by Rodrigues' formula about (1, 1, 1) / sqrt(3), the axis of greys
    cos, shift = math.cos(angle), math.sin(angle) / math.sqrt(3.0)
    near, far = (1.0 - cos) / 3.0 - shift, (1.0 - cos) / 3.0 + shift
    same = cos + (1.0 - cos) / 3.0
    matrix = (same, near, far, 0.0, far, same, near, 0.0, near, far, same, 0.0)
    turned = image.convert("RGB").convert("RGB", matrix)
    if image.mode == "RGBA":
        turned.putalpha(image.getchannel("A"))
    return turned


def rolling(
    rng: np.random.Generator, x: np.ndarray, *, level: float, swing: float, pitch: float = 1.0
) -> np.ndarray:
    """A soft hill line: y of `x` (same shape), three random sine waves about `level`.

    Args:
        level: mean y.
        swing: largest departure from it.
        pitch: waves per scene unit of the longest wave.
    """
    y = np.full_like(x, level)
    # frequencies that are no multiples of each other, so that the line does not repeat
    for octave, share in ((1.0, 0.6), (2.1, 0.28), (4.3, 0.12)):
        rate = 2.0 * math.pi * pitch * octave * rng.uniform(0.8, 1.2)
        y += swing * share * np.sin(rate * x + rng.uniform(0.0, 2.0 * math.pi))
    return y


def jagged(
    rng: np.random.Generator, x: np.ndarray, *, level: float, swing: float, pitch: float
) -> np.ndarray:
    """A line of peaks: straight flanks between random heights, `pitch` peaks per scene unit."""
    count = max(int((x[-1] - x[0]) * pitch), 1)
    # beyond both ends, so that shifted knots still cover them
    knots = np.linspace(x[0] - 0.1, x[-1] + 0.1, 2 * count + 1)
    knots = knots + rng.uniform(-0.2, 0.2, knots.size) / (2 * pitch)
    heights = np.where(np.arange(knots.size) % 2 == 1, -swing, swing)
    return np.interp(x, knots, level + heights * rng.uniform(0.5, 1.0, knots.size))


class Canvas:
    """An image whose pixels are addressed in scene units; x points right, y points down.

    Args:
        extent: (left, top, right, bottom) in scene units.
        density: pixels per scene unit of the finished image.
        oversample: drawing happens this many times finer and is averaged down.
        transparent: an RGBA sprite instead of an opaque RGB picture.
    """

    def __init__(
        self,
        extent: tuple[float, float, float, float],
        *,
        density: float,
        oversample: int = 2,
        transparent: bool = False,
    ) -> None:
        self.left, self.top, self.right, self.bottom = extent
        self.oversample = oversample
        self.scale = density * oversample
        self.width = math.ceil((self.right - self.left) * density) * oversample
        self.height = math.ceil((self.bottom - self.top) * density) * oversample
        mode = "RGBA" if transparent else "RGB"
        self.image = Image.new(mode, (self.width, self.height))
        # on an RGB image this mode blends translucent fills
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) * self.scale, (y - self.top) * self.scale

    @staticmethod
    def _fill(colour: Colour, alpha: float) -> tuple[int, int, int, int]:
        return (
            min(max(round(colour[0]), 0), 255),
            min(max(round(colour[1]), 0), 255),
            min(max(round(colour[2]), 0), 255),
            round(255 * alpha),
        )

    def columns(self, count: int = 96) -> np.ndarray:
        """`count` x positions across the whole canvas, for hill lines; (count,)."""
        return np.linspace(self.left, self.right, count)

    def gradient(self, *stops: tuple[float, Colour]) -> None:
        """Fill everything with a vertical gradient through (y, colour) stops."""
        y = self.top + (np.arange(self.height) + 0.5) / self.scale
        levels = [stop[0] for stop in stops]
        column = np.stack(
            [np.interp(y, levels, [stop[1][k] for stop in stops]) for k in range(3)], axis=-1
        )
        # one pixel wide, then stretched: all columns are equal
        strip = Image.fromarray(np.rint(column).astype(np.uint8)[:, None, :])
        self.image.paste(strip.resize((self.width, self.height), Image.Resampling.NEAREST))

    def polygon(self, points: Points, colour: Colour, alpha: float = 1.0) -> None:
        """A filled polygon through `points`."""
        self._draw.polygon([self._at(*p) for p in points], fill=self._fill(colour, alpha))

    def ground(self, y: np.ndarray, colour: Colour, alpha: float = 1.0) -> None:
        """Fill everything below the line `y` (values at ``columns(len(y))``)."""
        line = list(zip(self.columns(len(y)).tolist(), y.tolist(), strict=True))
        self.polygon([*line, (self.right, self.bottom), (self.left, self.bottom)], colour, alpha)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, *, alpha: float = 1.0
    ) -> None:
        """A filled ellipse about (x, y) with half-axes rx, ry."""
        box = [self._at(x - rx, y - ry), self._at(x + rx, y + ry)]
        self._draw.ellipse(box, fill=self._fill(colour, alpha))

    def disc(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        """A filled circle."""
        self.ellipse(x, y, radius, radius, colour, alpha=alpha)

    def slice(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        *,
        arc: tuple[float, float],
    ) -> None:
        """The part of an ellipse between two angles (degrees, clockwise from the right)."""
        box = [self._at(x - rx, y - ry), self._at(x + rx, y + ry)]
        self._draw.pieslice(box, *arc, fill=self._fill(colour, 1.0))

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        *,
        radius: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """A filled rectangle, its corners rounded by `radius`."""
        corners = [self._at(x0, y0), self._at(x1, y1)]
        fill = self._fill(colour, alpha)
        if radius > 0.0:
            self._draw.rounded_rectangle(corners, radius * self.scale, fill=fill)
        else:
            self._draw.rectangle(corners, fill=fill)

    def line(self, points: Points, width: float, colour: Colour) -> None:
        """A stroke through `points` with round ends and joints."""
        pixels = [self._at(*p) for p in points]
        fill = self._fill(colour, 1.0)
        thick = max(width * self.scale, 1.0)
        self._draw.line(pixels, fill=fill, width=round(thick))
        # Pillow's lines have flat ends and gaps at joints; discs cover both, and thin lines need
        # none
        if thick > 2.0:
            r = 0.5 * thick - 0.5
            for px, py in pixels:
                self._draw.ellipse([px - r, py - r, px + r, py + r], fill=fill)

    def finish(self) -> Image.Image:
        """The finished image, averaged down to `density`."""
        return self.image.reduce(self.oversample) if self.oversample > 1 else self.image
