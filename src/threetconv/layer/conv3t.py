"""Conv3T: a 3D convolution whose filter is a 2D filter carried through time by affine maps.

Source: arXiv 2006.15983, section 3 (equations 1 to 5).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.layer.build_filters import FILTER_PADDINGS, build_filters, is_eager
from threetconv.layer.filter_cache import FilterCache, cached_filters, may_cache
from threetconv.layer.identity import set_identity
from threetconv.layer.same_frames import pad_frames_same
from threetconv.layer.symmetric_time import place_filter
from threetconv.layer.time_reach import crop_in_time, padding_along
from threetconv.layer.tracing import fx_leaf
from threetconv.layer.units import IDENTITY

__all__ = ["TEMPORAL_PARAMETERS", "Conv3T", "Conv3d", "to_conv3d"]

TEMPORAL_PARAMETERS = tuple(IDENTITY)
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

Size3 = int | tuple[int, int, int]
Triple = tuple[int, int, int]
Paddings = tuple[tuple[int, int], ...]


def convolve(
    clip: Tensor,
    filters: Tensor,
    bias: Tensor | None,
    *,
    stride: Triple,
    padding: Triple | str,
    dilation: Triple,
    groups: int,
) -> Tensor:
    """`F.conv3d`, with a workaround for deep filters on short clips.

    On CPUs (AVX-512, torch 2.14.1) oneDNN writes outside its memory in the weight gradient of
    filters that are at least 4 deep, with padding and a stride in time, on clips up to
    (extent + stride - 2) frames long: the gradient is garbage (up to 1e31), or the process dies. So
    say 5,000 cases of depth 2 to 11, stride 1 to 4 and every length, against float64; what is
    caught here is a frame more. Padding the clip in time beforehand gives correct numbers.
    """
    depth = filters.shape[2]
    if not isinstance(padding, str) and padding[0] and stride[0] > 1 and depth > 3:
        frames, (before, *rest) = clip.shape[-3], padding
        # a graph that is traced at one length may run at others
        if not is_eager((clip,)) or frames < dilation[0] * (depth - 1) + 1 + stride[0]:
            clip = F.pad(clip, (0, 0, 0, 0, before, before))
            padding = (0, rest[0], rest[1])
    return F.conv3d(clip, filters, bias, stride, padding, dilation, groups)


class Conv3T(nn.Module):
    """Temporally factorised 3D convolution with the interface of `torch.nn.Conv3d`.

    The filter of every output channel is one learned 2D filter K1 and, for each step in time, one
    learned affine map: slice t + 1 is slice t scaled, rotated and translated.

    Args:
        in_channels, out_channels, stride, padding, dilation, groups, bias, padding_mode: as for
            `torch.nn.Conv3d`, `padding` may be "same" or "valid".
        kernel_size: K for a K x K x K filter, or (D, H, W).
        filter_padding: what a warp reads outside the kernel: "zeros", as in the paper, or the
            nearest tap ("border").
        align_corners: whether -1 and 1 of a transform's coordinates are the centres of the kernel's
            outer taps, as in the paper, or their outer edges.
        symmetric_time: place windows that are not symmetric in time from both ends of the clip and
            average the outputs; see `threetconv.layer.symmetric_time`. The paper: False.

    Attributes:
        same_frames: pad frames, not time, as TensorFlow's "SAME" does, before `padding`; set it on
            the layer.

    Parameters:
        weight: (out, in / groups, H, W), the first slice; name and shape of `nn.Conv2d`'s, so a 2D
            state dict loads directly: transforms are then the identity.
        scale: (D - 1, out), starts at 1; rotate (radians), translate_x, translate_y (half-extents
            of the kernel): (D - 1, out), start at 0.
        bias: (out,), if asked for.

    Shape:
        Input (N, in, T, H, W), output (N, out, T', H', W') as for `nn.Conv3d`.

    Raises:
        ValueError: for invalid sizes or options; the message names the argument.

    Note:
        With zeros outside the kernel, filters are not differentiable at the identity, where
        training starts: left and right derivatives by the temporal parameters differ. The gradient
        there is that of `F.grid_sample`, which the paper trained with; see
        `threetconv.layer.build_filters.build_filters`.

        In evaluation without gradients the filters are cached, with a copy of the parameters, until
        a number of these changes, in whatever way. `freeze_filters` compares nothing.

        Weight decay pulls `scale` to 0, whose identity is 1: give your optimiser
        `threetconv.parameter_groups(network, lr=...)`, which decays no transform.

        Slices that meet only padding, given the length of the clip, are neither built nor convolved
        with. Their gradients are zero either way.

    Example:
        >>> layer = Conv3T(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        >>> layer(torch.zeros(1, 3, 30, 150, 224)).shape
        torch.Size([1, 64, 15, 75, 112])

    Source: arXiv 2006.15983, equations 1 to 5.
    """

    bias: nn.Parameter | None
    symmetric_time = False  # also of layers that were pickled without it
    same_frames = False

    def __init__(  # noqa: PLR0917 (nn.Conv3d's own signature)
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size3,
        stride: Size3 = 1,
        padding: Size3 | str = 0,
        dilation: Size3 = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        filter_padding: str = "zeros",
        align_corners: bool = True,
        symmetric_time: bool = False,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode={padding_mode!r} is not one of {PADDING_MODES}")
        if filter_padding not in FILTER_PADDINGS:
            raise ValueError(f"filter_padding={filter_padding!r} is not one of {FILTER_PADDINGS}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = _triple(kernel_size, "kernel_size", at_least=1)
        self.stride = _triple(stride, "stride", at_least=1)
        self.dilation = _triple(dilation, "dilation", at_least=1)
        self.padding: Triple | str
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"padding={padding!r} is not a size, 'same' or 'valid'")
            if padding == "same" and self.stride != (1, 1, 1):
                raise ValueError("padding='same' needs stride 1")
            self.padding = padding
        else:
            self.padding = _triple(padding, "padding", at_least=0)
        self.padding_mode = padding_mode
        self.filter_padding, self.align_corners = filter_padding, align_corners
        self.symmetric_time = symmetric_time
        self._cache: FilterCache | None = None

        depth, height, width = self.kernel_size
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        # one transform per output channel and step, shared by its input channels (section 3.3)
        transforms = (depth - 1, out_channels)
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, height, width, **options)
        )
        self.scale = nn.Parameter(torch.empty(transforms, **options))
        self.rotate = nn.Parameter(torch.empty(transforms, **options))
        self.translate_x = nn.Parameter(torch.empty(transforms, **options))
        self.translate_y = nn.Parameter(torch.empty(transforms, **options))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_channels, **options))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set transforms to the identity (section 3.4); weight and bias as `nn.Conv2d` does."""
        # a = sqrt(5) is nn.Conv2d's: uniform within 1 / sqrt(fan_in)
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        set_identity(self)
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            bound = 1 / math.sqrt(fan_in) if fan_in else 0
            nn.init.uniform_(self.bias, -bound, bound)

    def first_slices(self) -> Tensor:
        """What filters start from, (out, in / groups, H, W): `weight`, or what is made of it."""
        return self.weight

    def filters(self, slices: tuple[int, int] | None = None) -> Tensor:
        """The 3D filters, (out, in / groups, D, H, W), or only the slices first <= d < last.

        Built in float32 or wider. Do not change the result in place: it may be cached.
        """
        parameters = (
            self.first_slices(),
            self.scale,
            self.rotate,
            self.translate_x,
            self.translate_y,
        )
        slices = slices or (0, self.kernel_size[0])
        options: dict[str, Any] = {
            "filter_padding": self.filter_padding,
            "align_corners": self.align_corners,
            "slices": slices,
        }
        # in training, parameters change at every step and a cache would only hold memory
        if self.training or not may_cache(parameters):
            return build_filters(*parameters, **options)
        # another thread may store its own between two reads: what is returned is what was checked
        self._cache = cache = cached_filters(self._cache, parameters, options)
        return cache.filters

    def to_conv3d(self) -> nn.Conv3d:
        """This layer as a plain `nn.Conv3d` with its present filters; see `to_conv3d`."""
        return to_conv3d(self)

    def forget_filters(self) -> None:
        """Drop the filters cached in evaluation."""
        self._cache = None

    def train(self, mode: bool = True) -> Self:
        """As for every module; training also drops the filters cached in evaluation."""
        if mode:
            self._cache = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": None}  # copies and pickles hold parameters only

    def __prepare_scriptable__(self) -> nn.Module:
        raise TypeError(
            "torch.jit.script cannot compile Conv3T. Script `freeze_filters(network)`, which holds "
            "plain nn.Conv3d layers, or use torch.jit.trace, torch.export or torch.compile"
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """As for every module. Memory formats of clips or images are not those of `weight`."""

        def change(tensor: Tensor) -> Tensor:
            # (out, in / groups, H W): `Module.to(memory_format=...)` changes 4 and 5 axes only
            return fn(tensor.flatten(2)).view_as(tensor) if tensor.ndim == 4 else fn(tensor)

        return super()._apply(change, recurse)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        own = [name for name in TEMPORAL_PARAMETERS if name in self._parameters]  # no parametrised
        # an nn.Conv2d's state; one without this layer, as of a classifier alone, leaves it as it is
        if prefix + "weight" in state_dict and not any(prefix + n in state_dict for n in own):
            for name in own:
                still = torch.full(getattr(self, name).shape, IDENTITY[name])
                state_dict[prefix + name] = still.to(self.weight.dtype)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    @fx_leaf
    def forward(self, clip: Tensor) -> Tensor:
        """Convolve (N, in, T, H, W), or (in, T, H, W) without a batch."""
        clip, padding = _prepare(self, clip)
        slices = (0, self.kernel_size[0])
        # a traced or compiled graph must not depend on the length of the clip it was made with
        if is_eager((clip,)):
            crop = crop_in_time(
                clip.shape[-3], slices[1], self.stride[0], padding[0], self.dilation[0]
            )
            slices, padding = crop.slices, (crop.padding, *padding[1:])
        # cropped slices can leave unequal or negative padding in time, which F.conv3d does not take
        clip, zeros = _pad(clip, padding)
        return convolve(
            clip,
            self.filters(slices),
            self.bias,
            stride=self.stride,
            padding=zeros,
            dilation=self.dilation,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += f", stride={self.stride}"
        defaults = {
            "padding": (0, 0, 0),
            "dilation": (1, 1, 1),
            "groups": 1,
            "padding_mode": "zeros",
            "filter_padding": "zeros",
            "align_corners": True,
            "symmetric_time": False,
            "same_frames": False,
        }
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)!r}"
        return text + (", bias=False" if self.bias is None else "")


class Conv3d(nn.Conv3d):
    """`nn.Conv3d` with the workaround of `convolve` for short clips, and `symmetric_time`.

    Attributes:
        symmetric_time, same_frames: as for `Conv3T`; set them on the layer.
    """

    symmetric_time = False
    same_frames = False

    def filters(self) -> Tensor:
        """The filters, (out, in / groups, D, H, W): `weight`, or what is made of it."""
        return self.weight

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        placed = self.symmetric_time or self.same_frames
        if self.padding_mode != "zeros" and not placed:
            return super().forward(input)  # torch pads the clip beforehand: not affected
        padding: Any = self.padding
        if placed:
            input, padding = _pad(*_prepare(self, input))
        sizes: Any = {"stride": self.stride, "padding": padding, "dilation": self.dilation}
        return convolve(input, self.filters(), self.bias, groups=self.groups, **sizes)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        weight = state_dict.get(prefix + "weight")
        if self.kernel_size[0] == 1 and isinstance(weight, Tensor) and weight.ndim == 4:
            state_dict[prefix + "weight"] = weight.unsqueeze(2)  # an nn.Conv2d's
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        options = ("symmetric_time", "same_frames")
        return super().extra_repr() + "".join(f", {o}=True" for o in options if getattr(self, o))


def _paddings(layer: Conv3T | nn.Conv3d) -> Paddings:
    """(before, after) along T, H and W."""
    paddings: Sequence[int | str]
    paddings = (layer.padding,) * 3 if isinstance(layer.padding, str) else layer.padding
    return tuple(map(padding_along, paddings, layer.kernel_size, layer.dilation))


def _prepare(layer: Conv3T | Conv3d, clip: Tensor) -> tuple[Tensor, Paddings]:
    """The clip, padded with data and placed in time as the layer says, and the zeros to add."""
    if layer.same_frames:
        clip = pad_frames_same(clip, layer.kernel_size, layer.stride, layer.dilation)
    padding = (time, *_) = _paddings(layer)
    data = layer.padding_mode != "zeros"  # then every slice may meet some
    if data:
        if layer.symmetric_time:
            padding = ((max(time),) * 2, *padding[1:])
        clip = F.pad(clip, _flat(padding), mode=layer.padding_mode)
        padding = ((0, 0),) * 3
    if layer.symmetric_time:
        depth, stride, dilation = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
        clip, around = place_filter(clip, depth, stride, time, dilation, data)
        padding = (around, *padding[1:])
    return clip, padding


def _flat(padding: Paddings) -> list[int]:
    """(W left, W right, H left, ...), as `F.pad` wants it."""
    return [amount for pair in reversed(padding) for amount in pair]


def _pad(clip: Tensor, padding: Paddings) -> tuple[Tensor, Triple]:
    """Split padding into what must be applied to the clip and what `F.conv3d` can add itself.

    Returns:
        The clip, padded or cropped along axes whose two sides differ, and the symmetric rest.
    """
    # F.conv3d takes one non-negative number per axis, the same for both sides
    explicit = tuple(pair if pair[0] != pair[1] or pair[0] < 0 else (0, 0) for pair in padding)
    if any(_flat(explicit)):
        clip = F.pad(clip, _flat(explicit))  # a negative amount crops frames
    zeros = [low if low == high and low > 0 else 0 for low, high in padding]
    return clip, (zeros[0], zeros[1], zeros[2])


def _triple(value: Size3, name: str, *, at_least: int) -> Triple:
    try:  # NumPy's integers too
        sizes = tuple(map(operator.index, value if isinstance(value, Iterable) else (value,) * 3))
    except TypeError:
        sizes = ()
    if len(sizes) != 3 or min(sizes) < at_least:
        raise ValueError(
            f"{name}={value!r} must be an int or three ints (D, H, W), each at least {at_least}"
        )
    return sizes[0], sizes[1], sizes[2]


def to_conv3d(layer: Conv3T | nn.Conv3d) -> nn.Conv3d:
    """One 3T layer as a plain `nn.Conv3d` with its present filters.

    Args:
        layer: it is not changed, and the new layer shares no memory with it. A subclass of
            `nn.Conv3d` (`threetconv.lift` makes one) comes back as `nn.Conv3d` itself.

    Returns:
        `nn.Conv3d` with weight (out, in / groups, D, H, W) of the layer's precision and device, in
        its training mode; the same outputs. Hooks are not copied. `Conv3d`, a subclass, where the
        layer's `symmetric_time` matters at some length of clip, or `same_frames`: no plain one can
        do that.

    Note:
        A plain `nn.Conv3d` lacks the workaround of `convolve` for training deep, strided filters on
        short clips on the CPU. To train a 3D network on such clips, use ``lift(..., "3d")``.

    Example:
        >>> to_conv3d(Conv3T(3, 64, kernel_size=7, stride=2, padding=3)).weight.shape
        torch.Size([64, 3, 7, 7, 7])
    """
    with torch.no_grad():
        # in evaluation `filters` may return the layer's cache: the clone below shares no memory
        weight = layer.filters() if isinstance(layer, Conv3T | Conv3d) else layer.weight
        weight = weight.detach().clone(memory_format=torch.contiguous_format)
    sizes: Any = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    time = _paddings(layer)[0]
    symmetric = getattr(layer, "symmetric_time", False)
    symmetric = symmetric and (layer.stride[0] > 1 or time[0] != time[1])
    same = getattr(layer, "same_frames", False)
    # skip_init draws no random numbers, so freezing leaves torch's generator as it was
    plain: nn.Conv3d = nn.utils.skip_init(
        Conv3d if symmetric or same else nn.Conv3d,
        layer.in_channels,
        layer.out_channels,
        *sizes,
        groups=layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
        device=weight.device,
        dtype=weight.dtype,
    )
    plain.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    if layer.bias is not None:
        bias = layer.bias.detach().clone()
        plain.bias = nn.Parameter(bias, requires_grad=layer.bias.requires_grad)
    if isinstance(plain, Conv3d):
        plain.symmetric_time, plain.same_frames = symmetric, same
    return plain.train(layer.training)
