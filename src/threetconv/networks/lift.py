"""Turn a 2D ConvNet into a video network: 3T, 3D, factorised (R(2+1)D), or 2D frame by frame.

Source: arXiv 2006.15983, section 4; the rules were inferred from the parameter counts in table 1.
R(2+1)D: Tran et al. 2018, arXiv 1711.11248, section 3.5.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from threetconv.errors import look_up
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.lift_check import verify_lift
from threetconv.networks.lift_convolutions import (
    CONVOLUTIONS,
    Standardised,
    convolution_base,
    is_standardised,
    transposed,
)
from threetconv.networks.lift_forward import FrameForward, VideoForward, reads_sizes, video_class
from threetconv.networks.lift_layers import (
    check_replaceable,
    convolutional_classifiers,
    convolutional_linears,
    is_2d,
    lift_layer,
    refusal,
)
from threetconv.networks.trace import check_module

__all__ = ["CARRY", "lift", "place_symmetrically"]

Carry = tuple[bool, bool]  # (convolutions, everything else)

CARRY: dict[str, Carry] = {
    "all": (True, True),
    "convolutions": (True, False),
    "nothing": (False, False),
}
NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def lift(
    model: nn.Module,
    convolution: str = "3t",
    *,
    carry: str = "all",
    symmetric_time: bool = False,
    check: tuple[int, int, int] | None = None,
) -> nn.Module:
    """Lift a 2D ConvNet to video, (N, C, H, W) -> (N, C, T, H, W).

    - A K x K convolution becomes K x K x K, with the same stride, padding and dilation in time as
      in space; a 1 x 7 or 7 x 1 one becomes 7 deep (time follows the larger side); 1 x 1 stays
      1 x 1 x 1 and has no transforms.
    - Batch norm, dropout, max and average pooling become their 3D versions; adaptive pooling pools
      time to 1, so that a classifier behind it keeps its size.
    - Pooling, reductions over the frame and channels-last permutations that a network's `forward`
      calls directly are extended to time; slices, flips and the like of the frame leave time alone,
      and tensors for (C, H, W) or (N, C, 1, 1) that meet clips get an axis for it
      (`threetconv.networks.lift_counterparts`). Sums and norms over the frame are averaged over
      time. A block's own (C, 1, 1) parameters become (C, 1, 1, 1).
    - Sizes that its code reads are those of a frame: `b, c, h, w = x.shape`. Handed on as they are
      or as `h * w`, to `view`, `expand`, `F.interpolate`, they bring time along
      (`threetconv.networks.lift_sizes`).
    - Transposed convolutions and upsampling by a factor lengthen time as they enlarge frames; these
      convolutions have no transforms. Resized to a frame size, time becomes that of the clip which
      the size was read from, otherwise it stays.
    - Padding layers pad time where they pad all four sides alike.
    - Parameters that layers share stay shared.
    - Layers without spatial axes (Linear, ReLU, Dropout, ...) stay.

    All of torchvision's classification and segmentation ConvNets lift, and nearly all of timm's
    (docs/lifting.md); ViT, Swin and MaxViT, which attend over a fixed grid, do not. A network
    halves time where it halves the frame, so networks that pool without padding need long clips, as
    they need large images: AlexNet 63 frames, VGG and ConvNeXt 32, DenseNet 29, SqueezeNet 17 to
    21, Inception v3 75 (and `aux_logits=False`).

    Two baselines, in which these rules hold for part of the layers:

    - "2d": every frame goes through the 2D network (kernels 1 x K x K; nothing strides or pools
      time), and outputs are averaged over frames: exactly the mean of the 2D network's logits.
      Frames meet in `forward` of the whole network only: where it flattens, or averages the frame.
    - "r2plus1d": a K x K convolution becomes a sequence `spatial` (1 x K x K), `norm`, `relu`,
      `temporal` (K x 1 x 1), with as many channels between as make its weights those of the 3D
      filter, at most (Tran et al. 2018, section 3.5; norms are not counted). 1 x 1 ones stay.

    Args:
        model: a 2D network; it is not changed.
        convolution: "3t", "3d", "2d" or "r2plus1d".
        carry: which of the 2D network's weights to keep: "all"; "convolutions", as the paper did
            (norms and classifier are initialised anew); "nothing", to train from scratch. A carried
            3T filter is the 2D filter with transforms at the identity; a carried 3D filter is the
            2D filter repeated over depth and divided by the depth. Without carrying, a 3T layer
            takes the 2D network's filter, assumed random, as K1, and a 3D layer draws every slice
            anew with the 2D filter's standard deviation over sqrt(depth). "2d" keeps the 2D filters
            as they are, carried or not. "r2plus1d" has no inflation: the ReLU between its two parts
            changes what a 2D filter computes. It is drawn anew (Kaiming, as in the paper's code);
            carrying, output o then reads 2D filter o alone, in middle channel o, rectified and
            averaged over `temporal`. Biases of convolutions are copied in every case. SqueezeNet's
            last convolution counts as its classifier. ConvNeXt's Linear layers within blocks count
            as the 1 x 1 convolutions that they are; parameters that a block holds itself
            (ConvNeXt's layer scale) keep their values.
        symmetric_time: place every window in time from both ends of the clip where that differs
            (`threetconv.layer.symmetric_time`), so that only filters that change over time tell a
            clip from its reverse. The paper: False.
        check: (frames, height, width) of a clip on which the network is compared with the 2D one
            (`threetconv.verify_lift`); None: it is not.

    Returns:
        The video network, in the training mode of `model`. Layer names are those of `model`; for
        "r2plus1d", names of these sequences.

    Raises:
        InputError: for an unknown `convolution` or `carry`, or a `model` that is no module.
        ValueError: for a layer that cannot be lifted; the message names it, its type and the cause.
            It says what to write instead. A network's own code may make calls that clips have no
            counterpart of (a mean over one axis of the frame, `F.pixel_shuffle`): those are refused
            by the forward pass, with layer and line of the call, or here, given `check`.
    """
    make = look_up(CONVOLUTIONS, convolution, what="convolution")
    convolutions, others = look_up(CARRY, carry, what="carry")
    check_module(model)
    _check_liftable(model)
    lifted, frames = copy.deepcopy(model), convolution == "2d"
    kept = set(convolutional_linears(lifted))
    classifiers = set(convolutional_classifiers(lifted))
    done: dict[nn.Module, nn.Module] = {}  # a layer used in two places stays one layer
    # duplicates are kept, so that every name of a shared layer is replaced
    for name, module in list(lifted.named_modules(remove_duplicate=False)):
        if module not in done:
            replacement = done[module] = _lift_module(name, module, make, convolutions, frames)
            fresh = isinstance(module, nn.Linear) and module not in kept
            if not others and (fresh or module in classifiers):
                replacement.reset_parameters()
        if done[module] is not module:
            parent, _, child = name.rpartition(".")
            if name:  # "" is the model itself, when it is a single layer
                setattr(lifted.get_submodule(parent), child, done[module])
            else:
                lifted = done[module]
    _tie(model, lifted)
    if not others:
        for module in lifted.modules():
            if isinstance(module, NORMS):
                module.reset_parameters()
    if frames:
        lifted.__class__ = video_class(type(lifted), FrameForward)
        # blocks inside run in its forward pass
        lifted.__dict__["reads_sizes"] = any(reads_sizes(type(m)) for m in model.modules())
    if symmetric_time:
        place_symmetrically(lifted)
    if check is not None:
        verify_lift(lifted, model, check)
    return lifted


def _check_liftable(model: nn.Module) -> None:
    kind = type(model).__name__
    if any(isinstance(module, VideoForward | Conv3T) for module in model.modules()):
        raise ValueError(f"{kind} cannot be lifted: it is a video network already")
    if not any(is_2d(module) for module in model.modules()):
        raise ValueError(
            f"{kind} cannot be lifted: nothing in it is 2D, no convolution, pooling or call that "
            "addresses a frame"
        )
    for name, parameter in model.named_parameters():
        hooks = (parameter._backward_hooks, getattr(parameter, "_post_accumulate_grad_hooks", None))
        if any(hooks):
            raise ValueError(
                f"parameter {name!r} cannot be lifted: its hooks would be lost; remove them first, "
                "and register them on the video network's"
            )


def _tie(model: nn.Module, lifted: nn.Module) -> None:
    """Share in the video network every parameter that layers of the 2D network share.

    Raises:
        ValueError: for layers that share a parameter of which they make different filters.
    """
    first: dict[nn.Parameter, tuple[str, nn.Parameter]] = {}
    for path, module in model.named_modules():
        for key, parameter in module.named_parameters(recurse=False):
            name, layer = f"{path}.{key}".lstrip("."), _holder(lifted.get_submodule(path), key)
            owner, shared = first.setdefault(parameter, (name, getattr(layer, key)))
            if getattr(layer, key).shape != shared.shape:
                raise ValueError(f"{owner!r} and {name!r} are tied, but lift to different shapes")
            setattr(layer, key, shared)


def place_symmetrically(network: nn.Module) -> None:
    """Set `symmetric_time` of all layers and blocks of a lifted network that have it, in place.

    Raises:
        ValueError: for a pooling layer that returns indices, of which there is no mean.
    """
    for name, module in network.named_modules():
        if hasattr(module, "symmetric_time"):
            if getattr(module, "return_indices", False):
                raise ValueError(
                    f"layer {name!r} ({type(module).__name__}) cannot have symmetric_time: it "
                    "returns indices, and two placements have two"
                )
            module.symmetric_time = True


def _lift_module(
    name: str, module: nn.Module, make: Callable[..., nn.Module], carry: bool, frames: bool
) -> Any:
    """The video version of one layer; the layer itself if it takes clips unchanged."""
    if isinstance(module, nn.Conv2d):
        check_replaceable(name, module, convolution_base(type(module)))
        replacement = make(module, carry)
        if is_standardised(module) and not isinstance(replacement, Standardised):
            raise refusal(
                name,
                module,
                "its filters are standardised, and a factorised one has two",
                'convolution="3d", or nn.Conv2d and a norm behind it',
            )
    elif isinstance(module, nn.ConvTranspose2d):
        check_replaceable(name, module, nn.ConvTranspose2d)
        try:
            replacement = transposed(module, carry, frames)
        except ValueError as error:
            raise refusal(name, module, str(error), "a kernel as large as the stride") from error
    else:
        replacement = lift_layer(name, module, frames=frames)
    if replacement is not module:
        replacement.train(module.training)
        # lifted layers keep the names of parameters; those that were frozen stay frozen
        for key, parameter in module.named_parameters():
            getattr(_holder(replacement, key), key).requires_grad_(parameter.requires_grad)
    return replacement


def _holder(layer: Any, key: str) -> Any:
    """The part of a lifted layer that holds the 2D layer's parameter `key`."""
    if not hasattr(layer, "temporal"):
        return layer
    return layer.spatial if key == "weight" else layer.temporal
