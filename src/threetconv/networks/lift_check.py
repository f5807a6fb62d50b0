"""Check a lifted network against its 2D network: equal frames must give what one of them gives.

A 2D network's own code may use an axis in a way that means something else for clips, and still run.
On a clip that repeats one frame, a lifted network must give the 2D network's output, if borders in
time repeat the clip and filters do not change over time. Copies of both networks are compared so,
layer by layer.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from threetconv.errors import InputError
from threetconv.networks.lift_check_copies import StillTime, still_copies
from threetconv.networks.lift_counterparts import network_code, place_of
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
        _compare(*still_copies(model_2d, video), clip_shape, first.device)


def _compare(
    flat: nn.Module, wide: nn.Module, clip_shape: tuple[int, int, int], device: torch.device
) -> None:
    shape = f"{' x '.join(map(str, clip_shape))} (frames x height x width)"
    seeded = torch.Generator("cpu").manual_seed(1)
    # drawn on the CPU: the same numbers on every device
    drawing: Any = {"generator": seeded, "dtype": torch.float64, "device": "cpu"}
    first = next((m.in_channels for m in flat.modules() if isinstance(m, nn.Conv2d)), 3)
    for channels in dict.fromkeys((first, 3)):  # before it frames may be rearranged
        frame = torch.randn(2, channels, *clip_shape[1:], **drawing).to(device)
        image = _Pass(flat)
        try:
            expected = image.run(frame)
            break
        except Exception as error:
            if channels != 3:
                continue
            raise InputError(
                "2D network",
                found=f"{type(error).__name__} on frames {tuple(frame.shape)}: {error}",
                expected="a network that takes such frames in float64",
                remedy="give a clip_shape whose height and width it takes",
            ) from error
    clip = frame.unsqueeze(2).repeat(1, 1, clip_shape[0], 1, 1)
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
        if check.agrees(got, expected):
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
                for mode in (StillTime(), *modes):
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

    def agrees(self, video: Any, image: Any) -> bool:
        """Whether the outputs of the two networks are the same; whole numbers and flags too.

        Raises:
            InputError: for outputs without a tensor.
        """
        whole = [
            [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
            for value in (video, image)
        ]
        if not whole[1]:
            raise InputError(
                "2D network",
                found=f"an output without a tensor: {type(image).__name__}",
                expected="tensors, which can be compared",
                remedy="lift the part of it that computes tensors",
            )
        exact = [
            (one.shape == other.shape and bool((one == other).all()))
            for one, other in zip(*whole, strict=False)
            if not (other.is_floating_point() or other.is_complex())
        ]
        return all(exact) and bool(self.same(video, image))

    def _same(self, video: Tensor, image: Tensor) -> bool | None:
        if image.is_complex() and video.is_complex():
            return self._same(torch.view_as_real(video), torch.view_as_real(image))
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
