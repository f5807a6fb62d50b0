"""`planted`: classes of a set that differ in one kind of motion only, on plain ground.

Four data sets, one per kind of motion (`MOTIONS`). In `translation` the shapes of a clip move left,
right, up or down; in `none` nothing moves and the class is the kind of shape. `rotation` and `zoom`
show a mosaic of textures, each about as wide as a filter of the first layer: in `rotation` all
of them turn about their own centres, clockwise or counterclockwise, or are still; in `zoom` all
grow from their centres or shrink, or are still. Turning and growing that fill the picture would be
translations at every place but one, as far as a small filter can see. Directions are as
seen in the picture. What a study finds in networks trained on these sets can be compared with the
motion that was planted.

A single frame has the same distribution in all classes of a motion set, at every moment of a clip,
because all motion is periodic and starts at a uniformly random phase. On the plane (translation,
none) places are uniform, and a shape that leaves at the right comes in at the left. A texture is a
sum of spiral waves cos(m angle + k ln distance + phase): turning and growing move the phases alone.
Kind of shape, colours and speed are drawn without knowing the class (the kind is the class in
`none`), and opposite classes are each other played backwards, to the last bit.

Layout, that of `threetconv.data.adapters.folder`: ``<root>/{train,val}/<class>/<number>/00001.png
...``
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from threetconv.data.synthetic import rendering
from threetconv.errors import look_up

__all__ = ["MOTIONS", "OPPOSITE", "render_planted", "render_planted_clip"]

Array = NDArray[np.float64]

COUNT = (2, 4)  # shapes in a clip, fewest and most
RADIUS = (0.15, 0.35)  # of a shape, smallest and largest, in shorter sides
PATCH = 10.0  # px between the centres of textures: the first layer's filters are 7 px wide
WAVES, ORDERS = 3, (1, 2)  # of a texture; waves around the centre, and per factor e of distance
SPEED = {  # over a clip, least and greatest
    "x": (0.40, 0.80),  # shorter sides
    "y": (0.40, 0.80),
    "turn": (0.40, 0.80),  # full turns
    "growth": (2.5, 5.0),  # natural logarithm of the ratio of sizes: a wave's phase as for a turn
}
DARK, LIGHT = (0.0, 0.35), (0.65, 1.0)  # red, green and blue of the ground, and of the shapes
FINER = 4  # drawn this many times finer and averaged down


def _round(corners: int) -> list[tuple[float, float]]:
    """Corners of a regular figure in a circle of radius 1, one of them at the top."""
    angles = 2.0 * math.pi * np.arange(corners) / corners
    return [(math.sin(a), -math.cos(a)) for a in angles]


SHAPES: dict[str, list[tuple[float, float]]] = {  # outlines in a circle of about radius 1
    "bar": [(-1.0, -0.28), (1.0, -0.28), (1.0, 0.28), (-1.0, 0.28)],
    "cross": [
        (x * turn_x - y * turn_y, x * turn_y + y * turn_x)
        for turn_x, turn_y in ((1, 0), (0, 1), (-1, 0), (0, -1))
        for x, y in ((0.25, -0.25), (0.98, -0.25), (0.98, 0.25))
    ],
    "disc": [(0.8 * x, 0.8 * y) for x, y in _round(32)],
    "triangle": _round(3),
}

MOTIONS: dict[str, tuple[str, ...]] = {
    "translation": ("left", "right", "up", "down"),
    "rotation": ("clockwise", "counterclockwise", "still"),
    "zoom": ("growing", "shrinking", "still"),
    "none": tuple(SHAPES),
}
"""Kind of motion -> its classes."""

_MOVES = {"right": "x", "down": "y", "clockwise": "turn", "growing": "growth"}  # forwards
OPPOSITE = {"left": "right", "up": "down", "counterclockwise": "clockwise", "shrinking": "growing"}
OPPOSITE |= {forwards: backwards for backwards, forwards in OPPOSITE.items()}


def render_planted_clip(
    label: str, *, frames: int, size: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Render one clip.

    Args:
        label: a class out of `MOTIONS`.
        frames: number of frames T.
        size: height H and width W, px.
        rng: the source of all that varies. With generators in the same state the clips of
            opposite classes are each other played backwards.

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        InputError: no class of that name.
    """
    look_up({name: motion for motion, names in MOTIONS.items() for name in names}, label,
            what="planted class")  # fmt: skip
    if label in OPPOSITE and label not in _MOVES:
        # rendered forwards and reversed, so that single frames cannot tell the two apart
        forwards = render_planted_clip(OPPOSITE[label], frames=frames, size=size, rng=rng)
        return np.ascontiguousarray(forwards[::-1])
    kinds = list(SHAPES)
    kind = kinds[rng.integers(len(kinds))]
    # all is drawn in one order whatever the class, so equal generators give equal pictures; also
    # the speeds that the class does not use
    speed = {name: float(rng.uniform(*bounds)) for name, bounds in SPEED.items()}
    ground, paint = _colours(rng)
    time = np.linspace(0.0, 1.0, frames) if frames > 1 else np.zeros(1)
    moved = {name: np.zeros(frames) for name in SPEED}
    if label in _MOVES:
        moved[_MOVES[label]] = speed[_MOVES[label]] * time
    if label in MOTIONS["rotation"] + MOTIONS["zoom"]:
        covers = _mosaic(rng, moved, size)
    else:
        covers = _shapes(rng, SHAPES[label if label in SHAPES else kind], moved, size)
    film = np.empty((frames, *size, 3), np.uint8)
    for t, cover in enumerate(covers):
        film[t] = np.rint(ground + cover[..., None] * (paint - ground))
    return film


def _mosaic(
    rng: np.random.Generator, moved: dict[str, Array], size: tuple[int, int]
) -> Iterator[Array]:
    """(H, W) in [0, 1], frame by frame: textures about the centres of square patches."""
    x, y = (
        (np.arange(FINER * length) + 0.5) / FINER / PATCH + rng.random() for length in size[::-1]
    )
    column, row = np.meshgrid(np.floor(x).astype(int), np.floor(y).astype(int))
    dx, dy = np.meshgrid(x % 1.0 - 0.5, y % 1.0 - 0.5)  # from the patch's centre, in patches
    distance = np.hypot(dx, dy)
    shape = (WAVES, row.max() + 1, column.max() + 1)
    around, outwards = (rng.choice(ORDERS, shape) * rng.choice((-1, 1), shape) for _ in range(2))
    phase = 2.0 * math.pi * rng.random(shape)
    patch = (slice(None), row, column)
    # 1 / 16: nearer to the centre waves would be finer than a pixel
    spiral = (
        around[patch] * np.arctan2(dy, dx)
        + outwards[patch] * np.log(np.maximum(distance, 1 / 16))
        + phase[patch]
    )
    window = np.clip(4.0 * (0.5 - distance), 0.0, 1.0)  # no edges that move
    for turn, growth in zip(2.0 * math.pi * moved["turn"], moved["growth"], strict=True):
        # a picture that has turned by `turn` shows at an angle what was at angle - turn
        shift = (around * turn + outwards * growth)[patch]
        wave = np.cos(spiral - shift).sum(axis=0)
        cover = window * (0.5 + 0.5 * np.tanh(1.5 * wave))
        yield cover.reshape(size[0], FINER, size[1], FINER).mean(axis=(1, 3))


def _shapes(
    rng: np.random.Generator,
    outline: list[tuple[float, float]],
    moved: dict[str, Array],
    size: tuple[int, int],
) -> Iterator[Array]:
    """The same of shapes on the plane."""
    count = int(rng.integers(*COUNT, endpoint=True))
    mirror = rng.choice((-1.0, 1.0), count)
    tracks = _on_the_plane(rng.random((4, count)), moved, size)
    for t in range(tracks.shape[1]):
        yield _cover(tracks[:, t], np.array(outline), mirror, size)


def _on_the_plane(start: Array, moved: dict[str, Array], size: tuple[int, int]) -> Array:
    """x, y and radius in px and angle in radians of every shape; (4, T, shapes)."""
    height, width = size
    side = min(size)
    low, high = (math.log(radius) for radius in RADIUS)
    x = (start[0] + moved["x"][:, None] * side / width) % 1.0
    y = (start[1] + moved["y"][:, None] * side / height) % 1.0
    still = np.zeros_like(x)
    # uniform in the logarithm; `+ still` only broadcasts to (T, shapes)
    radius = side * np.exp(low + (high - low) * start[2]) + still
    return np.stack([width * x, height * y, radius, 2.0 * math.pi * start[3] + still])


def _cover(tracks: Array, outline: Array, mirror: Array, size: tuple[int, int]) -> Array:
    """(H, W) how much of each pixel is covered by shapes, in [0, 1].

    What leaves the frame is shown on the other side.

    Args:
        tracks: (4, shapes) x, y, radius, angle.
        outline: (corners, 2) of a shape of radius 1.
        mirror: (shapes,) -1 for a shape seen in the mirror.
    """
    height, width = size
    picture = Image.new("L", (FINER * width, FINER * height))
    pen = ImageDraw.Draw(picture)
    for (x, y, radius, angle), side in zip(tracks.T, mirror, strict=True):
        cos, sin = math.cos(angle), math.sin(angle)  # y points down: clockwise as seen
        points = radius * (outline * (side, 1.0)) @ np.array([[cos, sin], [-sin, cos]])
        # 1.1: some corners lie a little outside a circle of radius 1
        for dx in _copies(x, 1.1 * radius, width):
            for dy in _copies(y, 1.1 * radius, height):
                placed = FINER * np.add(points, (x + dx, y + dy)) - 0.5
                pen.polygon([tuple(p) for p in placed.tolist()], fill=255)
    return np.asarray(picture.reduce(FINER), np.float64) / 255.0


def _copies(place: float, radius: float, period: int) -> list[int]:
    """Shifts by whole periods that show a shape, or a part of it, inside the frame."""
    return [shift for shift in (-period, 0, period) if -radius < place + shift < period + radius]


def _colours(rng: np.random.Generator) -> tuple[Array, Array]:
    """Ground and paint, RGB of 255: light shapes of any hue on dark ground of any hue."""
    return 255.0 * rng.uniform(*DARK, 3), 255.0 * rng.uniform(*LIGHT, 3)


def _render(job: rendering.ClipJob) -> None:
    rendering.write_frames(job.path, job.film(render_planted_clip), ".png", compress_level=1)


def render_planted(
    root: str | Path,
    *,
    motion: str,
    clips: Mapping[str, int],
    frames: tuple[int, int] = (16, 16),
    size: tuple[int, int] = (32, 32),
    seed: int = 0,
    workers: int = 1,
    progress: rendering.Progress | None = None,
) -> None:
    """Render one of the four sets; `root` appears when it is complete.

    Args:
        root: the folder to make; must not exist yet, or be empty.
        motion: a key of `MOTIONS`.
        clips: clips in all of each split ("train", "val"), dealt evenly over the classes.
        frames: least and greatest length of a clip, drawn evenly per clip.
        size: height and width, px.
        seed: a non-negative integer; every clip's generator is seeded by (seed, split, class,
            number in its class), so the bytes depend on nothing else.
        workers: processes; their number does not change a single byte.
        progress: called with (clips done, clips in all).

    Raises:
        InputError: an unknown motion or split, fewer clips than classes, impossible lengths or
            sizes, or a `root` with something in it.
    """
    labels = look_up(MOTIONS, motion, what="planted motion")
    rendering.check_lengths(frames, least=2)
    rendering.check_size(size)
    counts = rendering.shares(clips, labels, what="clips")
    with rendering.new_folder(root) as folder:
        jobs = [
            rendering.ClipJob(
                folder / split / labels[k] / f"{number:05d}", labels[k], frames, size, own
            )
            for split, k, seeds in rendering.class_seeds(counts, seed)
            for number, own in enumerate(seeds)
        ]
        rendering.run_jobs(_render, jobs, workers=workers, progress=progress)
