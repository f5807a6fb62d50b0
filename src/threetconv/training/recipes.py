"""Recipes: how the temporal parameters of 3T layers are trained beside a network's other weights.

The paper trains all parameters alike, from transforms at the identity. Scales, rotations and
translations have another natural size than weights, and at the identity every tap stands on a grid
node, where the filter is not differentiable (`threetconv.layer.build_filters`). A recipe gives the
transforms a learning rate of their own, and a start off the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.trace import trace

__all__ = ["KINDS", "PAPER", "Recipe", "parameter_groups", "spread_transforms"]

KINDS = {
    "scale": "scale",
    "rotate": "rotate",
    "translate_x": "translate",
    "translate_y": "translate",
}
"""Temporal parameter -> its kind, by which a recipe tells them apart."""
ClipShape = tuple[int, int, int]


def _each(value: float) -> dict[str, float]:
    return dict.fromkeys(("scale", "rotate", "translate"), value)


@dataclass(frozen=True)
class Recipe:
    """One way to train temporal parameters; the default is the paper's.

    Attributes:
        name: in run ids and tables.
        rate_factor: of each kind (scale, rotate, translate): its learning rate over that of the
            other parameters.
        spread: of each kind, SD of the normal noise added to the identity at the start: of s
            itself, of r in radians, of tx and ty in half-extents of the kernel. 0: the identity.
        decay: decoupled weight decay of the transforms towards the identity (Loshchilov and Hutter
            2019): each update takes away decay times its learning rate of what lies between.
        schedule: of the transforms' learning rate, a name in
            `threetconv.training.schedules.SCHEDULES`; None: that of the other parameters.
    """

    name: str = "paper"
    rate_factor: Mapping[str, float] = field(default_factory=lambda: _each(1.0))
    spread: Mapping[str, float] = field(default_factory=lambda: _each(0.0))
    decay: float = 0.0
    schedule: str | None = None


PAPER = Recipe()


def parameter_groups(
    network: nn.Module,
    *,
    lr: float,
    rate_factor: float | Mapping[str, float] = 1.0,
    weight_decay: float = 0.0,
) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser of your own: the transforms of 3T layers apart.

    Args:
        network: any network; without a 3T layer all its parameters are in one group.
        lr: learning rate of all other parameters.
        rate_factor: rate of the transforms over `lr`; a number, or one for each of scale, rotate
            and translate.
        weight_decay: of all other parameters but biases and norms (those of one axis). Transforms
            get none: it would pull scales to zero, where a filter vanishes, instead of to one.

    Returns:
        Dictionaries with `params`, `lr`, `weight_decay` and `kind` ("other", "scale", "rotate",
        "translate"), for any optimiser of `torch.optim`; groups without a parameter are left out.
        With weight decay, biases and norms are a second group of kind "other", without it.

    Raises:
        ValueError: for a kind that does not exist, or one without a factor.

    Example:
        >>> network = build_network("resnet18", num_classes=8, clip_shape=(16, 32, 32), width=0.25)
        >>> optimiser = torch.optim.AdamW(
        ...     parameter_groups(network, lr=1e-3, rate_factor=30, weight_decay=0.01)
        ... )
        >>> [(group["kind"], group["lr"]) for group in optimiser.param_groups]
        [('other', 0.001), ('other', 0.001), ('scale', 0.03), ('rotate', 0.03), ('translate', 0.03)]
    """
    factors = dict(rate_factor) if isinstance(rate_factor, Mapping) else _each(rate_factor)
    if set(factors) != set(KINDS.values()):
        raise ValueError(f"rate_factor={rate_factor!r} needs scale, rotate and translate")
    kinds = {id(parameter): KINDS[name] for _, name, parameter in temporal_parameters(network)}
    # (kind, whether it decays) -> parameters
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {
        ("other", True): [],
        **{(kind, False): [] for kind in ("other", *factors)},
    }
    for parameter in network.parameters():
        kind = kinds.get(id(parameter), "other")
        decays = kind == "other" and (not weight_decay or parameter.ndim > 1)
        groups[kind, decays].append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr * factors.get(kind, 1.0),
            "weight_decay": weight_decay if decays else 0.0,
            "kind": kind,
        }
        for (kind, decays), parameters in groups.items()
        if parameters
    ]


def temporal_parameters(network: nn.Module) -> list[tuple[str, str, nn.Parameter]]:
    """(layer, name, parameter) of every temporal parameter, each once."""
    found = {
        id(parameter): (layer, name, parameter)
        for layer, module in network.named_modules()
        if isinstance(module, Conv3T) and module.kernel_size[0] > 1
        for name in TEMPORAL_PARAMETERS
        for parameter in (getattr(module, name),)
    }
    return list(found.values())


def spread_transforms(
    network: nn.Module, clip_shape: ClipShape, spread: float | Mapping[str, float], *, seed: int
) -> None:
    """Move the transforms of all 3T layers off their present values by normal noise, in place.

    Transitions that no gradient can reach stay as they are (`threetconv.networks.trace`).

    Args:
        network: holds `Conv3T` layers, usually with transforms at the identity.
        clip_shape: (frames, height, width) of its clips, which decides what is reachable.
        spread: SD of the noise, or one for each kind; see `Recipe`.
        seed: of the noise; torch's generators are left as they were.
    """
    spreads = dict(spread) if isinstance(spread, Mapping) else _each(spread)
    generator = torch.Generator().manual_seed(seed)
    for layer in trace(network, clip_shape):
        module = network.get_submodule(layer.name)
        reached = torch.tensor(layer.reachable)
        for name in TEMPORAL_PARAMETERS:
            parameter: Tensor = getattr(module, name)
            # drawn on the CPU and for every entry, so that neither the device nor the length of
            # the clip changes what other entries get
            noise = torch.randn(parameter.shape, generator=generator)
            noise = noise * spreads[KINDS[name]] * reached[:, None]
            with torch.no_grad():
                parameter.add_(noise.to(parameter))
