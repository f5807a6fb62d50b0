"""The layout of a registered network. Apart, because it needs torch and the statistics do not."""

from __future__ import annotations

import torch

from threetconv.networks.build import build_network
from threetconv.networks.trace import trace
from threetconv.statistics.calibration.simulate import LayerLayout, NetworkLayout

__all__ = ["layout"]

PAPER_CLIP = (30, 150, 224)  # frames, height, width


def layout(
    network: str, clip_shape: tuple[int, int, int] = PAPER_CLIP, width: float = 1.0
) -> NetworkLayout:
    """The layout of a registered network, built on torch's meta device and traced.

    Args:
        network: "resnet18" or "googlenet", or another registered name.
        clip_shape: (frames, height, width) of its clips; decides which rows can learn.
        width: factor on every channel count.

    Raises:
        InputError: for an unknown network or a clip that is too short.
    """
    with torch.device("meta"):
        built = build_network(network, num_classes=10, clip_shape=clip_shape, width=width)
    traced = trace(built, clip_shape)
    layers = tuple(LayerLayout(layer.name, layer.channels, layer.reachable) for layer in traced)
    return NetworkLayout(network, layers)
