"""What a saliency method differentiates: a channel's strongest unit, or the logit of a class.

A target is a module that takes clips (B, 3, T, H, W) to one value each, (B,). For a unit the
forward pass ends at its layer, which saves most of the work for an early layer.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel, convolutions
from threetconv.explain.forward import channel_output

__all__ = [
    "ClassLogit",
    "Place",
    "Unit",
    "check_clip",
    "is_run",
    "last_spatial_layer",
    "strongest_unit",
    "unit_at",
]

Place = tuple[int, int, int]
"""(t, y, x) in a layer's output."""


class Unit(nn.Module):
    """One unit of a channel: its raw output, before any norm or rectifier.

    Args:
        network: takes clips (B, 3, T, H, W); not a submodule of this one.
        channel: which channel. Of a layer that is used twice, the first use counts.
        at: (t, y, x) of the unit.
    """

    def __init__(self, network: nn.Module, channel: Channel, at: Place) -> None:
        super().__init__()
        self._network = (network,)  # in a tuple: hooks put on this module's children miss it
        self.channel, self.at = channel, at

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B,)."""
        t, y, x = self.at
        return channel_output(self._network[0], self.channel, clips)[:, t, y, x]


class ClassLogit(nn.Module):
    """The logit of one class.

    Args:
        network: takes clips (B, 3, T, H, W) to logits (B, classes), or to a tuple that starts with
            them; not a submodule of this one.
        label: index of the class.
    """

    def __init__(self, network: nn.Module, label: int) -> None:
        super().__init__()
        self._network = (network,)
        self.label = label

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) -> (B,).

        Raises:
            InputError: the network has no such class.
        """
        found = self._network[0](clips.clone())
        logits: Tensor = found[0] if isinstance(found, tuple) else found
        if not 0 <= self.label < logits.shape[1]:
            raise InputError(
                f"class {self.label}",
                found="no class of that number",
                expected=f"0 to {logits.shape[1] - 1}, the classes of the network",
                remedy="give the index of a class of the network",
            )
        return logits[:, self.label]


def strongest_unit(network: nn.Module, clip: Tensor, channel: Channel) -> Unit:
    """The unit of a channel with the largest raw output over time and space; the first of equals.

    Args:
        network: in the mode that it is to be looked at in.
        clip: (1, 3, T, H, W).
        channel: which channel.

    Raises:
        InputError: no such channel, or its layer is not run.
    """
    with torch.no_grad():
        response = channel_output(network, channel, clip)[0]
    _, height, width = response.shape
    # argmax counts through the flattened (T', H', W').
    place = int(response.argmax())
    at = (place // (height * width), place // width % height, place % width)
    return Unit(network, channel, at)


def unit_at(network: nn.Module, clip: Tensor, channel: Channel, at: Place) -> Unit:
    """The unit of a channel at a place of its layer's output.

    Args:
        network, clip, channel: as for `strongest_unit`.
        at: (t, y, x), each from 0.

    Raises:
        InputError: as `strongest_unit`, or the output ends before that place.
    """
    with torch.no_grad():
        shape = tuple(channel_output(network, channel, clip)[0].shape)
    if not all(0 <= place < size for place, size in zip(at, shape, strict=True)):
        raise InputError(
            f"unit {tuple(at)} of {channel}",
            found=f"an output of {' x '.join(map(str, shape))} (time, height, width)",
            expected="a unit within it, counted from 0",
            remedy="choose a place there, or leave it out to take the strongest unit",
        )
    return Unit(network, channel, at)


def last_spatial_layer(network: nn.Module, clip: Tensor) -> str:
    """The last convolution that still tells places in a frame apart: output larger than 1 x 1.

    Args:
        network: in evaluation mode.
        clip: (1, 3, T, H, W).

    Raises:
        InputError: there is none.
    """
    found: list[str] = []

    def hook_of(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            # After global pooling, at 1 x 1, a map over space would be constant.
            if output.ndim == 5 and max(output.shape[3:]) > 1:
                found.append(name)

        return hook

    handles = [
        module.register_forward_hook(hook_of(name))
        for name, module in convolutions(network).items()
    ]
    try:
        with torch.no_grad():
            network(clip.clone())
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise InputError(
            "network",
            found="no convolution whose output is larger than 1 x 1",
            expected="one that tells places in a frame apart",
            remedy="show larger frames, or name a layer",
        )
    return found[-1]


def is_run(target: nn.Module, module: nn.Module, clip: Tensor) -> bool:
    """Whether the forward pass of a target on a clip runs a module."""
    calls: list[bool] = []
    handle = module.register_forward_pre_hook(lambda *_: calls.append(True))
    try:
        with torch.no_grad():
            target(clip)
    finally:
        handle.remove()
    return bool(calls)


def check_clip(network: nn.Module, clip: Tensor) -> Tensor:
    """A copy of one clip, of the precision and on the device of the network.

    Raises:
        InputError: not a clip of shape (1, 3, T, H, W), or one that holds NaN or infinity.
    """
    if clip.ndim != 5 or clip.shape[:2] != (1, 3) or not clip.is_floating_point():
        raise InputError(
            "clip",
            found=f"{clip.dtype} {tuple(clip.shape)}",
            expected="one normalised clip, floating point (1, 3, T, H, W)",
            remedy="pass frames (T, H, W, 3) through threetconv.clips.dataset.normalise, "
            "as frames[None]",
        )
    if not bool(torch.isfinite(clip).all()):
        raise InputError(
            "clip",
            found="NaN or infinite values",
            expected="finite ones",
            remedy="check how the clip was read and normalised",
        )
    like = next(network.parameters(), clip)
    return clip.detach().to(device=like.device, dtype=like.dtype, copy=True)
