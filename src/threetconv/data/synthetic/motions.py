"""Motions of a hand: gesture name -> pose of the hand in every frame.

A pose has a few coordinates (place, size, turn, openness of the fingers ...). A gesture moves one
of them and leaves the others at rest. A resting coordinate takes the value that it would have at a
random moment of its own sweep. So a random frame of a swipe, a push, a pull, a turn or a zoom has
the same distribution whatever the gesture; only the change over time tells them apart. Opposite
gestures are each other played backwards, to the bit.

Gestures of two fingers and of the thumb need their hand shape (the names say so); within the
two-finger gestures the shape (index and middle finger, or thumb and index) is drawn independently
of the class. Directions are as seen in the picture: "left" is towards the left edge, "clockwise"
as a clock in the picture turns, "away" (pushed at the viewer) makes the hand larger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from threetconv.errors import look_up

__all__ = ["OPPOSITE", "Poses", "poses"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Poses:
    """The hand in T frames.

    Attributes:
        x, y: (T,) centre of the palm as a fraction of the picture's width and height (y down).
        size: (T,) natural logarithm of the hand's length as a fraction of the shorter side.
        angle: (T,) degrees clockwise in the picture; 0 points up.
        lean: (T,) degrees added to `angle`, towards the side away from the thumb.
        arm: (T,) share of the hand's angle that the forearm follows.
        pitch: (T,) degrees, positive tips the fingers towards the viewer.
        yaw: (T,) degrees about the hand's own long axis.
        curl: (T, 5) thumb to little finger, 0 straight, 1 folded into the palm.
        splay: (T, 5) degrees in the plane of the palm, positive towards the little finger.
    """

    x: Array
    y: Array
    size: Array
    angle: Array
    lean: Array
    arm: Array
    pitch: Array
    yaw: Array
    curl: Array
    splay: Array

    def reversed(self) -> Poses:
        """The same motion played backwards."""
        return Poses(**{f.name: getattr(self, f.name)[::-1] for f in fields(self)})


@dataclass(frozen=True)
class Range:
    """Range of a coordinate: centre, jitter of the centre, width of a sweep, size of the tremor."""

    centre: float
    jitter: float
    sweep: tuple[float, float]
    tremor: float


RANGES = {
    "x": Range(0.5, 0.04, (0.40, 0.54), 0.004),
    "y": Range(0.56, 0.04, (0.32, 0.46), 0.004),
    "size": Range(np.log(0.62), 0.06, (0.50, 0.75), 0.01),
    "angle": Range(0.0, 10.0, (80.0, 120.0), 1.0),
    "open": Range(0.5, 0.05, (0.80, 1.00), 0.02),
    "pitch": Range(0.0, 8.0, (0.0, 16.0), 1.0),
    "yaw": Range(0.0, 8.0, (0.0, 24.0), 1.0),
}

Tracks = dict[str, Array]
Motion = Callable[[Tracks, int, np.random.Generator], None]


def _progress(frames: int, rng: np.random.Generator) -> Array:
    """(T,) from 0 to 1: waits, moves smoothly, rests; has the same distribution backwards."""
    wait, rest = rng.uniform(0.0, 0.28, 2)
    # wait at the start and rest at the end have the same distribution, and smoothstep is symmetric
    u = np.clip((np.linspace(0.0, 1.0, frames) - wait) / (1.0 - wait - rest), 0.0, 1.0)
    return u * u * (3.0 - 2.0 * u)


def _sweep(name: str, frames: int, rng: np.random.Generator) -> Array:
    """(T,) one coordinate going from its low end to its high end."""
    r = RANGES[name]
    centre = r.centre + rng.uniform(-r.jitter, r.jitter)
    return centre + rng.uniform(*r.sweep) * (_progress(frames, rng) - 0.5)


def _tremor(name: str, frames: int, rng: np.random.Generator) -> Array:
    cycles, phase = rng.uniform(0.5, 2.0), rng.uniform(0.0, 2.0 * np.pi)
    wave = np.sin(2.0 * np.pi * cycles * np.linspace(0.0, 1.0, frames) + phase)
    return RANGES[name].tremor * wave


def _resting(frames: int, variety: float, rng: np.random.Generator) -> Tracks:
    """All coordinates still, each where its sweep would be at a random moment."""
    tracks = {}
    for name, r in RANGES.items():
        # a random moment of a sweep that could have been: the distribution of the moving coordinate
        place = rng.choice(_sweep(name, frames, rng))
        # `variety` pulls it towards the centre
        tracks[name] = np.full(frames, r.centre + variety * (place - r.centre))
    return tracks


def _swing(frames: int, cycles: tuple[float, float], rng: np.random.Generator) -> Array:
    """(T,) phase in radians that runs through some cycles from a random start."""
    turns, start = rng.uniform(*cycles), rng.uniform(0.0, 2.0 * np.pi)
    return start + 2.0 * np.pi * turns * np.linspace(0.0, 1.0, frames)


def _sweep_of(name: str) -> Motion:
    def motion(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
        tracks[name] = _sweep(name, frames, rng)

    return motion


def _roll(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """A circle seen from its rim: over the top towards the viewer, back below."""
    phase = _swing(frames, (1.2, 2.2), rng)
    tracks["y"] = tracks["y"] - rng.uniform(0.12, 0.17) * np.sin(phase)
    tracks["size"] = tracks["size"] - rng.uniform(0.18, 0.26) * np.cos(phase)
    tracks["pitch"] = tracks["pitch"] + rng.uniform(15.0, 30.0) * np.cos(phase)


def _shake(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """To and fro about the elbow."""
    wave = np.sin(_swing(frames, (2.0, 3.2), rng))
    tracks["angle"] = tracks["angle"] + rng.uniform(16.0, 26.0) * wave
    tracks["x"] = tracks["x"] + rng.uniform(0.08, 0.13) * wave


def _drum(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """Fingers tap one after the other, the little finger first."""
    phase = _swing(frames, (2.0, 3.2), rng)[:, None] + np.arange(5) * 0.9
    depth = rng.uniform(0.45, 0.65)
    # the thumb moves less than the fingers
    tracks["tap"] = depth * np.maximum(np.sin(phase), 0.0) * np.array([0.3, 1, 1, 1, 1])


def _stop(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """The hand flips up, fingers open, and stays."""
    start, lasts = rng.uniform(0.08, 0.28), rng.uniform(0.18, 0.32)
    u = np.clip((np.linspace(0.0, 1.0, frames) - start) / lasts, 0.0, 1.0)
    up = u * u * (3.0 - 2.0 * u)
    tracks["pitch"] = tracks["pitch"] + rng.uniform(65.0, 80.0) * (1.0 - up)
    tracks["open"] = tracks["open"] + (1.0 - tracks["open"]) * up
    tracks["y"] = tracks["y"] + 0.12 * (0.5 - up)


def _thumb(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """The fist rolls about the forearm, and the thumb comes up."""
    way = rng.choice((-1.0, 1.0))
    tracks["yaw"] = way * 180.0 * (1.0 - _progress(frames, rng)) + 0.4 * tracks["yaw"]
    tracks["angle"] = 0.35 * tracks["angle"]
    tracks["y"] = 0.5 + 0.6 * (tracks["y"] - RANGES["y"].centre)  # room for the thumb
    tracks["lean"] = np.full(frames, 90.0)


def _nothing(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """The hand rests."""


def _wander(tracks: Tracks, frames: int, rng: np.random.Generator) -> None:
    """Every coordinate drifts its own smooth way: a motion, but none that has a name."""
    for name, r in RANGES.items():
        wave = sum(np.sin(_swing(frames, (0.4, 1.6), rng)) for _ in range(2)) / 2.0
        tracks[name] = tracks[name] + 0.45 * np.mean(r.sweep) * wave


_ANY = ("open", "two fingers", "pinch")
_TWO = ("two fingers", "pinch")
_OPEN = ("open",)

# name -> (hand shapes, motion); a string in place of a motion: that gesture played backwards
_BOOK: dict[str, tuple[tuple[str, ...], Motion | str]] = {
    "Swiping Left": (_OPEN, "Swiping Right"),
    "Swiping Right": (_OPEN, _sweep_of("x")),
    "Swiping Down": (_OPEN, _sweep_of("y")),
    "Swiping Up": (_OPEN, "Swiping Down"),
    "Pushing Hand Away": (_OPEN, _sweep_of("size")),
    "Pulling Hand In": (_OPEN, "Pushing Hand Away"),
    "Sliding Two Fingers Left": (_TWO, "Sliding Two Fingers Right"),
    "Sliding Two Fingers Right": (_TWO, _sweep_of("x")),
    "Sliding Two Fingers Down": (_TWO, _sweep_of("y")),
    "Sliding Two Fingers Up": (_TWO, "Sliding Two Fingers Down"),
    "Pushing Two Fingers Away": (_TWO, _sweep_of("size")),
    "Pulling Two Fingers In": (_TWO, "Pushing Two Fingers Away"),
    "Rolling Hand Forward": (_OPEN, _roll),
    "Rolling Hand Backward": (_OPEN, "Rolling Hand Forward"),
    "Turning Hand Clockwise": (_OPEN, _sweep_of("angle")),
    "Turning Hand Counterclockwise": (_OPEN, "Turning Hand Clockwise"),
    "Zooming In With Full Hand": (_OPEN, _sweep_of("open")),
    "Zooming Out With Full Hand": (_OPEN, "Zooming In With Full Hand"),
    "Zooming In With Two Fingers": (_TWO, _sweep_of("open")),
    "Zooming Out With Two Fingers": (_TWO, "Zooming In With Two Fingers"),
    "Thumb Up": (("thumb",), _thumb),
    "Thumb Down": (("thumb",), "Thumb Up"),
    "Shaking Hand": (_OPEN, _shake),
    "Stop Sign": (_OPEN, _stop),
    "Drumming Fingers": (_OPEN, _drum),
    "No gesture": (_ANY, _nothing),
    "Doing other things": (_ANY, _wander),
}

OPPOSITE: dict[str, str] = {
    **{name: other for name, (_, other) in _BOOK.items() if isinstance(other, str)},
    **{other: name for name, (_, other) in _BOOK.items() if isinstance(other, str)},
}


def poses(label: str, frames: int, rng: np.random.Generator, *, variety: float = 1.0) -> Poses:
    """Draw one performance of a gesture.

    Args:
        label: one of `GESTURES`.
        frames: number of frames T, at least 2.
        rng: the source of all that varies.
        variety: how far resting coordinates stray from the middle of their range, in [0, 1]. At 1
            as far as the moving one does, so that a frame tells nothing. Less is easier to learn:
            a frame may then hint at *which* coordinate moves, never at its direction.

    Raises:
        InputError: no gesture of that name.
    """
    shapes, motion = look_up(_BOOK, label, what="gesture")
    # the opposite gesture is drawn with the same generator and reversed
    if isinstance(motion, str):
        return poses(motion, frames, rng, variety=variety).reversed()
    shape = shapes[rng.integers(len(shapes))]
    tracks = _resting(frames, variety, rng)
    motion(tracks, frames, rng)
    for name in RANGES:
        tracks[name] = tracks[name] + _tremor(name, frames, rng)
    curl, splay = _fingers(shape, np.clip(tracks["open"], 0.0, 1.0), rng)
    if "tap" in tracks:
        curl = np.minimum(curl + tracks["tap"], 1.0)
    lean = tracks.get("lean", np.zeros(frames))
    return Poses(
        x=tracks["x"],
        y=tracks["y"],
        size=tracks["size"],
        angle=tracks["angle"],
        lean=lean,
        # only thumb gestures have a lean, and there the forearm turns with the fist
        arm=np.where(lean > 0.0, 1.0, 0.45),
        pitch=tracks["pitch"],
        yaw=tracks["yaw"],
        curl=curl,
        splay=splay,
    )


def _fingers(shape: str, opened: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Curl and splay (T, 5) of a hand shape that is `opened` (T,) from 0 to 1."""
    o = opened[:, None]
    loose = rng.uniform(0.0, 0.10, 5)
    folded = np.array([0.5, 1.0, 1.0, 1.0, 1.0])
    # degrees for thumb, index, middle, ring and little finger of an open hand
    spread = np.array([-48.0, -13.0, -2.0, 9.0, 21.0])
    if shape == "open":
        curl = loose + (1.0 - o) * np.array([0.45, 0.62, 0.62, 0.62, 0.62])
        splay = spread * (0.25 + 0.95 * o)
    elif shape == "two fingers":
        curl = np.where([1, 0, 0, 1, 1], folded, loose) + 0.0 * o
        splay = np.array([30.0, -1.0, 1.0, 3.0, 6.0]) + o * np.array([0, -25.0, 20.0, 0, 0])
    elif shape == "pinch":
        curl = np.where([0, 0, 1, 1, 1], folded, loose) + (1 - o) * np.array([0.3, 0.28, 0, 0, 0])
        splay = np.array([-22.0, -2.0, 0.0, 3.0, 6.0]) + o * np.array([-45.0, -6.0, 0, 0, 0])
    else:  # a fist with the thumb out
        curl = np.array([0.0, 1.0, 1.0, 1.0, 1.0]) + 0.0 * o
        splay = np.array([-82.0, 0.0, 0.0, 0.0, 0.0]) + 0.0 * o
    return curl, splay + rng.uniform(-2.5, 2.5, 5)
