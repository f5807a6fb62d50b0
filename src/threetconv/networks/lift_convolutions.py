"""Convolutions of images as convolutions of clips, one function per kind of video network.

Source: arXiv 2006.15983, section 4. R(2+1)D: Tran et al. 2018, arXiv 1711.11248, section 3.5.
Weight standardisation: Qiao et al. 2019, arXiv 1903.10520; scaled: Brock et al. 2021, arXiv
2101.08692.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.layer.conv3t import Conv3d, Conv3T
from threetconv.networks.lift_pooling import in_time
from threetconv.networks.lift_sizes import frames_of

__all__ = [
    "CONVOLUTIONS",
    "ConvTranspose3d",
    "Standardised",
    "convolution_base",
    "is_standardised",
    "spread_over_depth",
    "transposed",
]

# subclasses of nn.Conv2d with a forward of their own, that are known by name: timm is not imported
_KNOWN = {
    f"timm.layers.{name}"
    for name in (
        *("conv2d_same.Conv2dSame", "conv2d_same.Conv2dSameExport", "std_conv.StdConv2d"),
        *("std_conv.StdConv2dSame", "std_conv.ScaledStdConv2d", "std_conv.ScaledStdConv2dSame"),
    )
}


def convolution_base(kind: type[nn.Module]) -> type[nn.Module]:
    """The class whose convolution a subclass of `nn.Conv2d` computes, if it overrides nothing."""
    known = (base for base in kind.__mro__ if f"{base.__module__}.{base.__name__}" in _KNOWN)
    return next(known, nn.Conv2d)


class Standardised(nn.Module):
    """First base of convolutions whose filters have mean 0 and variance 1 / depth**2.

    Over depth they add up to filters of variance 1: those of the 2D network, where nothing changes
    over time.

    Attributes:
        eps: what variances are increased by.
        scale_of_filters: what filters are multiplied by, besides `gain` (out, 1, 1, 1), if any.
    """

    weight: Any
    kernel_size: Any
    gain: nn.Parameter | None
    eps: float
    scale_of_filters: float

    def take(self, conv: Any) -> None:
        """Standardise as a 2D convolution does."""
        self.eps, self.scale_of_filters = conv.eps, getattr(conv, "scale", 1.0)
        self.gain = nn.Parameter(conv.gain.detach().clone()) if hasattr(conv, "gain") else None

    def standardised(self) -> Tensor:
        weight = self.weight
        gain = None if self.gain is None else (self.gain * self.scale_of_filters).view(-1)
        # batch norm with one sample, whose channels are the filters
        flat = F.batch_norm(
            weight.reshape(1, len(weight), -1),
            None,
            None,
            weight=gain,
            training=True,
            momentum=0.0,
            eps=self.eps,
        )
        return flat.view_as(weight) / self.kernel_size[0]


class StandardisedConv3T(Standardised, Conv3T):
    """`Conv3T` whose first slices are standardised."""

    first_slices = Standardised.standardised


class StandardisedConv3d(Standardised, Conv3d):
    """`Conv3d` whose filters are standardised."""

    filters = Standardised.standardised


def _made(kind: type[Any], conv: nn.Conv2d, options: dict[str, Any]) -> Any:
    """A layer of this kind that pads and standardises as a 2D convolution does, with its bias."""
    standardised = is_standardised(conv)
    if standardised:
        kind = StandardisedConv3T if issubclass(kind, Conv3T) else StandardisedConv3d
    layer = kind(**options)
    layer.same_frames = _is_same(conv)
    with torch.no_grad():
        if standardised:
            layer.take(conv)
        if conv.bias is not None:
            layer.bias.copy_(conv.bias)
    return layer


def is_standardised(conv: nn.Module) -> bool:
    """Whether a 2D convolution standardises its filters at every call."""
    return "StdConv2d" in convolution_base(type(conv)).__name__


def _is_same(conv: nn.Module) -> bool:
    # Conv2dSame always pads so; what standardises says whether it does
    same = getattr(conv, "same_pad", "Conv2dSame" in convolution_base(type(conv)).__name__)
    return same is True


def _to_3t(conv: nn.Conv2d, carry: bool) -> nn.Module:
    if conv.kernel_size == (1, 1):  # a single slice has no transitions: a plain convolution
        return _to_3d(conv, carry)
    layer = _made(Conv3T, conv, _conv_arguments(conv))
    with torch.no_grad():
        layer.weight.copy_(conv.weight)  # carried or not, the 2D network's own numbers
    return layer


def _to_3d(conv: nn.Conv2d, carry: bool) -> nn.Module:
    layer = _made(Conv3d, conv, _conv_arguments(conv))
    with torch.no_grad():
        # inflation as in I3D (Carreira and Zisserman 2017): on a clip of equal frames, away from
        # padding in time, the layer gives what the 2D layer gives for one frame
        if carry or layer.kernel_size[0] == 1:
            layer.weight.copy_(spread_over_depth(conv.weight, layer))
        else:  # as many times more terms in the sum: 1/sqrt(depth) keeps the output's variance
            deviation = conv.weight.std() / math.sqrt(layer.kernel_size[0])
            layer.weight.normal_().mul_(deviation)
    return layer


def spread_over_depth(weight: Tensor, layer: Any) -> Tensor:
    """3D weights of a layer, which over depth do what 2D weights do, at every moment alike."""
    depth = layer.kernel_size[0]
    if isinstance(layer, Standardised):  # divides by the depth itself
        return weight.unsqueeze(2).expand(-1, -1, depth, -1, -1)
    if not isinstance(layer, nn.ConvTranspose3d):
        return (weight / depth).unsqueeze(2).expand(-1, -1, depth, -1, -1)
    # each frame of the output gets the taps of one phase of the stride
    phases = [slice_ * layer.dilation[0] % layer.stride[0] for slice_ in range(depth)]
    taps = Counter(phases)
    return torch.stack([weight / taps[phase] for phase in phases], 2)


def _to_2d(conv: nn.Conv2d, carry: bool) -> nn.Module:
    layer = _made(Conv3d, conv, _of_frames(_conv_arguments(conv)))
    with torch.no_grad():
        layer.weight.copy_(conv.weight.unsqueeze(2))
    return layer


def _to_r2plus1d(conv: nn.Conv2d, carry: bool) -> nn.Module:
    if conv.kernel_size == (1, 1):
        return _to_3d(conv, carry)
    options, groups = _conv_arguments(conv), conv.groups
    inputs, outputs = conv.in_channels // groups, conv.out_channels // groups
    depth, area = options["kernel_size"][0], math.prod(conv.kernel_size)
    # of one group; middle * (area * inputs + depth * outputs) weights are at most those of 3D
    middle = max(1, depth * area * inputs * outputs // (area * inputs + depth * outputs))
    channels = groups * middle
    spatial = Conv3d(**_of_frames(options) | {"out_channels": channels, "bias": False})
    spatial.same_frames = _is_same(conv)
    temporal = Conv3d(**_of_time(options) | {"in_channels": channels})
    norm = nn.BatchNorm3d(channels, device=conv.weight.device, dtype=conv.weight.dtype)
    for layer in (spatial, temporal):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    with torch.no_grad():
        if carry:
            read = min(middle, outputs)  # all outputs, unless they are over 6 times the inputs
            filters = conv.weight.unflatten(0, (groups, outputs))[:, :read].unsqueeze(3)
            spatial.weight.unflatten(0, (groups, middle))[:, :read] = filters
            taps = temporal.weight.unflatten(0, (groups, outputs))[:, :read]
            taps.zero_()
            for channel in range(read):
                taps[:, channel, channel] = 1 / depth
        if conv.bias is not None and temporal.bias is not None:
            temporal.bias.copy_(conv.bias)
    return nn.Sequential(
        OrderedDict(spatial=spatial, norm=norm, relu=nn.ReLU(inplace=True), temporal=temporal)
    )


CONVOLUTIONS: dict[str, Callable[[nn.Conv2d, bool], nn.Module]] = {
    "3t": _to_3t,
    "3d": _to_3d,
    "2d": _to_2d,
    "r2plus1d": _to_r2plus1d,
}
NEUTRAL = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}  # along an axis


def _of_frames(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a 3D convolution without extent in time."""
    sizes = {key: options[key] for key in NEUTRAL if not isinstance(options[key], str)}
    return options | {key: (NEUTRAL[key], *size[1:]) for key, size in sizes.items()}


def _of_time(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a 3D convolution without extent in space."""
    sizes = {key: options[key] for key in NEUTRAL if not isinstance(options[key], str)}
    return options | {key: (size[0], NEUTRAL[key], NEUTRAL[key]) for key, size in sizes.items()}


def _conv_arguments(conv: Any) -> dict[str, Any]:
    padding = conv.padding
    kernel, stride, dilation = in_time(conv.kernel_size, conv.stride, conv.dilation)
    if _is_same(conv):
        # frames are padded by need, unlike on two sides; time alike on both, which gives as many
        padding = (dilation[0] * (kernel[0] - 1) // 2, 0, 0)
    elif not isinstance(padding, str):  # "same" and "valid" hold for every axis alike
        padding = tuple(map(int, in_time(conv.kernel_size, padding)[1]))
    return {
        "in_channels": conv.in_channels,
        "out_channels": conv.out_channels,
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": conv.groups,
        "bias": conv.bias is not None,
        "padding_mode": conv.padding_mode,
        "device": conv.weight.device,
        "dtype": conv.weight.dtype,
    }


class ConvTranspose3d(nn.ConvTranspose3d):
    """`nn.ConvTranspose3d` that takes the output size of a frame, and has `symmetric_time`.

    Attributes:
        symmetric_time: average two outputs in time, of which one has `output_padding` at its end
            and the other at its beginning, so that a clip's reverse gives the reverse.
    """

    symmetric_time = False

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        sides = None if output_size is None else tuple(output_size)[-2:]
        extra: Any = self.output_padding
        if sides is not None:
            default = self._lengths(input)
            frames = frames_of(sides) or default[0]
            extra = tuple(
                extra[axis] + int(n) - length
                for axis, n, length in zip(range(3), (frames, *sides), default, strict=True)
            )
        padding: Any = self.padding
        edge, more = padding[0], extra[0]
        if not self.symmetric_time or not more:
            return self._transposed(input, padding, extra)
        full = self._transposed(input, (0, *padding[1:]), (0, *extra[1:]))
        crops = [(0, 0, 0, 0, -edge, more - edge), (0, 0, 0, 0, more - edge, -edge)]
        return (F.pad(full, crops[0]) + F.pad(full, crops[1])) / 2

    def _lengths(self, clip: Tensor) -> tuple[int, ...]:
        sizes = (self.stride, self.padding, self.dilation, self.kernel_size, self.output_padding)
        return tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, s, p, d, k, e in zip(clip.shape[-3:], *sizes, strict=True)
        )

    def _transposed(self, clip: Tensor, padding: Any, extra: Any) -> Tensor:
        sizes: Any = (self.stride, padding, extra, self.groups, self.dilation)
        return F.conv_transpose3d(clip, self.weight, self.bias, *sizes)


def transposed(conv: nn.ConvTranspose2d, carry: bool, frames: bool) -> nn.Module:
    """A transposed convolution of clips: time grows by the stride, as frames do; no transforms.

    Raises:
        ValueError: for a kernel smaller than its stride, which would leave frames empty.
    """
    names = ("kernel_size", "stride", "padding", "output_padding", "dilation")
    sizes = dict(zip(names, in_time(*(getattr(conv, name) for name in names)), strict=True))
    if frames:
        neutral = NEUTRAL | {"output_padding": 0}
        sizes = {name: (neutral[name], *size[1:]) for name, size in sizes.items()}
    options: Any = {"groups": conv.groups, "bias": conv.bias is not None}
    options |= {"device": conv.weight.device, "dtype": conv.weight.dtype}
    layer = ConvTranspose3d(conv.in_channels, conv.out_channels, **sizes, **options)
    phases = {i * layer.dilation[0] % layer.stride[0] for i in range(layer.kernel_size[0])}
    if len(phases) < layer.stride[0]:
        raise ValueError("its kernel is smaller than its stride, which would leave frames empty")
    with torch.no_grad():
        layer.weight.copy_(spread_over_depth(conv.weight, layer))
        if not carry and not frames:
            taps = layer.kernel_size[0] / layer.stride[0]
            layer.weight.normal_().mul_(conv.weight.std() / math.sqrt(taps))
        if conv.bias is not None and layer.bias is not None:
            layer.bias.copy_(conv.bias)
    return layer
