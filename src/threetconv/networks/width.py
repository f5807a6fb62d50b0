"""Thin a 2D network: the same architecture with a fraction of its channels."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from threetconv.errors import InputError
from threetconv.networks.lift_layers import convolutional_classifiers

__all__ = ["thin"]


def thin(model: nn.Module, width: float, *, num_classes: int) -> nn.Module:
    """Scale every channel count of a 2D network, except its 3 input channels and its classes.

    The thin network's filters are the leading block of the wide one's times 1/sqrt(width), the
    standard deviation that Kaiming or Glorot initialisation gives a layer of that size. Layer and
    group norms and factors per channel keep their leading elements; batch norms and Linear layers
    are initialised anew. Grouped convolutions keep their number of groups, depthwise ones stay
    depthwise.

    Args:
        model: a randomly initialised 2D network; it is not changed.
        width: the factor, above 0 and at most 1; its product with every channel count must be an
            integer.
        num_classes: a Linear layer with this many outputs counts as a classifier and keeps them, as
            does SqueezeNet's last convolution.

    Returns:
        The thin network, in the training mode of `model`.

    Raises:
        InputError: if a scaled channel count is not an integer, or not divisible by its groups.
    """
    if width == 1.0:
        return model
    thinned = copy.deepcopy(model)
    classifiers = set(convolutional_classifiers(thinned))
    for name, module in list(thinned.named_modules()):
        if isinstance(module, nn.Conv2d):
            replacement: nn.Module = _conv(name, module, width, module in classifiers)
        elif isinstance(module, nn.BatchNorm2d):
            # a new one: before training its parameters are constants, so nothing is lost
            replacement = nn.BatchNorm2d(
                _scaled(name, module.num_features, width),
                eps=module.eps,
                momentum=module.momentum,
                affine=module.affine,
                track_running_stats=module.track_running_stats,
            )
        elif isinstance(module, nn.Linear):
            # inputs come from thinned layers, so they scale too
            classes = module.out_features == num_classes
            replacement = nn.Linear(
                _scaled(name, module.in_features, width),
                num_classes if classes else _scaled(name, module.out_features, width),
                bias=module.bias is not None,
            )
        else:
            _thin_in_place(name, module, width)
            continue
        parent, _, child = name.rpartition(".")
        setattr(thinned.get_submodule(parent), child, replacement.train(module.training))
    return thinned


def _conv(name: str, conv: nn.Conv2d, width: float, classifier: bool) -> nn.Conv2d:
    inputs = 3 if conv.in_channels == 3 else _scaled(name, conv.in_channels, width)
    outputs = conv.out_channels if classifier else _scaled(name, conv.out_channels, width)
    groups = conv.groups
    if groups == conv.in_channels:  # depthwise: one group per channel
        groups = inputs
    if inputs % groups or outputs % groups:
        raise InputError(
            f"width {width} at layer {name!r}",
            found=f"{inputs} -> {outputs} channels in {groups} groups",
            expected="a width that leaves every group at least one whole channel",
            remedy="use a larger width",
        )
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
        # variance is inversely proportional to the fan, which `width` scales
        layer.weight.copy_(conv.weight[:outputs, : inputs // groups] / math.sqrt(width))
    return layer


def _thin_in_place(name: str, module: nn.Module, width: float) -> None:
    """Thin what keeps its type: LayerNorm, GroupNorm, and blocks' own parameters per channel."""
    channels: dict[str, int] = {}  # parameter -> axis of its channels
    if isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(_scaled(name, n, width) for n in module.normalized_shape)
        channels = {"weight": 0, "bias": 0}
    elif isinstance(module, nn.GroupNorm):
        module.num_channels = _scaled(name, module.num_channels, width)
        channels = {"weight": 0, "bias": 0}
    else:
        for key, value in module.named_parameters(recurse=False):
            if value.shape[-2:] == (1, 1):  # ConvNeXt's layer scale, (C, 1, 1)
                channels[key] = value.ndim - 3
    for key, axis in channels.items():
        value = getattr(module, key)
        if value is not None:
            narrow = value.detach().narrow(axis, 0, _scaled(name, value.shape[axis], width))
            setattr(module, key, nn.Parameter(narrow.clone(), value.requires_grad))


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
