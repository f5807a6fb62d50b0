"""Drawing with numpy: shaded round-ended cones (the parts of a hand) and smooth backgrounds.

All coordinates are pixels with the origin at the centre of the top left pixel, x to the right,
y downwards, z towards the viewer. Colours are linear mixes of sRGB values in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cones", "draw_cones", "gradient", "silhouette"]

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Cones:
    """Round-ended cones, K of them in each of T frames.

    Attributes:
        start, end: (T, K, 3) the two ends of the axis, x, y, z in px.
        radius: (T, K, 2) the radius at either end, px.
        colour: (T, K, 3) the colour in [0, 1].
        relief: how round they are, in (0, 1]; less is flatter, as a palm is.
    """

    start: Array
    end: Array
    radius: Array
    colour: Array
    relief: float = 1.0


def draw_cones(
    background: Array,
    groups: list[Cones],
    *,
    frames: int,
    light: Array,
    ambient: float,
    softness: Array,
) -> Array:
    """Paint cones over one still background, antialiased and shaded, in all frames at once.

    Overlapping cones are mixed with weights exp(z / softness), a soft z-buffer, so the order of
    drawing does not matter. Cones of a group share a patch size: group cones of similar size.

    Args:
        background: (H, W, 3).
        groups: what to paint.
        frames: T.
        light: (3,) unit vector towards the light (x, y, z as above).
        ambient: share of the light that falls everywhere, in [0, 1].
        softness: (T,) depth in px over which one cone hides another.

    Returns:
        (T, H, W, 3) float32.
    """
    height, width = background.shape[:2]
    count = frames * height * width
    splats = [
        _splat(c, (height, width), light=light, ambient=ambient, softness=softness) for c in groups
    ]
    where, weight, tint, alpha = (np.concatenate(v) for v in zip(*splats, strict=True))
    cover = np.zeros(count, np.float32)
    # a pixel is covered as far as by the cone that covers it most; `at` since pixels repeat
    np.maximum.at(cover, where, alpha)
    hit = np.flatnonzero(cover)
    # sums over the cones at each pixel
    total = np.bincount(where, weight, count)[hit]
    painted = np.tile(background.reshape(1, height * width, 3), (frames, 1, 1)).reshape(count, 3)
    below = painted[hit]
    for channel in range(3):
        paint = np.bincount(where, weight * tint[:, channel], count)[hit] / total
        below[:, channel] += cover[hit] * (paint - below[:, channel])
    painted[hit] = below
    return painted.reshape(frames, height, width, 3)


def _splat(
    cones: Cones, size: tuple[int, int], *, light: Array, ambient: float, softness: Array
) -> tuple[NDArray[np.intp], Array, Array, Array]:
    """Pixels of the cones: flat index (N,), weight (N,), shaded colour (N, 3), cover (N,)."""
    height, width = size
    a, b = cones.start, cones.end
    axis = b - a
    # one patch for all cones, large enough for the largest, keeps the arrays rectangular
    reach = np.abs(axis[..., :2]).max(axis=(0, 1)) / 2 + cones.radius.max() + 1.0
    side = 2 * np.minimum(np.ceil(reach), (width, height)).astype(int) + 1  # patch: wide, high
    corner = np.round((a + b)[..., :2] / 2).astype(int) - side // 2
    xs = corner[..., 0, None] + np.arange(side[0])  # (T, K, wide)
    ys = corner[..., 1, None] + np.arange(side[1])
    px = (xs - a[..., 0, None]).astype(np.float32)[:, :, None, :]  # (T, K, 1, wide)
    py = (ys - a[..., 1, None]).astype(np.float32)[:, :, :, None]
    ax, ay = axis[..., 0, None, None], axis[..., 1, None, None]
    # an axis that points at the viewer has no length in the picture
    square = np.maximum(ax * ax + ay * ay, 1e-3)
    along = np.clip(px * (ax / square) + py * (ay / square), 0.0, 1.0)  # (T, K, high, wide)
    dx, dy = px - along * ax, py - along * ay
    distance = np.sqrt(dx * dx + dy * dy)
    r0, r1 = cones.radius[..., 0, None, None], cones.radius[..., 1, None, None]
    radius = r0 + (r1 - r0) * along
    # antialiasing: cover falls from 1 to 0 over one pixel about the edge
    alpha = radius - distance + 0.5
    inside = (alpha > 0.0) & ((xs >= 0) & (xs < width))[:, :, None, :]
    inside &= ((ys >= 0) & (ys < height))[:, :, :, None]
    t, k, i, j = np.nonzero(inside)
    where = (t * height + ys[t, k, i]) * width + xs[t, k, j]
    alpha, radius, along = np.minimum(alpha[inside], 1.0), radius[inside], along[inside]
    slope = 0.9 * cones.relief / np.maximum(radius, distance[inside])  # the rim faces us a little
    nx, ny = dx[inside] * slope, dy[inside] * slope
    nz = np.sqrt(1.0 - nx * nx - ny * ny)
    depth = a[t, k, 2] + axis[t, k, 2] * along + cones.relief * radius * nz
    # clipped within what exp can hold in float32
    weight = alpha * np.exp(np.clip(depth / softness[t], -60.0, 60.0))
    diffuse = np.maximum(nx * light[0] + ny * light[1] + nz * light[2], 0.0)
    shade = ambient * (0.7 + 0.3 * nz) + (1.0 - ambient) * diffuse
    tint = cones.colour[t, k] * shade[:, None]
    return where, weight, tint, alpha


def gradient(
    size: tuple[int, int], first: Array, second: Array, *, angle: float, vignette: float
) -> Array:
    """(H, W, 3) smooth change from one colour to another along `angle` (rad), darker at the rim."""
    height, width = size
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    ramp = 0.5 + 0.5 * (np.cos(angle) * x + np.sin(angle) * y) / np.sqrt(2.0)
    # smoothstep: no visible edge at either end
    ramp = (ramp * ramp * (3.0 - 2.0 * ramp))[..., None]
    rim = 1.0 - vignette * (x * x + y * y)[..., None] / 2.0
    return ((first + (second - first) * ramp) * rim).astype(np.float32)


def silhouette(
    picture: Array, *, centre: float, top: float, scale: float, colour: Array, strength: float
) -> Array:
    """A blurred head and shoulders, out of focus behind the scene, mixed into `picture`.

    Args:
        picture: (H, W, 3).
        centre, top: place of the head, as fractions of width and height.
        scale: diameter of the head, as a fraction of the height.
        colour: (3,).
        strength: opacity in [0, 1].
    """
    height, width = picture.shape[:2]
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height - top
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) / height - centre * width / height
    head = np.hypot(x / 0.42, y / 0.52) - scale
    body = np.hypot(x / 1.05, (y - 1.62 * scale) / 1.0) - scale
    inside = _sigmoid(-9.0 * head / scale) + _sigmoid(-14.0 * body / scale)
    alpha = (strength * np.minimum(inside, 1.0))[..., None]
    return (picture + alpha * (colour - picture)).astype(np.float32)


def _sigmoid(x: Array) -> Array:
    return (1.0 / (1.0 + np.exp(np.clip(-x, -30.0, 30.0)))).astype(np.float32)
