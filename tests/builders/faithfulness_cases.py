"""Small networks, clips, and what the true class loses by brute force."""

from __future__ import annotations

import copy

import torch
from torch import nn

from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network

CLASSES = ["a", "b", "c", "without clips"]
LABELS = [0, 1, 2, 1, 0]


def moved(network, spread=0.1, seed=0):
    """The network with transforms off the identity and running statistics of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):
                for name in ("scale", "rotate", "translate_x", "translate_y"):
                    parameter = getattr(module, name)
                    parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.add_(
                    0.1 * torch.randn(module.running_mean.shape, generator=generator)
                )
    return network


def random_clips(n=5, shape=(8, 16, 16), seed=1):
    """Normalised clips (n, 3, T, H, W) of noise."""
    return torch.randn(n, 3, *shape, generator=torch.Generator().manual_seed(seed))


def log_p(network, clips, labels=LABELS):
    """log p(true class) of each clip, by the network as it is."""
    with torch.no_grad():
        found = network(clips.clone()).double().log_softmax(1)
    return found[range(len(clips)), labels].numpy()


def brute_force(network, layer, channel, clips, ablation):
    """Drops clip by clip, from a changed copy of the network."""
    changed = copy.deepcopy(network).eval()
    module = changed.get_submodule(layer)
    which = slice(None) if channel < 0 else channel
    if ablation == "identity":
        with torch.no_grad():
            module.scale[:, which] = 1
            for name in ("rotate", "translate_x", "translate_y"):
                getattr(module, name)[:, which] = 0
    else:
        outputs = []
        handle = module.register_forward_hook(lambda *call: outputs.append(call[2].clone()))
        log_p(changed, clips)
        handle.remove()
        mean = torch.cat(outputs).mean(dim=(0, 2, 3, 4))

        def silence(_module, _arguments, output):
            output = output.clone()
            output[:, which] = mean[which].view(-1, 1, 1, 1)
            return output

        module.register_forward_hook(silence)
    network = copy.deepcopy(network).eval()
    return log_p(network, clips) - log_p(changed, clips)


def lines(table, channel, layer, label=""):
    """The drop in the table's one row of a channel and class."""
    chosen = (table.channel == channel) & (table.layer == layer) & (table.label == label)
    return float(table.loc[chosen, "drop"].item())


def tiny(seed=0):
    """A thin resnet18 of 3T layers for clips of 8 x 16 x 16, four classes."""
    return moved(
        build_network(
            "resnet18", num_classes=4, clip_shape=(8, 16, 16), width=1 / 16, seed=seed
        ).eval()
    )
