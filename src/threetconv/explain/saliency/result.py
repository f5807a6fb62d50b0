"""What all saliency methods share: preparing the target, and the resulting map over the clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.saliency.targets import (
    ClassLogit,
    Place,
    Unit,
    check_clip,
    strongest_unit,
    unit_at,
)

__all__ = ["Saliency", "make_saliency", "prepare", "strongest_colour", "value_of"]


@dataclass(frozen=True)
class Saliency:
    """Where in a clip the cause of a response lies.

    Attributes:
        method: name in `METHODS`.
        channel: whose strongest unit is explained, or None for a class.
        label: index of the class explained, or None for a channel.
        attribution: float32 (3, T, H, W), signed, by colour; (1, T, H, W) of Grad-CAM.
        map: float32 (T, H, W), not negative; what each method makes of `attribution`.
        unit: (t, y, x) of the unit in its layer's output; None for a class.
        value: raw output of the unit, or the logit.
        frame: the frame with the largest value of `map`, the first of equals; 0 of an empty map.
        note: what the reader of the map should know, in words; may be empty.
    """

    method: str
    channel: Channel | None
    label: int | None
    attribution: NDArray[np.float32]
    map: NDArray[np.float32]
    unit: Place | None
    value: float
    frame: int
    note: str = ""


def prepare(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    label: int | None,
    unit: Place | None,
) -> tuple[Tensor, Unit | ClassLogit]:
    """The clip on the network's device, and what is to be explained of it.

    Raises:
        InputError: no such channel, unit or class, or not one clip.
    """
    clip = check_clip(network, clip)
    if label is not None:
        return clip, ClassLogit(network, label)
    if channel is None:
        raise InputError(
            "target",
            found="neither a channel nor a class",
            expected="one of them to explain",
            remedy="give a channel, or label=",
        )
    if unit is not None:
        return clip, unit_at(network, clip, channel, unit)
    return clip, strongest_unit(network, clip, channel)


def make_saliency(
    method: str,
    target: Unit | ClassLogit,
    attribution: Tensor,
    shown: Tensor,
    *,
    value: float,
    note: str = "",
) -> Saliency:
    """The result of a method.

    Args:
        method: its name in `METHODS`.
        target: what was explained.
        attribution: (1, 3, T, H, W), or (1, 1, T, H, W).
        shown: (T, H, W), not negative.
        value: the target's value on the clip.
        note: what the reader of the map should know.
    """
    positive = shown.detach().float().cpu().numpy()
    # An empty map is a finding (guided backpropagation and Grad-CAM may stop everything), not an
    # error.
    if not positive.any():
        note += ("; " if note else "") + "nothing positive anywhere"
    unit = target if isinstance(target, Unit) else None
    return Saliency(
        method=method,
        channel=unit.channel if unit else None,
        label=target.label if isinstance(target, ClassLogit) else None,
        attribution=attribution[0].detach().float().cpu().numpy(),
        map=positive,
        unit=unit.at if unit else None,
        value=value,
        frame=int(positive.max(axis=(1, 2)).argmax()),
        note=note,
    )


def strongest_colour(slope: Tensor) -> Tensor:
    """(1, 3, T, H, W) -> (T, H, W): the largest positive gradient among the colours."""
    return slope[0].amax(dim=0).clamp_min(0)


def value_of(target: nn.Module, clip: Tensor) -> float:
    """The target's value on one clip."""
    with torch.no_grad():
        return float(target(clip))
