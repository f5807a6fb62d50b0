"""A 3T layer's position in its network: its jump, its input length, its reachable transitions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LayerInfo"]


@dataclass(frozen=True)
class LayerInfo:
    """What is known of a 3T layer from its network and the shape of the clips.

    Attributes:
        index: position in forward order among the 3T layers, from 0.
        name: its name in the network.
        kernel: (D, H, W).
        channels: number of output channels.
        jump: input pixels per feature pixel before the layer (product of the strides before it).
        frames: length in time of the layer's input.
        reachable: for each of the D - 1 transitions, whether it can ever receive a gradient.
        order_leak: whether its windows tell a clip from its reverse even if the filter is constant
            in time.
    """

    index: int
    name: str
    kernel: tuple[int, int, int]
    channels: int
    jump: int
    frames: int
    reachable: tuple[bool, ...]
    order_leak: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> LayerInfo:
        """Inverse of `to_dict`."""
        # JSON has no tuples, and lists would not compare equal to them
        plain: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        return cls(**plain)
