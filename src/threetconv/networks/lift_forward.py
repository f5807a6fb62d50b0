"""Replace functional 2D calls inside a forward pass by their video counterparts.

Many 2D networks pool or average in `forward` itself (`F.max_pool2d(x, 2)`, `x.mean([2, 3])`), where
no layer can be replaced. A class that does so gets a subclass that intercepts those calls during
its forward pass and extends them to time for clips (N, C, T, H, W). `COUNTERPARTS` lists them all.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from threetconv.layer import symmetric_time as symmetric

__all__ = [
    "COUNTERPARTS",
    "NAMES",
    "FrameForward",
    "VideoForward",
    "average",
    "in_time",
    "makes_2d_calls",
    "max_pool",
    "video_class",
]


def in_time(kernel_size: Any, *others: Any) -> list[Any]:
    """(D, H, W) from (H, W): time gets the values of the axis with the larger kernel (H on a tie).

    Args:
        kernel_size: int or (H, W); it decides the axis.
        others: stride, padding, ...: int, str or None, which stay as they are, or (H, W).
    """
    # 1 x 7 and 7 x 1 kernels (Inception v3) both become 7 deep, with the stride and padding of the
    # longer side
    axis = int(not isinstance(kernel_size, int) and kernel_size[-1] > kernel_size[0])
    return [
        size if size is None or isinstance(size, int | str) else (size[axis % len(size)], *size)
        for size in (kernel_size, *others)
    ]


def max_pool(clip: Tensor, *sizes: Any) -> Tensor:
    """`F.max_pool3d`, on CPUs channels last: same outputs, same gradients, to the bit.

    torch's kernel for channels first takes one number at a time. Forward and backward of 16 clips
    of 48 x 4 x 4 x 4, stride 1, are 7 times quicker channels last; strided ones of 16 x 8 x 16 x 16
    1.8 times, of 64 x 8 x 56 x 56 as quick (torch 2.14.1, one core).
    """
    if clip.ndim == 5 and clip.device.type == "cpu":
        last = clip.contiguous(memory_format=torch.channels_last_3d)
        return F.max_pool3d(last, *sizes).contiguous()
    return F.max_pool3d(clip, *sizes)


def _max_pool(  # noqa: PLR0917 (F.max_pool2d's own signature)
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    symmetric_time: bool = False,
) -> Any:
    # an empty stride, torch.max_pool2d's default, means the kernel size, as None does
    kernel, step, edge, spacing = in_time(kernel_size, stride or None, padding, dilation)
    pool: Any = F.max_pool3d_with_indices if return_indices else max_pool
    sizes: Any = (kernel, step, edge, spacing, ceil_mode)
    if symmetric_time and not return_indices:
        return symmetric.pool(lambda clip: pool(clip, *sizes), input, *sizes)
    return pool(input, *sizes)


def _max_pool_with_indices(*args: Any, **kwargs: Any) -> Any:
    return _max_pool(*args, **{**kwargs, "return_indices": True})


def _adaptive_max_pool_with_indices(*args: Any, **kwargs: Any) -> Any:
    return _adaptive_max_pool(*args, **{**kwargs, "return_indices": True})


def average(  # noqa: PLR0917 (F.avg_pool3d's own signature)
    clip: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """`F.avg_pool3d` that also takes clips smaller than the window, if padding makes up for it.

    `F.avg_pool2d` takes such frames; torch's 3D version refuses such clips whatever the padding.
    The clip is padded beforehand instead.
    """
    window = (kernel_size,) * 3 if isinstance(kernel_size, int) else kernel_size
    smaller = any(n < k for n, k in zip(clip.shape[2:], window, strict=True))
    # explicit zeros equal padding only if the average counts them and no window overhangs the edge
    if smaller and count_include_pad and not ceil_mode:
        edges = (padding,) * 3 if isinstance(padding, int) else padding
        clip = F.pad(clip, [edge for edge in reversed(edges) for _ in range(2)])
        padding = 0
    return F.avg_pool3d(
        clip, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _avg_pool(  # noqa: PLR0917 (F.avg_pool2d's own signature)
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    symmetric_time: bool = False,
) -> Tensor:
    kernel, step, edge = in_time(kernel_size, stride or None, padding)
    if divisor_override is not None:  # as many times more terms in the window's sum as it is deep
        divisor_override *= kernel if isinstance(kernel, int) else kernel[0]
    sizes = (kernel, step, edge, ceil_mode)

    def pool(clip: Tensor) -> Tensor:
        return average(clip, *sizes, count_include_pad, divisor_override)

    if symmetric_time:
        return symmetric.pool(pool, input, kernel, step, edge, 1, ceil_mode)
    return pool(input)


def _adaptive_size(output_size: Any) -> tuple[int | None, ...]:
    # time becomes 1, so that a classifier behind the pooling keeps its input size
    return (1, *((output_size,) * 2 if isinstance(output_size, int) else output_size))


def _adaptive_avg_pool(input: Tensor, output_size: Any) -> Tensor:
    return F.adaptive_avg_pool3d(input, _adaptive_size(output_size))  # type: ignore[arg-type]


def _adaptive_max_pool(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    pool = F.adaptive_max_pool3d_with_indices if return_indices else F.adaptive_max_pool3d
    return pool(input, _adaptive_size(output_size))  # type: ignore[arg-type]


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    return F.dropout3d(input, p, training, inplace)


def _over_frames(
    reduce: Callable[..., Any], per_frame: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """A reduction over the frame's axes (2, 3) of an image, applied to (2, 3, 4) of a clip.

    With `per_frame`, that is what such a reduction becomes instead.
    """

    def reduced(input: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
        # the network's code counts four axes, so negative ones are taken modulo 4, not 5
        if isinstance(dim, tuple | list) and {d % 4 for d in dim} == {2, 3}:
            if per_frame is not None:
                return per_frame(input, dim, *args, **kwargs)
            dim = (2, 3, 4)
        return (
            reduce(input, *args, **kwargs) if dim is None else reduce(input, dim, *args, **kwargs)
        )

    return reduced


_PERMUTATIONS = {
    (0, 2, 3, 1): (0, 2, 3, 4, 1),  # channels first -> channels last
    (0, 3, 1, 2): (0, 4, 1, 2, 3),  # and back
}


def _permute(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    # x.permute(0, 2, 3, 1), x.permute((0, 2, 3, 1)) and torch.permute(x, dims=...) are all possible
    order = dims if dims is not None else axes
    order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
    return torch.permute(input, _PERMUTATIONS.get(tuple(d % 4 for d in order), tuple(order)))


# a function has several entries when torch knows it under several names
COUNTERPARTS: dict[Callable[..., Any], Callable[..., Any]] = {
    F.max_pool2d: _max_pool,
    torch.max_pool2d: _max_pool,
    F.max_pool2d_with_indices: _max_pool_with_indices,
    F.avg_pool2d: _avg_pool,
    F.adaptive_avg_pool2d: _adaptive_avg_pool,
    F.adaptive_max_pool2d: _adaptive_max_pool,
    F.adaptive_max_pool2d_with_indices: _adaptive_max_pool_with_indices,
    F.dropout2d: _dropout,
    torch.mean: _over_frames(torch.mean),
    Tensor.mean: _over_frames(torch.mean),
    torch.sum: _over_frames(torch.sum),
    Tensor.sum: _over_frames(torch.sum),
    torch.amax: _over_frames(torch.amax),
    Tensor.amax: _over_frames(torch.amax),
    torch.permute: _permute,
    Tensor.permute: _permute,
}
# as they appear in byte code; see `makes_2d_calls`
NAMES = {
    "max_pool2d",
    "max_pool2d_with_indices",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "dropout2d",
    "mean",
    "sum",
    "amax",
    "permute",
}


def _per_frame(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of images (N, C, H, W), applied to every frame of a clip (N, C, T, H, W).

    Results that are images come back as clips; others, as flattened features, stay (N T, ...).
    """

    def apply(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        def clips(images: Tensor) -> Tensor:
            if images.ndim != 4:
                return images
            return images.unflatten(0, (-1, input.shape[2])).transpose(1, 2)

        frames = input.transpose(1, 2).flatten(0, 1)
        return tree_map_only(Tensor, clips, function(frames, *args, **kwargs))

    return apply


REDUCTIONS: tuple[Callable[..., Any], ...] = (
    torch.mean, Tensor.mean, torch.sum, Tensor.sum, torch.amax, Tensor.amax,
)  # fmt: skip
PER_FRAME: dict[Callable[..., Any], Callable[..., Any]] = {
    **{function: _per_frame(function) for function in COUNTERPARTS},
    **{function: _over_frames(function, _per_frame(function)) for function in REDUCTIONS},
    torch.permute: _permute,
    Tensor.permute: _permute,
    # here the frame's grid ends: what follows sees each frame as an element of the batch
    torch.flatten: _per_frame(torch.flatten),
    Tensor.flatten: _per_frame(torch.flatten),
}
"""`COUNTERPARTS` for networks that see single frames."""


class VideoCalls(TorchFunctionMode):
    """While active, calls on 5D tensors are replaced by their counterparts.

    Args:
        counterparts: function -> what takes its place.
        symmetric_time: pool as `threetconv.layer.symmetric_time` says.
    """

    def __init__(
        self, counterparts: dict[Callable[..., Any], Callable[..., Any]], symmetric_time: bool
    ) -> None:
        super().__init__()
        self._counterparts, self.symmetric_time = counterparts, symmetric_time

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        counterpart = self._counterparts.get(func)
        if counterpart is not None:
            clip = args[0] if args else kwargs.get("input")
            # features behind a flatten, for one, are not clips: those calls are left alone
            if isinstance(clip, Tensor) and clip.ndim == 5:
                if self.symmetric_time and counterpart in (_max_pool, _avg_pool):
                    kwargs = kwargs | {"symmetric_time": True}
                return counterpart(*args, **kwargs)
        return func(*args, **kwargs)


class VideoForward(nn.Module):
    """First base of the classes from `video_class`: runs the forward pass under `VideoCalls`."""

    image_class: type[nn.Module]
    counterparts = COUNTERPARTS
    symmetric_time = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        with VideoCalls(self.counterparts, self.symmetric_time):
            return super().forward(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle and copy by the 2D class: pickle cannot import classes made at run time."""
        reduced = super().__reduce_ex__(protocol)
        assert isinstance(reduced, tuple)
        # only the constructor and its arguments are replaced; the state, from index 2 on, is kept
        return (_blank, (self.image_class, type(self).__bases__[0]), *reduced[2:])


class FrameForward(VideoForward):
    """The same for a whole network that sees single frames: averages their outputs over time."""

    counterparts = PER_FRAME

    def forward(self, clip: Tensor, *args: Any, **kwargs: Any) -> Any:
        def average(output: Tensor) -> Tensor:
            # feature maps, of a network without a head, stay as they are
            return output if output.ndim == 5 else output.unflatten(0, (-1, clip.shape[2])).mean(1)

        return tree_map_only(Tensor, average, super().forward(clip, *args, **kwargs))


def video_class(
    image_class: type[nn.Module], base: type[VideoForward] = VideoForward
) -> type[nn.Module]:
    """The subclass of a 2D network's class whose forward pass takes clips, in the way of `base`."""
    key = (image_class, base)
    if key not in _VIDEO_CLASSES:
        names = {"image_class": image_class, "__doc__": image_class.__doc__}
        kind = type(f"Video{image_class.__name__}", (base, image_class), names)
        _VIDEO_CLASSES[key] = kind
    return _VIDEO_CLASSES[key]


# cached, so that two lifted networks of one kind have the same class
_VIDEO_CLASSES: dict[tuple[type[nn.Module], type[VideoForward]], type[nn.Module]] = {}


def _blank(image_class: type[nn.Module], base: type[VideoForward]) -> nn.Module:
    # without __init__, which would draw random weights; unpickling fills in the state
    kind = video_class(image_class, base)
    return kind.__new__(kind)


def makes_2d_calls(kind: type[nn.Module]) -> bool:
    """Whether the methods of a class name a call in `COUNTERPARTS`; torch's own classes are exempt.

    Names are read from the byte code of the methods and of functions in the same file that they
    call. A name that means something else costs a needless subclass, but changes no results.
    """
    return any(
        not NAMES.isdisjoint(_names(member.__code__, member.__globals__, set()))
        for base in kind.__mro__
        if base is not object and not base.__module__.startswith("torch.")
        for name, member in vars(base).items()
        if name != "__init__" and isinstance(member, types.FunctionType)
    )


def _names(
    code: types.CodeType, namespace: dict[str, Any], seen: set[types.CodeType]
) -> Iterator[str]:
    """The names that a piece of code uses, nested functions and helpers of its file included."""
    if code in seen:
        return  # helpers may call each other
    seen.add(code)
    yield from code.co_names
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    for name in code.co_names:
        helper = namespace.get(name)
        if isinstance(helper, types.FunctionType) and helper.__globals__ is namespace:
            inner.append(helper.__code__)
    for piece in inner:
        yield from _names(piece, namespace, seen)
