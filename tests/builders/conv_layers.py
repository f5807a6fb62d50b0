"""Conv3T layers with seeded weights, at the identity or off it."""

from __future__ import annotations

from typing import Any

import torch

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T


def disturb(layer: Conv3T, seed: int, spread: float) -> None:
    """Random temporal parameters around the identity; spread 0 leaves them there."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in TEMPORAL_PARAMETERS:
            parameter = getattr(layer, name)
            parameter += spread * torch.randn(
                parameter.shape, generator=generator, dtype=torch.float64
            ).to(parameter.dtype)


def make(seed: int = 0, spread: float = 0.0, **arguments: Any) -> Conv3T:
    """A layer of seeded weights; by default 2 channels to 3, a kernel of 3."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = Conv3T(**({"in_channels": 2, "out_channels": 3, "kernel_size": 3} | arguments))
    disturb(layer, seed + 1, spread)
    return layer
