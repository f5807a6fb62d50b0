"""Plants and animals in flat design, one painter each: objects of `scenes`.

A painter draws into a transparent `Canvas` of -0.5..0.5 in x and y (y down), filling most of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from threetconv.data.synthetic.drawing import Canvas, Colour, mix, vary

__all__ = ["CREATURES"]

WHITE: Colour = (252, 252, 250)
DARK: Colour = (34, 32, 44)


def _tree(c: Canvas, rng: np.random.Generator) -> None:
    leaf = vary(rng, (38, 124, 58))
    c.box(-0.06, 0.0, 0.06, 0.48, (112, 74, 48))
    for x, y, r in ((-0.2, 0.02, 0.19), (0.2, 0.0, 0.2), (0.0, -0.2, 0.26)):
        c.disc(x, y, r, leaf)
    c.disc(-0.07, -0.26, 0.14, mix(leaf, (190, 220, 100), 0.35))


def _fir(c: Canvas, rng: np.random.Generator) -> None:
    green = vary(rng, (22, 92, 74))
    c.box(-0.05, 0.3, 0.05, 0.48, (96, 62, 42))
    for k in range(3):
        top, low, half = -0.48 + 0.2 * k, -0.1 + 0.23 * k, 0.2 + 0.09 * k
        c.polygon([(0, top), (half, low), (-half, low)], mix(green, DARK, 0.12 * k))
        c.polygon([(0, top), (0, low), (-half, low)], mix(green, (150, 210, 150), 0.3))


def _palm(c: Canvas, rng: np.random.Generator) -> None:
    c.line([(0.06, 0.47), (-0.01, 0.2), (0.0, -0.15)], 0.08, (150, 104, 64))
    leaf = vary(rng, (36, 150, 84))
    # degrees, y down: leaves to both sides and over the top, none straight down
    for angle in (-170, -140, -90, -40, -10, 20, 160):
        a = math.radians(angle)
        tip = 0.45 * math.cos(a), -0.15 + 0.3 * math.sin(a) + 0.1
        side = 0.2 * math.cos(a), -0.26 + 0.22 * math.sin(a)
        c.polygon([(0.0, -0.11), side, tip, (side[0] * 0.9, side[1] + 0.1)], leaf)
    c.disc(-0.04, -0.1, 0.045, (112, 70, 40))
    c.disc(0.05, -0.09, 0.045, (112, 70, 40))


def _cactus(c: Canvas, rng: np.random.Generator) -> None:
    green = vary(rng, (52, 134, 76))
    c.line([(0.0, 0.42), (0.0, -0.36)], 0.2, green)
    c.line([(0.0, 0.18), (-0.3, 0.16), (-0.3, -0.12)], 0.13, green)
    c.line([(0.0, 0.02), (0.28, 0.0), (0.28, -0.24)], 0.13, green)
    for x in (-0.04, 0.04):
        c.line([(x, 0.42), (x, -0.34)], 0.016, mix(green, WHITE, 0.4))
    c.disc(0.0, -0.45, 0.06, (240, 96, 140))


def _flower(c: Canvas, rng: np.random.Generator) -> None:
    petal = vary(rng, (236, 60, 96))
    c.line([(0.0, 0.46), (0.02, 0.2), (0.0, -0.1)], 0.05, (52, 136, 66))
    c.ellipse(0.15, 0.26, 0.15, 0.06, (70, 158, 78))
    for k in range(7):
        a = 2 * math.pi * k / 7
        c.disc(0.21 * math.cos(a), -0.17 + 0.21 * math.sin(a), 0.12, petal)
    c.disc(0.0, -0.17, 0.13, (255, 206, 70))


def _mushroom(c: Canvas, rng: np.random.Generator) -> None:
    red = vary(rng, (216, 48, 44))
    c.box(-0.13, -0.05, 0.13, 0.46, (248, 236, 214), radius=0.1)
    c.slice(0.0, 0.02, 0.46, 0.46, red, arc=(180, 360))
    c.ellipse(0.0, 0.02, 0.46, 0.08, mix(red, DARK, 0.25))
    for x, y, r in ((-0.24, -0.12, 0.07), (0.02, -0.26, 0.09), (0.26, -0.1, 0.06)):
        c.disc(x, y, r, WHITE)


def _sheep(c: Canvas, rng: np.random.Generator) -> None:
    wool = vary(rng, (246, 244, 238), 4)
    for x in (-0.2, -0.08, 0.1, 0.2):
        c.box(x - 0.03, 0.15, x + 0.03, 0.44, DARK)
    for x, y, r in ((-0.2, 0.0, 0.19), (0.0, -0.09, 0.2), (0.18, 0.0, 0.19), (0.0, 0.1, 0.2)):
        c.disc(x, y, r, wool)
    c.ellipse(0.34, -0.08, 0.12, 0.15, (64, 58, 66))
    c.disc(0.37, -0.11, 0.025, WHITE)


def _cat(c: Canvas, rng: np.random.Generator) -> None:
    fur = vary(rng, (236, 142, 58))
    c.line([(0.18, 0.38), (0.42, 0.28), (0.4, 0.0)], 0.08, fur)
    c.ellipse(0.0, 0.22, 0.25, 0.26, fur)
    c.ellipse(0.0, 0.27, 0.13, 0.18, mix(fur, WHITE, 0.65))
    for s in (-1, 1):
        c.polygon([(s * 0.26, -0.22), (s * 0.23, -0.48), (s * 0.04, -0.34)], fur)
    c.ellipse(0.0, -0.18, 0.27, 0.21, fur)
    for s in (-1, 1):
        c.disc(s * 0.11, -0.2, 0.045, DARK)
    c.polygon([(-0.035, -0.11), (0.035, -0.11), (0.0, -0.07)], (220, 90, 100))


def _owl(c: Canvas, rng: np.random.Generator) -> None:
    brown = vary(rng, (150, 100, 62))
    for s in (-1, 1):
        c.polygon([(s * 0.3, -0.2), (s * 0.31, -0.48), (s * 0.06, -0.36)], brown)
    c.ellipse(0.0, 0.03, 0.33, 0.43, brown)
    c.ellipse(0.0, 0.2, 0.2, 0.23, (236, 210, 164))
    for s in (-1, 1):
        c.ellipse(s * 0.29, 0.12, 0.08, 0.22, mix(brown, DARK, 0.35))
        c.disc(s * 0.14, -0.15, 0.14, WHITE)
        c.disc(s * 0.14, -0.15, 0.065, DARK)
    c.polygon([(-0.05, -0.06), (0.05, -0.06), (0.0, 0.06)], (250, 176, 50))


def _bird(c: Canvas, rng: np.random.Generator) -> None:
    white = vary(rng, (246, 248, 252), 4)
    c.polygon([(-0.47, -0.02), (-0.22, 0.02), (-0.24, 0.14)], (120, 130, 148))
    c.ellipse(0.0, 0.07, 0.3, 0.13, white)
    c.disc(0.28, -0.02, 0.11, white)
    c.polygon([(0.37, -0.05), (0.5, 0.0), (0.37, 0.03)], (250, 160, 40))
    c.polygon([(-0.12, 0.04), (0.14, 0.02), (-0.08, -0.44), (-0.22, -0.34)], (150, 164, 184))
    c.disc(0.31, -0.04, 0.025, DARK)


def _duck(c: Canvas, rng: np.random.Generator) -> None:
    yellow = vary(rng, (252, 208, 52))
    c.polygon([(-0.46, -0.02), (-0.2, 0.0), (-0.25, 0.2)], yellow)
    c.ellipse(-0.02, 0.17, 0.36, 0.23, yellow)
    c.disc(0.2, -0.16, 0.2, yellow)
    c.ellipse(0.41, -0.12, 0.1, 0.05, (244, 120, 36))
    c.ellipse(-0.08, 0.14, 0.18, 0.11, mix(yellow, (220, 140, 20), 0.4))
    c.disc(0.25, -0.21, 0.035, DARK)


def _penguin(c: Canvas, rng: np.random.Generator) -> None:
    coat = vary(rng, (40, 46, 66), 6)
    for s in (-1, 1):
        c.ellipse(s * 0.13, 0.44, 0.12, 0.05, (250, 160, 40))
        c.polygon([(s * 0.2, -0.1), (s * 0.42, 0.2), (s * 0.24, 0.16)], coat)
    c.ellipse(0.0, 0.06, 0.28, 0.4, coat)
    c.disc(0.0, -0.27, 0.2, coat)
    c.ellipse(0.0, 0.14, 0.19, 0.29, WHITE)
    for s in (-1, 1):
        c.disc(s * 0.08, -0.29, 0.07, WHITE)
        c.disc(s * 0.07, -0.28, 0.03, DARK)
    c.polygon([(-0.06, -0.23), (0.06, -0.23), (0.0, -0.13)], (250, 160, 40))


def _fish(c: Canvas, rng: np.random.Generator) -> None:
    orange = vary(rng, (255, 128, 30))
    c.polygon([(-0.2, 0.0), (-0.48, -0.24), (-0.42, 0.0), (-0.48, 0.24)], mix(orange, DARK, 0.15))
    c.polygon([(-0.08, -0.2), (0.1, -0.4), (0.2, -0.18)], mix(orange, DARK, 0.15))
    c.ellipse(0.08, 0.0, 0.36, 0.26, orange)
    c.ellipse(0.12, 0.0, 0.06, 0.25, WHITE)
    c.ellipse(-0.14, 0.0, 0.045, 0.19, WHITE)
    c.disc(0.28, -0.06, 0.06, WHITE)
    c.disc(0.29, -0.06, 0.035, DARK)


def _whale(c: Canvas, rng: np.random.Generator) -> None:
    blue = vary(rng, (70, 104, 150))
    c.polygon([(-0.3, 0.08), (-0.42, -0.1), (-0.5, -0.24), (-0.32, -0.2), (-0.18, -0.24)], blue)
    # belly, then back: two half ellipses of different height
    c.slice(0.05, 0.02, 0.44, 0.36, blue, arc=(0, 180))
    c.slice(0.14, 0.03, 0.35, 0.24, blue, arc=(180, 360))
    c.polygon([(-0.39, 0.02), (-0.36, -0.12), (-0.1, 0.04)], blue)
    c.slice(0.12, 0.14, 0.34, 0.2, mix(blue, WHITE, 0.7), arc=(10, 170))
    c.disc(0.3, 0.02, 0.03, DARK)
    for dx in (-0.1, 0.1):
        c.line([(0.12, -0.24), (0.12 + dx, -0.42)], 0.035, (214, 240, 252))


def _turtle(c: Canvas, rng: np.random.Generator) -> None:
    skin = vary(rng, (136, 190, 96))
    for x, y in ((-0.26, 0.22), (0.2, 0.24), (-0.2, -0.1), (0.22, -0.12)):
        c.ellipse(x, y, 0.13, 0.09, skin)
    c.disc(0.38, 0.02, 0.11, skin)
    shell = (96, 112, 50)
    c.ellipse(-0.02, 0.04, 0.34, 0.25, shell)
    for x, y in ((-0.02, 0.04), (-0.19, 0.04), (0.15, 0.04), (-0.1, -0.1), (0.07, 0.17)):
        c.disc(x, y, 0.06, mix(shell, (230, 220, 120), 0.5))
    c.disc(0.41, 0.0, 0.025, DARK)


def _starfish(c: Canvas, rng: np.random.Generator) -> None:
    coral = vary(rng, (240, 92, 76))
    # a smaller, paler star on the first
    for radius, tone in ((0.48, coral), (0.33, mix(coral, (255, 214, 150), 0.45))):
        points = []
        for k in range(10):
            a = math.pi * k / 5 - math.pi / 2
            # corners alternate between tips and notches
            r = radius if k % 2 == 0 else 0.45 * radius
            points.append((r * math.cos(a), r * math.sin(a)))
        c.polygon(points, tone)


def _jellyfish(c: Canvas, rng: np.random.Generator) -> None:
    pink = vary(rng, (240, 150, 214))
    for k in range(5):
        x = -0.24 + 0.12 * k
        c.line([(x, 0.0), (x + 0.05, 0.18), (x - 0.04, 0.32), (x + 0.03, 0.46)], 0.045, pink)
    c.slice(0.0, 0.02, 0.38, 0.46, pink, arc=(180, 360))
    c.ellipse(0.0, 0.02, 0.38, 0.07, mix(pink, (150, 60, 160), 0.35))
    c.ellipse(-0.12, -0.2, 0.08, 0.12, mix(pink, WHITE, 0.6))


def _butterfly(c: Canvas, rng: np.random.Generator) -> None:
    wing = vary(rng, (250, 150, 30))
    for s in (-1, 1):
        # dark wings first; the coloured ones leave a rim of them
        c.ellipse(s * 0.24, -0.16, 0.23, 0.26, mix(wing, DARK, 0.75))
        c.ellipse(s * 0.2, 0.2, 0.17, 0.2, mix(wing, DARK, 0.75))
        c.ellipse(s * 0.23, -0.16, 0.18, 0.2, wing)
        c.ellipse(s * 0.19, 0.2, 0.12, 0.14, mix(wing, (255, 230, 90), 0.5))
        c.line([(0.0, -0.26), (s * 0.1, -0.46)], 0.025, DARK)
    c.ellipse(0.0, 0.02, 0.05, 0.32, DARK)


CREATURES: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "Tree": _tree,
    "Fir": _fir,
    "Palm": _palm,
    "Cactus": _cactus,
    "Flower": _flower,
    "Mushroom": _mushroom,
    "Sheep": _sheep,
    "Cat": _cat,
    "Owl": _owl,
    "Bird": _bird,
    "Duck": _duck,
    "Penguin": _penguin,
    "Fish": _fish,
    "Whale": _whale,
    "Turtle": _turtle,
    "Starfish": _starfish,
    "Jellyfish": _jellyfish,
    "Butterfly": _butterfly,
}
