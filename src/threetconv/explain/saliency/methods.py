"""Which pixels make a channel respond? Four methods, by name, for any lifted network.

All explain the same thing for one clip: the strongest unit of a channel, the largest raw output of
its convolution over time and space, or, on request, another unit or the logit of a class. A 3D
network is looked at over the whole sequence (`Saliency.map`); for a 3T network, whose transforms
say what moves, the paper shows one frame (`Saliency.frame`). Both are there for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.saliency.guided import guided_gradient
from threetconv.explain.saliency.targets import (
    ClassLogit,
    Place,
    Unit,
    check_clip,
    is_run,
    last_spatial_layer,
    strongest_unit,
    undisturbed,
    unit_at,
)

__all__ = [
    "METHODS",
    "Saliency",
    "grad_cam",
    "gradient",
    "guided_backprop",
    "integrated_gradients",
]


@dataclass(frozen=True)
class Saliency:
    """Where in a clip the cause of a response lies.

    Attributes:
        method: name in `METHODS`.
        channel: whose strongest unit is explained, or None for a class.
        label: index of the class explained, or None for a channel.
        attribution: float32 (3, T, H, W), signed, by colour; (1, T, H, W) of Grad-CAM.
        map: float32 (T, H, W), not negative; what each method makes of `attribution`.
        unit: (t, y, x) of the unit in its layer's output; None for a class.
        value: raw output of the unit, or the logit.
        frame: the frame with the largest value of `map`, the first of equals; 0 of an empty map.
        note: what the reader of the map should know, in words; may be empty.
    """

    method: str
    channel: Channel | None
    label: int | None
    attribution: NDArray[np.float32]
    map: NDArray[np.float32]
    unit: Place | None
    value: float
    frame: int
    note: str = ""


def gradient(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    *,
    label: int | None = None,
    unit: Place | None = None,
) -> Saliency:
    """The paper's gradient method: the strongest unit's gradient by the clip, positive part.

    Of the three colours of a pixel the map shows the largest (as Simonyan et al. 2013, arXiv
    1312.6034). In evaluation mode, which leaves batch statistics alone.

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
        clip, target = _prepare(network, clip, channel, label, unit)
        clip.requires_grad_()
        value = target(clip)
        (slope,) = torch.autograd.grad(value.sum(), clip)
    return _result("gradient", target, slope, _strongest_colour(slope), value=value.item())


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
    see `threetconv.explain.saliency.guided`. Arguments, result and errors as for `gradient`.
    """
    with undisturbed(network):
        clip, target = _prepare(network, clip, channel, label, unit)
        value = _value(target, clip)
        slope, note = guided_gradient(target, clip)
    return _result(
        "guided-backprop", target, slope, _strongest_colour(slope), value=value, note=note
    )


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
    """Integrated gradients: what each pixel adds to the response, from a baseline to the clip.

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
        clip, target = _prepare(network, clip, channel, label, unit)
        start = torch.zeros_like(clip) if baseline is None else _baseline(baseline, clip)
        value, floor = _value(target, clip), _value(target, start)
        parts = IntegratedGradients(target).attribute(
            clip, start, n_steps=n_steps, internal_batch_size=batch_size
        )
    share = parts.double().sum().item() - (value - floor)
    note = f"{n_steps} steps, sum off by {share:+.2g} of {value - floor:.2g}"
    summed = parts[0].sum(dim=0).clamp_min(0)
    return _result("integrated-gradients", target, parts, summed, value=value, note=note)


def grad_cam(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    *,
    label: int | None = None,
    unit: Place | None = None,
    layer: str | None = None,
) -> Saliency:
    """Grad-CAM over time and space: a layer's channels, weighted by what the target owes to them.

    A feature's weight is the mean over time, height and width of the target's gradient by it; the
    map is the positive part of the weighted sum of features, interpolated (trilinear) to the
    clip's shape (Selvaraju et al. 2017, arXiv 1610.02391, with time as a third axis).

    - For a channel the features are its convolution's *input*. A weight is then, up to a factor,
      the sum of the channel's filter over that input channel: the map shows where the features
      are that the channel adds up, without regard to how they move. For a network's first
      convolution the features are the clip's three colours.
    - For a class they are the output of `channel`'s convolution, if one is given, or of
      `last_spatial_layer`.

    Args:
        network, clip, channel, label, unit: as for `gradient`; with `label`, `channel` only says
            where to look.
        layer: name of a module whose output (1, C, T', H', W') is to be taken instead.

    Raises:
        InputError: as `gradient`, or a layer that the network does not have or is not run.
    """
    from captum.attr import LayerAttribution, LayerGradCam  # a second to import

    with undisturbed(network):
        clip, target = _prepare(network, clip, channel, label, unit)
        of_input = isinstance(target, Unit) and layer is None
        name = layer or (channel.layer if channel is not None else None)
        name = name or last_spatial_layer(network, clip)
        modules = dict(network.named_modules())
        value = _value(target, clip)
        if name not in modules or not is_run(target, modules[name], clip):
            raise InputError(
                f"layer {name!r}",
                found="no layer of that name, or none that the target depends on",
                expected="a layer that is run before the target, with output (1, C, T, H, W)",
                remedy="choose an earlier layer",
            )
        coarse = LayerGradCam(target, modules[name]).attribute(
            clip.requires_grad_(), attribute_to_layer_input=of_input, relu_attributions=True
        )
        full = LayerAttribution.interpolate(coarse.detach(), tuple(clip.shape[2:]), "trilinear")
    size = " x ".join(map(str, coarse.shape[2:]))
    note = f"{'input' if of_input else 'output'} of {name}, {size}"
    if max(coarse.shape[3:]) == 1:
        note += ": one place a frame, which does not say where"
    return _result("grad-cam", target, full, full[0, 0], value=value, note=note)


METHODS: dict[str, Callable[..., Saliency]] = {
    "gradient": gradient,
    "integrated-gradients": integrated_gradients,
    "guided-backprop": guided_backprop,
    "grad-cam": grad_cam,
}
"""Name -> f(network, clip (1, 3, T, H, W), channel, **options) -> Saliency."""


def _prepare(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    label: int | None,
    unit: Place | None,
) -> tuple[Tensor, Unit | ClassLogit]:
    clip = check_clip(network, clip)
    if label is not None:
        return clip, ClassLogit(network, label)
    if channel is None:
        raise InputError(
            "target",
            found="neither a channel nor a class",
            expected="one of them to explain",
            remedy="give a channel, or label=",
        )
    if unit is not None:
        return clip, unit_at(network, clip, channel, unit)
    return clip, strongest_unit(network, clip, channel)


def _result(
    method: str,
    target: Unit | ClassLogit,
    attribution: Tensor,
    shown: Tensor,
    *,
    value: float,
    note: str = "",
) -> Saliency:
    positive = shown.detach().float().cpu().numpy()
    if not positive.any():
        note += ("; " if note else "") + "nothing positive anywhere"
    unit = target if isinstance(target, Unit) else None
    return Saliency(
        method=method,
        channel=unit.channel if unit else None,
        label=target.label if isinstance(target, ClassLogit) else None,
        attribution=attribution[0].detach().float().cpu().numpy(),
        map=positive,
        unit=unit.at if unit else None,
        value=value,
        frame=int(positive.max(axis=(1, 2)).argmax()),
        note=note,
    )


def _strongest_colour(slope: Tensor) -> Tensor:
    """(1, 3, T, H, W) -> (T, H, W): the largest positive gradient among the colours."""
    return slope[0].amax(dim=0).clamp_min(0)


def _value(target: nn.Module, clip: Tensor) -> float:
    with torch.no_grad():
        return float(target(clip))


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
