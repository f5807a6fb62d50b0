"""Replace functional 2D calls inside a forward pass by their video counterparts.

Many 2D networks pool or average in `forward` itself (`F.max_pool2d(x, 2)`, `x.mean([2, 3])`), where
no layer can be replaced. A class that does so gets a subclass that intercepts those calls during
its forward pass and extends them to time for clips (N, C, T, H, W), as
`threetconv.networks.lift_counterparts` lists them.
"""

from __future__ import annotations

import dis
import functools
import itertools
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.fx import Proxy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from threetconv.networks.lift_counterparts import (
    AMBIGUOUS,
    BESIDE,
    COUNTERPARTS,
    JOINS,
    NAMES,
    OF_SIX_AXES,
    PER_FRAME,
    PLACED_IN_TIME,
    SIZE_NAMES,
    SIZED,
    SIZES,
    RefusedCallError,
    beside,
    network_code,
    size_of,
    sized,
)

__all__ = [
    "EachFrame",
    "FrameForward",
    "VideoForward",
    "makes_2d_calls",
    "own_tensors",
    "reads_sizes",
    "video_class",
]


class VideoCalls(TorchFunctionMode):
    """While active, calls on 5D tensors are replaced by their counterparts.

    Args:
        layer: whose code runs, for messages.
        reads_sizes: whether it asks for sizes of tensors.
        counterparts: function -> what takes its place.
        symmetric_time: pool as `threetconv.layer.symmetric_time` says.
        holds_wide, per_frame: as for `lift_counterparts.beside`.
    """

    def __init__(  # noqa: PLR0917
        self,
        layer: str,
        reads_sizes: bool,
        counterparts: dict[Callable[..., Any], Callable[..., Any]],
        symmetric_time: bool,
        holds_wide: bool,
        per_frame: bool,
    ) -> None:
        super().__init__()
        self._layer, self._reads_sizes, self._counterparts = layer, reads_sizes, counterparts
        self.symmetric_time, self._per_frame = symmetric_time, per_frame
        self._beside = {"holds_wide": holds_wide, "per_frame": per_frame}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        # blocks lie in blocks: the innermost answers, and its answer is not changed further out
        if getattr(_THREAD, "answering", False):
            return func(*args, **kwargs)
        _THREAD.answering = True
        try:
            return self._call(func, args, kwargs)
        except RefusedCallError as error:
            raise RefusedCallError(f"layer {self._layer}, {error}") from error
        finally:
            _THREAD.answering = False

    def _call(  # noqa: PLR0911
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in SIZES:
            return size_of(func, *args, **kwargs) if self._reads_sizes else func(*args, **kwargs)
        if func in JOINS and (args[1] if len(args) > 1 else kwargs.get("dim", 0)) in (0, 1):
            return func(*args, **kwargs)  # axes before time: whose call it is does not matter
        if func in BESIDE:
            values = (*args, *kwargs.values())
            axes = {value.ndim for value in values if isinstance(value, Tensor)}
            if len(axes) > 1 and max(axes) in (5, 6) and network_code():
                return beside(func, args, kwargs, **self._beside)
            return func(*args, **kwargs)
        if func in SIZED:
            if network_code():
                return sized(func, *args, per_frame=self._per_frame, **kwargs)
            return func(*args, **kwargs)
        counterpart = self._counterparts.get(func)
        if counterpart is not None:
            clip = args[0] if args else kwargs.get("input")
            if isinstance(clip, tuple | list) and clip:  # of torch.cat
                clip = clip[0]
            # features behind a flatten, for one, are not clips: those calls are left alone
            axes_of_clips = (5, 6) if func in OF_SIX_AXES else (5,)
            if isinstance(clip, Tensor) and clip.ndim in axes_of_clips:
                if self.symmetric_time and counterpart in PLACED_IN_TIME:
                    kwargs = kwargs | {"symmetric_time": True}
                if func not in AMBIGUOUS or network_code():
                    return counterpart(*args, **kwargs)
        return func(*args, **kwargs)


_THREAD = threading.local()


class VideoForward(nn.Module):
    """First base of the classes from `video_class`: runs the forward pass under `VideoCalls`."""

    image_class: type[nn.Module]
    lifted_name = ""  # in the network that was lifted
    reads_sizes = False  # whether its code asks for sizes of tensors
    counterparts = COUNTERPARTS
    per_frame = False
    symmetric_time = False

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        # `*args` of the root of a graph is one proxy
        first = args if isinstance(args, Proxy) else next(iter((*args, *kwargs.values())), None)
        if isinstance(first, Proxy):
            return self._traced(first, args, kwargs)
        modules: Any = self.modules() if self.per_frame else (self,)
        wide = any(
            tensor.ndim == 4 and tensor.shape[1:] == (1, 1, 1)
            for module in modules
            for tensor in own_tensors(module)
        )
        return self._with_video_calls(wide, *args, **kwargs)

    # calls are told apart by the code that makes them, which a compiled graph does not show
    @_disable_dynamo
    def _with_video_calls(self, wide: bool, *args: Any, **kwargs: Any) -> Any:
        layer = f"{self.lifted_name!r} ({self.image_class.__name__})"
        options = (self.symmetric_time, wide, self.per_frame)
        with VideoCalls(layer, self.reads_sizes, self.counterparts, *options):
            return super().forward(*args, **kwargs)

    def _traced(self, proxy: Proxy, args: Any, kwargs: Any) -> Any:
        """A node of a graph that `torch.fx` traces, which would keep the 2D calls inside as such.

        Raises:
            TypeError: for the whole network, which cannot be one node.
        """
        tracer: Any = proxy.tracer
        if tracer.root is self:
            raise TypeError(
                f"torch.fx cannot trace {type(self).__name__}: its forward pass makes 2D calls, "
                "which lifting replaces as they are made. Use torch.export, or forward hooks"
            )
        return tracer.create_proxy("call_module", tracer.path_of_module(self), args, kwargs)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle and copy by the 2D class: pickle cannot import classes made at run time."""
        reduced = super().__reduce_ex__(protocol)
        assert isinstance(reduced, tuple)
        # only the constructor and its arguments are replaced; the state, from index 2 on, is kept
        return (_blank, (self.image_class, type(self).__bases__[0]), *reduced[2:])


class FrameForward(VideoForward):
    """The same for a whole network that sees single frames: averages their outputs over time."""

    counterparts = PER_FRAME
    per_frame = True

    def forward(self, clip: Tensor, *args: Any, **kwargs: Any) -> Any:
        def average(output: Tensor) -> Tensor:
            if output.ndim == 5:  # feature maps, of a network without a head, stay as they are
                return output
            if len(output) != len(clip) * clip.shape[2]:
                raise ValueError(
                    f"{self.image_class.__name__} gives {len(output)} rows for {len(clip)} clips "
                    f"of {clip.shape[2]} frames: its forward pass does not keep frames apart"
                )
            return output.unflatten(0, (-1, clip.shape[2])).mean(1)

        if isinstance(clip, Proxy):  # then `args` may be one too
            return self._traced(clip, (clip,), {})
        return tree_map_only(Tensor, average, super().forward(clip, *args, **kwargs))


class EachFrame(VideoForward):
    """For a layer whose code sees one frame after the other, and that leaves time alone."""

    def forward(self, input: Tensor) -> Any:
        if isinstance(input, Proxy):
            return self._traced(input, (input,), {})
        image_forward = super(VideoForward, self).forward
        if input.ndim != 5:
            return image_forward(input)
        outside = getattr(_THREAD, "answering", False)
        _THREAD.answering = True  # blocks around it must not take these calls for those of clips
        try:
            images = image_forward(input.transpose(1, 2).flatten(0, 1))
            return images.unflatten(0, (len(input), -1)).transpose(1, 2)
        finally:
            _THREAD.answering = outside


def video_class(
    image_class: type[nn.Module], base: type[VideoForward] = VideoForward
) -> type[nn.Module]:
    """The subclass of a 2D network's class whose forward pass takes clips, in the way of `base`."""
    key = (image_class, base)
    if key not in _VIDEO_CLASSES:
        names = {
            "image_class": image_class,
            "__doc__": image_class.__doc__,
            "reads_sizes": reads_sizes(image_class),
        }
        kind = type(f"Video{image_class.__name__}", (base, image_class), names)
        _VIDEO_CLASSES[key] = kind
    return _VIDEO_CLASSES[key]


# cached, so that two lifted networks of one kind have the same class
_VIDEO_CLASSES: dict[tuple[type[nn.Module], type[VideoForward]], type[nn.Module]] = {}


def _blank(image_class: type[nn.Module], base: type[VideoForward]) -> nn.Module:
    # without __init__, which would draw random weights; unpickling fills in the state
    kind = video_class(image_class, base)
    return kind.__new__(kind)


def own_tensors(module: nn.Module) -> list[Tensor]:
    """Parameters, buffers and plain tensors that a module holds itself."""
    values = (*module._parameters.values(), *module._buffers.values(), *vars(module).values())
    return [value for value in values if isinstance(value, Tensor)]


def makes_2d_calls(kind: type[Any]) -> bool:
    """Whether the methods of a class name a call in `NAMES`; torch's own classes are exempt.

    Names are read from the byte code of the methods and of functions that they call, but for
    torch's. A name that means something else costs a needless subclass, but changes no results.
    """
    return not NAMES.isdisjoint(_used(kind))  # type: ignore[arg-type]


def reads_sizes(kind: type[Any]) -> bool:
    """Whether the methods of a class ask for sizes of tensors."""
    return not SIZE_NAMES.isdisjoint(_used(kind))  # type: ignore[arg-type]


@functools.cache
def _used(kind: Any) -> frozenset[str]:
    """The names that the methods of a class use; torch's own classes are exempt."""
    return frozenset(
        name
        for base in kind.__mro__
        if base is not object and not _of_torch(base)
        for method, member in vars(base).items()
        if method != "__init__" and isinstance(member, types.FunctionType)
        for name in _names(member.__code__, member.__globals__, set())
    )


def _names(
    code: types.CodeType, namespace: dict[str, Any], seen: set[types.CodeType]
) -> Iterator[str]:
    """The names that a piece of code uses, nested functions and helpers included."""
    if code in seen:
        return  # helpers may call each other
    seen.add(code)
    yield from code.co_names
    if _indexes_images(code):
        yield "__getitem__"
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    for name in code.co_names:
        helper = namespace.get(name)
        if isinstance(helper, types.FunctionType) and not _of_torch(helper):
            yield from _names(helper.__code__, helper.__globals__, seen)
    for piece in inner:
        yield from _names(piece, namespace, seen)


def _of_torch(thing: Any) -> bool:
    return str(thing.__module__).split(".")[0] == "torch"


def _indexes_images(code: types.CodeType) -> bool:
    """Whether it has an index of three entries or more, as in `x[:, :, ::2]` or `w[:, None, None]`.

    Shorter ones do not reach the frame, or count from behind, which holds for clips as well.
    """
    # Python 3.14 keeps a constant index as one constant
    if any(isinstance(c, tuple) and any(isinstance(e, slice) for e in c) for c in code.co_consts):
        return True
    steps = [(step.opname, step.arg, step.argrepr) for step in dis.get_instructions(code)]
    return any(
        name == "BUILD_TUPLE"
        and (size or 0) > 2
        and (use in {"BINARY_SUBSCR", "STORE_SUBSCR"} or sign == "[]")
        for (name, size, _), (use, _, sign) in itertools.pairwise(steps)
    )
