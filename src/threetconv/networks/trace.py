"""Trace a network: its 3T layers in forward order, the transitions that can learn, their state."""

from __future__ import annotations

import copy
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.layer.time_reach import (
    padding_along,
    placed_on_both_sides,
    reachable_transitions,
    tells_order,
)
from threetconv.networks.layer_info import LayerInfo
from threetconv.networks.receptive_field import FieldTracker

__all__ = ["clip_channels", "reachable", "temporal_state", "trace"]


def trace(network: nn.Module, clip_shape: tuple[int, int, int]) -> list[LayerInfo]:
    """The 3T layers of a network in forward order, for clips of a given shape.

    Runs one forward pass of a copy on the meta device, which computes shapes only.

    Args:
        network: a video network; it is not changed.
        clip_shape: (frames, height, width).

    Returns:
        Each layer once: one that is called several times can learn what any call reaches.
    """
    check_module(network)
    check_clip_shape(clip_shape)
    shadow = copy.deepcopy(network).to("meta").train()  # training: auxiliary heads run as well
    dtype = next((p.dtype for p in shadow.parameters()), torch.float32)
    names = {module: name for name, module in shadow.named_modules()}
    layers: dict[str, LayerInfo] = {}
    fields = FieldTracker()

    def record(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        assert isinstance(module, Conv3T)
        clip = arguments[0]
        if module.kernel_size[0] == 1:  # no transitions, so nothing to report
            return
        call = LayerInfo(
            index=len(layers),
            name=names[module],
            kernel=module.kernel_size,
            channels=module.out_channels,
            jump=fields.of(clip).jump[-1],
            frames=clip.shape[2],
            reachable=_reachable(module, clip.shape[2]),
            order_leak=not module.symmetric_time
            and tells_order(*windows_in_time(module, clip.shape[2])),
        )
        known = layers.setdefault(call.name, call)
        pairs = zip(known.reachable, call.reachable, strict=True)
        layers[call.name] = replace(
            known,
            reachable=tuple(one or other for one, other in pairs),
            order_leak=known.order_leak or call.order_leak,
        )

    hooks = [m.register_forward_pre_hook(record) for m in shadow.modules() if isinstance(m, Conv3T)]
    try:
        # two clips: in training, batch norm refuses a single value per channel
        with torch.no_grad(), fields:
            shadow(torch.zeros(2, clip_channels(network), *clip_shape, device="meta", dtype=dtype))
    finally:
        for hook in hooks:
            hook.remove()
    return list(layers.values())


def clip_channels(network: nn.Module) -> int:
    """Channels of the clips that a network takes: those of its first convolution."""
    kinds = (Conv3T, nn.modules.conv._ConvNd)
    first = next((module for module in network.modules() if isinstance(module, kinds)), None)
    return 3 if first is None else first.in_channels


def reachable(network: nn.Module, clip_shape: tuple[int, int, int]) -> pd.DataFrame:
    """Which transitions can ever receive a gradient, from shapes, strides and paddings alone.

    A slice of a filter that meets only padding in time gets no gradient, and a transition that
    affects only such slices never leaves its initial value. Only shapes are computed, so the
    network may be on the meta device.

    Args:
        network: any network that holds `Conv3T` layers; it is not changed. The convolution that it
            names first takes the clips, of any number of channels.
        clip_shape: (frames, height, width) of its clips.

    Returns:
        A row per transition in forward order: `layer_index` (int32), `layer` (str), `transition`
        (int16, from 0), `reachable` (bool) and `n_channels` (int32), the number of parameter table
        rows that it stands for. No rows for a network without temporal parameters.

    Raises:
        RuntimeError: torch's own, for clips too small for the network.

    Example:
        >>> network = build_network("resnet18", num_classes=27, clip_shape=(30, 150, 224))
        >>> table = reachable(network, (30, 150, 224))
        >>> int(table["n_channels"].sum()), int(table.query("not reachable")["n_channels"].sum())
        (8064, 1536)
    """
    rows = [
        (layer.index, layer.name, transition, meets, layer.channels)
        for layer in trace(network, clip_shape)
        for transition, meets in enumerate(layer.reachable)
    ]
    columns = ["layer_index", "layer", "transition", "reachable", "n_channels"]
    return pd.DataFrame(rows, columns=columns).astype(
        {
            "layer_index": "int32",
            "layer": "str",
            "transition": "int16",
            "reachable": "bool",
            "n_channels": "int32",
        }
    )


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


def windows_in_time(
    module: Conv3T | nn.Conv3d, frames: int
) -> tuple[int, int, int, tuple[int, int], int]:
    """(frames, depth, stride, zeros, dilation) in time of a convolution, as `mirror_shift` asks.

    `frames` includes padding with data: modes other than zeros.
    """
    depth, stride, dilation = module.kernel_size[0], module.stride[0], module.dilation[0]
    padding: Any = module.padding if isinstance(module.padding, str) else module.padding[0]
    zeros = padding_along(padding, depth, dilation)
    if module.padding_mode != "zeros":
        frames, zeros = frames + sum(zeros), (0, 0)
    return frames, depth, stride, zeros, dilation


def _reachable(module: Conv3T, frames: int) -> tuple[bool, ...]:
    # one tap fills the kernel: maps leave it where it is, unless its edges have an extent
    still = module.align_corners or module.filter_padding == "border"
    if module.kernel_size[1:] == (1, 1) and still:
        return (False,) * (module.kernel_size[0] - 1)
    frames, depth, stride, zeros, dilation = windows_in_time(module, frames)
    if module.padding_mode != "zeros":  # padded with data, so every slice meets data
        return (True,) * (depth - 1)
    if module.symmetric_time:  # a slice may meet data in either placement
        shift, zeros = placed_on_both_sides(frames, depth, stride, zeros, dilation)
        frames += shift
    return reachable_transitions(frames, depth, stride, zeros, dilation)


def temporal_state(network: nn.Module) -> dict[str, np.ndarray]:
    """A copy of every temporal parameter: "<layer>.<parameter>" -> (D - 1, out) float32 array."""
    return {
        f"{name}.{parameter}": getattr(module, parameter).detach().float().cpu().numpy().copy()
        for name, module in network.named_modules()
        if isinstance(module, Conv3T) and module.kernel_size[0] > 1
        for parameter in TEMPORAL_PARAMETERS
    }
