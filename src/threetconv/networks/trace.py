"""Trace a network: where each 3T layer stands, and the state of its temporal parameters."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from threetconv.errors import InputError
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.layer_info import Layer, reachable_transitions

__all__ = ["temporal_state", "trace"]


def trace(network: nn.Module, clip_shape: tuple[int, int, int]) -> list[Layer]:
    """The 3T layers of a network in forward order, for clips of a given shape.

    One forward pass of a copy on the meta device: no memory, no arithmetic.

    Args:
        network: a video network for 3-channel clips; it is not changed.
        clip_shape: (frames, height, width).
    """
    check_module(network)
    check_clip_shape(clip_shape)
    shadow = copy.deepcopy(network).to("meta").train()  # training: auxiliary heads run as well
    dtype = next((p.dtype for p in shadow.parameters()), torch.float32)
    names = {module: name for name, module in shadow.named_modules()}
    layers: list[Layer] = []
    jumps = _JumpTracker()

    def record(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        assert isinstance(module, Conv3T)
        clip = arguments[0]
        if module.kernel_size[0] == 1:
            return
        layers.append(
            Layer(
                index=len(layers),
                name=names[module],
                kernel=module.kernel_size,
                channels=module.out_channels,
                jump=jumps.of(clip),
                frames=clip.shape[2],
                reachable=_reachable(module, clip.shape[2]),
            )
        )

    hooks = [m.register_forward_pre_hook(record) for m in shadow.modules() if isinstance(m, Conv3T)]
    try:
        with torch.no_grad(), jumps:
            shadow(torch.zeros(2, 3, *clip_shape, device="meta", dtype=dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return layers


def check_module(model: Any) -> None:
    """Raise `InputError` unless it is a torch module."""
    if not isinstance(model, nn.Module):
        raise InputError(
            "network",
            found=f"a {type(model).__name__}",
            expected="a torch.nn.Module",
            remedy="build it first, as by torchvision.models.resnet18() or build_network(...)",
        )


def check_clip_shape(clip_shape: Any) -> None:
    """Raise `InputError` unless it is (frames, height, width)."""
    whole = isinstance(clip_shape, tuple | list) and all(
        isinstance(n, Integral) for n in clip_shape
    )
    if not whole or len(clip_shape) != 3 or min(clip_shape) < 1:
        raise InputError(
            "clip_shape",
            found=repr(clip_shape),
            expected="(frames, height, width), three whole numbers above 0",
            remedy="give the shape of the network's clips, as in clip_shape=(16, 112, 112)",
        )


def _reachable(module: Conv3T, frames: int) -> tuple[bool, ...]:
    depth, dilation = module.kernel_size[0], module.dilation[0]
    if module.padding_mode != "zeros":  # the other modes pad with data: every slice meets some
        return (True,) * (depth - 1)
    padding: int | tuple[int, int]
    if module.padding == "same":
        total = dilation * (depth - 1)
        padding = (total // 2, total - total // 2)
    else:
        padding = 0 if isinstance(module.padding, str) else module.padding[0]
    return reachable_transitions(frames, depth, module.stride[0], padding, dilation)


def temporal_state(network: nn.Module) -> dict[str, np.ndarray]:
    """A copy of every temporal parameter: "<layer>.<parameter>" -> (D - 1, out) float32 array."""
    return {
        f"{name}.{parameter}": getattr(module, parameter).detach().float().cpu().numpy().copy()
        for name, module in network.named_modules()
        if isinstance(module, Conv3T) and module.kernel_size[0] > 1
        for parameter in TEMPORAL_PARAMETERS
    }


class _JumpTracker(TorchDispatchMode):
    """Carries the product of spatial strides along with every tensor of a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self._jumps: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def of(self, tensor: Tensor) -> int:
        return int(self._jumps.get(tensor, 1))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        jump = max((self.of(t) for t in _tensors(args)), default=1) * _spatial_stride(func, args)
        for tensor in _tensors(result if isinstance(result, tuple | list) else (result,)):
            self._jumps[tensor] = jump
        return result


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _spatial_stride(func: Any, args: tuple[Any, ...]) -> int:
    """Stride along W of a convolution or pooling operator, else 1."""
    name = func.overloadpacket.__name__
    if name == "convolution":
        return int(args[3][-1])
    if "_pool3d" in name and "adaptive" not in name:
        stride = args[2] if len(args) > 2 and args[2] else args[1]
        return int(stride[-1] if isinstance(stride, tuple | list) else stride)
    return 1
