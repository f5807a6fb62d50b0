"""Buildings, vehicles and toys in flat design, one painter each: objects of `scenes`.

A painter draws into a transparent `Canvas` of -0.5..0.5 in x and y (y down), filling most of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from threetconv.data.synthetic.drawing import Canvas, Colour, mix, vary

__all__ = ["THINGS"]

WHITE: Colour = (252, 252, 250)
DARK: Colour = (40, 40, 52)
GLASS: Colour = (176, 222, 244)


def _wheel(c: Canvas, x: float, y: float, radius: float) -> None:
    c.disc(x, y, radius, DARK)
    c.disc(x, y, 0.5 * radius, (206, 206, 212))


def _windmill(c: Canvas, rng: np.random.Generator) -> None:
    wall = vary(rng, (248, 240, 226), 5)
    c.polygon([(-0.12, -0.14), (0.12, -0.14), (0.2, 0.48), (-0.2, 0.48)], wall)
    c.slice(0.0, -0.13, 0.14, 0.14, (190, 70, 56), arc=(180, 360))
    c.box(-0.06, 0.28, 0.06, 0.48, (120, 80, 56))
    # four sails repeat after a quarter turn
    turn = rng.uniform(0.0, math.pi / 2)
    for k in range(4):
        a = turn + math.pi * k / 2
        dx, dy = math.cos(a), math.sin(a)
        c.line([(0.0, -0.13), (0.36 * dx, -0.13 + 0.36 * dy)], 0.03, (110, 76, 56))
        x, y, px, py = 0.1 * dx, -0.13 + 0.1 * dy, -0.09 * dy, 0.09 * dx
        far = x + 0.26 * dx, y + 0.26 * dy
        c.polygon([(x, y), far, (far[0] + px, far[1] + py), (x + px, y + py)], (226, 120, 84))
    c.disc(0.0, -0.13, 0.04, DARK)


def _balloon(c: Canvas, rng: np.random.Generator) -> None:
    red = vary(rng, (232, 64, 60))
    for s in (-1, 1):
        c.line([(s * 0.18, 0.1), (s * 0.06, 0.34)], 0.016, (110, 80, 60))
    c.polygon([(-0.3, 0.02), (0.3, 0.02), (0.1, 0.25), (-0.1, 0.25)], red)
    c.ellipse(0.0, -0.14, 0.35, 0.34, red)
    c.ellipse(0.0, -0.14, 0.22, 0.34, (255, 214, 90))
    c.polygon([(-0.19, 0.02), (0.19, 0.02), (0.06, 0.25), (-0.06, 0.25)], (255, 214, 90))
    c.ellipse(0.0, -0.14, 0.09, 0.34, red)
    c.box(-0.09, 0.33, 0.09, 0.48, (150, 100, 60), radius=0.03)


def _house(c: Canvas, rng: np.random.Generator) -> None:
    wall, roof = vary(rng, (250, 234, 200), 6), vary(rng, (196, 66, 52))
    c.box(0.15, -0.42, 0.25, -0.1, mix(roof, DARK, 0.4))
    c.box(-0.36, -0.06, 0.36, 0.46, wall)
    c.polygon([(-0.47, -0.04), (0.0, -0.45), (0.47, -0.04)], roof)
    c.box(-0.08, 0.16, 0.1, 0.46, (124, 82, 60))
    c.box(-0.29, 0.08, -0.15, 0.24, GLASS)
    c.box(0.17, 0.08, 0.3, 0.24, GLASS)


def _tractor(c: Canvas, rng: np.random.Generator) -> None:
    body = vary(rng, (222, 40, 40))
    c.box(0.28, -0.32, 0.33, 0.0, DARK)
    c.box(-0.32, -0.4, 0.06, 0.05, body, radius=0.04)
    c.box(-0.26, -0.33, 0.0, -0.08, GLASS)
    c.box(-0.2, -0.06, 0.44, 0.2, body, radius=0.04)
    _wheel(c, -0.2, 0.2, 0.26)
    _wheel(c, 0.3, 0.31, 0.15)


def _kite(c: Canvas, rng: np.random.Generator) -> None:
    a, b = vary(rng, (240, 70, 120)), (255, 204, 60)
    c.polygon([(0.0, -0.48), (0.3, -0.14), (0.0, 0.24)], a)
    c.polygon([(0.0, -0.48), (-0.3, -0.14), (0.0, 0.24)], b)
    c.polygon([(0.0, -0.14), (0.3, -0.14), (0.0, 0.24)], mix(a, DARK, 0.25))
    c.polygon([(0.0, -0.14), (-0.3, -0.14), (0.0, 0.24)], (110, 190, 240))
    c.line([(0.0, 0.24), (0.08, 0.33), (-0.04, 0.4), (0.05, 0.48)], 0.02, WHITE)
    for x, y in ((0.06, 0.32), (-0.02, 0.41)):
        c.polygon([(x - 0.07, y - 0.04), (x + 0.07, y + 0.04), (x + 0.07, y - 0.04)], a)


def _boat(c: Canvas, rng: np.random.Generator) -> None:
    hull = vary(rng, (192, 50, 46))
    c.line([(0.0, 0.2), (0.0, -0.46)], 0.035, (120, 84, 60))
    c.polygon([(0.04, -0.46), (0.4, 0.14), (0.04, 0.14)], WHITE)
    c.polygon([(-0.04, -0.36), (-0.3, 0.14), (-0.04, 0.14)], (252, 206, 110))
    c.polygon([(-0.46, 0.2), (0.46, 0.2), (0.3, 0.44), (-0.32, 0.44)], hull)
    c.polygon([(-0.46, 0.2), (0.46, 0.2), (0.42, 0.26), (-0.43, 0.26)], WHITE)


def _lighthouse(c: Canvas, rng: np.random.Generator) -> None:
    red = vary(rng, (214, 50, 52))
    c.polygon([(-0.11, -0.2), (0.11, -0.2), (0.19, 0.46), (-0.19, 0.46)], WHITE)
    for y in (-0.1, 0.14, 0.36):
        # the tower tapers: half its width at the upper and lower edge of a stripe
        top, low = 0.11 + 0.121 * (y + 0.2), 0.11 + 0.121 * (y + 0.3)
        c.polygon([(-top, y), (top, y), (low, y + 0.1), (-low, y + 0.1)], red)
    for s in (-1, 1):
        c.polygon([(0.0, -0.29), (s * 0.48, -0.4), (s * 0.48, -0.18)], (255, 240, 160))
    c.box(-0.09, -0.36, 0.09, -0.2, (255, 232, 120))
    c.slice(0.0, -0.35, 0.12, 0.14, red, arc=(180, 360))
    c.box(-0.15, -0.22, 0.15, -0.18, DARK)


def _buoy(c: Canvas, rng: np.random.Generator) -> None:
    orange = vary(rng, (250, 116, 40))
    c.polygon([(-0.06, -0.3), (0.06, -0.3), (0.22, 0.22), (-0.22, 0.22)], orange)
    c.polygon([(-0.11, -0.12), (0.11, -0.12), (0.165, 0.06), (-0.165, 0.06)], WHITE)
    c.disc(0.0, -0.36, 0.1, (255, 226, 100))
    c.ellipse(0.0, 0.28, 0.4, 0.15, (60, 70, 90))
    c.ellipse(0.0, 0.22, 0.36, 0.1, orange)


def _plane(c: Canvas, rng: np.random.Generator) -> None:
    body = vary(rng, (244, 246, 250), 4)
    c.polygon([(-0.42, -0.02), (-0.48, -0.28), (-0.36, -0.28), (-0.22, -0.04)], (40, 120, 210))
    c.polygon([(-0.02, 0.0), (-0.14, -0.24), (-0.04, -0.24), (0.18, 0.0)], (150, 166, 190))
    c.box(-0.46, -0.1, 0.48, 0.12, body, radius=0.11)
    c.box(-0.4, 0.03, 0.44, 0.08, (40, 120, 210))
    for x in (-0.2, -0.08, 0.04, 0.16):
        c.disc(x, -0.03, 0.028, DARK)
    c.polygon([(0.12, 0.06), (-0.1, 0.34), (-0.2, 0.34), (-0.06, 0.06)], (120, 138, 166))


def _tent(c: Canvas, rng: np.random.Generator) -> None:
    cloth = vary(rng, (240, 150, 40))
    c.polygon([(0.0, -0.38), (0.48, 0.42), (-0.48, 0.42)], cloth)
    c.polygon([(0.0, -0.38), (0.48, 0.42), (0.2, 0.42)], mix(cloth, DARK, 0.25))
    c.polygon([(0.0, -0.12), (0.16, 0.42), (-0.16, 0.42)], (70, 50, 50))
    c.line([(0.0, -0.36), (0.0, -0.48)], 0.03, DARK)


def _car(c: Canvas, rng: np.random.Generator) -> None:
    paint = vary(rng, (226, 52, 56))
    c.polygon([(-0.3, 0.0), (-0.18, -0.24), (0.16, -0.24), (0.32, 0.0)], paint)
    c.polygon([(-0.22, 0.0), (-0.14, -0.18), (-0.01, -0.18), (-0.01, 0.0)], GLASS)
    c.polygon([(0.03, 0.0), (0.03, -0.18), (0.13, -0.18), (0.23, 0.0)], GLASS)
    c.box(-0.48, -0.03, 0.48, 0.2, paint, radius=0.08)
    c.disc(0.43, 0.05, 0.04, (255, 240, 150))
    _wheel(c, -0.27, 0.2, 0.13)
    _wheel(c, 0.27, 0.2, 0.13)


def _pyramid(c: Canvas, rng: np.random.Generator) -> None:
    stone = vary(rng, (236, 196, 116), 6)
    c.polygon([(0.0, -0.4), (0.48, 0.38), (-0.48, 0.38)], stone)
    c.polygon([(0.0, -0.4), (0.48, 0.38), (0.12, 0.38)], mix(stone, (96, 60, 40), 0.5))
    for y in (-0.14, 0.04, 0.22):
        # width of the pyramid at this height
        half = 0.48 * (y + 0.4) / 0.78
        c.line([(-half, y), (half, y)], 0.014, mix(stone, (96, 60, 40), 0.4))


def _rocket(c: Canvas, rng: np.random.Generator) -> None:
    red = vary(rng, (226, 56, 56))
    c.polygon([(-0.11, 0.28), (0.11, 0.28), (0.0, 0.5)], (255, 180, 40))
    for s in (-1, 1):
        c.polygon([(s * 0.14, 0.04), (s * 0.32, 0.36), (s * 0.12, 0.26)], red)
    c.ellipse(0.0, -0.05, 0.18, 0.35, (240, 242, 248))
    c.polygon([(0.0, -0.48), (0.15, -0.23), (-0.15, -0.23)], red)
    c.disc(0.0, -0.06, 0.09, (70, 84, 120))
    c.disc(0.0, -0.06, 0.06, (130, 214, 250))


def _ufo(c: Canvas, rng: np.random.Generator) -> None:
    hull = vary(rng, (150, 160, 186))
    c.polygon([(-0.16, 0.12), (0.16, 0.12), (0.32, 0.48), (-0.32, 0.48)], (220, 250, 160), 0.75)
    c.slice(0.0, -0.04, 0.22, 0.28, (120, 232, 200), arc=(180, 360))
    c.ellipse(0.0, 0.03, 0.47, 0.15, hull)
    c.ellipse(0.0, -0.02, 0.36, 0.08, mix(hull, WHITE, 0.4))
    for x in (-0.32, -0.11, 0.11, 0.32):
        c.disc(x, 0.07, 0.04, (255, 220, 80))


def _bus(c: Canvas, rng: np.random.Generator) -> None:
    paint = vary(rng, (252, 188, 36))
    c.box(-0.48, -0.28, 0.48, 0.28, paint, radius=0.07)
    for x in (-0.42, -0.2, 0.02, 0.24):
        c.box(x, -0.19, x + 0.17, 0.0, (90, 130, 160))
    c.box(-0.48, 0.07, 0.48, 0.12, (200, 90, 30))
    _wheel(c, -0.27, 0.28, 0.12)
    _wheel(c, 0.27, 0.28, 0.12)


def _tower(c: Canvas, rng: np.random.Generator) -> None:
    wall = vary(rng, (96, 206, 214))
    c.line([(0.0, -0.34), (0.0, -0.49)], 0.03, DARK)
    c.box(-0.1, -0.38, 0.1, -0.2, mix(wall, WHITE, 0.3))
    c.box(-0.18, -0.24, 0.18, 0.48, wall)
    for k in range(6):
        y = -0.19 + 0.11 * k
        c.box(-0.13, y, 0.13, y + 0.05, mix(wall, DARK, 0.6))


def _robot(c: Canvas, rng: np.random.Generator) -> None:
    metal = vary(rng, (120, 190, 200))
    c.line([(0.0, -0.36), (0.0, -0.45)], 0.03, DARK)
    c.disc(0.0, -0.45, 0.045, (250, 80, 80))
    for s in (-1, 1):
        c.line([(s * 0.24, 0.0), (s * 0.4, 0.2)], 0.08, mix(metal, DARK, 0.4))
        c.box(s * 0.13 - 0.07, 0.3, s * 0.13 + 0.07, 0.48, mix(metal, DARK, 0.4))
    c.box(-0.24, -0.36, 0.24, -0.06, metal, radius=0.06)
    c.box(-0.26, -0.03, 0.26, 0.34, mix(metal, WHITE, 0.25), radius=0.05)
    for s in (-1, 1):
        c.disc(s * 0.11, -0.22, 0.065, (255, 232, 90))
    c.disc(0.0, 0.14, 0.09, (250, 110, 70))


def _snowman(c: Canvas, rng: np.random.Generator) -> None:
    scarf = vary(rng, (214, 44, 60))
    for s in (-1, 1):
        c.line([(s * 0.2, -0.02), (s * 0.45, -0.18)], 0.03, (104, 70, 50))
    c.disc(0.0, 0.24, 0.25, mix(WHITE, (120, 160, 210), 0.18))
    c.disc(0.0, -0.02, 0.19, WHITE)
    c.disc(0.0, -0.24, 0.14, WHITE)
    c.box(-0.17, -0.15, 0.17, -0.09, scarf, radius=0.03)
    c.box(-0.18, -0.37, 0.18, -0.33, DARK)
    c.box(-0.11, -0.5, 0.11, -0.34, DARK)
    c.polygon([(0.0, -0.25), (0.17, -0.21), (0.0, -0.19)], (250, 130, 40))
    for x, y in ((-0.05, -0.28), (0.06, -0.28), (0.0, -0.03), (0.0, 0.07)):
        c.disc(x, y, 0.024, DARK)


def _castle(c: Canvas, rng: np.random.Generator) -> None:
    stone, roof = vary(rng, (190, 178, 180), 6), vary(rng, (60, 84, 160))
    c.box(-0.3, -0.02, 0.3, 0.46, mix(stone, DARK, 0.15))
    for x in (-0.2, -0.02, 0.16):
        c.box(x - 0.04, -0.1, x + 0.06, 0.0, mix(stone, DARK, 0.15))
    for s in (-1, 1):
        c.box(s * 0.36 - 0.11, -0.18, s * 0.36 + 0.11, 0.46, stone)
        c.polygon([(s * 0.36, -0.48), (s * 0.36 + 0.14, -0.16), (s * 0.36 - 0.14, -0.16)], roof)
    c.slice(0.0, 0.28, 0.12, 0.14, (90, 60, 50), arc=(180, 360))
    c.box(-0.12, 0.27, 0.12, 0.46, (90, 60, 50))


def _umbrella(c: Canvas, rng: np.random.Generator) -> None:
    red = vary(rng, (236, 60, 70))
    c.line([(0.0, -0.1), (0.0, 0.47)], 0.045, (160, 120, 86))
    c.slice(0.0, 0.04, 0.48, 0.48, red, arc=(180, 360))
    c.slice(0.0, 0.04, 0.29, 0.48, WHITE, arc=(180, 360))
    c.slice(0.0, 0.04, 0.11, 0.48, red, arc=(180, 360))
    c.disc(0.0, -0.44, 0.04, DARK)


def _ball(c: Canvas, rng: np.random.Generator) -> None:
    tones: list[Colour] = [vary(rng, t) for t in ((236, 66, 66), (252, 210, 60), (60, 150, 230))]
    turn = rng.uniform(0.0, 120.0)
    for k in range(6):
        tone = WHITE if k % 2 else tones[k // 2]
        c.slice(0.0, 0.0, 0.42, 0.42, tone, arc=(turn + 60 * k, turn + 60 * (k + 1)))
    c.disc(0.0, 0.0, 0.09, WHITE)


def _flag(c: Canvas, rng: np.random.Generator) -> None:
    cloth = vary(rng, (50, 110, 220))
    c.line([(-0.3, 0.47), (-0.3, -0.45)], 0.05, (214, 214, 220))
    x = np.linspace(-0.27, 0.46, 12)
    # all three stripes follow one wave
    wave = 0.04 * np.sin(9.0 * x)
    for top, low, tone in ((-0.44, -0.27, cloth), (-0.27, -0.1, WHITE), (-0.1, 0.07, cloth)):
        upper = list(zip(x.tolist(), (top + wave).tolist(), strict=True))
        lower = list(zip(x.tolist(), (low + wave).tolist(), strict=True))
        c.polygon(upper + lower[::-1], tone)


THINGS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "Windmill": _windmill,
    "Balloon": _balloon,
    "House": _house,
    "Tractor": _tractor,
    "Kite": _kite,
    "Boat": _boat,
    "Lighthouse": _lighthouse,
    "Buoy": _buoy,
    "Plane": _plane,
    "Tent": _tent,
    "Car": _car,
    "Pyramid": _pyramid,
    "Rocket": _rocket,
    "Ufo": _ufo,
    "Bus": _bus,
    "Tower": _tower,
    "Robot": _robot,
    "Snowman": _snowman,
    "Castle": _castle,
    "Umbrella": _umbrella,
    "Ball": _ball,
    "Flag": _flag,
}
