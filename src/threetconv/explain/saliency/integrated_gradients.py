"""Integrated gradients: how much each pixel contributes to a response."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.forward import undisturbed
from threetconv.explain.saliency.result import Saliency, make_saliency, prepare, value_of
from threetconv.explain.saliency.targets import Place

__all__ = ["integrated_gradients"]


def integrated_gradients(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    *,
    label: int | None = None,
    unit: Place | None = None,
    baseline: Tensor | None = None,
    n_steps: int = 50,
    batch_size: int = 10,
) -> Saliency:
    """Integrated gradients: each pixel's contribution to the rise from a baseline to the clip.

    The gradient of the unit, chosen on the clip itself, is averaged along the straight line from
    the baseline (Gauss-Legendre) and multiplied by the difference, so that `attribution` sums to
    ``value - value of the baseline``, up to the integration's error, which the note gives
    (Sundararajan et al. 2017, arXiv 1703.01365). The map is the sum over colours, positive part.

    Args:
        network, clip, channel, label, unit: as for `gradient`.
        baseline: (1, 3, T, H, W) or what broadcasts to it, normalised; zeros by default, which is
            ImageNet's mean colour everywhere.
        n_steps: points on the line.
        batch_size: points at a time.

    Raises:
        InputError: as `gradient`; a baseline that does not fit the clip; fewer than 1 step or clip.
    """
    for name, number in (("n_steps", n_steps), ("batch_size", batch_size)):
        if number < 1:
            raise InputError(
                name, found=str(number), expected="at least 1", remedy="give a positive number"
            )
    from captum.attr import IntegratedGradients  # a second to import

    with undisturbed(network):
        clip, target = prepare(network, clip, channel, label, unit)
        start = torch.zeros_like(clip) if baseline is None else _baseline(baseline, clip)
        value, floor = value_of(target, clip), value_of(target, start)
        parts = IntegratedGradients(target).attribute(
            clip, start, n_steps=n_steps, internal_batch_size=batch_size
        )
    # Completeness (Sundararajan et al. 2017, section 3): attributions sum to the difference of
    # values. What is missing is the error of the integration, which the note shows to the reader.
    share = parts.double().sum().item() - (value - floor)
    note = f"{n_steps} steps, sum off by {share:+.2g} of {value - floor:.2g}"
    summed = parts[0].sum(dim=0).clamp_min(0)
    return make_saliency("integrated-gradients", target, parts, summed, value=value, note=note)


def _baseline(baseline: Tensor, clip: Tensor) -> Tensor:
    try:
        return torch.broadcast_to(baseline.to(clip), clip.shape).clone()
    except RuntimeError:
        raise InputError(
            "baseline",
            found=f"shape {tuple(baseline.shape)}",
            expected=f"{tuple(clip.shape)}, or what broadcasts to it",
            remedy="give a clip of that shape, or a colour (1, 3, 1, 1, 1)",
        ) from None
