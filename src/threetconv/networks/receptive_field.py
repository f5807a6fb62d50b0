"""Receptive fields: which frames and pixels of a clip the units of a feature map see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["FieldTracker", "ReceptiveField"]

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class ReceptiveField:
    """Where the units of a feature map look, along (t, y, x), in frames and pixels of the clip.

    Unit i of an axis sees ``first + i * jump`` to ``last + i * jump``, both included. The numbers
    go beyond the clip where padding is seen.

    Attributes:
        jump: from one unit to the next, the product of the strides so far.
        first, last: what unit 0 sees.
    """

    jump: Triple = (1, 1, 1)
    first: Triple = (0, 0, 0)
    last: Triple = (0, 0, 0)

    @property
    def size(self) -> Triple:
        """Frames, height and width that one unit sees."""
        t, y, x = (b - a + 1 for a, b in zip(self.first, self.last, strict=True))
        return t, y, x

    def centre(self, unit: Sequence[int]) -> tuple[float, float, float]:
        """The middle of what the unit at (t, y, x) of the feature map sees."""
        t, y, x = (
            (a + b) / 2 + i * jump
            for i, a, b, jump in zip(unit, self.first, self.last, self.jump, strict=True)
        )
        return t, y, x

    def middle_unit(self, units: Sequence[int], clip_shape: Sequence[int]) -> Triple:
        """The unit whose centre is nearest to the middle of the clip, the first of equals.

        Args:
            units: size of the feature map, (T', H', W').
            clip_shape: (frames, height, width).
        """
        t, y, x = (
            min(range(n), key=lambda i: abs((a + b) / 2 + i * jump - (length - 1) / 2))
            for n, a, b, jump, length in zip(
                units, self.first, self.last, self.jump, clip_shape, strict=True
            )
        )
        return t, y, x


class FieldTracker(TorchDispatchMode):
    """Tracks the receptive field of every tensor of a forward pass of clips (N, C, T, H, W).

    A dispatch mode sees the ATen operators, so functional calls count as well. Convolutions, pools,
    pads and slices change a field; everything else passes it on. Where branches meet, the field
    spans those of all. A mean over the whole picture, which has no place, counts as none.
    """

    def __init__(self) -> None:
        super().__init__()
        # weak and by identity: tensors compare elementwise, and freed ones must drop out
        self._fields: WeakIdKeyDictionary = WeakIdKeyDictionary()

    def of(self, tensor: Tensor) -> ReceptiveField:
        """The field of a tensor; that of a pixel for one that was not computed here."""
        found: ReceptiveField = self._fields.get(tensor, ReceptiveField())
        return found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        # parameters have none; a convolution's clip comes first and may be the input itself
        fields = [self._fields[t] for t in _tensors(args) if t in self._fields]
        if fields or _window(name, args):
            field = _through(name, args, _span(fields) if fields else ReceptiveField())
            for tensor in _tensors(result if isinstance(result, tuple | list) else (result,)):
                self._fields[tensor] = field
        return result


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _span(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    def over(pick: Any, name: str) -> Any:
        return tuple(map(pick, *(getattr(f, name) for f in fields)))

    if len(fields) == 1:
        return fields[0]
    return ReceptiveField(over(max, "jump"), over(min, "first"), over(max, "last"))


def _window(name: str, args: tuple[Any, ...]) -> list[tuple[int, int, int, int]]:
    """(kernel, stride, padding, dilation) along T, H, W of a convolution or pool, else nothing."""
    if name == "convolution":  # (input, weight, bias, stride, padding, dilation, ...)
        kernel, stride, padding, dilation = args[1].shape[2:], *args[3:6]
    elif "_pool" in name and "adaptive" not in name:
        # (input, kernel, stride=[], padding=0, dilation=1 or ceil_mode, ...): no stride means the
        # kernel's size
        given: list[Any] = [*args[1:], *([], 0, 1)[len(args) - 2 :]]
        kernel, stride, padding = given[:3]
        dilation = given[3] if name.startswith("max") else 1
        stride = stride or kernel
    else:
        return []
    axes = len(kernel) if isinstance(kernel, Sequence) else int(name.split("pool")[1][0])
    along = [_wide(value, axes) for value in (kernel, stride, padding, dilation)]
    # a 2D operator sees single frames
    return [(1, 1, 0, 1)] * (3 - axes) + list(zip(*along, strict=True))


def _wide(value: Any, axes: int) -> list[int]:
    numbers = list(value) if isinstance(value, Sequence) else [value]
    return [int(n) for n in (numbers * axes if len(numbers) == 1 else numbers)]


def _through(name: str, args: tuple[Any, ...], field: ReceptiveField) -> ReceptiveField:
    """The field behind an operator whose input has `field`."""
    jump, first, last = map(list, (field.jump, field.first, field.last))
    for axis, (kernel, stride, padding, dilation) in enumerate(_window(name, args)):
        last[axis] += ((kernel - 1) * dilation - padding) * jump[axis]
        first[axis] -= padding * jump[axis]
        jump[axis] *= stride
    if "_pad" in name:  # (input, [W before, W after, H before, ...], ...); a negative one crops
        for axis, before in zip((2, 1, 0), args[1][::2], strict=False):
            first[axis] -= before * jump[axis]
            last[axis] -= before * jump[axis]
    elif name == "slice" and args[0].ndim == 5 and len(args) > 1 and args[1] >= 2:
        axis, start = args[1] - 2, args[2] or 0 if len(args) > 2 else 0
        start += args[0].shape[args[1]] if start < 0 else 0
        first[axis] += start * jump[axis]
        last[axis] += start * jump[axis]
        jump[axis] *= args[4] if len(args) > 4 else 1
    return ReceptiveField(*((t, y, x) for t, y, x in (jump, first, last)))
