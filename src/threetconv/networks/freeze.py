"""Deployment: replace every 3T layer by the plain 3D convolution that it computes.

After training, the filters of a 3T layer no longer change. A frozen network consists of `torch.nn`
layers only (and layers that add `symmetric_time` alone, where the network has that), so
`torch.export`, `torch.compile` and ONNX handle it, and no filter is built at run time. It is as
large as a 3D network and no longer has temporal parameters: keep the 3T network to read them.
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
        The copy, with the network's training mode and layer names. A layer that is used in two
        places stays shared.

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
    # duplicates are kept, so that every name of a shared layer is replaced; a list, because the
    # tree changes during the loop
    for name, module in list(frozen.named_modules(remove_duplicate=False)):
        # nn.Conv3d too: `lift` makes a subclass of it, and a frozen network has torch's layers only
        if not isinstance(module, Conv3T | nn.Conv3d):
            continue
        if module not in done:
            done[module] = to_conv3d(module)
        if not name:  # `network` is itself the layer
            return done[module]
        parent, _, child = name.rpartition(".")
        setattr(frozen.get_submodule(parent), child, done[module])
    return frozen
