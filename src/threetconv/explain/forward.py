"""Forward passes that leave a network as it was; some end at the layer that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel, convolution_of

__all__ = ["channel_output", "evaluating", "first_call", "undisturbed"]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards every module is in the mode it was in."""
    # Module by module: parts of a network (frozen batch norms) may be in another mode than its
    # root.
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """`evaluating` with gradients on, but none for the parameters; then as before.

    Batch norms use their running statistics and leave them alone, dropout is off, and 3T layers
    build their filters once, not once a pass. The parameters' `requires_grad` is put back whatever
    happens; `grad` is never touched.
    """
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    with evaluating(network):
        try:
            # The filters of 3T layers are cached in evaluation mode while no parameter needs a
            # gradient.
            for parameter in wanted:
                parameter.requires_grad_(False)
            # Callers may be inside torch.inference_mode, where no gradient can be taken.
            with torch.inference_mode(False), torch.enable_grad():
                yield
        finally:
            for parameter in wanted:
                parameter.requires_grad_(True)


class _ReachedError(Exception):
    """The forward pass has come to the layer that was asked for; it need not go on."""


def first_call(
    network: nn.Module, layer: nn.Module, clips: Tensor
) -> tuple[tuple[Any, ...], Any] | None:
    """(inputs, output) of a layer's first call; None where the forward pass does not run it."""
    caught: list[tuple[tuple[Any, ...], Any]] = []

    def stop(_module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        caught.append((inputs, output))
        # Layers behind this one cannot change what was caught; leaving the forward pass here saves
        # their time and memory, and a rectifier in place does not overwrite it.
        raise _ReachedError

    handle = layer.register_forward_hook(stop)
    try:
        network(clips.clone())  # the network may overwrite what it is given
    except _ReachedError:
        return caught[0]
    finally:
        handle.remove()
    return None


def channel_output(network: nn.Module, channel: Channel, clips: Tensor) -> Tensor:
    """A channel's raw outputs, before any norm or rectifier; the forward pass ends there.

    Args:
        network: in the mode that it is to be looked at in.
        channel: of one of its convolutions. Of a layer that is used twice, the first use counts.
        clips: (B, 3, T, H, W), on the network's device.

    Returns:
        (B, T', H', W').

    Raises:
        InputError: no such channel, or its layer is not run.
    """
    call = first_call(network, convolution_of(network, channel), clips)
    if call is None:
        raise InputError(
            f"channel {channel}",
            found="a layer that the network does not run in evaluation mode",
            expected="one that the forward pass goes through",
            remedy="choose another layer; auxiliary heads serve in training only",
        )
    output: Tensor = call[1][:, channel.index]
    return output
