"""Guided backpropagation: the gradient with negative parts stopped at every rectifier."""

from __future__ import annotations

from torch import Tensor, nn

from threetconv.explain.channel import Channel
from threetconv.explain.forward import undisturbed
from threetconv.explain.saliency.guided import guided_gradient
from threetconv.explain.saliency.result import (
    Saliency,
    make_saliency,
    prepare,
    strongest_colour,
    value_of,
)
from threetconv.explain.saliency.targets import Place

__all__ = ["guided_backprop"]


def guided_backprop(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    *,
    label: int | None = None,
    unit: Place | None = None,
) -> Saliency:
    """Guided backpropagation: as `gradient`, negative gradients stopped at every rectifier.

    It looks sharper, and depends less on the weights than it seems to (Adebayo et al. 2018). The
    note says which rectifiers were guided; SiLU, Hardswish and their like keep their own gradient,
    see `threetconv.explain.saliency.guided`. Arguments, result and errors as for
    `threetconv.explain.saliency.gradient.gradient`.
    """
    with undisturbed(network):
        clip, target = prepare(network, clip, channel, label, unit)
        # Worked out apart from the gradient, whose pass runs with captum's hooks.
        value = value_of(target, clip)
        slope, note = guided_gradient(target, clip)
    return make_saliency(
        "guided-backprop", target, slope, strongest_colour(slope), value=value, note=note
    )
