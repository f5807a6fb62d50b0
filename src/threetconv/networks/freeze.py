"""Deployment: every 3T layer as the plain 3D convolution that it computes.

A 3T layer builds its filters from few numbers; once training is over they never change. Frozen,
a network is made of `torch.nn` layers alone, so that `torch.export`, `torch.compile` and ONNX see
nothing new, and no filter is built at run time. It is as large as a 3D network, and its temporal
parameters are gone: keep the 3T network to read them.
"""

from __future__ import annotations

import copy

from torch import nn

from threetconv.layer.conv3t import Conv3T, to_conv3d
from threetconv.networks.trace import check_module

__all__ = ["freeze_filters"]


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
