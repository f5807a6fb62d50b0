"""The gradient: how much a response rises when a pixel is made a little brighter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from threetconv.explain.channel import Channel
from threetconv.explain.forward import undisturbed
from threetconv.explain.saliency.result import Saliency, make_saliency, prepare, strongest_colour
from threetconv.explain.saliency.targets import Place

__all__ = ["gradient"]


def gradient(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    *,
    label: int | None = None,
    unit: Place | None = None,
) -> Saliency:
    """The paper's gradient method: the strongest unit's gradient by the clip, positive part.

    The map shows the largest of a pixel's three colours (as Simonyan et al. 2013, arXiv
    1312.6034). The network runs in evaluation mode, so that batch statistics do not change.

    Args:
        network: takes clips (N, 3, T, H, W); in any mode, and left as it was.
        clip: one normalised clip, (1, 3, T, H, W); moved to the network's device.
        channel: the channel to explain; None with `label`.
        label: index of a class to explain instead.
        unit: (t, y, x) in the layer's output of the unit to explain; the strongest one without it.

    Returns:
        A map over the whole clip, and the frame of highest gradient.

    Raises:
        InputError: no such channel, unit or class, a layer that evaluation does not run, or not
            one clip.

    Example:
        >>> found = gradient(network, clip, Channel("layer1.0.conv1", 5))
        >>> found.map.shape, found.frame
        ((30, 150, 224), 12)
    """
    with undisturbed(network):
        clip, target = prepare(network, clip, channel, label, unit)
        clip.requires_grad_()
        value = target(clip)
        # value is (1,); autograd.grad leaves the parameters' .grad alone.
        (slope,) = torch.autograd.grad(value.sum(), clip)
    return make_saliency("gradient", target, slope, strongest_colour(slope), value=value.item())
