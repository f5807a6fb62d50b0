"""The convolutions of a network: where each stands, what its units see, which norm follows it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.weak import WeakIdKeyDictionary

from threetconv.errors import InputError, nearest
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.receptive_field import FieldTracker
from threetconv.networks.trace import check_clip_shape, check_module
from threetconv.tuning.stimuli import Scale

__all__ = ["TunedLayer", "find_layers"]


@dataclass(frozen=True)
class TunedLayer:
    """A convolution in its network.

    Attributes:
        name: in the network.
        index: place in forward order among all convolutions that `find_layers` takes by default.
        channels: of its output.
        norm: name of the batch norm that takes its output, None without one.
        scale: sizes of its stimuli; its centre is that of `unit`.
        unit: (y, x) of the output's unit whose receptive field is nearest to the clip's middle.
    """

    name: str
    index: int
    channels: int
    norm: str | None
    scale: Scale
    unit: tuple[int, int]


def find_layers(
    network: nn.Module, clip_shape: tuple[int, int, int], layers: Sequence[str] | None = None
) -> list[TunedLayer]:
    """Layers to measure, in the order of their first call.

    Runs one forward pass of a copy on the meta device, which computes shapes only.

    Args:
        network: a video network for 3-channel clips; it is not changed.
        clip_shape: (frames, height, width).
        layers: names of convolutions. None: all that have extent in time; where no layer has, all
            that have extent in space.

    Raises:
        InputError: no module, clip shape or layer of that name, or one that is never called.
        RuntimeError: torch's own, for clips too small for the network. What comes behind the last
            of `layers` may fail.
    """
    check_module(network)
    check_clip_shape(clip_shape)
    shadow = copy.deepcopy(network).to("meta").eval()
    convolutions = {n: m for n, m in shadow.named_modules() if isinstance(m, Conv3T | nn.Conv3d)}
    for name in layers or []:
        if name not in convolutions:
            raise InputError(
                f"layer {name!r}",
                found="no 3T or 3D convolution of that name",
                expected=f"one of {', '.join(convolutions)}",
                remedy=nearest(name, list(convolutions)) or "use one of the names above",
            )
    found: dict[str, TunedLayer] = {}
    norms: dict[str, str] = {}
    made: WeakIdKeyDictionary = WeakIdKeyDictionary()  # output of a convolution -> its name
    tracker = FieldTracker()

    def convolved(name: str) -> Any:
        def hook(module: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            made[output] = name
            if name in found:
                return
            field = tracker.of(output)
            unit = field.middle_unit(output.shape[2:], clip_shape)
            kernel = [
                (k - 1) * d + 1 for k, d in zip(module.kernel_size, module.dilation, strict=True)
            ]
            found[name] = TunedLayer(
                name=name,
                index=-1,
                channels=module.out_channels,
                norm=None,
                scale=Scale.of_layer(
                    kernel, tracker.of(inputs[0]).jump, clip_shape, field.centre(unit)[1:]
                ),
                unit=unit[1:],
            )

        return hook

    def normalised(name: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if inputs[0] in made:
                norms.setdefault(made[inputs[0]], name)

        return hook

    for name, module in shadow.named_modules():
        if name in convolutions:
            module.register_forward_hook(convolved(name))
        elif isinstance(module, _BatchNorm):
            module.register_forward_pre_hook(normalised(name))
    dtype = next((p.dtype for p in shadow.parameters()), torch.float32)
    try:
        with torch.no_grad(), tracker:
            shadow(torch.zeros(1, 3, *clip_shape, device="meta", dtype=dtype))
    except RuntimeError:
        if not layers or not set(layers) <= found.keys():
            raise
    deep = [n for n in found if convolutions[n].kernel_size[0] > 1]
    deep = deep or [n for n in found if max(convolutions[n].kernel_size) > 1]
    for name in layers or []:
        if name not in found:
            raise InputError(
                f"layer {name!r}",
                found="a convolution that the network does not call in evaluation",
                expected=f"one of {', '.join(found)}",
                remedy="use one of the names above",
            )
    return [
        replace(layer, index=deep.index(name) if name in deep else -1, norm=norms.get(name))
        for name, layer in found.items()
        if name in (deep if layers is None else layers)
    ]
