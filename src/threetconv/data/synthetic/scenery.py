"""Twelve landscapes, each recognisable by palette and structure: the backgrounds of `scenes`.

A painter fills a `Canvas` whose visible part is y in 0..1 (top to bottom) about x = 0; the canvas
reaches further so that the camera can move. What a painter draws at random (phases of the hills,
places of clouds, tints) makes every clip of a class a different picture of the same place.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from threetconv.data.synthetic.drawing import Canvas, Colour, jagged, mix, rolling, vary

__all__ = ["SCENERY", "Painter"]

Painter = Callable[[Canvas, np.random.Generator], None]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)


def _spread(c: Canvas, rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` jittered x positions across the canvas."""
    step = (c.right - c.left) / count
    # one in each of `count` stretches: jittered, but never all on one side
    return c.left + step * (np.arange(count) + rng.uniform(0.1, 0.9, count))


def _clouds(c: Canvas, rng: np.random.Generator, colour: Colour, *, alpha: float = 0.85) -> None:
    for x in _spread(c, rng, 3):
        y, r = rng.uniform(c.top + 0.1, 0.3), rng.uniform(0.05, 0.09)
        for dx, dy, share in ((-1.3, 0.2, 0.7), (0.0, -0.2, 1.0), (1.2, 0.15, 0.8)):
            c.ellipse(x + dx * r, y + dy * r, 1.4 * share * r, share * r, colour, alpha=alpha)


def _sun(c: Canvas, rng: np.random.Generator, colour: Colour, radius: float, y: float) -> None:
    x = rng.uniform(-0.35, 0.35)
    y += rng.uniform(-0.06, 0.06)
    # two faint discs make a halo
    for k, alpha in ((2.0, 0.12), (1.5, 0.2), (1.0, 1.0)):
        c.disc(x, y, k * radius, colour, alpha)


def _fir(c: Canvas, x: float, foot: float, height: float, colour: Colour) -> None:
    for k in range(3):
        top, low = foot - height * (1.0 - 0.25 * k), foot - height * (0.55 - 0.25 * k)
        half = height * (0.16 + 0.07 * k)
        c.polygon([(x, top), (x + half, low), (x - half, low)], colour)


def _meadow(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (88, 170, 236))), (0.6, vary(rng, (206, 236, 252))))
    _sun(c, rng, (255, 236, 150), 0.08, 0.12)
    _clouds(c, rng, WHITE)
    x = c.columns()
    near = vary(rng, (104, 186, 72))
    # far hills first, paler through the air
    for k, level in enumerate((0.5, 0.6, 0.74)):
        tone = mix((160, 214, 150), near, (k + 1) / 3)
        c.ground(rolling(rng, x, level=level, swing=0.06, pitch=0.7), tone)
    petals: tuple[Colour, ...] = ((255, 250, 240), (252, 210, 70), (240, 110, 130))
    for k, fx in enumerate(_spread(c, rng, 26)):
        fy = rng.uniform(0.8, c.bottom)
        c.disc(fx, fy, 0.008 + 0.014 * (fy - 0.7), petals[k % 3])


def _harbour(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (140, 170, 190))), (0.5, vary(rng, (250, 226, 196))))
    _clouds(c, rng, (238, 238, 240), alpha=0.7)
    for x in _spread(c, rng, 9):
        h, w = rng.uniform(0.08, 0.2), rng.uniform(0.06, 0.1)
        wall = mix(vary(rng, (188, 110, 90), 30), (250, 226, 196), 0.35)
        c.box(x - w, 0.52 - h, x + w, 0.52, wall)
        c.polygon([(x - w, 0.52 - h), (x, 0.46 - h), (x + w, 0.52 - h)], mix(wall, BLACK, 0.25))
    sea = vary(rng, (46, 98, 122))
    c.box(c.left, 0.52, c.right, c.bottom, sea)
    for k in range(9):
        y = 0.55 + 0.09 * k * (0.6 + 0.06 * k)
        for x in _spread(c, rng, 6):
            # waves grow towards the viewer
            w = rng.uniform(0.03, 0.1) * (1 + 0.2 * k)
            c.ellipse(x, y, w, 0.006 + 0.0015 * k, mix(sea, (236, 226, 206), 0.45))


def _desert(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (240, 140, 70))), (0.6, vary(rng, (255, 224, 150))))
    _sun(c, rng, (255, 246, 214), 0.13, 0.26)
    x = c.columns()
    sand = vary(rng, (226, 160, 84))
    for k, level in enumerate((0.55, 0.66, 0.8)):
        line = rolling(rng, x, level=level, swing=0.08, pitch=0.45)
        tone = mix((246, 196, 126), sand, k / 2)
        c.ground(line, tone)
        c.ground(line + 0.03 + 0.03 * np.sin(5.0 * x + k), mix(tone, (150, 80, 50), 0.22))
        c.ground(line + 0.12, mix(tone, sand, 0.5))


def _city(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient(
        (c.top, vary(rng, (64, 48, 112))), (0.4, vary(rng, (196, 96, 140))), (0.7, (255, 176, 120))
    )
    for k, tone in enumerate(((128, 84, 140), (74, 54, 104), (40, 34, 70))):
        colour = vary(rng, tone, 6)
        for x in _spread(c, rng, 9 - k):
            top, w = 0.3 + 0.12 * k + rng.uniform(-0.12, 0.1), rng.uniform(0.05, 0.1)
            c.box(x - w, top, x + w, 0.84, colour)
            if k > 0:
                for wx in np.arange(x - w + 0.02, x + w - 0.02, 0.04):
                    for wy in np.arange(top + 0.03, 0.8, 0.06):
                        if rng.random() < 0.5:
                            c.box(wx, wy, wx + 0.018, wy + 0.026, (255, 218, 124))
    c.box(c.left, 0.82, c.right, c.bottom, (58, 56, 70))
    for x in np.arange(c.left, c.right, 0.22):
        c.box(x, 0.915, x + 0.12, 0.935, (232, 222, 190))


def _snowfield(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (150, 190, 224))), (0.55, vary(rng, (224, 232, 244))))
    x = c.columns()
    c.ground(jagged(rng, x, level=0.46, swing=0.08, pitch=2.0), (166, 188, 216))
    for k, level in enumerate((0.58, 0.72)):
        for fx in _spread(c, rng, 7):
            _fir(c, fx, level + 0.03, rng.uniform(0.14, 0.24), mix((70, 112, 120), WHITE, 0.3))
        snow = vary(rng, (222, 232, 246) if k else (200, 214, 236), 4)
        c.ground(rolling(rng, x, level=level, swing=0.04, pitch=0.6), snow)
    for _ in range(40):
        c.disc(rng.uniform(c.left, c.right), rng.uniform(c.top, c.bottom), 0.009, WHITE, 0.9)


def _mountain(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (56, 150, 176))), (0.6, vary(rng, (250, 232, 206))))
    x = c.columns(160)
    far = jagged(rng, x, level=0.42, swing=0.24, pitch=1.1)
    c.ground(far, (250, 250, 252))
    # rock over all but the peaks, which stay white with snow
    c.ground(np.maximum(far, 0.34 + 0.03 * np.sin(40 * x)), vary(rng, (116, 120, 160)))
    c.ground(jagged(rng, x, level=0.6, swing=0.14, pitch=1.4), vary(rng, (80, 84, 128)))
    c.ground(jagged(rng, x, level=0.76, swing=0.08, pitch=1.8), vary(rng, (50, 70, 96)))
    c.ground(rolling(rng, x, level=0.88, swing=0.03), vary(rng, (42, 96, 84)))


def _beach(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (70, 176, 240))), (0.4, vary(rng, (190, 236, 250))))
    _clouds(c, rng, WHITE, alpha=0.95)
    _sun(c, rng, (255, 240, 130), 0.07, 0.1)
    sea = vary(rng, (26, 168, 186))
    c.box(c.left, 0.4, c.right, c.bottom, mix(sea, (20, 110, 170), 0.5))
    c.box(c.left, 0.47, c.right, c.bottom, sea)
    x = c.columns()
    shore = rolling(rng, x, level=0.63, swing=0.035, pitch=0.8)
    c.ground(shore - 0.05, mix(sea, WHITE, 0.35))
    c.ground(shore - 0.015, (250, 252, 250))
    c.ground(shore + 0.01, vary(rng, (226, 196, 140), 6))
    c.ground(shore + 0.07, vary(rng, (248, 222, 166), 6))


def _forest(c: Canvas, rng: np.random.Generator) -> None:
    mist = vary(rng, (204, 226, 172))
    c.gradient((c.top, (92, 150, 92)), (0.7, mist))
    deep = vary(rng, (24, 64, 44), 8)
    for k in range(3):
        tone = mix(mist, deep, 0.35 + 0.3 * k)
        for x in _spread(c, rng, 9 - 2 * k):
            w = 0.015 + 0.014 * k
            c.polygon(
                [(x - w, c.top), (x + w, c.top), (x + 1.5 * w, 1.0), (x - 1.5 * w, 1.0)], tone
            )
        c.ground(rolling(rng, c.columns(), level=0.7 + 0.1 * k, swing=0.03, pitch=1.2), tone)
    for x in _spread(c, rng, 12):
        c.disc(x, c.top + rng.uniform(0.0, 0.14), rng.uniform(0.12, 0.2), mix(deep, mist, 0.15))


def _night(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (10, 14, 44), 5)), (0.75, vary(rng, (52, 64, 128), 8)))
    for _ in range(60):
        size = rng.uniform(0.004, 0.011)
        c.disc(rng.uniform(c.left, c.right), rng.uniform(c.top, 0.65), size, (250, 246, 220))
    x, y = rng.uniform(-0.35, 0.35), rng.uniform(0.08, 0.25)
    c.disc(x, y, 0.15, (220, 224, 255), 0.1)
    c.disc(x, y, 0.095, (248, 240, 206))
    c.disc(x - 0.02, y + 0.03, 0.02, (226, 216, 184))
    c.disc(x + 0.04, y - 0.02, 0.014, (226, 216, 184))
    for k, level in enumerate((0.68, 0.78, 0.88)):
        tone = vary(rng, mix((34, 44, 96), (12, 18, 40), k / 2), 3)
        c.ground(rolling(rng, c.columns(), level=level, swing=0.06, pitch=0.8), tone)


def _reef(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (64, 196, 214))), (1.0, vary(rng, (8, 62, 128))))
    for x in _spread(c, rng, 5):
        w, lean = rng.uniform(0.03, 0.08), rng.uniform(0.1, 0.4)
        foot = (x + lean + 2 * w, 0.95), (x + lean - 2 * w, 0.95)
        c.polygon([(x - w, c.top), (x + w, c.top), *foot], WHITE, 0.12)
    c.ground(rolling(rng, c.columns(), level=0.82, swing=0.05), vary(rng, (30, 92, 128)))
    corals: tuple[Colour, ...] = ((244, 112, 110), (250, 170, 90), (216, 96, 170), (120, 200, 140))
    for k, x in enumerate(_spread(c, rng, 12)):
        tone, h = vary(rng, corals[int(rng.integers(4))]), rng.uniform(0.08, 0.2)
        for lean in (-0.5, 0.0, 0.5):
            top = 0.95 - h * (1 - abs(lean) * 0.4)
            c.line(
                [(x, 1.0), (x + lean * h * 0.5, 0.97 - h * 0.4), (x + lean * h, top)], 0.03, tone
            )
        c.disc(x + 0.06, 0.97, 0.03 + 0.01 * (k % 3), mix(tone, BLACK, 0.2))
    c.ground(rolling(rng, c.columns(), level=0.96, swing=0.02), (226, 206, 150))
    for _ in range(16):
        c.disc(rng.uniform(c.left, c.right), rng.uniform(c.top, 0.8), 0.01, (220, 246, 255), 0.6)


def _lavender(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, vary(rng, (250, 170, 150))), (0.5, vary(rng, (255, 232, 200))))
    _sun(c, rng, (255, 250, 224), 0.08, 0.3)
    c.ground(rolling(rng, c.columns(), level=0.46, swing=0.05), vary(rng, (150, 140, 176)))
    field = vary(rng, (132, 88, 190))
    c.box(c.left, 0.52, c.right, c.bottom, mix(field, (96, 140, 96), 0.55))
    # rows of lavender run together at one point of the horizon
    vanish = rng.uniform(-0.2, 0.2)
    for k in range(-14, 15):
        x, half = vanish + 0.3 * k, 0.09
        c.polygon([(vanish + 0.055 * k, 0.51), (x + half, c.bottom), (x - half, c.bottom)], field)
        shine = mix(field, WHITE, 0.3)
        c.polygon([(vanish + 0.055 * k, 0.51), (x, c.bottom), (x - half, c.bottom)], shine)


def _moon(c: Canvas, rng: np.random.Generator) -> None:
    c.gradient((c.top, (6, 6, 14)), (0.7, vary(rng, (24, 24, 40), 4)))
    for _ in range(40):
        x, y = rng.uniform(c.left, c.right), rng.uniform(c.top, 0.6)
        c.disc(x, y, rng.uniform(0.004, 0.009), WHITE)
    x, y = rng.uniform(-0.3, 0.3), rng.uniform(0.1, 0.25)
    c.disc(x, y, 0.12, (60, 130, 220))
    for angle in rng.uniform(0.0, 2.0 * math.pi, 3):
        dx, dy = 0.06 * math.cos(angle), 0.06 * math.sin(angle)
        c.ellipse(x + dx, y + dy, 0.04, 0.025, (110, 190, 120))
    c.ellipse(x, y - 0.09, 0.05, 0.016, WHITE)
    ground = vary(rng, (168, 166, 172), 8)
    c.ground(jagged(rng, c.columns(), level=0.6, swing=0.05, pitch=1.5), mix(ground, BLACK, 0.4))
    c.ground(rolling(rng, c.columns(), level=0.68, swing=0.03), ground)
    for cx in _spread(c, rng, 10):
        cy = rng.uniform(0.74, c.bottom)
        # nearer craters are larger; a dark ellipse on a light one leaves a rim
        r = 0.03 + 0.1 * (cy - 0.7)
        c.ellipse(cx, cy, 1.6 * r, 0.6 * r, mix(ground, WHITE, 0.35))
        c.ellipse(cx, cy + 0.012, 1.4 * r, 0.48 * r, mix(ground, BLACK, 0.3))


SCENERY: dict[str, Painter] = {
    "Meadow": _meadow,
    "Harbour": _harbour,
    "Desert": _desert,
    "City": _city,
    "Snowfield": _snowfield,
    "Mountain": _mountain,
    "Beach": _beach,
    "Forest": _forest,
    "Night": _night,
    "Reef": _reef,
    "Lavender": _lavender,
    "Moon": _moon,
}
