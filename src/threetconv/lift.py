"""Turn a 2D ConvNet into a video network: every 2D layer becomes its 3D or 3T counterpart.

Source: arXiv 2006.15983, section 4; the rules were recovered from its parameter counts.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from threetconv.conv import Conv3T, convolve
from threetconv.errors import look_up

__all__ = ["CARRY", "CONVOLUTIONS", "lift"]

Module = TypeVar("Module", bound=nn.Module)
Carry = tuple[bool, bool]  # (convolutions, everything else)

CARRY: dict[str, Carry] = {
    "all": (True, True),
    "convolutions": (True, False),
    "nothing": (False, False),
}


def lift(model: nn.Module, convolution: str = "3t", *, carry: str = "all") -> nn.Module:
    """Lift a 2D ConvNet to video, (N, C, H, W) -> (N, C, T, H, W).

    - A K x K convolution becomes K x K x K (its depth is its larger spatial size), with the same
      stride and padding in time as in space; 1 x 1 stays 1 x 1 x 1 and has no transforms.
    - Batch norm, dropout, max and average pooling become their 3D versions; adaptive pooling pools
      time to 1, so that a classifier behind it keeps its size.
    - Whatever has no spatial axes (Linear, ReLU, Dropout, ...) stays.

    Args:
        model: a 2D network; it is not changed.
        convolution: "3t" or "3d".
        carry: what keeps the 2D network's numbers: "all"; "convolutions", as the paper did (batch
            norm and classifier start afresh); "nothing": a network to train from scratch. A carried
            3T filter is the 2D filter with transforms at the identity; a carried 3D filter is the
            2D filter repeated over depth and divided by it. Without carrying, a 3T layer keeps the
            2D network's random K1, and a 3D layer draws every slice anew with the 2D filter's
            spread over sqrt(depth).

    Returns:
        The video network, in the training mode of `model`. Layer names are those of `model`.

    Raises:
        InputError: for an unknown `convolution` or `carry`.
        ValueError: for a 2D layer that cannot be lifted; the message names it.
    """
    make = look_up(CONVOLUTIONS, convolution, what="convolution")
    convolutions, others = look_up(CARRY, carry, what="carry")
    lifted = copy.deepcopy(model)
    done: dict[nn.Module, nn.Module] = {}  # a layer used in two places stays one layer
    for name, module in list(lifted.named_modules(remove_duplicate=False)):
        if module not in done:
            replacement = _lift_module(name, module, make, convolutions)
            done[module] = module if replacement is None else replacement.train(module.training)
            if replacement is None and not others and isinstance(module, nn.Linear):
                module.reset_parameters()
        if done[module] is not module:
            if not name:
                return done[module]
            parent, _, child = name.rpartition(".")
            setattr(lifted.get_submodule(parent), child, done[module])
    if not others:
        for module in lifted.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.reset_parameters()
    return lifted


def _lift_module(
    name: str, module: nn.Module, make: Callable[..., nn.Module], carry: bool
) -> nn.Module | None:
    """The video version of one layer, or None when it serves video as it is."""
    if isinstance(module, nn.Conv2d):
        return make(module, carry)
    for kind, rule in _RULES.items():
        if type(module) is kind:
            return rule(module)
    if type(module).__name__.endswith("2d") and not list(module.children()):
        raise ValueError(
            f"layer {name!r} ({type(module).__name__}) has no rule for lifting to video"
        )
    return None


class Conv3d(nn.Conv3d):
    """`nn.Conv3d`, safe for deep filters on short clips; see `threetconv.conv.convolve`."""

    def forward(self, input: Tensor) -> Tensor:
        if self.padding_mode != "zeros":
            return super().forward(input)
        padding = self.padding if isinstance(self.padding, str) else _sizes(self.padding)
        return convolve(
            input,
            self.weight,
            self.bias,
            stride=_sizes(self.stride),
            padding=padding,
            dilation=_sizes(self.dilation),
            groups=self.groups,
        )


def _sizes(values: tuple[int, ...]) -> tuple[int, int, int]:
    return values[0], values[1], values[2]


def _to_3t(conv: nn.Conv2d, carry: bool) -> nn.Module:
    if conv.kernel_size == (1, 1):
        return _to_3d(conv, carry)
    layer = Conv3T(**_conv_arguments(conv))
    with torch.no_grad():
        layer.weight.copy_(conv.weight)  # carried or not, the 2D network's own numbers
        _copy_bias(conv, layer)
    return layer


def _to_3d(conv: nn.Conv2d, carry: bool) -> nn.Module:
    layer = Conv3d(**_conv_arguments(conv))
    depth = layer.kernel_size[0]
    with torch.no_grad():
        if carry or depth == 1:
            layer.weight.copy_(conv.weight.unsqueeze(2) / depth)
        else:
            layer.weight.normal_().mul_(conv.weight.std() / math.sqrt(depth))
        _copy_bias(conv, layer)
    return layer


CONVOLUTIONS: dict[str, Callable[[nn.Conv2d, bool], nn.Module]] = {"3t": _to_3t, "3d": _to_3d}


def _conv_arguments(conv: nn.Conv2d) -> dict[str, Any]:
    padding = conv.padding
    axis = 0 if conv.kernel_size[0] >= conv.kernel_size[1] else 1  # time follows the larger side
    return {
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "kernel_size": (conv.kernel_size[axis], *conv.kernel_size),
        "stride": (conv.stride[axis], *conv.stride),
        "padding": padding
        if isinstance(padding, str)
        else (int(padding[axis]), *map(int, padding)),
        "dilation": (conv.dilation[axis], *conv.dilation),
        "groups": conv.groups,
        "bias": conv.bias is not None,
        "padding_mode": conv.padding_mode,
        "device": conv.weight.device,
        "dtype": conv.weight.dtype,
    }


def _copy_bias(conv: nn.Conv2d, layer: Conv3T | nn.Conv3d) -> None:
    if conv.bias is not None and layer.bias is not None:
        layer.bias.copy_(conv.bias)


def _norm(kind: type[nn.Module]) -> Callable[[Any], nn.Module]:
    def rule(module: Any) -> nn.Module:
        state = module.state_dict()
        numbers = next((value for value in state.values() if value.is_floating_point()), None)
        layer = kind(
            module.num_features,
            eps=module.eps,
            momentum=module.momentum,
            affine=module.affine,
            track_running_stats=module.track_running_stats,
        )
        if numbers is not None:
            layer = layer.to(numbers)  # device and precision
        layer.load_state_dict(state)
        return layer

    return rule


def _triple(size: Any) -> Any:
    return size if isinstance(size, int) else (max(size), *size)


def _max_pool(module: nn.MaxPool2d) -> nn.Module:
    return nn.MaxPool3d(
        _triple(module.kernel_size),
        stride=_triple(module.stride),
        padding=_triple(module.padding),
        dilation=_triple(module.dilation),
        return_indices=module.return_indices,
        ceil_mode=module.ceil_mode,
    )


def _avg_pool(module: nn.AvgPool2d) -> nn.Module:
    return nn.AvgPool3d(
        _triple(module.kernel_size),
        stride=_triple(module.stride),
        padding=_triple(module.padding),
        ceil_mode=module.ceil_mode,
        count_include_pad=module.count_include_pad,
        divisor_override=module.divisor_override,
    )


def _adaptive(kind: type[Module]) -> Callable[[Any], Module]:
    def rule(module: Any) -> Module:
        size = module.output_size
        height, width = (size, size) if isinstance(size, int) or size is None else size
        return kind((1, height, width))

    return rule


_RULES: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.BatchNorm2d: _norm(nn.BatchNorm3d),
    nn.InstanceNorm2d: _norm(nn.InstanceNorm3d),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive(nn.AdaptiveAvgPool3d),
    nn.AdaptiveMaxPool2d: _adaptive(nn.AdaptiveMaxPool3d),
    nn.Dropout2d: lambda module: nn.Dropout3d(module.p, module.inplace),
}
