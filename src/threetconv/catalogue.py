"""Facts about networks, controls and planted motions that are needed before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGUE", "CONTROLS", "Facts"]


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
