"""Classes that are each other played backwards, apart from the renderers: planning has no NumPy."""

from __future__ import annotations

from threetconv.data.synthetic.gesture_names import GESTURES

__all__ = ["OPPOSITES"]

OPPOSITES: dict[str, tuple[tuple[str, str], ...]] = {
    # of Jester's gestures, rendered or filmed: opposites stand side by side
    "jester": tuple(zip(GESTURES[:22:2], GESTURES[1:22:2], strict=True)),
    # of planted motions
    "translation": (("right", "left"), ("up", "down")),
    "rotation": (("clockwise", "counterclockwise"),),
    "zoom": (("growing", "shrinking"),),
}
"""Adapter, or planted motion -> pairs of opposite classes."""
