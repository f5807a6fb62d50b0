"""Rules that turn single 2D layers and blocks into their video counterparts, one per type."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torchvision.models import SqueezeNet
from torchvision.models.convnext import CNBlock
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.shufflenetv2 import InvertedResidual
from torchvision.models.swin_transformer import ShiftedWindowAttention

from threetconv.layer import symmetric_time
from threetconv.layer.same_frames import pad_frames_same
from threetconv.layer.tracing import fx_leaf
from threetconv.networks.lift_forward import EachFrame, makes_2d_calls, own_tensors, video_class
from threetconv.networks.lift_pooling import (
    average,
    filtered,
    in_time,
    interpolate,
    lp_pool2d,
    max_pool,
)

__all__ = [
    "RULES",
    "check_replaceable",
    "convolutional_classifiers",
    "convolutional_linears",
    "is_2d",
    "lift_layer",
    "refusal",
]

Module = TypeVar("Module", bound=nn.Module)
Rule = Callable[[Any], nn.Module]


def lift_layer(name: str, module: nn.Module, *, frames: bool = False) -> nn.Module:
    """The video version of a layer or block that is not a convolution, or itself if it needs none.

    With `frames` pooling and calls in `forward` are left to `lift_forward.FrameForward`.

    Raises:
        ValueError: for one that has no video version; the message names it, its type and the cause.
    """
    kind = type(module)
    # subclasses follow their base's rule, but only if they compute the same
    base = next((base for base in kind.__mro__ if _rule(base) is not None), None)
    if base is not None:
        check_replaceable(name, module, base)
        if base in _PADS:
            return VideoPad(module, _PADS[base], frames=frames)
        pools = base in _POOLS or f"{base.__module__}.{base.__name__}" in _NAMED_POOLS
        return module if frames and pools else _rule(base)(module)  # type: ignore[misc]
    for kinds, cause, instead in _WITHOUT_COUNTERPART:
        if isinstance(module, kinds):
            raise refusal(name, module, cause, instead)
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
        raise refusal(
            name,
            module,
            f"it expects frames of size {module.normalized_shape[-2:]}",
            "nn.GroupNorm(1, channels), or a LayerNorm over channels alone",
        )
    # torch's layers have rules; other code may make 2D calls in its `forward`. A leaf named "...2d"
    # with neither would fail on clips, so it is refused here, where its name is known
    own = not kind.__module__.startswith("torch.")
    if _has_2d_code(module):
        if not frames:
            module.__class__ = video_class(kind)
            module.__dict__["lifted_name"] = name  # a plain attribute
    elif kind.__name__.endswith("2d") and not list(module.children()):
        raise refusal(
            name,
            module,
            "there is no rule for it",
            "a layer of torch that has one, or its calls in `forward`, which are extended to time",
        )
    if own:
        _widen_channel_numbers(module)
    return module


def _rule(kind: type[nn.Module]) -> Rule | None:
    """The rule for a class of torch's, or of a package that is known by name alone."""
    return RULES.get(kind) or NAMED_RULES.get(f"{kind.__module__}.{kind.__name__}")


def is_2d(module: nn.Module) -> bool:
    """Whether `threetconv.lift` has anything to do on a layer or block, or to refuse there."""
    refused = [kind for kinds, _, _ in _WITHOUT_COUNTERPART for kind in kinds]
    known = isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, *RULES, *refused))
    grid = isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1
    return known or grid or type(module).__name__.endswith("2d") or _has_2d_code(module)


def _has_2d_code(module: nn.Module) -> bool:
    """Whether a class that is not torch's makes 2D calls, or holds tensors that meet images."""
    if type(module).__module__.startswith("torch."):
        return False
    # (C, 1, 1) and (C, H, W) meet clips in operators, which have no names in byte code
    held = any(tensor.ndim in (3, 4) for tensor in own_tensors(module))
    return held or makes_2d_calls(type(module))


def check_replaceable(name: str, module: nn.Module, base: type[nn.Module]) -> None:
    """Refuse a layer that does more than the torch layer `base`, whose rule would replace it.

    Raises:
        ValueError: for a subclass that computes something else, hooks or a parametrised weight.
    """
    kind = type(module)
    # nn.Conv2d's forward calls `_conv_forward`, so a subclass may override that instead
    for method in ("forward", "_conv_forward"):
        if getattr(kind, method, None) is not getattr(base, method, None):
            raise refusal(
                name,
                module,
                f"its {method} is not that of {base.__name__}",
                f"a module that holds a {base.__name__} and does the rest in its own forward",
            )
    if is_parametrized(module):
        raise refusal(
            name,
            module,
            "its weight is parametrised",
            "a plain weight (torch.nn.utils.parametrize.remove_parametrizations), parametrised "
            "after lifting",
        )
    if module._forward_hooks or module._forward_pre_hooks:
        raise refusal(
            name,
            module,
            "its hooks would be lost",
            "a layer without hooks, and register them on the video network's",
        )


def refusal(name: str, module: nn.Module, cause: str, instead: str) -> ValueError:
    """The error for a layer that cannot be lifted: which, why, and what to write instead."""
    kind = type(module).__name__
    return ValueError(f"layer {name!r} ({kind}) cannot be lifted: {cause}. Instead: {instead}")


def _widen_channel_numbers(module: nn.Module) -> None:
    """Add a time axis to a block's own factors per channel, (C, 1, 1) or (1, C, 1, 1) tensors."""
    # recurse=False: layers inside have rules of their own
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for name, value in own:
        per_channel = value.ndim == 3 or (value.ndim == 4 and len(value) == 1)
        if per_channel and value.shape[-2:] == (1, 1):
            wide = value.detach().unsqueeze(-1)
            if isinstance(value, nn.Parameter):
                wide = nn.Parameter(wide, requires_grad=value.requires_grad)
            setattr(module, name, wide)


def convolutional_linears(model: nn.Module) -> Iterator[nn.Module]:
    """Linear layers that are 1 x 1 convolutions written for channels last: ConvNeXt's."""
    for block in model.modules():
        if isinstance(block, CNBlock):
            yield from (layer for layer in block.modules() if isinstance(layer, nn.Linear))


def convolutional_classifiers(model: nn.Module) -> Iterator[nn.Module]:
    """Convolutions that are classifiers: SqueezeNet's."""
    for network in model.modules():
        if isinstance(network, SqueezeNet):
            yield network.get_submodule("classifier.1")


def _norm(kind: type[nn.Module]) -> Rule:
    def rule(module: Any) -> nn.Module:
        state = module.state_dict()  # empty for a norm without affine parameters and statistics
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


class BatchNormAct3d(nn.BatchNorm3d):
    """Batch norm, dropout of blocks and activation, as timm's `BatchNormAct2d` for clips."""

    drop: nn.Module
    act: nn.Module

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        return cast(Tensor, self.act(self.drop(super().forward(input))))


def _norm_act(module: Any) -> nn.Module:
    layer: Any = _norm(BatchNormAct3d)(module)
    layer.drop, layer.act = module.drop, module.act
    return cast(nn.Module, layer)


class MaxPool3d(nn.MaxPool3d):
    """`nn.MaxPool3d` with `threetconv.layer.symmetric_time`, and frames padded as "SAME"."""

    symmetric_time = False
    same_frames = False

    @fx_leaf
    def forward(self, input: Tensor) -> Any:
        if self.same_frames:
            input = pad_frames_same(input, self.kernel_size, self.stride, self.dilation, -math.inf)
        if self.return_indices:
            return super().forward(input)
        sizes: Any = (self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        if not self.symmetric_time:
            return max_pool(input, *sizes)
        return symmetric_time.pool(lambda clip: max_pool(clip, *sizes), input, *sizes)


def _max_pool(module: nn.MaxPool2d) -> nn.Module:
    kernel, stride, padding, dilation = in_time(
        module.kernel_size, module.stride, module.padding, module.dilation
    )
    return MaxPool3d(
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        return_indices=module.return_indices,
        ceil_mode=module.ceil_mode,
    )


def _same_pool(rule: Rule) -> Rule:
    """Of timm's pools that pad frames by need, as TensorFlow does; time is padded on both sides."""

    def same(module: Any) -> nn.Module:
        layer: Any = rule(module)
        layer.same_frames, layer.ceil_mode = True, True  # an output for a last, lone frame too
        layer.padding = ((layer.kernel_size[0] - 1) // 2, 0, 0)
        return cast(nn.Module, layer)

    return same


class AvgPool3d(nn.AvgPool3d):
    """`nn.AvgPool3d` that takes clips smaller than its window; see `lift_pooling.average`."""

    symmetric_time = False
    same_frames = False

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        if self.same_frames:
            input = pad_frames_same(input, self.kernel_size, self.stride)
        if not self.symmetric_time:
            return self._average(input)
        sizes: Any = (self.kernel_size, self.stride, self.padding, 1, self.ceil_mode)
        return symmetric_time.pool(self._average, input, *sizes)

    def _average(self, input: Tensor) -> Tensor:
        return average(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


def _avg_pool(module: nn.AvgPool2d) -> nn.Module:
    kernel, stride, padding = in_time(module.kernel_size, module.stride, module.padding)
    divisor = module.divisor_override
    if divisor is not None:
        divisor *= kernel if isinstance(kernel, int) else kernel[0]
    return AvgPool3d(
        kernel,
        stride=stride,
        padding=padding,
        ceil_mode=module.ceil_mode,
        count_include_pad=module.count_include_pad,
        divisor_override=divisor,
    )


def _adaptive(kind: type[Module]) -> Callable[[Any], Module]:
    def rule(module: Any) -> Module:
        size = module.output_size
        height, width = (size, size) if isinstance(size, int) or size is None else size
        return kind((1, height, width))

    return rule


def _adaptive_max_pool(module: nn.AdaptiveMaxPool2d) -> nn.Module:
    layer = _adaptive(nn.AdaptiveMaxPool3d)(module)
    layer.return_indices = module.return_indices
    return layer


class VideoShuffleUnit(InvertedResidual):
    """ShuffleNet v2's unit for clips: torchvision's channel shuffle unpacks exactly four axes.

    Source: `torchvision.models.shufflenetv2.InvertedResidual`.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            kept, changed = x.chunk(2, dim=1)
        else:
            kept, changed = self.branch1(x), x
        # interleave the two branches' channels: a channel shuffle with two groups
        return torch.stack((kept, self.branch2(changed)), dim=2).flatten(1, 2)


def _shuffle_unit(module: InvertedResidual) -> nn.Module:
    # in place: the layers inside are lifted by their own rules
    module.__class__ = VideoShuffleUnit
    return module


class LPPool(nn.LPPool2d):
    """`nn.LPPool2d` for clips; see `lift_pooling.lp_pool2d`."""

    symmetric_time = False

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        sizes: Any = (self.kernel_size, self.stride, self.ceil_mode, self.symmetric_time)
        return lp_pool2d(input, float(self.norm_type), *sizes)


class VideoUpsample(nn.Upsample):
    """`nn.Upsample` for clips; see `lift_pooling.interpolate`."""

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        how: Any = (self.mode, self.align_corners, self.recompute_scale_factor)
        return interpolate(input, self.size, self.scale_factor, *how)


def _as(kind: type[nn.Module]) -> Rule:
    """In place: nothing but the class changes."""

    def rule(module: Any) -> nn.Module:
        module.__class__ = kind
        return cast(nn.Module, module)

    return rule


def _frame_by_frame(module: Any) -> nn.Module:
    module.__class__ = video_class(type(module), EachFrame)
    return cast(nn.Module, module)


class VideoPad(nn.Module):
    """What `nn.ZeroPad2d` and its like do, for clips.

    Time is padded as the frame is, if all its four sides get the same, else not.

    Attributes:
        sides: (left, right, top, bottom, before, after).
        mode, value: as for `F.pad`.
    """

    def __init__(self, layer: Any, mode: str, *, frames: bool) -> None:
        super().__init__()
        sides = tuple(layer.padding)
        time = 0 if frames or len(set(sides)) > 1 else max(0, sides[0])
        self.sides, self.mode = (*sides, time, time), mode
        self.value = layer.value if isinstance(layer, nn.ConstantPad2d) else None

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.sides, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.sides}, mode={self.mode!r}"


class BlurPool3d(nn.Module):
    """Blur with binomial weights in space and time, then take every so many: timm's `BlurPool2d`.

    Source: Zhang 2019, "Making convolutional networks shift-invariant again".
    """

    symmetric_time = False

    def __init__(self, blur: Any) -> None:
        super().__init__()
        self.stride, self.edge, self.mode = blur.stride, int(blur.padding[0]), blur.pad_mode
        taps = blur.filt[0, 0].sum(0)
        filters = taps[:, None, None] * blur.filt.unsqueeze(2)
        self.register_buffer("filt", filters, persistent=False)

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
        filters = self.get_buffer("filt").expand(input.shape[1], -1, -1, -1, -1)
        clip = F.pad(input, (*(self.edge,) * 4, 0, 0), self.mode)
        time = self.edge if self.mode == "constant" else 0
        if not time:  # not reflected, as frames are: clips may be short
            clip = F.pad(clip, (0, 0, 0, 0, self.edge, self.edge), "replicate")

        def blur(clip: Tensor) -> Tensor:
            return filtered(clip, filters, self.stride, (time, 0, 0), groups=len(filters))

        if self.symmetric_time:
            return symmetric_time.pool(blur, clip, filters.shape[2], self.stride, (time, 0, 0))
        return blur(clip)


_POOLS = (
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d),
    nn.Upsample,
)
_PADS: dict[type[nn.Module], str] = {
    nn.ZeroPad2d: "constant",
    nn.ConstantPad2d: "constant",
    nn.ReflectionPad2d: "reflect",
    nn.ReplicationPad2d: "replicate",
    nn.CircularPad2d: "circular",
}
_ATTENTION = (
    nn.MultiheadAttention,
    ShiftedWindowAttention,
    RelativePositionalMultiHeadAttention,
)
# layers that move elements between channels and the frame's grid
_GRID = (nn.PixelShuffle, nn.PixelUnshuffle, nn.Fold, nn.Unfold)
_WITHOUT_COUNTERPART: tuple[tuple[tuple[type[nn.Module], ...], str, str], ...] = (
    (
        _ATTENTION,
        "attention over a fixed 2D grid has no counterpart for clips",
        "a ConvNet, or a video transformer",
    ),
    (
        _GRID,
        "it rearranges a frame's grid; clips have no counterpart",
        "nn.Conv2d with a stride, or nn.Upsample and nn.Conv2d",
    ),
    (
        (nn.FractionalMaxPool2d,),
        "there is no rule for it: its windows are drawn anew at each call",
        "nn.MaxPool2d or nn.AdaptiveMaxPool2d",
    ),
    (
        (nn.MaxUnpool2d,),
        "it puts each number back to one frame and leaves the others empty",
        "nn.Upsample or nn.ConvTranspose2d",
    ),
)

_NAMED_POOLS: dict[str, Rule] = {
    "timm.layers.pool2d_same.MaxPool2dSame": _same_pool(_max_pool),
    "timm.layers.pool2d_same.AvgPool2dSame": _same_pool(_avg_pool),
    "timm.layers.blur_pool.BlurPool2d": BlurPool3d,
}
RULES: dict[type[nn.Module], Rule] = {
    nn.BatchNorm2d: _norm(nn.BatchNorm3d),
    nn.InstanceNorm2d: _norm(nn.InstanceNorm3d),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive(nn.AdaptiveAvgPool3d),
    nn.AdaptiveMaxPool2d: _adaptive_max_pool,
    nn.Dropout2d: lambda module: nn.Dropout3d(module.p, module.inplace),
    nn.LPPool2d: _as(LPPool),
    nn.Upsample: _as(VideoUpsample),
    nn.Softmax2d: lambda module: nn.Softmax(dim=1),
    **dict.fromkeys(_PADS, lambda module: module),
    InvertedResidual: _shuffle_unit,
}
# of timm, which is not imported: qualified name -> rule
NAMED_RULES: dict[str, Rule] = {
    "timm.layers.norm_act.BatchNormAct2d": _norm_act,
    "timm.layers.space_to_depth.SpaceToDepth": _frame_by_frame,
    "timm.layers.space_to_depth.DepthToSpace": _frame_by_frame,
    **_NAMED_POOLS,
}
