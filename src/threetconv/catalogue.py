"""Facts about the registered networks that are needed before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGUE", "Facts"]


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
