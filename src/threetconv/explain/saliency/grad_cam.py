"""Grad-CAM: the features of a layer, weighted by the gradient of a response by each."""

from __future__ import annotations

from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.forward import undisturbed
from threetconv.explain.saliency.result import Saliency, make_saliency, prepare, value_of
from threetconv.explain.saliency.targets import Place, Unit, is_run, last_spatial_layer

__all__ = ["grad_cam"]


def grad_cam(
    network: nn.Module,
    clip: Tensor,
    channel: Channel | None,
    *,
    label: int | None = None,
    unit: Place | None = None,
    layer: str | None = None,
) -> Saliency:
    """Grad-CAM over time and space: a layer's channels, weighted by the target's mean gradient.

    A feature's weight is the mean over time, height and width of the target's gradient by it; the
    map is the positive part of the weighted sum of features, interpolated (trilinear) to the
    clip's shape (Selvaraju et al. 2017, arXiv 1610.02391, with time as a third axis).

    - For a channel the features are its convolution's *input*. A weight is then, up to a factor,
      the sum of the channel's filter over that input channel: the map shows where the channel's
      input features are, whatever their motion. For a network's first convolution the features
      are the clip's three colours.
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
        clip, target = prepare(network, clip, channel, label, unit)
        # The output of a unit's own convolution would be weighted by the gradient of the unit by
        # itself, which is 1 there and 0 elsewhere; its input is the nearest informative layer.
        of_input = isinstance(target, Unit) and layer is None
        name = layer or (channel.layer if channel is not None else None)
        name = name or last_spatial_layer(network, clip)
        modules = dict(network.named_modules())
        value = value_of(target, clip)
        if name not in modules or not is_run(target, modules[name], clip):
            raise InputError(
                f"layer {name!r}",
                found="no layer of that name, or none that the target depends on",
                expected="a layer that is run before the target, with output (1, C, T, H, W)",
                remedy="choose an earlier layer",
            )
        # (1, 1, T', H', W'). relu: Selvaraju et al. keep only features that raise the target.
        coarse = LayerGradCam(target, modules[name]).attribute(
            clip.requires_grad_(), attribute_to_layer_input=of_input, relu_attributions=True
        )
        full = LayerAttribution.interpolate(coarse.detach(), tuple(clip.shape[2:]), "trilinear")
    size = " x ".join(map(str, coarse.shape[2:]))
    note = f"{'input' if of_input else 'output'} of {name}, {size}"
    if max(coarse.shape[3:]) == 1:
        note += ": one place a frame, which does not say where"
    return make_saliency("grad-cam", target, full, full[0, 0], value=value, note=note)
