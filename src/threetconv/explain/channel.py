"""One output channel of a convolution: what all explanations are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from threetconv.errors import InputError, nearest
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T

__all__ = ["Channel", "convolution_of", "convolutions", "transforms_of"]


@dataclass(frozen=True)
class Channel:
    """A channel: the name of its convolution in the network ("layer1.0.conv1"), its number."""

    layer: str
    index: int

    def __str__(self) -> str:
        return f"{self.layer}, channel {self.index}"


def convolutions(network: nn.Module) -> dict[str, Any]:
    """Name -> convolution (Conv3T or nn.Conv3d), in the order of registration."""
    return {
        name: module
        for name, module in network.named_modules()
        # By attributes, not by type: Conv3T is not a subclass of nn.Conv3d.
        if hasattr(module, "out_channels") and hasattr(module, "kernel_size")
    }


def convolution_of(network: nn.Module, channel: Channel) -> Any:
    """The convolution (Conv3T or nn.Conv3d) that a channel belongs to.

    Raises:
        InputError: no convolution of that name, or no such channel in it.
    """
    known = convolutions(network)
    module = known.get(channel.layer)
    if module is None:
        raise InputError(
            f"channel {channel}",
            found=f"no convolution named {channel.layer!r}",
            expected=f"one of {', '.join(known)}",
            remedy=nearest(channel.layer, list(known)) or "use one of the names above",
        )
    if not 0 <= channel.index < module.out_channels:
        raise InputError(
            f"channel {channel}",
            found=f"channel {channel.index}",
            expected=f"0 to {module.out_channels - 1}, the channels of {channel.layer}",
            remedy="choose one of them",
        )
    return module


def transforms_of(layer: Conv3T, index: int) -> list[NDArray[np.float64]]:
    """The raw temporal parameters of one channel, in the order of `TEMPORAL_PARAMETERS`.

    Returns:
        (D - 1,) each, as the layer stores them.
    """
    return [
        getattr(layer, name).detach()[:, index].double().cpu().numpy()
        for name in TEMPORAL_PARAMETERS
    ]
