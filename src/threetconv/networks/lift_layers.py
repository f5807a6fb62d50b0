"""Rules that turn single 2D layers and blocks into their video counterparts, one per type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torchvision.models import SqueezeNet
from torchvision.models.convnext import CNBlock
from torchvision.models.maxvit import RelativePositionalMultiHeadAttention
from torchvision.models.shufflenetv2 import InvertedResidual
from torchvision.models.swin_transformer import ShiftedWindowAttention

from threetconv.layer import symmetric_time
from threetconv.layer.tracing import fx_leaf
from threetconv.networks.lift_forward import makes_2d_calls, own_tensors, video_class
from threetconv.networks.lift_pooling import average, in_time, max_pool

__all__ = [
    "RULES",
    "check_replaceable",
    "convolutional_classifiers",
    "convolutional_linears",
    "is_2d",
    "lift_layer",
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
    base = next((base for base in kind.__mro__ if base in RULES), None)
    if base is not None:
        check_replaceable(name, module, base)
        return module if frames and base in _POOLS else RULES[base](module)
    if isinstance(module, _ATTENTION):
        raise _refusal(name, module, "attention over a fixed 2D grid has no counterpart for clips")
    if isinstance(module, _GRID):
        raise _refusal(name, module, "it rearranges a frame's grid; clips have no counterpart")
    if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
        raise _refusal(name, module, f"it expects frames of size {module.normalized_shape[-2:]}")
    # torch's layers have rules; other code may make 2D calls in its `forward`. A leaf named "...2d"
    # with neither would fail on clips, so it is refused here, where its name is known
    own = not kind.__module__.startswith("torch.")
    if _has_2d_code(module):
        if not frames:
            module.__class__ = video_class(kind)
    elif kind.__name__.endswith("2d") and not list(module.children()):
        raise _refusal(name, module, "there is no rule for it")
    if own:
        _widen_channel_numbers(module)
    return module


def is_2d(module: nn.Module) -> bool:
    """Whether `threetconv.lift` has anything to do on a layer or block, or to refuse there."""
    known = isinstance(module, (nn.Conv2d, *RULES, *_ATTENTION, *_GRID))
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
            raise _refusal(name, module, f"its {method} is not that of {base.__name__}")
    if is_parametrized(module):
        raise _refusal(name, module, "its weight is parametrised; make the weight plain first")
    if module._forward_hooks or module._forward_pre_hooks:
        raise _refusal(name, module, "its hooks would be lost; remove them first")


def _refusal(name: str, module: nn.Module, cause: str) -> ValueError:
    return ValueError(f"layer {name!r} ({type(module).__name__}) cannot be lifted: {cause}")


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


class MaxPool3d(nn.MaxPool3d):
    """`nn.MaxPool3d` with `threetconv.layer.symmetric_time`."""

    symmetric_time = False

    @fx_leaf
    def forward(self, input: Tensor) -> Any:
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


class AvgPool3d(nn.AvgPool3d):
    """`nn.AvgPool3d` that takes clips smaller than its window; see `lift_pooling.average`."""

    symmetric_time = False

    @fx_leaf
    def forward(self, input: Tensor) -> Tensor:
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


_POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_ATTENTION = (
    nn.MultiheadAttention,
    ShiftedWindowAttention,
    RelativePositionalMultiHeadAttention,
)
# layers that move elements between channels and the frame's grid
_GRID = (nn.PixelShuffle, nn.PixelUnshuffle, nn.Fold, nn.Unfold)

RULES: dict[type[nn.Module], Rule] = {
    nn.BatchNorm2d: _norm(nn.BatchNorm3d),
    nn.InstanceNorm2d: _norm(nn.InstanceNorm3d),
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _adaptive(nn.AdaptiveAvgPool3d),
    nn.AdaptiveMaxPool2d: _adaptive_max_pool,
    nn.Dropout2d: lambda module: nn.Dropout3d(module.p, module.inplace),
    InvertedResidual: _shuffle_unit,
}
