"""Deployment: every 3T layer as the plain 3D convolution that it computes.

A 3T layer builds its filters from few numbers; once training is over they never change. Frozen,
a network is made of `torch.nn` layers alone, so that `torch.export`, `torch.compile` and ONNX see
nothing new, and no filter is built at run time. It is as large as a 3D network, and its temporal
parameters are gone: keep the 3T network to read them.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from threetconv.conv import Conv3T
from threetconv.geometry import check_module

__all__ = ["freeze_filters", "to_conv3d"]


def to_conv3d(layer: Conv3T | nn.Conv3d) -> nn.Conv3d:
    """One 3T layer as a plain `nn.Conv3d` with its present filters.

    Args:
        layer: it is not changed, and the new layer shares no memory with it. A subclass of
            `nn.Conv3d` (`threetconv.lift` makes one) comes back as `nn.Conv3d` itself.

    Returns:
        `nn.Conv3d` with weight (out, in / groups, D, H, W) of the layer's precision and device, in
        its training mode; the same outputs. Hooks do not come along.

    Note:
        What `threetconv.conv.convolve` guards against (a deep, strided filter on a clip hardly
        longer than it) concerns training on CPU; to go on training a frozen network on such clips,
        use ``lift(..., "3d")``.

    Example:
        >>> to_conv3d(Conv3T(3, 64, kernel_size=7, stride=2, padding=3)).weight.shape
        torch.Size([64, 3, 7, 7, 7])
    """
    with torch.no_grad():
        weight = layer.filters() if isinstance(layer, Conv3T) else layer.weight
        weight = weight.detach().clone(memory_format=torch.contiguous_format)
    sizes: Any = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    plain: nn.Conv3d = nn.utils.skip_init(  # draws no random numbers
        nn.Conv3d,
        layer.in_channels,
        layer.out_channels,
        *sizes,
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
        device=weight.device,
        dtype=weight.dtype,
    )
    plain.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    if layer.bias is not None:
        bias = layer.bias.detach().clone()
        plain.bias = nn.Parameter(bias, requires_grad=layer.bias.requires_grad)
    return plain.train(layer.training)


def freeze_filters(network: nn.Module) -> nn.Module:
    """A copy of a network in which every 3T layer is a plain `nn.Conv3d`; the same outputs.

    Args:
        network: any network that holds `Conv3T` layers, or such a layer itself; it is not changed.

    Returns:
        The copy, in the network's training mode, with its layer names. A layer that is used in two
        places stays one layer.

    Raises:
        InputError: `network` is no module.

    Example:
        >>> from threetconv import build_network
        >>> network = build_network("resnet18", num_classes=27, clip_shape=(30, 150, 224))
        >>> frozen = freeze_filters(network.eval())
        >>> program = torch.export.export(frozen, (torch.zeros(1, 3, 30, 150, 224),))
    """
    check_module(network)
    frozen = copy.deepcopy(network)
    done: dict[nn.Module, nn.Conv3d] = {}
    for name, module in list(frozen.named_modules(remove_duplicate=False)):
        if not isinstance(module, Conv3T | nn.Conv3d):
            continue
        if module not in done:
            done[module] = to_conv3d(module)
        if not name:
            return done[module]
        parent, _, child = name.rpartition(".")
        setattr(frozen.get_submodule(parent), child, done[module])
    return frozen
