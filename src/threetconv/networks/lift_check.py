"""Check a lifted network against its 2D network: equal frames must give what one of them gives.

A 2D network's own code may use an axis in a way that means something else for clips, and still run.
On a clip that repeats one frame, a lifted network must give the 2D network's output, if borders in
time repeat the clip and filters do not change over time. Copies of both networks are compared so,
layer by layer.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import traceback
from collections import Counter
from collections.abc import Callable
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
from threetconv.networks.lift_counterparts import average, network_code, place_of
from threetconv.networks.lift_forward import FrameForward
from threetconv.networks.trace import check_clip_shape, check_module

__all__ = ["verify_lift"]

CLOSE = (
    1e-6  # of the largest number of the 2D output; networks that round to float32 differ by less
)


def verify_lift(video: nn.Module, model_2d: nn.Module, clip_shape: tuple[int, int, int]) -> None:
    """Raise unless a lifted network gives on equal frames what the 2D network gives on one.

    Both run once, in evaluation mode and float64, as copies with the same weights: those of
    `model_2d`, of which constant ones (a gain of ones, a shift of zeros) are replaced by random
    numbers, since they would hide a difference. 3T filters stand still, 3D filters are the 2D ones
    repeated, time is padded by replication. A factorised convolution ("r2plus1d"), which has a ReLU
    in its middle, is represented by the 3D one of its size. Inputs and outputs of all layers are
    compared, then the outputs. Neither network is changed; hooks of other code do not run.

    A difference shows only if the shape can show it: frames, height and width that differ from each
    other show most. Only evaluation is checked: auxiliary heads, say, do not run.

    Args:
        video: what `threetconv.lift` has made of `model_2d`, with any weights.
        model_2d: the 2D network.
        clip_shape: (frames, height, width) of the clip, frames as large as the 2D network takes.

    Raises:
        InputError: for the first layer that differs or fails, with the line of the network's code
            if it is known; for a `model_2d` that does not run, or is not what `video` comes from.

    Example:
        >>> image = torchvision.models.resnet18()
        >>> verify_lift(lift(image, "3t"), image, (8, 32, 40))
    """
    check_module(video)
    check_module(model_2d)
    check_clip_shape(clip_shape)
    first = next(model_2d.parameters(), torch.empty(0))
    if first.is_meta:
        raise InputError(
            "2D network",
            found="weights on the meta device",
            expected="weights with numbers, to compare outputs",
            remedy="build it on a device that computes",
        )
    cuda = [first.device] if first.is_cuda else []
    with torch.random.fork_rng(devices=cuda), torch.no_grad():
        flat, wide = _plain(model_2d), _plain(video)
        _vary(flat)
        wide = _same_weights(flat, wide)
        _compare(flat, wide, clip_shape, first.device)


def _compare(
    flat: nn.Module, wide: nn.Module, clip_shape: tuple[int, int, int], device: torch.device
) -> None:
    shape = f"{' x '.join(map(str, clip_shape))} (frames x height x width)"
    channels = next((m.in_channels for m in flat.modules() if isinstance(m, nn.Conv2d)), 3)
    seeded = torch.Generator("cpu").manual_seed(1)
    # drawn on the CPU: the same numbers on every device
    drawing: Any = {"generator": seeded, "dtype": torch.float64, "device": "cpu"}
    frame = torch.randn(2, channels, *clip_shape[1:], **drawing).to(device)
    clip = frame.unsqueeze(2).repeat(1, 1, clip_shape[0], 1, 1)
    image = _Pass(flat)
    try:
        expected = image.run(frame)
    except Exception as error:
        raise InputError(
            "2D network",
            found=f"{type(error).__name__} on frames {tuple(frame.shape)}: {error}",
            expected="a network that takes such frames in float64",
            remedy="give a clip_shape whose height and width it takes",
        ) from error
    check = _Comparison(wide, image, clip_shape[0])
    try:
        got = check.run(clip)
    except _DifferenceError:
        pass
    except Exception as error:
        raise _failure(
            check.innermost(),
            _place(error),
            f"{type(error).__name__} on a clip of {shape}: {error}",
        ) from error
    else:
        if check.same(got, expected):
            return
    name, call, what = check.blamed or ("", 0, "its output differs")
    place = _line_that_differs((flat, wide), (frame, clip), (name, call), check.same)
    raise _failure(check.describe(name), place, f"{what} on a clip of {shape}")


def _failure(layer: str, place: str, found: str) -> InputError:
    return InputError(
        f"lifted network, {layer}{f', {place}' if place else ''}",
        found=found,
        expected="on equal frames, without change of filters over time, what the 2D network gives "
        "on one of them",
        remedy="rewrite this code so that it holds for clips (N, C, T, H, W): reduce, move and cut "
        "both axes of the frame at once or by slices, and give tensors that meet clips an axis "
        "for time. If clips are too short for its pooling, check it with longer ones",
    )


class _DifferenceError(Exception):
    """Stops a forward pass at the first difference."""


class _Pass:
    """A forward pass of which the innermost running layer is known.

    Attributes:
        seen: (layer, call, "input" or "output") -> the tensors.
        running: (layer, call) of the layers that run, outermost first.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.seen: dict[tuple[str, int, str], Any] = {}
        self.running: list[tuple[str, int]] = []
        self._calls: Counter[str] = Counter()

    def note(self, key: tuple[str, int, str], value: Any) -> None:
        # copies: a layer behind may change the tensor in place
        self.seen[key] = tree_map_only(Tensor, torch.clone, value)

    def run(self, batch: Tensor, *modes: TorchFunctionMode) -> Any:
        def enter(name: str) -> Callable[..., None]:
            def hook(_module: nn.Module, args: Any) -> None:
                self.running.append((name, self._calls[name]))
                self._calls[name] += 1
                self.note((*self.running[-1], "input"), args)

            return hook

        def leave(_module: nn.Module, _args: Any, output: Any) -> None:
            self.note((*self.running[-1], "output"), output)
            self.running.pop()

        hooks = []
        for name, module in self.network.named_modules():
            hooks += [module.register_forward_pre_hook(enter(name), prepend=True)]
            hooks += [module.register_forward_hook(leave)]
        try:
            with contextlib.ExitStack() as active:
                for mode in (_StillTime(), *modes):
                    active.enter_context(mode)
                return self.network(batch)
        finally:
            for handle in hooks:
                handle.remove()


class _Comparison(_Pass):
    """A forward pass of clips that stops where it first differs from that of frames.

    Attributes:
        blamed: (layer, call, what differs) of the layer whose code makes the difference.
    """

    def __init__(self, network: nn.Module, image: _Pass, frames: int) -> None:
        super().__init__(network)
        self.image, self.frames = image, frames
        self.blamed: tuple[str, int, str] | None = None
        self._per_frame = isinstance(network, FrameForward)

    def note(self, key: tuple[str, int, str], value: Any) -> None:
        name, call, side = key
        # what cannot be compared may still be right: layers behind it and the output will tell
        if key not in self.image.seen or self.same(value, self.image.seen[key]) is not False:
            return
        if side == "input" and len(self.running) > 1:
            self.blamed = (*self.running[-2], f"what it hands to {name!r} differs")
        else:
            self.blamed = (name, call, "its output differs")
        raise _DifferenceError

    def innermost(self) -> str:
        return self.describe(self.running[-1][0] if self.running else "")

    def describe(self, name: str) -> str:
        kind = type(self.image.network.get_submodule(name)).__name__
        return f"layer {name!r} ({kind})" if name else f"forward of {kind}"

    def same(self, video: Any, image: Any) -> bool | None:
        """Whether clips equal frames at every moment; None if their axes cannot be matched."""
        pairs = [
            [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
            for value in (video, image)
        ]
        if len(pairs[0]) != len(pairs[1]):
            return None
        found = [self._same(*pair) for pair in zip(*pairs, strict=True)]
        return False if False in found else None if None in found else True

    def _same(self, video: Tensor, image: Tensor) -> bool | None:
        if not image.is_floating_point():  # indices of pooling, masks
            return True
        if video.shape == image.shape:
            return _close(video, image)
        if image.ndim == 4 and video.ndim == 5:
            # channels first, or last
            axes = [a for a in (2, 1) if (*video.shape[:a], *video.shape[a + 1 :]) == image.shape]
            return any(_close(video, image.unsqueeze(axis)) for axis in axes)
        if self._per_frame and video.shape == (len(image) * self.frames, *image.shape[1:]):
            return _close(video, image.repeat_interleave(self.frames, 0))
        return None


def _close(video: Tensor, image: Tensor) -> bool:
    finite = image[image.isfinite()].abs()
    size = float(finite.max()) if finite.numel() else 0.0
    image = image.expand_as(video)
    return torch.allclose(video.to(image), image, rtol=0, atol=CLOSE * size + 1e-9, equal_nan=True)


class _Lines(TorchFunctionMode):
    """Results of the calls that the code of one layer makes, by file and line.

    Args:
        running: the layers that run, of a `_Pass`.
        layer: (layer, call): whose calls to keep.
    """

    def __init__(self, running: list[tuple[str, int]], layer: tuple[str, int]) -> None:
        super().__init__()
        self._running, self._layer = running, layer
        self.results: list[tuple[str, Any]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._running and self._running[-1] == self._layer:
            frame = network_code(sys._getframe().f_back)
            if frame is not None and any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
                place = place_of(frame)
                if self.results and self.results[-1][0] == place:
                    self.results.pop()  # of several calls in a line the last is the line's result
                self.results.append((place, tree_map_only(Tensor, torch.clone, result)))
        return result


def _line_that_differs(
    networks: tuple[nn.Module, nn.Module],
    batches: tuple[Tensor, Tensor],
    layer: tuple[str, int],
    same: Callable[[Any, Any], bool | None],
) -> str:
    """The first line of a layer's own code whose result differs, or nothing if none is found."""
    results = []
    for network, batch in zip(networks, batches, strict=True):
        forward = _Pass(network)
        lines = _Lines(forward.running, layer)
        # a wrong pass may fail behind the line that is looked for
        with contextlib.suppress(Exception):
            forward.run(batch, lines)
        results.append(lines.results)
    incomparable = ""
    for (there, image), (here, video) in zip(*results, strict=False):
        equal = same(video, image) if here == there else False
        if equal is False:
            return here
        if equal is None and not incomparable:
            incomparable = here
    return incomparable


def _place(error: Exception) -> str:
    """File and line of the innermost code of the network in a traceback, if there is any."""
    inside = ("torch.", "threetconv.layer.", "threetconv.networks.")
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not frame.f_globals.get("__name__", "").startswith(inside)
    ]
    return places[-1] if places else ""


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
        elif isinstance(image, nn.Conv2d):
            done[image] = _unmoved(name, image, video)
        else:
            done[image] = video
            _copy_tensors(name, image, video)
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


def _copy_tensors(name: str, image: nn.Module, video: nn.Module) -> None:
    own = [*image.named_parameters(recurse=False), *image.named_buffers(recurse=False)]
    for key, value in own:
        target = getattr(video, key, None)
        if not isinstance(target, Tensor) or target.numel() != value.numel():
            raise _stranger(name, f"no {key!r} of {value.numel()} numbers")
        target.data.copy_(value.reshape(target.shape))  # (C, 1, 1) has become (C, 1, 1, 1)


def _unmoved(name: str, image: nn.Conv2d, video: nn.Module) -> nn.Module:
    """The video convolution with the 2D one's filter at every moment and replicated borders."""
    layer = _whole(video) if hasattr(video, "temporal") else video
    if not isinstance(layer, Conv3T | nn.Conv3d):
        raise _stranger(name, f"a {type(video).__name__}")
    depth = layer.kernel_size[0]
    weight = image.weight.detach() / depth
    if isinstance(layer, Conv3T):
        set_identity(layer)
    else:
        weight = weight.unsqueeze(2).repeat(1, 1, depth, 1, 1)
    if layer.weight.shape != weight.shape:
        raise _stranger(name, f"filters {tuple(layer.weight.shape)}")
    layer.weight.data.copy_(weight)
    if image.bias is not None and layer.bias is not None:
        layer.bias.data.copy_(image.bias.detach())
    if layer.padding_mode == "zeros":
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
    layer.symmetric_time = time.symmetric_time
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


def _padded(clip: Tensor, edges: tuple[int, int]) -> Tensor:
    return F.pad(clip, (0, 0, 0, 0, *edges), mode="replicate")


class _StillTime(TorchFunctionMode):
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
        length = tree_leaves(pool(args[0].to("meta"), padding))[0].shape[2]
        pooled = pool(_padded(args[0], (time, time)), (0, *space))
        return tree_map_only(Tensor, lambda output: output[:, :, :length], pooled)


_DROPOUTS = {F.dropout, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
_POOLS = {F.max_pool3d, F.max_pool3d_with_indices, F.avg_pool3d, average}
