"""Facts about networks, controls and gestures that a plan needs: nothing is imported for them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGUE", "CONTROLS", "GESTURES", "Facts"]


@dataclass(frozen=True)
class Facts:
    """What a plan needs to know of a network.

    Attributes:
        depth: depth in time of its deepest filter; clips must be at least as long.
        imagenet: torchvision's name of its ImageNet weights.
    """

    depth: int
    imagenet: str


CATALOGUE: dict[str, Facts] = {
    "resnet18": Facts(depth=7, imagenet="ResNet18_Weights.IMAGENET1K_V1"),
    "googlenet": Facts(depth=7, imagenet="GoogLeNet_Weights.IMAGENET1K_V1"),
}

CONTROLS = {
    "none": "clips as they are",
    "static": "one frame of each clip, repeated",
    "frame-shuffled": "the frames of each clip in a random order",
    "label-shuffled": "training labels permuted",
}
"""Variants of a data set that a run can be trained on: itself, and the negative controls."""

GESTURES = (  # Jester's class names, in the order in which motions of a hand are written down
    "Swiping Left",
    "Swiping Right",
    "Swiping Down",
    "Swiping Up",
    "Pushing Hand Away",
    "Pulling Hand In",
    "Sliding Two Fingers Left",
    "Sliding Two Fingers Right",
    "Sliding Two Fingers Down",
    "Sliding Two Fingers Up",
    "Pushing Two Fingers Away",
    "Pulling Two Fingers In",
    "Rolling Hand Forward",
    "Rolling Hand Backward",
    "Turning Hand Clockwise",
    "Turning Hand Counterclockwise",
    "Zooming In With Full Hand",
    "Zooming Out With Full Hand",
    "Zooming In With Two Fingers",
    "Zooming Out With Two Fingers",
    "Thumb Up",
    "Thumb Down",
    "Shaking Hand",
    "Stop Sign",
    "Drumming Fingers",
    "No gesture",
    "Doing other things",
)
