"""Thin a 2D network: the same architecture with a fraction of its channels."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from threetconv.errors import InputError

__all__ = ["thin"]


def thin(model: nn.Module, width: float, *, num_classes: int) -> nn.Module:
    """Scale every channel count of a 2D network, except its 3 input channels and its classes.

    The thin network's filters are the leading block of the wide one's, times 1/sqrt(width): the
    spread that an initialisation by fan (Kaiming's, Glorot's) gives a layer of that size.

    Args:
        model: a randomly initialised 2D network; it is not changed.
        width: the factor, above 0 and at most 1; every channel count times it must be whole.
        num_classes: a Linear layer of this many outputs is a classifier and keeps them.

    Raises:
        InputError: when a channel count does not come out whole.
    """
    if width == 1.0:
        return model
    thinned = copy.deepcopy(model)
    for name, module in list(thinned.named_modules()):
        if isinstance(module, nn.Conv2d):
            replacement: nn.Module = _conv(name, module, width)
        elif isinstance(module, nn.BatchNorm2d):
            replacement = nn.BatchNorm2d(
                _scaled(name, module.num_features, width), eps=module.eps, momentum=module.momentum
            )
        elif isinstance(module, nn.Linear):
            classes = module.out_features == num_classes
            replacement = nn.Linear(
                _scaled(name, module.in_features, width),
                num_classes if classes else _scaled(name, module.out_features, width),
                bias=module.bias is not None,
            )
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(thinned.get_submodule(parent), child, replacement)
    return thinned


def _conv(name: str, conv: nn.Conv2d, width: float) -> nn.Conv2d:
    inputs = 3 if conv.in_channels == 3 else _scaled(name, conv.in_channels, width)
    outputs = _scaled(name, conv.out_channels, width)
    groups = conv.groups
    if groups == conv.in_channels:  # depthwise
        groups = inputs
    layer = nn.Conv2d(
        inputs,
        outputs,
        conv.kernel_size,  # type: ignore[arg-type]
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        groups,
        conv.bias is not None,
        conv.padding_mode,
    )
    with torch.no_grad():
        layer.weight.copy_(conv.weight[:outputs, : inputs // groups] / math.sqrt(width))
    return layer


def _scaled(name: str, count: int, width: float) -> int:
    scaled = count * width
    if not 0 < width <= 1 or scaled != int(scaled):
        raise InputError(
            f"width {width} at layer {name!r}",
            found=f"{count} x {width} = {scaled:g} channels",
            expected="a width above 0 and at most 1 that gives whole channel counts everywhere",
            remedy="use 1, 0.5, 0.25 or 0.125",
        )
    return int(scaled)
