"""Clips of known motion: gratings that drift, textures that turn and grow, and their controls.

Every stimulus is a sum of cosines, computed at its own place in every frame. Nothing is resampled,
so nothing is blurred or aliased, and no edge moves with it: pictures go on beyond the clip.

- A **grating** drifts in one of eight directions. A **still** grating does not move. A **flicker**
  is the sum of two gratings that drift in opposite directions: it changes in place.
- A **texture** holds waves of all directions, over two octaves of wavelength. It **turns** about a
  point, **zooms** about it, or stays as it is (**still_texture**). While it grows, waves that
  become too long fade out and short ones fade in, so that contrast and spectrum stay the same.
  Textures come in groups of eight, turned by quarters and mirrored, so that what a channel answers
  to turning by chance, where its filter is mirror-symmetric, cancels.

A motion and its opposite (a direction, clockwise and counter-clockwise, growing and shrinking) are
the same frames in reverse order, bit by bit. A filter that is constant in time therefore answers
alike to both.

All clips are grey, have the mean that networks are given as zero (ImageNet's), and one RMS contrast
over all frames.

**Sizes follow the layer** (`Scale`). E, its `extent`, is the width in pixels of the clip that its
kernel covers (at least three taps, at most half of the clip). A step is the time from one of its
input's units to the next (at most a quarter of the clip).

- Gratings have wavelengths of E and 2 E, and move E/12, E/6 and E/3 a step: no more than a third of
  a wave, so that their direction is never in doubt.
- Textures hold two octaves of wavelengths. Those that turn start with the shortest waves that the
  layer's input can hold, two of its units (at most 2 E/3), and turn by 1/6 and 1/3 rad a step,
  which at the kernel's edge, E/2 from its centre, is E/12 and E/6. Those that grow start with
  2 E/3, and grow by factors of exp(1/24) and exp(1/12). Finer or faster ones tell less of a
  filter's scaling: a wave would come back, two octaves later, within the kernel's time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from threetconv.clips.dataset import IMAGENET_MEAN, IMAGENET_SD

__all__ = ["CONTRAST", "TEXTURE_KINDS", "Scale", "Stimulus", "clips", "gratings", "textures"]

DIRECTIONS = tuple(range(0, 360, 45))
WAVELENGTHS = (1.0, 2.0)  # extents
SPEEDS = (1 / 12, 1 / 6, 1 / 3)  # extents a step
TURNS = (1 / 6, 1 / 3)  # radians a step
GROWTH = (1 / 24, 1 / 12)  # logarithms of the factor a step
TEXTURE_KINDS = {"turn": TURNS, "zoom": GROWTH, "still_texture": (0.0,)}
PHASES = 4
TEXTURES = 32  # a multiple of 8
WAVES = 24  # in a texture
OCTAVES = 2
CONTRAST = 0.15
"""RMS of all clips' luminance, where 1 is the range from black to white."""
RANGE = min(*IMAGENET_MEAN, *(1 - mean for mean in IMAGENET_MEAN))  # luminance that pixels can hold


@dataclass(frozen=True)
class Scale:
    """Sizes of the stimuli for a layer.

    Attributes:
        extent: width of the kernel in pixels.
        shortest: wavelength of turning textures in pixels.
        step: frames from one time step of the layer to the next.
        centre: (y, x) in pixels that textures turn and grow about; None for gratings.
    """

    extent: float
    shortest: float
    step: int
    centre: tuple[float, float] | None = None

    @classmethod
    def of_layer(
        cls,
        kernel: Sequence[int],
        jump: Sequence[int],
        clip_shape: Sequence[int],
        centre: tuple[float, float] | None = None,
    ) -> Scale:
        """The scale for a layer.

        Args:
            kernel: taps, dilation included, along (t, y, x).
            jump: frames and pixels of the clip per step of the layer's input, along (t, y, x).
            clip_shape: (frames, height, width).
            centre: of the unit that is read, (y, x).
        """
        side = max(max(3, taps) * n for taps, n in zip(kernel[1:], jump[1:], strict=True))
        extent = min(float(side), min(clip_shape[1:]) / 2)
        return cls(
            extent=extent,
            shortest=min(2.0 * max(jump[1:]), 2 / 3 * extent),
            step=max(1, min(jump[0], clip_shape[0] // 4)),
            centre=centre,
        )


@dataclass(frozen=True)
class Stimulus:
    """One clip.

    Attributes:
        kind: grating, still, flicker, turn, zoom or still_texture.
        direction: of a grating, in degrees counter-clockwise from the right, as seen; of the two
            that make a flicker, one; across the bars of a still one.
        wavelength: of a grating, in pixels.
        speed: pixels a frame of gratings; of `turn` radians a frame, above 0 clockwise; of `zoom`
            the logarithm of the factor a frame, above 0 growing.
        variant: number of the phase or of the texture.
    """

    kind: str
    direction: float = math.nan
    wavelength: float = math.nan
    speed: float = 0.0
    variant: int = 0


def gratings(scale: Scale) -> list[Stimulus]:
    """All gratings, still ones and flicker; phases of one condition stand one after another."""
    half = DIRECTIONS[: len(DIRECTIONS) // 2]
    speeds = [share * scale.extent / scale.step for share in SPEEDS]
    kinds = [
        ("grating", DIRECTIONS, speeds),
        ("still", half, [0.0]),
        ("flicker", half, [speeds[1]]),
    ]
    return [
        Stimulus(kind, float(direction), wavelength * scale.extent, speed, phase)
        for kind, directions, own in kinds
        for direction in directions
        for wavelength in WAVELENGTHS
        for speed in own
        for phase in range(PHASES)
    ]


def textures(scale: Scale) -> list[Stimulus]:
    """All turning, growing and still textures; textures of one condition stand together."""
    return [
        Stimulus(kind, speed=sign * rate / scale.step, variant=number)
        for kind, rates in TEXTURE_KINDS.items()
        for sign in ((1, -1) if any(rates) else (1,))
        for rate in rates
        for number in range(TEXTURES)
    ]


def clips(
    stimuli: Sequence[Stimulus], clip_shape: tuple[int, int, int], scale: Scale, seed: int = 0
) -> Tensor:
    """The clips as a network gets them.

    Args:
        stimuli: from `gratings` or `textures` of the same scale.
        clip_shape: (frames, height, width).
        scale: the layer's; with a centre for textures.
        seed: of the textures.

    Returns:
        float32 (N, 3, T, H, W), normalised as `threetconv.clips.dataset.normalise` does.
    """
    grey = torch.stack([_movie(s, clip_shape, scale, seed) for s in stimuli])
    sd = torch.tensor(IMAGENET_SD, dtype=grey.dtype)
    return (grey[..., None] / sd).float().movedim(-1, 1)


def _movie(stimulus: Stimulus, clip_shape: tuple[int, int, int], scale: Scale, seed: int) -> Tensor:
    """(T, H, W) float64, of the mean and contrast of every clip, within what pixels can hold."""
    backwards = stimulus.speed < 0 or (stimulus.kind == "grating" and stimulus.direction >= 180)
    frames = _forwards(stimulus, clip_shape, scale, seed)
    frames = frames - frames.mean()
    frames = (frames * (CONTRAST / frames.square().mean().sqrt())).clamp(-RANGE, RANGE)
    return frames.flip(0) if backwards else frames


def _forwards(
    stimulus: Stimulus, clip_shape: tuple[int, int, int], scale: Scale, seed: int
) -> Tensor:
    """(T, H, W), of any mean and contrast; of a motion's opposite, the motion itself."""
    frames, height, width = clip_shape
    times = torch.arange(frames, dtype=torch.float64) - (frames - 1) / 2
    if stimulus.kind in TEXTURE_KINDS:
        assert scale.centre is not None
        y, x = (
            torch.arange(n, dtype=torch.float64) - middle
            for n, middle in zip((height, width), scale.centre, strict=True)
        )
        return _waves(_texture(stimulus, times, scale, seed), y, x)
    phase = 2 * math.pi * stimulus.variant / PHASES
    angle = math.radians(stimulus.direction % 180)
    y, x = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (height, width))
    across = x * math.cos(angle) - y[:, None] * math.sin(angle)  # y runs down
    drift = stimulus.speed * times[:, None, None]
    wave = 2 * math.pi / stimulus.wavelength
    if stimulus.kind == "flicker":
        # four phases: two in space times two in time, of which one is the other backwards
        places, cycle = math.pi / 2 * (stimulus.variant % 2), math.pi / 4
        cycle = cycle if stimulus.variant < PHASES // 2 else -cycle
        return torch.cos(wave * across + places) * torch.cos(wave * drift + cycle)
    return torch.cos(wave * (across - drift) + phase)


@dataclass(frozen=True)
class _Waves:
    """Waves of every frame, (T, WAVES) each: wave vector (y down, x right), amplitude, phase."""

    y: Tensor
    x: Tensor
    amplitude: Tensor
    phase: Tensor


@functools.lru_cache(maxsize=64)
def _drawn(seed: int, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Directions, places in the band [0, 1) and phases of a texture's waves."""
    random = np.random.default_rng([seed, number])
    turns = (np.arange(WAVES) + random.random(WAVES)) / WAVES * 2 * math.pi
    places = (random.permutation(WAVES) + random.random(WAVES)) / WAVES
    phases = random.random(WAVES) * 2 * math.pi
    return torch.from_numpy(turns), torch.from_numpy(places), torch.from_numpy(phases)


def _texture(stimulus: Stimulus, times: Tensor, scale: Scale, seed: int) -> _Waves:
    kind, speed, number = stimulus.kind, abs(stimulus.speed), stimulus.variant
    angle, place, phase = _drawn(seed, number // 8)
    # the eight symmetries of a square
    angle = (-angle if number % 8 >= 4 else angle) + number % 4 * math.pi / 2
    turned = speed * times[:, None] if kind == "turn" else torch.zeros(len(times), 1)
    grown = speed * times[:, None] if kind == "zoom" else torch.zeros(len(times), 1)
    octaves = OCTAVES * math.log(2)
    # y runs down, so a larger angle is further clockwise; a longer wave is further along the band
    angle, place = angle + turned, (place + grown / octaves) % 1
    shortest = 2 / 3 * scale.extent if kind == "zoom" else scale.shortest
    wave = 2 * math.pi / (shortest * torch.exp(place * octaves))
    amplitude = torch.sin(math.pi * place)
    return _Waves(wave * torch.sin(angle), wave * torch.cos(angle), amplitude, phase)


def _waves(waves: _Waves, y: Tensor, x: Tensor) -> Tensor:
    """The sum of the waves at places y and x: (T, H, W)."""
    # exp(i (a + b)) is exp(i a) exp(i b): rows times columns, one matrix product a frame
    down = torch.exp(1j * (waves.y[:, :, None] * y + waves.phase[:, None]))
    right = waves.amplitude[:, :, None] * torch.exp(1j * waves.x[:, :, None] * x)
    return (down.mT @ right).real
