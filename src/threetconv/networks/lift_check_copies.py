"""Copies of a 2D network and its lifted network that must give the same on equal frames.

Both get the same weights, filters do not change over time, and borders in time repeat the clip.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3d, Conv3T
from threetconv.layer.identity import set_identity
from threetconv.layer.time_reach import padding_along
from threetconv.networks.lift_convolutions import ConvTranspose3d, spread_over_depth
from threetconv.networks.lift_layers import BlurPool3d, VideoPad
from threetconv.networks.lift_pooling import average, filtered

__all__ = ["StillTime", "still_copies"]


def still_copies(model_2d: nn.Module, video: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Copies in float64 and evaluation mode, with the 2D network's weights, constant ones varied.

    Run the second under `StillTime`.

    Raises:
        InputError: for a video network that is not made of the 2D one.
    """
    flat, wide = _plain(model_2d), _plain(video)
    _vary(flat)
    return flat, _same_weights(flat, wide)


def _plain(network: nn.Module) -> nn.Module:
    """A copy in float64, in evaluation, without hooks of other code than torch's own."""
    network = copy.deepcopy(network).double().eval()
    for module in network.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                # torch's own compute weights, as weight_norm does
                if not str(getattr(hook, "__module__", "")).startswith("torch."):
                    del hooks[key]
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.is_floating_point():
                setattr(module, name, value.double())
    return network


def _vary(network: nn.Module) -> None:
    """Replace tensors of one number, as of gains and shifts at their start, by random ones."""
    seeded = torch.Generator("cpu").manual_seed(0)
    with torch.no_grad():
        for value in (*network.parameters(), *network.buffers()):
            if value.is_floating_point() and value.numel() and bool((value == value.max()).all()):
                # 0 stays about 0; a variance stays above it
                low, high = (0.5, 1.5) if float(value.max()) else (-0.5, 0.5)
                drawing: Any = {"generator": seeded, "dtype": value.dtype, "device": "cpu"}
                drawn = torch.rand(value.shape, **drawing)
                value.copy_(low + (high - low) * drawn)


def _same_weights(flat: nn.Module, wide: nn.Module) -> nn.Module:
    """Give the video network the 2D one's weights, without change over time, and still borders."""
    done: dict[nn.Module, nn.Module] = {}
    # duplicates are kept: every name of a shared layer must lead to the new one
    for name, image in flat.named_modules(remove_duplicate=False):
        try:
            video = wide.get_submodule(name)
        except AttributeError:
            raise _stranger(name, "no such layer") from None
        if image in done:
            pass
        elif isinstance(image, nn.Conv2d | nn.ConvTranspose2d):
            done[image] = _unmoved(name, image, video)
        elif isinstance(video, BlurPool3d):  # a filter of its own, without parameters
            done[image] = video
        else:
            done[image] = video
            _copy_tensors(name, image, video)
            if isinstance(video, VideoPad) and video.mode == "constant":
                _replicate_constants(video)
        if done[image] is not video:
            parent, _, child = name.rpartition(".")
            if name:
                setattr(wide.get_submodule(parent), child, done[image])
            else:
                wide = done[image]
    return wide


def _stranger(name: str, found: str) -> InputError:
    return InputError(
        f"layer {name!r} of the video network",
        found=found,
        expected="the layers and sizes of the 2D network",
        remedy="give the 2D network that the video network was lifted from",
    )


def _copy_tensors(name: str, image: nn.Module, video: nn.Module, but: str = "") -> None:
    own = [*image.named_parameters(recurse=False), *image.named_buffers(recurse=False)]
    for key, value in own:
        if key == but:
            continue
        target = getattr(video, key, None)
        if not isinstance(target, Tensor) or target.numel() != value.numel():
            raise _stranger(name, f"no {key!r} of {value.numel()} numbers")
        target.data.copy_(value.reshape(target.shape))  # (C, 1, 1) has become (C, 1, 1, 1)


def _unmoved(name: str, image: nn.Conv2d | nn.ConvTranspose2d, video: nn.Module) -> nn.Module:
    """The video convolution with the 2D one's filter at every moment and replicated borders."""
    layer = _whole(video) if hasattr(video, "temporal") else video
    if not isinstance(layer, Conv3T | nn.Conv3d | nn.ConvTranspose3d):
        raise _stranger(name, f"a {type(video).__name__}")
    weight = spread_over_depth(image.weight.detach(), layer)
    if isinstance(layer, Conv3T):
        set_identity(layer)
        weight = weight[:, :, 0]
    if layer.weight.shape != weight.shape:
        raise _stranger(name, f"filters {tuple(layer.weight.shape)}")
    layer.weight.data.copy_(weight)
    _copy_tensors(name, image, layer, but="weight")
    if isinstance(layer, nn.ConvTranspose3d):
        layer.__class__ = _StillTransposed
    elif layer.padding_mode == "zeros":
        _replicate_borders(layer)
    return layer


def _whole(factorised: Any) -> nn.Module:
    """A 3D convolution of the size of a factorised one."""
    space, time = factorised.spatial, factorised.temporal
    sizes: dict[str, Any] = {
        key: value if isinstance(value, str) else (value[0], *getattr(space, key)[1:])
        for key in ("kernel_size", "stride", "padding", "dilation")
        for value in (getattr(time, key),)
    }
    layer = Conv3d(
        space.in_channels,
        time.out_channels,
        **sizes,
        groups=space.groups,
        bias=time.bias is not None,
        padding_mode=space.padding_mode,
        device=time.weight.device,
        dtype=time.weight.dtype,
    )
    layer.symmetric_time, layer.same_frames = time.symmetric_time, space.same_frames
    return layer.eval()


def _replicate_borders(layer: Conv3T | nn.Conv3d) -> None:
    padding: Any = layer.padding
    time = padding if isinstance(padding, str) else padding[0]
    edges = padding_along(time, layer.kernel_size[0], layer.dilation[0])
    if not any(edges):
        return
    if isinstance(padding, str):  # the layer pads itself: its zeros are kept away, and cut off
        edges = (sum(edges),) * 2
        layer.register_forward_hook(
            lambda _module, _args, output: output[:, :, edges[0] : output.shape[2] - edges[1]]
        )
    else:
        layer.padding = (0, *padding[1:])
    layer.register_forward_pre_hook(lambda _module, args: _padded(args[0], edges))


class _StillTransposed(ConvTranspose3d):
    """Has frames before and after the clip, whose own outputs are cut off."""

    def _transposed(self, clip: Tensor, padding: Any, extra: Any) -> Tensor:
        more = self.kernel_size[0] * self.dilation[0] if self.kernel_size[0] > 1 else 0
        output = super()._transposed(_padded(clip, (more, more)), padding, extra)
        cut = more * self.stride[0]
        return output[:, :, cut : output.shape[2] - cut]


def _replicate_constants(layer: VideoPad) -> None:
    edges = layer.sides[-2:]
    layer.sides = (*layer.sides[:-2], 0, 0)
    layer.register_forward_pre_hook(lambda _module, args: _padded(args[0], edges))


def _padded(clip: Tensor, edges: tuple[int, int]) -> Tensor:
    return F.pad(clip, (0, 0, 0, 0, *edges), mode="replicate")


class StillTime(TorchFunctionMode):
    """While active, pooling pads time by replication, and functional dropout drops nothing."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func not in _POOLS:
            return func(*args, **kwargs)
        # (clip, kernel_size, stride, padding, ...) of all of them
        padding = args[3] if len(args) > 3 else kwargs.get("padding", 0)
        time, *space = (padding,) * 3 if isinstance(padding, int) else padding
        if args[0].ndim != 5 or not time:
            return func(*args, **kwargs)

        def pool(clip: Tensor, padding: Any) -> Any:
            if len(args) > 3:
                return func(clip, *args[1:3], padding, *args[4:], **kwargs)
            return func(clip, *args[1:], **kwargs | {"padding": padding})

        # with `ceil_mode` a last window may begin in what is padded here; it is left out
        length = self._length(func, args, kwargs)
        pooled = pool(_padded(args[0], (time, time)), (0, *space))
        return tree_map_only(Tensor, lambda output: output[:, :, :length], pooled)

    @staticmethod
    def _length(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        shadows = tree_map_only(Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        return int(tree_leaves(func(*shadows[0], **shadows[1]))[0].shape[2])


_DROPOUTS = {F.dropout, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
_POOLS = {F.max_pool3d, F.max_pool3d_with_indices, F.avg_pool3d, average, filtered}
