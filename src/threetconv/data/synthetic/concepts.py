"""Generic visual concepts: oriented gratings, textures, shapes and simple objects.

A painter fills a `Canvas` of about -0.5..0.5 in x and y (y down). Colours are drawn at random in
every class, so only form tells the concepts apart.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

from threetconv.data.synthetic.drawing import Canvas, Colour, jagged, mix, rolling

__all__ = ["CONCEPTS"]

Painter = Callable[[Canvas, np.random.Generator], None]
FULL = 2.0 * math.pi
GESTURES: tuple[tuple[bool, ...], ...] = tuple(  # index, middle, ring, little finger, thumb
    tuple(mark == "|" for mark in text)
    for text in ("|||||", "|||||", "||||.", "|||..", "||...", "|....", "|...|", "||..|", "....|")
)


def _colour(rng: np.random.Generator, value: tuple[float, float]) -> Colour:
    """Any hue, a brightness between the two of `value`."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), float(rng.uniform(0.15, 0.85)), float(rng.uniform(*value))
    )
    return 255.0 * red, 255.0 * green, 255.0 * blue


def _pair(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Two colours, one clearly lighter; which of them comes first is a coin toss."""
    dark, light = _colour(rng, (0.08, 0.45)), mix(_colour(rng, (0.75, 1.0)), (255, 255, 255), 0.3)
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def _backdrop(c: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """A gradient, or a gradient with two soft hills or a few faint discs."""
    c.gradient((c.top, mix(colour, _colour(rng, (0.3, 1.0)), 0.3)), (c.bottom, colour))
    # 0: the gradient alone; 1: hills; 2: discs
    kind = rng.integers(3)
    for _ in range(2 if kind == 1 else 5 if kind == 2 else 0):
        tone = mix(colour, _colour(rng, (0.2, 1.0)), 0.25)
        if kind == 1:
            level = float(rng.uniform(-0.2, 0.4))
            c.ground(rolling(rng, c.columns(48), level=level, swing=0.1), tone)
        else:
            x, y = rng.uniform(c.left, c.right), rng.uniform(c.top, c.bottom)
            c.disc(x, y, rng.uniform(0.05, 0.25), tone)


def _stage(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Place, radius and angle of a single thing: x, y, radius, angle."""
    x, y = rng.uniform(-0.16, 0.16, 2)
    return float(x), float(y), float(rng.uniform(0.18, 0.36)), float(rng.uniform(0.0, FULL))


def _figure(corners: Callable[[np.random.Generator], list[tuple[float, float]]]) -> Painter:
    """A painter of one filled outline, given as (angle, radius) corners, on a backdrop."""

    def paint(c: Canvas, rng: np.random.Generator) -> None:
        back, front = _pair(rng)
        _backdrop(c, rng, back)
        x, y, size, turn = _stage(rng)
        outline = corners(rng)

        def at(share: float) -> list[tuple[float, float]]:
            return [
                (
                    x + share * size * r * math.cos(a + turn),
                    y + share * size * r * math.sin(a + turn),
                )
                for a, r in outline
            ]

        c.polygon(at(1.0), front)
        if rng.random() < 0.4:
            c.polygon(at(0.62), mix(front, back, 0.45))

    return paint


def _disc(rng: np.random.Generator) -> list[tuple[float, float]]:
    flat = rng.uniform(0.85, 1.0)
    return [(a, 1.0 - (1.0 - flat) * math.cos(a) ** 2) for a in np.linspace(0.0, FULL, 48)]


def _square(rng: np.random.Generator) -> list[tuple[float, float]]:
    a = math.atan(rng.uniform(0.75, 1.3))
    return [(a, 1.0), (math.pi - a, 1.0), (math.pi + a, 1.0), (-a, 1.0)]


def _triangle(rng: np.random.Generator) -> list[tuple[float, float]]:
    return [(k * FULL / 3 + rng.uniform(-0.2, 0.2), 1.05) for k in range(3)]


def _star(rng: np.random.Generator) -> list[tuple[float, float]]:
    # 5 to 7 points; corners alternate between outer and inner radius
    points, inner = int(rng.integers(5, 8)), rng.uniform(0.38, 0.5)
    return [(k * math.pi / points, 1.1 if k % 2 == 0 else 1.1 * inner) for k in range(2 * points)]


def _grating(angle: float) -> Painter:
    """A painter of stripes whose lines run at `angle` (radians, clockwise from level)."""

    def paint(c: Canvas, rng: np.random.Generator) -> None:
        a, b = _pair(rng)
        c.gradient((c.top, a), (c.bottom, mix(a, b, rng.uniform(0.0, 0.2))))
        tilt = angle + rng.uniform(-0.2, 0.2)
        period, duty = rng.uniform(0.1, 0.34), rng.uniform(0.35, 0.65)
        ux, uy = math.cos(tilt), math.sin(tilt)
        wave, rate, phase = rng.uniform(0.0, 0.03), rng.uniform(4.0, 9.0), rng.uniform(0.0, FULL)
        along = np.linspace(-1.1, 1.1, 24)
        # slightly wavy, so that no picture is an exact grating
        bend = wave * np.sin(rate * along + phase)
        for k in np.arange(-1.1, 1.1, period) + rng.uniform(0.0, period):
            low, high = k + bend, k + bend + duty * period
            edge = [(t * ux - n * uy, t * uy + n * ux) for t, n in zip(along, low, strict=True)]
            back = [(t * ux - n * uy, t * uy + n * ux) for t, n in zip(along, high, strict=True)]
            c.polygon(edge + back[::-1], b)

    return paint


def _lattice(rng: np.random.Generator) -> tuple[float, list[tuple[int, float, float]]]:
    """Spacing and (parity, x, y) of the nodes of a turned square lattice."""
    step, turn = rng.uniform(0.13, 0.26), rng.uniform(-0.5, 0.5)
    # enough nodes to cover the canvas at any turn
    count = int(0.8 / step) + 1
    cos, sin = math.cos(turn) * step, math.sin(turn) * step
    dx, dy = rng.uniform(0.0, step, 2)
    nodes = [
        ((i + j) % 2, dx + i * cos - j * sin, dy + i * sin + j * cos)
        for i in range(-count, count + 1)
        for j in range(-count, count + 1)
    ]
    return float(step), [(p, float(x), float(y)) for p, x, y in nodes]


def _checks(c: Canvas, rng: np.random.Generator) -> None:
    a, b = _pair(rng)
    c.gradient((c.top, a), (c.bottom, mix(a, b, 0.15)))
    _, nodes = _lattice(rng)
    # two neighbours give the lattice's direction and spacing
    _, x0, y0 = nodes[0]
    _, x1, y1 = nodes[1]
    ux, uy = x1 - x0, y1 - y0
    for parity, x, y in nodes:
        if parity:
            c.polygon([(x, y), (x + ux, y + uy), (x + ux + uy, y + uy - ux), (x + uy, y - ux)], b)


def _dots(c: Canvas, rng: np.random.Generator) -> None:
    a, b = _pair(rng)
    _backdrop(c, rng, a)
    step, nodes = _lattice(rng)
    radius, loose = step * rng.uniform(0.22, 0.38), step * rng.uniform(0.0, 0.15)
    for _, x, y in nodes:
        dx, dy = rng.normal(0.0, loose, 2)
        c.disc(x + dx, y + dy, radius, b)


def _rings(c: Canvas, rng: np.random.Generator) -> None:
    a, b = _pair(rng)
    _backdrop(c, rng, a)
    x, y = rng.uniform(-0.25, 0.25, 2)
    width = rng.uniform(0.06, 0.13)
    count = int(rng.uniform(0.3, 0.8) / width)
    # from the largest disc to the smallest, each over the one before
    for k in range(count, 0, -1):
        c.disc(x, y, k * width, b if k % 2 else a)


def _spiral(c: Canvas, rng: np.random.Generator) -> None:
    a, b = _pair(rng)
    _backdrop(c, rng, a)
    x, y = rng.uniform(-0.2, 0.2, 2)
    sense = 1.0 if rng.random() < 0.5 else -1.0
    turns, reach, start = rng.uniform(2.2, 3.6), rng.uniform(0.4, 0.6), rng.uniform(0.0, FULL)
    t = np.linspace(0.04, 1.0, 72)
    angle = start + sense * FULL * turns * t
    path = zip(x + reach * t * np.cos(angle), y + reach * t * np.sin(angle), strict=True)
    c.line([(float(px), float(py)) for px, py in path], 0.42 * reach / turns, b)


def _clouds(c: Canvas, rng: np.random.Generator) -> None:
    """Fractal noise: octaves of random grids, each twice as fine and half as strong."""
    a, b = _pair(rng)
    field = np.zeros((c.height, c.width), np.float32)
    coarse = int(rng.integers(2, 5))
    for octave in range(4):
        cells = coarse * 2**octave
        grid = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
        fine = grid.resize((c.width, c.height), Image.Resampling.BICUBIC)
        field += np.asarray(fine) * np.float32(rng.uniform(0.45, 0.7) ** octave)
    # standardised, so that every picture has both colours
    share = 1.0 / (1.0 + np.exp(-2.0 * (field - field.mean()) / field.std()))
    picture = np.add(a, share[..., None] * np.subtract(b, a))
    c.image.paste(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)))


def _face(c: Canvas, rng: np.random.Generator) -> None:
    back, skin = _pair(rng)
    _backdrop(c, rng, back)
    x, y = rng.uniform(-0.12, 0.12, 2)
    r, ink = rng.uniform(0.24, 0.38), mix(back, (20, 20, 30), 0.3)
    look, gap, smile = rng.uniform(-0.15, 0.15), rng.uniform(0.3, 0.46), rng.uniform(0.05, 0.3)
    c.ellipse(x, y, r * rng.uniform(0.78, 0.95), r, skin)
    for side in (-1, 1):
        ex, ey = x + r * (look + side * gap), y - r * 0.2
        c.ellipse(ex, ey, 0.15 * r, 0.13 * r, ink)
        c.line([(ex - 0.16 * r, ey - 0.3 * r), (ex + 0.16 * r, ey - 0.3 * r)], 0.08 * r, ink)
    c.line([(x + r * look, y - 0.05 * r), (x + r * look * 1.6, y + 0.18 * r)], 0.09 * r, ink)
    mouth = np.linspace(-0.4, 0.4, 9)
    lips = [(x + r * (look + m), y + r * (0.45 + smile - 2.2 * smile * m * m)) for m in mouth]
    c.line([(float(px), float(py)) for px, py in lips], 0.1 * r, ink)


def _hand(c: Canvas, rng: np.random.Generator) -> None:
    back, skin = _pair(rng)
    _backdrop(c, rng, back)
    x, y = rng.uniform(-0.1, 0.1, 2)
    size, turn = rng.uniform(0.26, 0.4), rng.uniform(-0.7, 0.7)
    sense = 1.0 if rng.random() < 0.5 else -1.0
    # which fingers are stretched out
    shown = GESTURES[int(rng.integers(len(GESTURES)))]

    def at(px: float, py: float) -> tuple[float, float]:
        px, py = sense * px * size, py * size
        return (
            float(x + px * math.cos(turn) - py * math.sin(turn)),
            float(y + px * math.sin(turn) + py * math.cos(turn)),
        )

    c.line([at(0.0, 0.5), at(0.0, 1.8)], 0.5 * size, skin)
    palm = [(-0.3, 0.0), (0.28, -0.05), (0.24, 0.42), (-0.2, 0.45)]
    c.polygon([at(*p) for p in palm], skin)
    c.line([at(*p) for p in (*palm, palm[0])], 0.26 * size, skin)
    spread = rng.uniform(0.1, 0.24)
    for k, reach in enumerate((0.75, 0.82, 0.78, 0.62)):
        foot = at(-0.33 + 0.22 * k, -0.05)
        lean, length = spread * (k - 1.5), reach if shown[k] else 0.18
        tip = at(-0.33 + 0.22 * k + length * math.sin(lean), -0.05 - length * math.cos(lean))
        c.line([foot, tip], 0.2 * size, skin)
    if shown[4]:
        c.line([at(-0.3, 0.25), at(-0.62, 0.02), at(-0.72, -0.2)], 0.22 * size, skin)


def _landscape(c: Canvas, rng: np.random.Generator) -> None:
    sky, land = _pair(rng)
    c.gradient((c.top, sky), (c.bottom, mix(sky, _colour(rng, (0.5, 1.0)), 0.4)))
    c.disc(rng.uniform(-0.4, 0.4), rng.uniform(-0.4, -0.15), rng.uniform(0.05, 0.11), land)
    horizon, x = rng.uniform(-0.12, 0.12), c.columns(64)
    for k in range(3):
        level, tone = horizon + 0.16 * k, mix(sky, land, 0.4 + 0.3 * k)
        if rng.random() < 0.5:
            line = jagged(rng, x, level=level, swing=rng.uniform(0.06, 0.14), pitch=2.0)
        else:
            line = rolling(rng, x, level=level, swing=rng.uniform(0.05, 0.1))
        c.ground(line, tone)


def _plant(c: Canvas, rng: np.random.Generator) -> None:
    back, leaf = _pair(rng)
    _backdrop(c, rng, back)
    wood = mix(leaf, _colour(rng, (0.2, 0.7)), 0.5)
    x, foot = float(rng.uniform(-0.16, 0.16)), float(rng.uniform(0.36, 0.5))
    height, lean = rng.uniform(0.6, 0.95), rng.uniform(-0.12, 0.12)

    def branch(px: float, py: float, angle: float, length: float, depth: int) -> None:
        tx, ty = px + length * math.sin(angle), py - length * math.cos(angle)
        c.line([(px, py), (tx, ty)], 0.16 * length, wood)
        if depth == 0:
            c.disc(tx, ty, length * rng.uniform(0.7, 1.2), mix(leaf, wood, rng.uniform(0.0, 0.3)))
            return
        for side in (-1, 1):
            # two branches at every fork, 0.7 times as long
            branch(tx, ty, angle + side * rng.uniform(0.25, 0.7), length * 0.7, depth - 1)

    branch(x, foot, float(lean), float(0.42 * height), 2)


CONCEPTS: dict[str, Painter] = {
    "checks": _checks,
    "clouds": _clouds,
    "disc": _figure(_disc),
    "dots": _dots,
    "face": _face,
    "hand": _hand,
    "landscape": _landscape,
    "plant": _plant,
    "rings": _rings,
    "spiral": _spiral,
    "square": _figure(_square),
    "star": _figure(_star),
    "stripes_falling": _grating(0.25 * math.pi),
    "stripes_level": _grating(0.0),
    "stripes_rising": _grating(-0.25 * math.pi),
    "stripes_upright": _grating(0.5 * math.pi),
    "triangle": _figure(_triangle),
}
