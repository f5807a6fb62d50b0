"""Video counterparts of 2D calls: what a call on an image means for a clip (N, C, T, H, W).

A network's own code counts four axes, (N, C, H, W), of which clips have a fifth in the middle. Time
is treated as a third axis of the frame where both are pooled or reduced; where a call moves, cuts
or addresses the frame alone, time stays as it is. Every counterpart gives on a clip of equal frames
what the call gives on the frame (`threetconv.networks.lift_check`); what cannot is refused.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from types import FrameType, NoneType
from typing import Any, NoReturn

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_map_only

from threetconv.networks import lift_pooling as pooling
from threetconv.networks.lift_sizes import Rows, image_sizes, with_time

__all__ = [
    "AMBIGUOUS",
    "BESIDE",
    "COUNTERPARTS",
    "JOINS",
    "NAMES",
    "OF_SIX_AXES",
    "PER_FRAME",
    "PLACED_IN_TIME",
    "SIZED",
    "SIZES",
    "SIZE_NAMES",
    "RefusedCallError",
    "beside",
    "network_code",
    "place_of",
    "size_of",
    "sized",
]


class RefusedCallError(ValueError):
    """A call of a network's own code that clips have no counterpart of."""


def network_code(frame: FrameType | None = None) -> FrameType | None:
    """The innermost frame of the network's own code, or None if something else makes the call.

    Lifted layers think in clips already: the same call means something else there. So do hooks,
    which look at a video network: they are called by torch, and no `forward` lies between.

    Args:
        frame: where to look from, outwards; the caller if not given.
    """
    frame, found = frame or sys._getframe(1), None
    while frame is not None:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        of_torch = module == "torch" or module.startswith("torch.")
        if name == "forward" and module == _FORWARD:
            return found or frame  # of torch's own layers, lifted as a whole, there is no frame
        if found is not None and (name == "forward" and not of_torch):
            return found
        if found is not None and of_torch and name in _CALLS_OF_MODULES:
            return None
        if found is None and module not in {__name__, _FORWARD, pooling.__name__} and not of_torch:
            if module.startswith(("threetconv.layer.", "threetconv.networks.")):
                return None
            if name == "forward":
                return frame
            found = frame
        frame = frame.f_back
    return None


_CALLS_OF_MODULES = {"_call_impl", "inner"}  # in which torch calls `forward`, and hooks around it
_FORWARD = "threetconv.networks.lift_forward"


def place_of(frame: FrameType | None) -> str:
    """File and line of `network_code`."""
    if frame is None or frame.f_globals.get("__name__") == _FORWARD:
        return "a layer of torch"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _refuse(function: Callable[..., Any], cause: str) -> NoReturn:
    name = getattr(function, "__name__", str(function))
    raise RefusedCallError(
        f"{place_of(network_code())}: the call of {name!r} cannot be lifted: {cause}"
    )


def _refused(function: Callable[..., Any], cause: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: _refuse(function, cause)


def _axes(dims: Any, n: int = 4) -> Any:
    """Axes of an image of `n` as axes of the clip; those that no image has stay as they are."""
    if isinstance(dims, tuple | list):
        return tuple(_axes(d, n) for d in dims)
    whole = isinstance(dims, int) and not isinstance(dims, bool)
    if not whole or not -n <= dims < n:
        return dims
    axis = dims % n
    return axis if axis < n - 2 else axis + 1


def _over_frames(
    function: Callable[..., Any],
    whole: Callable[..., Any] | None = None,
    *,
    position: int = 0,
    per_frame: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """A reduction over the frame's axes (2, 3) of an image, applied to (2, 3, 4) of a clip.

    Args:
        function: (input, ..., dim, ...) -> its reduction.
        whole: what reduces the whole frame and time, `function` if not given.
        position: where `dim` stands among the arguments behind `input`.
        per_frame: what such a reduction becomes instead.
    """

    def reduced(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        word = next((word for word in ("dim", "axis") if word in kwargs), None)
        dims = kwargs[word] if word else args[position] if len(args) > position else None
        single = isinstance(dims, int) and not isinstance(dims, bool)
        listed: Any = (dims,) if single else dims
        # the network's code counts an axis less, so negative ones are taken modulo 4, not 5
        n = input.ndim - 1
        axes, frame = set(), {n - 2, n - 1}
        if isinstance(listed, tuple | list) and all(-n <= d < n for d in listed):
            axes = {d % n for d in listed}
        if not axes:
            return function(input, *args, **kwargs)
        if n == 4 and axes == {1, 2}:  # the frame, channels last
            mapped, time, frame = {1, 2, 3}, 1, axes
        else:
            mapped, time = {_axes(d, n) for d in axes}, n - 2
            mapped |= {time} if axes >= frame else set()
            if per_frame is not None and axes & frame:
                return per_frame(input, *args, **kwargs)
        if per_frame is not None:
            mapped -= {time}
        given: Any = mapped.pop() if single else tuple(sorted(mapped))
        if word:
            kwargs[word] = given
        else:
            args = (*args[:position], given, *args[position + 1 :])
        if axes >= frame and per_frame is None:
            return (whole or _plain(function))(input, time, *args, **kwargs)
        result = function(input, *args, **kwargs)
        kept = result[0] if isinstance(result, tuple) else result
        if per_frame is not None and frame == {1, 2} and kept.ndim == 3:
            return kept.flatten(0, 1)
        if axes & frame and kept.ndim != input.ndim and per_frame is None:
            _refuse(
                function,
                "it drops one axis of the frame; keep it (keepdim=True), or reduce both at once",
            )
        return result

    return reduced


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda input, time, *args, **kwargs: function(input, *args, **kwargs)


# as many times more terms as frames: scaled so that equal frames give what one of them gives
def _sum(input: Tensor, time: int, *args: Any, **kwargs: Any) -> Tensor:
    return torch.sum(input, *args, **kwargs) / input.shape[time]


def _logsumexp(input: Tensor, time: int, *args: Any, **kwargs: Any) -> Tensor:
    return torch.logsumexp(input, *args, **kwargs) - math.log(input.shape[time])


def _norm(function: Callable[..., Any]) -> Callable[..., Any]:
    def norm(input: Tensor, time: int, order: Any = 2, *args: Any, **kwargs: Any) -> Tensor:
        order = kwargs.pop("p", kwargs.pop("ord", order))
        order = 2 if order in ("fro", None) else order
        scale = 1.0 if math.isinf(order) else input.shape[time] ** (-1 / (order or 1))
        return function(input, order, *args, **kwargs) * scale

    return norm


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    def spread(  # noqa: PLR0917
        input: Tensor,
        time: int,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        correction: Any = None,
    ) -> Any:
        less = (int(unbiased) if correction is None else correction) * input.shape[time]
        return function(input, dim, correction=less, keepdim=keepdim)

    return spread


def _moving(function: Callable[..., Any], first: int, last: int | None = None) -> Any:
    """A call of which arguments `first` to `last` behind the input name axes; all are kept."""

    def moved(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        n = input.ndim - 1
        named = (_axes(value, n) for value in args[first:last])
        args = (*args[:first], *named, *(args[last:] if last else ()))
        words = ("dim", "dims", "dim0", "dim1", "axis", "axis0", "axis1")
        kwargs = {k: _axes(value, n) if k in words else value for k, value in kwargs.items()}
        return function(input, *args, **kwargs)

    return moved


_PERMUTATIONS = {
    (0, 2, 3, 1): (0, 2, 3, 4, 1),  # channels first -> channels last
    (0, 3, 1, 2): (0, 4, 1, 2, 3),  # and back
    (0, 1, 3, 2): (0, 1, 2, 4, 3),
}


def _permute(input: Tensor, *axes: Any, dims: Any = None) -> Tensor:
    # x.permute(0, 2, 3, 1), x.permute((0, 2, 3, 1)) and torch.permute(x, dims=...) are all possible
    order = dims if dims is not None else axes
    order = order[0] if len(order) == 1 and not isinstance(order[0], int) else order
    return torch.permute(input, _PERMUTATIONS.get(tuple(d % 4 for d in order), tuple(order)))


def _indexing(function: Callable[..., Any]) -> Callable[..., Any]:
    """`x[...]` and `x[...] = value` with an index of an image."""

    def indexed(input: Tensor, index: Any, *value: Any) -> Any:
        index = _with_time(function, index, input.shape[2])
        return function(input, index, *(_widen(v, input) for v in value))

    return indexed


def _with_time(function: Callable[..., Any], index: Any, frames: int) -> Any:
    """The index with an entry for time between channels and the frame, if it reaches the frame."""
    if not isinstance(index, tuple):
        return index
    masks = any(isinstance(entry, Tensor) and entry.dtype == torch.bool for entry in index)
    missing = 4 - sum(entry is not None and entry is not Ellipsis for entry in index)
    if masks or missing < 0:  # entries that stand for several axes; meant for clips already
        return index
    dots = next((i for i, entry in enumerate(index) if entry is Ellipsis), None)
    if dots is not None:
        index = (*index[:dots], *(slice(None),) * missing, *index[dots + 1 :])
    places = [i for i, entry in enumerate(index) if entry is not None][2:]
    if not places:
        return index
    time: Any = slice(None)
    picks = [entry for entry in index[places[0] :] if not isinstance(entry, slice | NoneType)]
    numbers = sum(isinstance(entry, int) or getattr(entry, "ndim", 1) == 0 for entry in picks)
    if numbers == 2 and frames == 1:  # of what was pooled to 1 x 1
        time = 0
    elif numbers or len(picks) > 1:
        _refuse(function, "it picks single rows or columns of the frame; slices keep the axis")
    return (*index[: places[0]], time, *index[places[0] :])


def _own_code() -> bool:
    """Whether the network's own code makes this call itself, not torch or a layer on its behalf."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in {__name__, _FORWARD}:
        frame = frame.f_back
    module = frame.f_globals.get("__name__", "") if frame is not None else ""
    if module.split(".")[0] in {"torch", "threetconv"}:
        return False
    return network_code(frame) is not None


def size_of(function: Callable[..., Any], input: Tensor, *args: Any, **kwargs: Any) -> Any:
    """`x.shape`, `x.ndim`, `x.size(2)` and the like; in the network's code a clip has a frame's."""
    with torch._C.DisableTorchFunction():
        clip = input.ndim >= 5
    if not clip or not _own_code():
        return function(input, *args, **kwargs)
    sizes = image_sizes(input)
    if function in _COUNTS:
        return len(sizes)
    dim = args[0] if args else kwargs.get("dim")
    return sizes if dim is None else sizes[dim]


def sized(
    function: Callable[..., Any], input: Tensor, *args: Any, per_frame: bool, **kwargs: Any
) -> Any:
    """A call that names the size of its result: sizes read from a clip bring its time with them.

    Args:
        function: such as `Tensor.view`.
        input: what it is called on, a clip or not.
        per_frame: whether tensors (N T, ...) hold features of frames.
    """
    given = args[0] if args and not isinstance(args[0], int) else args
    given = kwargs.pop("size", kwargs.pop("shape", given))
    if not isinstance(given, tuple | list):  # `x.view(torch.float32)`
        return function(input, *args, **kwargs)
    sizes, clip = with_time(given), input.ndim >= 5
    if function in _EXPANDS:
        if len(sizes) > len(given) == input.ndim:
            input = input.unsqueeze(-3)
        return function(input, sizes, **kwargs)
    # an image of one pixel: layers take it as a clip
    placed, pixel = len(sizes) > len(given), len(given) > 3 and tuple(given[-2:]) == (1, 1)
    if per_frame and not (clip and placed):
        rows = given[0] if given and isinstance(given[0], Rows) else None
        if clip:
            view = _viewing_frames(function)(input, given)
        elif rows is not None and len(input) == rows * rows.frames:
            view = function(input, (len(input), *given[1:]))
        else:
            return function(input, given)
        if (pixel or placed) and rows is not None and view.ndim == len(given):
            return view.unflatten(0, (int(rows), -1)).movedim(1, -3)
        return view
    sizes = (*sizes, 1) if pixel and not placed else sizes
    return _viewing(function)(input, sizes) if clip or placed else function(input, sizes)


def _refuse_view(function: Callable[..., Any], error: Exception) -> NoReturn:
    _refuse(
        function,
        f"its size has no place for time ({error}). Height and width that were read from a tensor "
        "(`b, c, h, w = x.shape`) bring time along if they are handed on as they are, or as h * w",
    )


def _viewing(function: Callable[..., Any]) -> Callable[..., Any]:
    def viewed(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        try:
            result = function(input, *args, **kwargs)
        except RuntimeError as error:
            _refuse_view(function, error)
        if result.ndim == 0 or len(result) != len(input):
            _refuse(
                function,
                "it makes time, or a part of the clip, an axis of the batch; name the size of the "
                "batch, as in x.view(x.shape[0], -1)",
            )
        return result

    return viewed


def _joining(function: Callable[..., Any]) -> Callable[..., Any]:
    """`torch.cat` along an axis of an image."""

    def joined(tensors: Any, dim: int = 0, **kwargs: Any) -> Tensor:
        dim = kwargs.pop("axis", dim)
        return function(tensors, _axes(dim, tensors[0].ndim - 1), **kwargs)

    return joined


def _tiled(input: Tensor, *repeats: Any, **kwargs: Any) -> Tensor:
    counts = kwargs.get("repeats", repeats)
    counts = counts[0] if len(counts) == 1 and not isinstance(counts[0], int) else counts
    return input.repeat(
        (*counts[:-2], 1, *counts[-2:]) if len(counts) == input.ndim - 1 else counts
    )


def _pad(input: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    # amounts from behind: columns, rows, and from the fifth number on channels; never time
    if len(pad) > 4 or mode != "constant":
        pad = (*pad[:4], 0, 0, *pad[4:])
    return F.pad(input, tuple(pad), mode, value)


def _widen(value: Any, clip: Tensor, *, holds_wide: bool = False, per_frame: bool = False) -> Any:
    """A tensor that meets images, (C, H, W) or (N, C, H, W) or smaller, with an axis for time."""
    if not isinstance(value, Tensor) or not 3 <= value.ndim < clip.ndim:
        return value
    if value.ndim == 4:
        # `lift` has made (C, 1, 1, 1) of parameters (C, 1, 1); only their owner is sure of it
        if holds_wide and value.shape[1:] == (1, 1, 1):
            return value
        batch, frames = clip.shape[0], clip.shape[2]
        if per_frame and len(value) == batch * frames:
            return value.unflatten(0, (batch, frames)).transpose(1, 2)
    return value.unsqueeze(-3)


def beside(
    function: Callable[..., Any], args: Any, kwargs: Any, *, holds_wide: bool, per_frame: bool
) -> Any:
    """A function of several tensors that broadcast, of which one or more are clips.

    Args:
        function: such as `torch.mul`; its arguments are `args` and `kwargs`.
        holds_wide: whether (C, 1, 1, 1) tensors are channels with an axis for time already.
        per_frame: whether tensors (N T, ...) hold features of frames.
    """
    values = (*args, *kwargs.values())
    tensors = [value for value in values if isinstance(value, Tensor)]
    # six axes: channels in two, as (N, groups, C / groups, T, H, W)
    clip = max(tensors, key=lambda tensor: tensor.ndim)
    if clip.ndim in (5, 6):
        options = {"holds_wide": holds_wide, "per_frame": per_frame}
        args = [_widen(value, clip, **options) for value in args]
        kwargs = {key: _widen(value, clip, **options) for key, value in kwargs.items()}
    return function(*args, **kwargs)


def _known_as(*names: str) -> list[tuple[str, Callable[..., Any]]]:
    """Every function of torch by these names, as torch knows most under several."""
    homes = (torch, Tensor, F)
    return [(name, getattr(home, name)) for name in names for home in homes if hasattr(home, name)]


_REDUCE: dict[str, Callable[[Callable[..., Any]], Callable[..., Any] | None]] = {
    **dict.fromkeys(
        ("mean", "amax", "amin", "max", "min", "median", "prod"), lambda function: None
    ),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), _spread),
    **dict.fromkeys(("norm", "vector_norm"), _norm),
    "sum": lambda function: _sum,
    "logsumexp": lambda function: _logsumexp,
}
_AXIS_ARGUMENTS: dict[str, tuple[int, int | None]] = {
    "flip": (0, None),
    **dict.fromkeys(("roll", "rot90", "chunk", "split"), (1, 2)),
    **dict.fromkeys(
        ("cumsum", "cumprod", "cummax", "cummin", "softmax", "log_softmax", "narrow"), (0, 1)
    ),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), (0, 2)),
}
_GRID = (
    "it rearranges a frame's grid; clips have no counterpart. Use a convolution with a stride, or "
    "F.interpolate and a convolution"
)


_JOINS = ("cat", "concat", "concatenate")
_GRIDS = ("pixel_shuffle", "pixel_unshuffle", "unfold", "fold", "grid_sample", "conv_transpose2d")


def _reductions(per_frame: bool = False) -> dict[Callable[..., Any], Callable[..., Any]]:
    return {
        function: _over_frames(
            function,
            _REDUCE[name](function),
            position=int(name.endswith("norm")),
            per_frame=_per_frame(function) if per_frame else None,
        )
        for name, function in [
            *_known_as(*_REDUCE),
            ("vector_norm", torch.linalg.vector_norm),
        ]
    }


COUNTERPARTS: dict[Callable[..., Any], Callable[..., Any]] = {
    F.max_pool2d: pooling.max_pool2d,
    torch.max_pool2d: pooling.max_pool2d,
    F.max_pool2d_with_indices: pooling.max_pool2d_with_indices,
    F.avg_pool2d: pooling.avg_pool2d,
    F.adaptive_avg_pool2d: pooling.adaptive_avg_pool2d,
    F.adaptive_max_pool2d: pooling.adaptive_max_pool2d,
    F.adaptive_max_pool2d_with_indices: pooling.adaptive_max_pool2d_with_indices,
    F.dropout2d: pooling.dropout2d,
    F.lp_pool2d: pooling.lp_pool2d,
    F.conv2d: pooling.conv2d,
    torch.permute: _permute,
    Tensor.permute: _permute,
}
# what takes `symmetric_time`
PLACED_IN_TIME = (pooling.max_pool2d, pooling.avg_pool2d, pooling.lp_pool2d, pooling.conv2d)
# what a lifted layer calls itself, on clips; `network_code` tells whose call it is
AMBIGUOUS: dict[Callable[..., Any], Callable[..., Any]] = {
    **{f: _moving(f, *_AXIS_ARGUMENTS[name]) for name, f in _known_as(*_AXIS_ARGUMENTS)},
    **{f: _refused(f, _GRID) for name in _GRIDS for _, f in _known_as(name)},
    **{f: _joining(f) for _, f in _known_as(*_JOINS)},
    Tensor.repeat: _tiled,
    **_reductions(),
    **{f: pooling.interpolate for _, f in _known_as("interpolate", "upsample")},
    F.pad: _pad,
    Tensor.__getitem__: _indexing(Tensor.__getitem__),
    Tensor.__setitem__: _indexing(Tensor.__setitem__),
}
COUNTERPARTS |= AMBIGUOUS
# what may be called on clips whose channels have two axes, (N, groups, C / groups, T, H, W)
OF_SIX_AXES = {f for name in (*_REDUCE, *_AXIS_ARGUMENTS, *_JOINS) for _, f in _known_as(name)}
# what tells a size, and what is told one
_COUNTS = {Tensor.ndim.__get__, Tensor.dim, Tensor.ndimension}  # type: ignore[attr-defined]
SIZES = _COUNTS | {Tensor.shape.__get__, Tensor.size}  # type: ignore[attr-defined]
SIZE_NAMES = {"shape", "size", "ndim", "dim", "ndimension"}
JOINS = {f for _, f in _known_as(*_JOINS)}
_EXPANDS = {f for _, f in _known_as("expand", "broadcast_to")}
SIZED = _EXPANDS | {f for _, f in _known_as("view", "reshape")}
# functions of several tensors that broadcast, operators included
BESIDE = {
    function
    for name in (
        *("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "pow"),
        *("remainder", "floor_divide", "maximum", "minimum", "fmax", "fmin", "where", "lerp"),
        *("addcmul", "addcdiv", "eq", "ne", "lt", "le", "gt", "ge", "masked_fill", "atan2"),
        *("logical_and", "logical_or", "rsub", "expand_as"),
    )
    for _, function in _known_as(name, f"{name}_")
} | {f for _, f in _known_as("__rsub__", "__rpow__", "__rdiv__", "__rtruediv__", "__floordiv__")}
# as they appear in byte code; see `lift_forward.makes_2d_calls`
NAMES = {
    "max_pool2d",
    "max_pool2d_with_indices",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "dropout2d",
    "permute",
    "lp_pool2d",
    "interpolate",
    "upsample",
    "conv2d",
    *("view", "reshape", "expand", "broadcast_to", "repeat", *_JOINS),
    *SIZE_NAMES,
    *_GRIDS,
    "pad",
    "__getitem__",
    "__setitem__",
    "unsqueeze",
    "expand_as",
    *_REDUCE,
    *_AXIS_ARGUMENTS,
}


def _per_frame(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of images (N, C, H, W), applied to every frame of a clip (N, C, T, H, W).

    Results that are images come back as clips; others, as flattened features, stay (N T, ...).
    """

    def apply(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        frames, axes = input.shape[-3], input.ndim - 1

        def clips(images: Tensor) -> Tensor:
            if images.ndim != axes:
                return images
            return images.unflatten(0, (-1, frames)).movedim(1, -3)

        images = input.movedim(-3, 1).flatten(0, 1)
        return tree_map_only(Tensor, clips, function(images, *args, **kwargs))

    return apply


def _viewing_frames(function: Callable[..., Any]) -> Callable[..., Any]:
    view = _per_frame(function)

    def viewed(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        sizes = kwargs.get("shape", args[0] if args and not isinstance(args[0], int) else args)
        sizes = tuple(map(int, sizes)) if isinstance(sizes, tuple | list) else sizes
        if isinstance(sizes, tuple | list) and sizes[0] == len(input):  # x.view(x.size(0), -1)
            return view(input, (len(input) * input.shape[2], *sizes[1:]))
        return view(input, *args, **kwargs)

    return viewed


def _layer_norm(input: Tensor, normalized_shape: Sequence[int], *args: Any, **kw: Any) -> Tensor:
    if len(normalized_shape) > 2:
        _refuse(F.layer_norm, "it would normalise over time too; use nn.GroupNorm(1, channels)")
    return F.layer_norm(input, list(normalized_shape), *args, **kw)


PER_FRAME: dict[Callable[..., Any], Callable[..., Any]] = {
    **{function: _per_frame(function) for function in COUNTERPARTS},
    **_reductions(per_frame=True),
    **{function: _joining(function) for _, function in _known_as(*_JOINS)},
    # over the axes behind the channels, which in a clip are also time
    F.group_norm: _per_frame(F.group_norm),
    F.instance_norm: _per_frame(F.instance_norm),
    F.layer_norm: _layer_norm,
    # here the frame's grid ends: what follows sees each frame as an element of the batch
    **{function: _per_frame(function) for _, function in _known_as("flatten")},
    # not of a copy, as of the others
    Tensor.__setitem__: COUNTERPARTS[Tensor.__setitem__],
    torch.permute: _permute,
    Tensor.permute: _permute,
}
"""`COUNTERPARTS` for networks that see single frames."""
