"""A hand: palm, five jointed fingers with nails, forearm and sleeve, drawn from its pose.

The hand is a skeleton in three dimensions. Its own frame has the wrist at the origin, y to the
tip of the middle finger (1 unit), x to the little finger and z out of the palm. It is posed,
projected and handed to `canvas` as round-ended cones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from threetconv.data.synthetic.canvas import Cones, draw_cones, gradient, silhouette
from threetconv.data.synthetic.motions import Poses

__all__ = ["Look", "draw_hand", "draw_look"]

Array = NDArray[np.float64]

# lengths in hand lengths (wrist to tip of the middle finger), index to little finger; knuckles are
# (x, y)
_KNUCKLE = np.array([[-0.185, 0.45], [-0.06, 0.485], [0.065, 0.465], [0.175, 0.405]])
_LENGTH = np.array([0.43, 0.475, 0.445, 0.35])
_THICK = np.array([0.060, 0.062, 0.059, 0.050])
_SHARE = np.array([0.44, 0.31, 0.25])  # of a finger's length, by phalanx
_FLEX = np.deg2rad([80.0, 100.0, 65.0])  # flexion of the three joints in a fist
_RELIEF = (1.0, 0.62, 0.85)  # of fingers, palm and forearm, sleeve
_PALM_CENTRE = np.array([0.0, 0.30, 0.0])

# lightest to darkest: the back of the hand, sRGB
_SKIN = np.array(
    [[0.98, 0.84, 0.74], [0.94, 0.75, 0.62], [0.85, 0.63, 0.48], [0.70, 0.48, 0.34],
     [0.54, 0.36, 0.25], [0.40, 0.26, 0.19]]
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Everything in a clip that does not move, drawn independently of the gesture.

    Attributes:
        thumb: -1 thumb on the left of the picture, +1 on the right (at yaw 0, angle 0).
        facing: +1 shows the palm, -1 the back of the hand.
        back, palm, nail, sleeve: (3,) colours in [0, 1].
        girth, reach: factors on the fingers' thickness and length.
        cuff: where on the forearm the sleeve begins, hand lengths from the wrist.
        light: (3,) unit vector towards the light; `ambient` its share that is everywhere.
        background: (H, W, 3).
        noise: standard deviation of the camera's noise, `flicker` of its exposure.
    """

    thumb: int
    facing: int
    back: Array
    palm: Array
    nail: Array
    sleeve: Array
    girth: float
    reach: float
    cuff: float
    light: Array
    ambient: float
    background: NDArray[np.float32]
    noise: float
    flicker: float


def _colour(hue: float, saturation: float, value: float) -> Array:
    """HSV -> RGB, all in [0, 1]."""
    k = (np.array([5.0, 3.0, 1.0]) + 6.0 * hue) % 6.0
    return value * (1.0 - saturation * np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0))


def draw_look(size: tuple[int, int], rng: np.random.Generator) -> Look:
    """Draw a hand, a sleeve, a light and a background of `size` (height, width)."""
    tone = rng.uniform(0.0, len(_SKIN) - 1.0)
    # between two neighbouring tones of the table
    low = min(int(tone), len(_SKIN) - 2)
    back = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    palm = back + 0.30 * (np.array([0.97, 0.77, 0.68]) - back)
    nail = back + 0.45 * (np.array([1.0, 0.86, 0.84]) - back)
    # luma of ITU-R BT.601
    brightness = float(back @ [0.299, 0.587, 0.114])
    # a wall clearly darker or lighter than the hand, of a hue that no skin has
    value = rng.choice((brightness - rng.uniform(0.30, 0.45), brightness + rng.uniform(0.30, 0.45)))
    if not 0.10 <= value <= 0.92:
        value = brightness - 0.38 if value > 0.92 else brightness + 0.38
    hue, pale = rng.uniform(0.30, 0.74), rng.uniform(0.06, 0.34) * (1.15 - 0.75 * value)
    wall = [
        _colour(hue + rng.uniform(-0.06, 0.06), pale * rng.uniform(0.8, 1.2), value + d)
        for d in rng.permutation([-0.06, 0.06])
    ]
    picture = gradient(
        size,
        wall[0].astype(np.float32),
        wall[1].astype(np.float32),
        angle=rng.uniform(0.0, 2.0 * np.pi),
        vignette=rng.uniform(0.05, 0.20),
    )
    body = rng.uniform(0.2, 0.8), rng.uniform(0.15, 0.4), rng.uniform(0.45, 0.7)
    strength = rng.uniform(0.25, 0.55) * (rng.random() < 0.5)
    cloth = _colour(hue + rng.uniform(-0.1, 0.1), 1.3 * pale, value * 0.75)
    picture = silhouette(
        picture,
        centre=body[0],
        top=body[1],
        scale=body[2],
        colour=cloth.astype(np.float32),
        strength=strength,
    )
    light = np.array([rng.uniform(-0.6, 0.6), rng.uniform(-0.75, -0.1), 0.9])
    return Look(
        thumb=int(rng.choice((-1, 1))),
        facing=int(rng.choice((-1, 1))),
        back=back,
        palm=palm,
        nail=nail,
        sleeve=_colour(rng.uniform(0.0, 1.0), rng.uniform(0.15, 0.6), rng.uniform(0.25, 0.85)),
        girth=rng.uniform(0.92, 1.12),
        reach=rng.uniform(0.94, 1.06),
        cuff=rng.uniform(0.10, 0.45),
        light=light / np.linalg.norm(light),
        ambient=rng.uniform(0.5, 0.7),
        background=picture,
        noise=rng.uniform(0.002, 0.008),
        flicker=rng.uniform(0.0, 0.006),
    )


def draw_hand(pose: Poses, look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Film the hand.

    Args:
        pose: T poses.
        look: how hand and room look; its background sets height H and width W.
        rng: for the camera's noise.

    Returns:
        (T, H, W, 3) uint8 RGB.
    """
    height, width = look.background.shape[:2]
    frames = len(pose.x)
    # (T,) length of the hand in px; `size` is a logarithm
    length = min(height, width) * np.exp(pose.size)
    groups = [
        _project(parts, pose, look, length=length, relief=relief)
        for parts, relief in zip(_parts(pose, look), _RELIEF, strict=True)
    ]
    film = draw_cones(
        look.background,
        groups,
        frames=frames,
        light=look.light.astype(np.float32),
        ambient=look.ambient,
        softness=(0.024 * length).astype(np.float32),
    )
    exposure = 255.0 * (1.0 + look.flicker * rng.standard_normal(frames, dtype=np.float32))
    grain = rng.standard_normal((frames, height, width), dtype=np.float32)
    film *= exposure[:, None, None, None].astype(np.float32)
    film += (255.0 * look.noise * grain)[..., None]
    # so that the conversion to integers below rounds instead of cutting off
    film += 0.5
    np.clip(film, 0.0, 255.0, out=film)
    return film.astype(np.uint8)


# one part: start (T, 3), end (T, 3), two radii, colour (T, 3), in the hand's own frame
_Part = tuple[Array, Array, float, float, Array]


def _parts(pose: Poses, look: Look) -> list[list[_Part]]:
    """Small parts (phalanges, nails), then large ones (palm, forearm)."""
    frames = len(pose.x)
    # (T,) 1 where the palm faces the camera, -1 where the back does: mixes the two colours
    facing = np.cos(np.deg2rad(pose.yaw)) * np.cos(np.deg2rad(pose.pitch)) * look.facing
    skin = look.back + (0.5 + 0.5 * facing[:, None]) * (look.palm - look.back)
    nail = np.broadcast_to(look.nail, (frames, 3))
    small: list[_Part] = []
    large: list[_Part] = []
    for finger in range(4):
        splay = np.deg2rad(pose.splay[:, finger + 1])
        ahead = np.stack([np.sin(splay), np.cos(splay), np.zeros(frames)], axis=1)
        joint = np.tile([*_KNUCKLE[finger], 0.0], (frames, 1))
        thick = _THICK[finger] * look.girth
        bend = np.zeros(frames)
        for phalanx in range(3):
            # joints add up: the tip of a finger bends by all three
            bend = bend + pose.curl[:, finger + 1] * _FLEX[phalanx]
            way = np.cos(bend)[:, None] * ahead + np.sin(bend)[:, None] * [0.0, 0.0, 1.0]
            tip = joint + _LENGTH[finger] * _SHARE[phalanx] * look.reach * way
            taper = 1.0 - 0.11 * phalanx
            small.append((joint, tip, thick * taper, thick * (taper - 0.11), skin))
            if phalanx == 2:
                # normal of the nail, on the back of the finger
                out = np.sin(bend)[:, None] * ahead - np.cos(bend)[:, None] * [0.0, 0.0, 1.0]
                bed = tip + 0.42 * thick * out
                small.append((bed - 0.035 * way, bed + 0.02 * way, thick * 0.46, thick * 0.4, nail))
            joint = tip
        # the palm: four cones from the wrist to the knuckles
        root = np.array([0.62 * _KNUCKLE[finger, 0], 0.06, 0.0])
        knuckle = np.tile([*_KNUCKLE[finger], 0.0], (frames, 1))
        large.append((np.tile(root, (frames, 1)), knuckle, 0.088, 0.074 * look.girth, skin))
    ball, *rest = _thumb(pose, look, skin=skin, nail=nail)
    large.append(ball)
    small += rest
    arm = np.deg2rad((pose.arm - 1.0) * pose.angle) * -look.thumb  # the hand's x is mirrored
    drop = 0.75 * np.deg2rad(pose.pitch)  # the wrist bends, the forearm stays behind
    down = np.stack(
        [
            -np.sin(arm) * np.cos(drop),
            -np.cos(arm) * np.cos(drop),
            look.facing * (np.sin(drop) - 0.12),
        ],
        axis=1,
    )
    wrist = np.tile([0.0, 0.05, -0.01], (frames, 1))
    cuff = wrist + look.cuff * down
    cloth = np.broadcast_to(look.sleeve, (frames, 3))
    bare = wrist + max(look.cuff - 0.1, 0.02) * down
    large.append((wrist, bare, 0.118, 0.125, skin))
    return [small, large, [(cuff, cuff + 1.6 * down, 0.165, 0.20, cloth)]]


def _thumb(pose: Poses, look: Look, *, skin: Array, nail: Array) -> list[_Part]:
    """The thumb's ball in the palm, its two phalanges and its nail, in this order."""
    parts: list[_Part] = []
    frames = len(pose.x)
    curl = pose.curl[:, 0]
    joint = np.tile([-0.085, 0.10, 0.02], (frames, 1))
    lengths, turns = (0.21, 0.17, 0.135), (-12.0, 0.0, 8.0)
    radii = (0.082, 0.066, 0.060, 0.050)
    for bone in range(3):
        flat = np.deg2rad(pose.splay[:, 0] * (0.75 if bone == 0 else 1.0) + turns[bone])
        flat = flat + curl * np.deg2rad((0.0, 35.0, 55.0)[bone])
        lift = np.deg2rad(12.0 + 38.0 * curl)
        way = np.stack(
            [np.cos(lift) * np.sin(flat), np.cos(lift) * np.cos(flat), np.sin(lift)], axis=1
        )
        tip = joint + lengths[bone] * look.reach * way
        r0, r1 = radii[bone] * look.girth, radii[bone + 1] * look.girth
        parts.append((joint, tip, r0, r1, skin))
        if bone == 2:
            side = np.cross(way, [0.0, 0.0, 1.0])
            out = np.cross(way, side) * 0.9 + 0.3 * side
            bed = tip + 0.42 * r1 * out
            parts.append((bed - 0.04 * way, bed + 0.02 * way, r1 * 0.5, r1 * 0.44, nail))
        joint = tip
    return parts


def _project(parts: list[_Part], pose: Poses, look: Look, *, length: Array, relief: float) -> Cones:
    """Turn parts as the pose says and look at them with a slight perspective."""
    height, width = look.background.shape[:2]
    ends = np.stack([[p[0] for p in parts], [p[1] for p in parts]])  # (2, K, T, 3)
    # rotations go about the middle of the palm, whose place the pose gives
    ends = (ends - _PALM_CENTRE) * [-look.thumb, 1.0, look.facing]
    x, y, z = ends[..., 0], ends[..., 1], ends[..., 2]
    yaw, pitch = np.deg2rad(pose.yaw), np.deg2rad(pose.pitch)
    angle = np.deg2rad(pose.angle - look.thumb * pose.lean)
    x, z = np.cos(yaw) * x + np.sin(yaw) * z, np.cos(yaw) * z - np.sin(yaw) * x
    y, z = np.cos(pitch) * y - np.sin(pitch) * z, np.cos(pitch) * z + np.sin(pitch) * y
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    # perspective: what is nearer is larger; clipped so that it never turns over
    near = 1.0 / (1.0 - 0.28 * np.clip(z, -1.5, 1.5))
    points = np.stack(
        [
            pose.x * width - 0.5 + length * near * x,
            pose.y * height - 0.5 - length * near * y,
            length * z,
        ],
        axis=-1,
    ).transpose(0, 2, 1, 3)  # (2, T, K, 3)
    radii = np.array([[p[2] for p in parts], [p[3] for p in parts]])[:, None, :]
    radii = (radii * (length * near).transpose(0, 2, 1)).transpose(1, 2, 0)  # (T, K, 2)
    colour = np.stack([p[4] for p in parts], axis=1)
    start, end, radius, tint = (v.astype(np.float32) for v in (*points, radii, colour))
    return Cones(start, end, radius, tint, relief=relief)
