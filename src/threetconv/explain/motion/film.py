"""The motion that a 3T channel is tuned to, as a film: one picture, moved by the channel itself.

A slice of a 3T filter is the slice before it, transformed. Content that moves as the slices do
therefore matches the pattern in every slice, and the responses add up. So one picture is optimised,
and the channel's own transforms turn it into a clip that shows this motion. This is possible for
3T networks only: a 3D filter has no transforms.

How the film is made:

- Units. A transform acts on the kernel's grid. Zoom and turn need no conversion; a shift in input
  pixels is its kernel pixels, times the product of the strides before the layer, times its
  dilation. `amplify` exaggerates the motion, since learned motions are often too small to see.
- Time. One transition of the kernel takes as many frames of the clip as lie between two of its
  taps: the product of the strides in time before the layer, times its dilation. Frames in between
  get a part of the transform: log scale, angle and shift in proportion.
- Length. The filter's middle tap is laid on the frame over which the middle unit of the layer's
  output stands (with padding that keeps the size), and that frame shows the picture unmoved. A clip
  longer than the filter goes on with the same transitions in a circle, forwards and backwards.
- Edges. The picture is one period of an infinite plane (its Fourier form is periodic anyway):
  content that leaves on one side comes in on the other.

The response is that of the middle unit: a convolution is linear, so its mean output hardly depends
on the order of frames. Random transforms are applied to the picture *before* it is moved, so that
the motion stays the channel's own.

Source: the filters of arXiv 2006.15983, equations 2 to 5; the film is new here.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.activation.maximise import (
    LEARNING_RATE,
    STEPS,
    WEIGHT_DECAY,
    Maximised,
    Progress,
    ascend,
    response_to_frames,
)
from threetconv.explain.activation.parametrisation import standardise, to_uint8
from threetconv.explain.activation.robustness import Robustness, resample
from threetconv.explain.channel import Channel, convolution_of, transforms_of
from threetconv.explain.forward import first_call
from threetconv.layer.affine import half_extent
from threetconv.layer.conv3t import Conv3T
from threetconv.layer.motion import compose

__all__ = ["GENTLE", "MotionFilm", "film_maps", "motion_film"]

GENTLE = Robustness(jitter=1 / 16, zoom=(0.9, 1.1), degrees=5.0)
"""Narrower than the paper's: a film shows one orientation and one size, not all of them."""

LONGER = 2520  # by which a clip is made larger to count strides: divisible by 1 to 10

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MotionFilm(Maximised):
    """A film, and the two controls that it must exceed if the channel is tuned to its motion.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB.
        start, end, history: as of `Maximised`; responses of the middle unit.
        backwards: the response to the same film run backwards, about the frame that shows the
            picture unmoved.
        still: the response to the unmoved picture, shown all the time. Moved pictures are
            resampled and so a little softer: where the motion is far below a pixel, the still may
            win by that alone.
    """

    backwards: float
    still: float


def motion_film(
    network: nn.Module,
    channel: Channel,
    *,
    clip_shape: tuple[int, int, int],
    seed: int,
    steps: int = STEPS,
    lr: float = LEARNING_RATE,
    weight_decay: float = WEIGHT_DECAY,
    robustness: Robustness = GENTLE,
    amplify: float = 1.0,
    progress: Progress | None = None,
) -> MotionFilm:
    """A film of one picture, moved by a channel's own transforms, that excites it most.

    Args:
        network: takes normalised clips (N, 3, T, H, W). It runs in evaluation mode and is left as
            it was.
        channel: of a Conv3T with a kernel of more than one tap in time and space.
        clip_shape: (T, H, W).
        amplify: multiplies log zoom, turn and shift of every transition; 1 is the channel's own
            motion, and a film of any other is not one that the channel is tuned to.
        seed, steps, lr, weight_decay, robustness, progress: as for
            `threetconv.explain.activation.maximise.maximise`.

    Returns:
        The film and the responses to it; where `backwards` or `still` come near `end`, the motion
        hardly matters to the channel.

    Raises:
        InputError: as `maximise`, and for a channel without transforms or of one spatial tap.
        ValueError: as `maximise`, and for transforms that compose to nothing finite.
    """
    maps = torch.from_numpy(film_maps(network, channel, clip_shape, amplify=amplify))
    mirrored = film_maps(network, channel, clip_shape, amplify=amplify, backwards=True)

    def film(pictures: Tensor, move: Tensor) -> Tensor:
        # Maps go from the result to its source: a frame is looked up through `maps` first, then
        # `move` finds the place in the unmoved picture.
        return resample(standardise(pictures), move @ maps, periodic=True)

    found, picture = ascend(
        network,
        channel,
        film,
        shown=lambda pictures: resample(pictures, maps, periodic=True),
        clip_shape=clip_shape,
        pictures=1,
        seed=seed,
        steps=steps,
        lr=lr,
        weight_decay=weight_decay,
        robustness=robustness,
        objective="unit",
        progress=progress,
    )
    unmoved = torch.eye(3, dtype=maps.dtype).expand_as(maps)
    backwards, still = (
        response_to_frames(
            network,
            channel,
            to_uint8(resample(picture, each, periodic=True)).numpy(),
            objective="unit",
        )
        for each in (torch.from_numpy(mirrored), unmoved)
    )
    return MotionFilm(**vars(found), backwards=backwards, still=still)


def film_maps(
    network: nn.Module,
    channel: Channel,
    clip_shape: tuple[int, int, int],
    *,
    amplify: float = 1.0,
    backwards: bool = False,
) -> Array:
    """For each frame of the film, the map to where it reads the picture; see the module.

    Args:
        network, channel, clip_shape, amplify: as for `motion_film`.
        backwards: run the film backwards about the frame that shows the picture unmoved.

    Returns:
        float64 (T, 3, 3), homogeneous, from pixels of the frame to pixels of the picture, both from
        the centre, x right and y down. The identity for the frame over the filter's middle tap.

    Raises:
        InputError, ValueError: as `motion_film`.
    """
    layer = _conv3t(network, channel)
    scale, *others = transforms_of(layer, channel.index)
    strides, outputs = _strides(network, channel, clip_shape)
    between, down, right = (n * d for n, d in zip(strides, layer.dilation, strict=True))
    # The input frame under the middle output unit; strides behind pooling to a fixed size may be
    # fractions, hence round.
    middle = min(round(outputs // 2 * layer.stride[0] * strides[0]), clip_shape[0] - 1)
    offsets = (np.arange(clip_shape[0]) - middle) / between
    # In transitions, (T + 1,): the middle tap of D = len(scale) + 1 is len(scale) / 2 transitions
    # after the first. The appended time is the middle tap itself, the reference of all maps.
    times = np.append(-offsets if backwards else offsets, 0.0) + len(scale) / 2
    moved = _maps_at(times, [_power(scale, amplify), *(amplify * values for values in others)])
    # The kernel's normalised units -> input pixels, x before y.
    taps = [half_extent(layer.kernel_size[axis], layer.align_corners) for axis in (2, 1)]
    scaling = np.diag([taps[0] * right, taps[1] * down, 1.0])
    # inv(moved[-1]) makes the map of the middle tap the identity: motion relative to that frame.
    maps: Array = scaling @ np.linalg.inv(moved[-1]) @ moved[:-1] @ np.linalg.inv(scaling)
    return maps


def _maps_at(times: Array, transforms: list[Array]) -> Array:
    """Cumulative sampling maps at any times, in transitions, on the kernel's grid: (N, 3, 3).

    The transitions are repeated in a circle to both sides; a part of one is the transform with log
    scale, angle and shift in proportion.
    """
    # Whole transitions compose exactly; the fraction that is left is interpolated below.
    whole = np.floor(times).astype(int)
    first, last = int(whole.min()), int(whole.max())
    circle = np.arange(first, last + 1) % len(transforms[0])
    scale, *others = (values[circle] for values in transforms)
    cumulative = compose(scale, *others)[whole - first]
    part, at = times - whole, whole - first
    # One transition per time: parts[0] is the identity, parts[1] the fractional transforms.
    parts = compose(*(v[None] for v in (_power(scale[at], part), *(part * v[at] for v in others))))
    result: Array = cumulative @ parts[1]
    return result


def _power(scale: Array, exponent: ArrayLike) -> Array:
    """|s|^exponent, with the sign of s for any exponent but 0."""
    sign = np.where(np.equal(exponent, 0), 1.0, np.sign(scale))
    result: Array = np.power(np.abs(scale), np.asarray(exponent, dtype=np.float64)) * sign
    return result


def _conv3t(network: nn.Module, channel: Channel) -> Conv3T:
    layer = convolution_of(network, channel)
    if isinstance(layer, Conv3T) and min(layer.kernel_size) > 1:
        return layer
    kind = "x".join(str(n) for n in layer.kernel_size)
    raise InputError(
        f"channel {channel}",
        found=f"a {type(layer).__name__} of {kind} taps",
        expected="a Conv3T of more than one tap in time, height and width",
        remedy="choose a channel that has transforms; for others there is activation.maximise",
    )


def _strides(
    network: nn.Module, channel: Channel, clip_shape: tuple[int, int, int]
) -> tuple[list[float], int]:
    """Strides of a convolution's input in input frames, rows, columns; frames of its output.

    The strides are counted on a larger clip: by how much what arrives grows with it. Passes on the
    meta device, up to the layer: no memory, no arithmetic.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    dtype = next(shadow.parameters()).dtype
    layer, shapes = convolution_of(shadow, channel), []
    for shape in (clip_shape, [size + LONGER for size in clip_shape]):
        call = first_call(shadow, layer, torch.zeros(1, 3, *shape, device="meta", dtype=dtype))
        if call is None:
            return [1.0, 1.0, 1.0], clip_shape[0]  # the layer does not run, as ascent will say
        (arriving,), output = call
        shapes.append((arriving.shape[2:], output.shape[2]))
    (small, outputs), (large, _) = shapes
    strides = [
        float(round(LONGER / (b - a))) if b > a else size / a  # pooled to a fixed size
        for size, a, b in zip(clip_shape, small, large, strict=True)
    ]
    return strides, outputs
