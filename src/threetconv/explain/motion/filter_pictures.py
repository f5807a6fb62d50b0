"""The filter of a channel, made visible.

In a first layer, which sees colour, a filter's slices are images: they are drawn over time in
colour, with one symmetric range for all slices and colours, so that grey is zero and a slice that
fades does fade. Deeper filters have dozens of input channels and are not images. A 3T filter is
described there by what its transforms do, shown on a pictogram that the layer's own code warps; a
3D filter, which has no transforms, only by the size of each tap (norm over input channels).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel, convolution_of, transforms_of
from threetconv.explain.saliency.overlay import strip
from threetconv.layer.build_filters import build_filters
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T

__all__ = [
    "energy_strip",
    "filter_limit",
    "filter_of",
    "filter_slices",
    "filter_strip",
    "letter_and_dot",
    "pictogram",
    "sees_colour",
    "slice_energy",
    "warp_pictogram",
]

Frames = NDArray[np.uint8]

OUTSIDE, FIELD = (213, 219, 225), (254, 254, 254)
GLYPH, DOT = (0, 114, 178), (213, 94, 0)
"""Colours of a pictogram: outside of what was warped, its ground, its letter and its dot."""


def filter_of(network: nn.Module, channel: Channel) -> Tensor:
    """The filter of a channel, (in / groups, D, H, W), float32 on the CPU or wider.

    Raises:
        InputError: no such channel.
    """
    module, i = convolution_of(network, channel), channel.index
    with torch.no_grad():
        if not isinstance(module, Conv3T):
            whole: Tensor = module.weight[i].detach()
        else:  # built here, so that the layer keeps nothing from it
            whole = build_filters(
                module.weight[i : i + 1],
                *(getattr(module, name)[:, i : i + 1] for name in TEMPORAL_PARAMETERS),
                filter_padding=module.filter_padding,
                align_corners=module.align_corners,
            )[0]
        # Half precision is widened: CPUs do not support all operations on it.
        wide = whole if whole.dtype == torch.float64 else whole.float()
        return wide.cpu().clone()


def sees_colour(network: nn.Module, channel: Channel) -> bool:
    """Whether the channel's filter has three input channels, and so can be drawn in colour."""
    module = convolution_of(network, channel)
    return bool(module.in_channels == 3 and module.weight.shape[1] == 3)


def filter_limit(network: nn.Module, channels: Iterable[Channel]) -> float:
    """The largest absolute weight in the filters of some channels: a range for all of them.

    Raises:
        InputError: no such channel, or none at all.
    """
    largest = [float(filter_of(network, channel).abs().max()) for channel in channels]
    if not largest:
        raise InputError(
            "filters", found="no channels", expected="at least one", remedy="name some channels"
        )
    return max(largest)


def filter_slices(
    network: nn.Module, channel: Channel, *, limit: float | None = None
) -> NDArray[np.float64]:
    """The slices of a first-layer filter as images in time.

    Args:
        network: any network that holds the channel's convolution, 3T or 3D.
        channel: of a convolution that sees colour.
        limit: the weight drawn as full colour, its negative as none; what lies beyond is clipped.
            By default the filter's own largest, over all slices and colours; `filter_limit` gives
            one for several filters.

    Returns:
        (D, H, W, 3) in [0, 1], red, green, blue; a weight of 0 is 0.5.

    Raises:
        InputError: no such channel, or its filter is not an image.
        ValueError: a limit that is not above 0.
    """
    if limit is not None and not limit > 0:
        raise ValueError(f"limit={limit} must be above 0")
    if not sees_colour(network, channel):
        found = convolution_of(network, channel).weight.shape[1]
        raise InputError(
            f"channel {channel}",
            found=f"a filter over {found} input channels, which is no image",
            expected="a filter over red, green and blue",
            remedy="use pictogram (3T) or slice_energy (any) for deeper layers",
        )
    weights = filter_of(network, channel).double().permute(1, 2, 3, 0).numpy()
    largest = float(np.abs(weights).max()) if limit is None else limit
    scaled = weights / largest if largest > 0 else np.zeros_like(weights)
    return np.clip(0.5 + 0.5 * scaled, 0.0, 1.0)


def filter_strip(
    network: nn.Module,
    channel: Channel,
    *,
    limit: float | None = None,
    pixels: int = 8,
    gap: int = 2,
) -> Frames:
    """`filter_slices` beside each other, time running right.

    Args:
        network, channel, limit: as for `filter_slices`.
        pixels: side of a tap.
        gap: white pixels between slices.

    Returns:
        uint8 (H pixels, D W pixels + (D - 1) gap, 3).
    """
    slices = filter_slices(network, channel, limit=limit)
    return strip(_bytes(slices), pixels=pixels, gap=gap)


def slice_energy(network: nn.Module, channel: Channel) -> NDArray[np.float64]:
    """The norm over input channels of each tap of a filter, (D, H, W): how much, not what.

    Works for every convolution; it is all that can be drawn of a deep 3D filter.
    """
    return filter_of(network, channel).double().square().sum(dim=0).sqrt().numpy()


def energy_strip(network: nn.Module, channel: Channel, *, pixels: int = 8, gap: int = 2) -> Frames:
    """`slice_energy` beside each other in grey: white is 0, black the filter's largest tap.

    Returns:
        uint8 (H pixels, D W pixels + (D - 1) gap, 3). Gaps are white too.
    """
    energy = slice_energy(network, channel)
    largest = energy.max()
    grey = 1 - energy / largest if largest > 0 else np.ones_like(energy)
    return strip(_bytes(np.repeat(grey[..., None], 3, axis=-1)), pixels=pixels, gap=gap)


def pictogram(layer: Any, channel: int, size: int = 64, *, exaggerate: float = 1.0) -> Frames:
    """What a channel's transforms do, shown on a letter F with a dot. The F differs from all its
    rotations and mirror images, so every motion can be told.

    The layer's own code warps the picture as it warps the first slice of a filter, step by step;
    the picture's edges are the kernel's. What leaves the kernel is lost, as in the filter (or, with
    the layer's filter_padding="border", edges are drawn out).

    Args:
        layer: a `Conv3T`.
        channel: which of its output channels.
        size: pixels of a side.
        exaggerate: every step's log zoom, turn and shift times this; say so where it is not 1.

    Returns:
        uint8 (D, size, size, 3).

    Raises:
        InputError: a layer without transforms, or no such channel.
    """
    if not isinstance(layer, Conv3T):
        raise InputError(
            f"layer {type(layer).__name__}",
            found="a convolution without transforms",
            expected="a Conv3T",
            remedy="use filter_strip for a first layer, energy_strip for a deeper one",
        )
    if not 0 <= channel < layer.out_channels:
        raise InputError(
            f"channel {channel}",
            found=f"a layer of {layer.out_channels} channels",
            expected=f"0 to {layer.out_channels - 1}",
            remedy="choose one of them",
        )
    return warp_pictogram(
        *transforms_of(layer, channel),
        size=size,
        exaggerate=exaggerate,
        filter_padding=layer.filter_padding,
        align_corners=layer.align_corners,
    )


def warp_pictogram(
    scale: NDArray[np.float64],
    rotate: NDArray[np.float64],
    translate_x: NDArray[np.float64],
    translate_y: NDArray[np.float64],
    *,
    size: int = 64,
    exaggerate: float = 1.0,
    filter_padding: str = "zeros",
    align_corners: bool = True,
) -> Frames:
    """`pictogram` from the raw parameters of one channel, (D - 1,) each, as `Conv3T` has them."""
    steps = [np.asarray(p, dtype=np.float64) for p in (scale, rotate, translate_x, translate_y)]
    # A power multiplies the log of the scale; the sign (a half turn) is kept.
    steps[0] = np.sign(steps[0]) * np.abs(steps[0]) ** exaggerate
    steps[1:] = [exaggerate * p for p in steps[1:]]
    # Coverage, not colours, is warped: field, letter and dot as the three input channels of one
    # filter, (3, size, size). The plane of ones shows where the picture still lies within the
    # kernel.
    planes = torch.from_numpy(np.concatenate((np.ones((1, size, size)), letter_and_dot(size))))
    with torch.no_grad():
        warped = build_filters(
            planes[None],
            *(torch.from_numpy(p)[:, None] for p in steps),
            filter_padding=filter_padding,
            align_corners=align_corners,
        )[0]
    field, letter, dot = (np.clip(plane, 0, 1)[..., None] for plane in warped.numpy())
    colours = [np.array(colour) / 255 for colour in (OUTSIDE, FIELD, GLYPH, DOT)]
    picture = colours[0] + field * (colours[1] - colours[0])
    # Letter and dot lie on the field, so each replaces the field's colour by its own.
    picture = picture + letter * (colours[2] - colours[1]) + dot * (colours[3] - colours[1])
    return _bytes(picture)


def letter_and_dot(size: int) -> NDArray[np.float64]:
    """The pictogram's coverage, (2, size, size) in [0, 1]: the letter F, and a dot lower right."""
    fine = 4  # samples per pixel and axis
    place = (np.arange(size * fine) + 0.5) / (size * fine)
    x, y = place[None, :], place[:, None]
    stem = (abs(x - 0.36) < 0.07) & (abs(y - 0.5) < 0.32)
    bars = ((abs(y - 0.25) < 0.07) & (x > 0.3) & (x < 0.74)) | (
        (abs(y - 0.49) < 0.06) & (x > 0.3) & (x < 0.62)
    )
    dot = (x - 0.68) ** 2 + (y - 0.74) ** 2 < 0.075**2
    masks = np.stack([stem | bars, dot]).astype(np.float64)
    return masks.reshape(2, size, fine, size, fine).mean(axis=(2, 4))


def _bytes(picture: NDArray[np.float64]) -> Frames:
    # rounded twice, so that what is halfway but for float rounding goes one way on all machines
    return np.rint(np.round(np.clip(picture, 0, 1) * 255, 6)).astype(np.uint8)
