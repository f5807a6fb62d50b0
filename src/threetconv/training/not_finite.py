"""Find the layer that first produced NaN or inf, so that the error can name it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["bad_gradient", "bad_output", "gradients_are_finite"]


def gradients_are_finite(network: nn.Module) -> bool:
    """Whether every gradient is finite.

    One norm over all of them needs a single synchronisation with the GPU. It can overflow although
    all gradients are finite, so each gradient is checked where the norm is not finite.
    """
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    if not gradients or bool(torch.isfinite(nn.utils.get_total_norm(gradients))):
        return True
    return all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def bad_gradient(network: nn.Module) -> str | None:
    """The last parameter of the network whose gradient is not finite; None without one.

    In the backward pass NaN spreads from the loss to the first layers, so it arose in the last
    layer that has it.
    """
    names = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all())
    ]
    return names[-1] if names else None


@torch.no_grad()
def bad_output(network: nn.Module, inputs: Tensor) -> str | None:
    """What is not finite first: the inputs, a parameter, or the output of a layer (its name).

    Runs a copy of the network once more, in its current mode. Dropout draws another mask, so the
    result can be None although a layer is at fault.
    """
    if not bool(torch.isfinite(inputs).all()):
        return "the clips themselves"
    for name, parameter in network.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return f"parameter {name}"
    # a copy: in training mode a forward pass moves the running statistics of batch norm
    double = copy.deepcopy(network)
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not bool(torch.isfinite(output).all()):
                found.append(name)

        return hook

    for name, module in double.named_modules():
        # leaves only: a block around the layer would be reported as well
        if not any(module.children()):
            module.register_forward_hook(watch(name or type(module).__name__))
    double(inputs)
    return found[0] if found else None
