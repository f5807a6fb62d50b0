"""Motion of camera, object and light in a synthetic clip, drawn independently of its class."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Motion", "draw_motion", "margin"]

PAN, TURN, ZOOM, SHAKE = 0.22, 0.20, 0.36, 0.018  # largest camera travel over a clip, and shake
NEAREST_ZOOM = 1.05  # mean zoom, so that the window is a little smaller than the scene


@dataclass(frozen=True)
class Motion:
    """Movement and light of one clip; lengths in frame heights, angles in radians (clockwise).

    Travel, turn and zoom are totals over the clip: a short clip moves faster than a long one.
    """

    pan_x: float
    pan_y: float
    turn: float
    zoom: float  # ln(last zoom / first zoom)
    shake: float
    shake_rate: float  # periods per clip
    shake_phase: float
    object_x: float  # place at mid-clip, relative to the middle of the scene
    object_y: float
    object_dx: float
    object_dy: float
    object_growth: float  # ln(last size / first size)
    object_size: float
    object_swing: float
    object_rate: float
    object_phase: float
    light: float  # ln of the gain
    light_drift: float  # change of it over the clip
    warmth: float  # relative gain of red over green, and of green over blue
    noise: float  # standard deviation, grey levels of 255

    def camera(self, frames: int) -> tuple[np.ndarray, ...]:
        """Camera x, y (from the middle of the scene), angle and zoom; four arrays (frames,)."""
        time = _time(frames)
        phase = 2.0 * math.pi * self.shake_rate * time + self.shake_phase
        x = self.pan_x * time + self.shake * np.sin(phase)
        y = self.pan_y * time + self.shake * np.sin(1.37 * phase + 1.0)
        angle = self.turn * time + 0.5 * self.shake * np.sin(0.83 * phase)
        return x, y, angle, NEAREST_ZOOM * np.exp(self.zoom * time)

    def object(self, frames: int) -> tuple[np.ndarray, ...]:
        """Object x, y (from the middle of the scene), angle and size; four arrays (frames,)."""
        time = _time(frames)
        phase = 2.0 * math.pi * self.object_rate * time + self.object_phase
        x = self.object_x + self.object_dx * time
        y = self.object_y + self.object_dy * time + 0.1 * self.object_swing * np.sin(2.0 * phase)
        angle = self.object_swing * np.sin(phase)
        return x, y, angle, self.object_size * np.exp(self.object_growth * time)

    def gain(self, frames: int) -> np.ndarray:
        """Factor on red, green and blue; (frames, 3)."""
        level = np.exp(self.light + self.light_drift * _time(frames))
        return level[:, None] * np.array([1.0 + self.warmth, 1.0, 1.0 - self.warmth])


def _time(frames: int) -> np.ndarray:
    """-0.5..0.5 over the clip; (frames,)."""
    return np.linspace(-0.5, 0.5, frames) if frames > 1 else np.zeros(1)


def draw_motion(rng: np.random.Generator, *, aspect: float = 1.0) -> Motion:
    """Draw one clip's movement. Each kind is absent in some clips; most clips have several kinds.

    Args:
        aspect: frame width / height; wider frames leave the object more room.
    """

    def perhaps(largest: float, share: float = 0.6) -> float:
        present, value = rng.random() < share, rng.uniform(-largest, largest)
        return float(value) if present else 0.0

    return Motion(
        pan_x=perhaps(PAN),
        pan_y=perhaps(PAN),
        turn=perhaps(TURN),
        zoom=perhaps(ZOOM),
        shake=abs(perhaps(SHAKE)),
        shake_rate=float(rng.uniform(1.0, 4.0)),
        shake_phase=float(rng.uniform(0.0, 2.0 * math.pi)),
        object_x=float(rng.uniform(-0.24, 0.24) * aspect),
        object_y=float(rng.uniform(0.02, 0.2)),
        object_dx=perhaps(0.36 * aspect, 0.8),
        object_dy=perhaps(0.18),
        object_growth=perhaps(0.3),
        object_size=float(rng.uniform(0.3, 0.52)),
        object_swing=abs(perhaps(0.3)),
        object_rate=float(rng.uniform(0.5, 2.5)),
        object_phase=float(rng.uniform(0.0, 2.0 * math.pi)),
        light=float(np.clip(rng.normal(-0.03, 0.13), -0.35, 0.12)),
        light_drift=perhaps(0.12, 0.4),
        warmth=float(np.clip(rng.normal(0.0, 0.05), -0.12, 0.12)),
        noise=float(rng.uniform(0.0, 5.0)),
    )


def margin(aspect: float) -> tuple[float, float]:
    """How far the scene must reach beyond the frame, (sideways, up and down), frame heights.

    The corner of the frame at the widest zoom, the largest turn and the farthest pan.
    """
    turn = 0.5 * TURN + 0.5 * SHAKE
    widest = NEAREST_ZOOM * math.exp(-0.5 * ZOOM)
    away = 0.5 * PAN + SHAKE
    side = 0.5 * (aspect * math.cos(turn) + math.sin(turn)) / widest + away - 0.5 * aspect
    rise = 0.5 * (aspect * math.sin(turn) + math.cos(turn)) / widest + away - 0.5
    return side, rise
