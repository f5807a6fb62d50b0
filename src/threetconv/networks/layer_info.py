"""Where a 3T layer stands in its network: its jump, its input length, its reachable transitions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Layer", "reachable_transitions"]


@dataclass(frozen=True)
class Layer:
    """One 3T layer in place.

    Attributes:
        index: position in forward order among the 3T layers, from 0.
        name: its name in the network.
        kernel: (D, H, W).
        channels: number of output channels.
        jump: input pixels per feature pixel before the layer (product of the strides before it).
        frames: length in time of the layer's input.
        reachable: for each of the D - 1 transitions, whether it can ever receive a gradient.
    """

    index: int
    name: str
    kernel: tuple[int, int, int]
    channels: int
    jump: int
    frames: int
    reachable: tuple[bool, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Layer:
        """Inverse of `to_dict`."""
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        return cls(**plain)


def reachable_transitions(
    frames: int,
    kernel: int,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
) -> tuple[bool, ...]:
    """Which transitions of a layer can receive a gradient, from sizes in time alone.

    Slice d of the filter meets data when some output position reads an input frame through it; a
    slice that meets only padding gets no gradient. Transition t shapes slices t + 1, t + 2, ...,
    so it is reachable when any of those meets data.

    Args:
        frames: length in time of the layer's input.
        kernel, stride, dilation: the layer's, in time.
        padding: zeros before and after; one number when they are as many.

    Returns:
        `kernel` - 1 booleans.
    """
    before, after = (padding, padding) if isinstance(padding, int) else padding
    outputs = (frames + before + after - dilation * (kernel - 1) - 1) // stride + 1
    meets = [
        any(0 <= out * stride + d * dilation - before < frames for out in range(outputs))
        for d in range(kernel)
    ]
    return tuple(any(meets[t + 1 :]) for t in range(kernel - 1))
