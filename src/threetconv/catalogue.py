"""Facts about networks, controls and gestures that a plan needs: nothing is imported for them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CATALOGUE", "CONTROLS", "GESTURES", "Facts", "lift_remedy"]


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

LIFTED = re.compile(
    "alexnet|convnext_(tiny|small|base|large)|densenet(121|161|169|201)"
    "|efficientnet_(b[0-7]|v2_[sml])|googlenet|inception_v3|mnasnet(0_5|0_75|1_0|1_3)"
    "|mobilenet_(v2|v3_small|v3_large)|regnet_[xy]_([0-9]+gf|[0-9]+mf|1_6gf|3_2gf)"
    "|resnet(18|34|50|101|152)|resnext(50_32x4d|101_32x8d|101_64x4d)"
    "|shufflenet_v2_x(0_5|1_0|1_5|2_0)|squeezenet1_[01]|vgg(11|13|16|19)(_bn)?"
    "|wide_resnet(50|101)_2"
)
"""torchvision's classification networks that `lift` takes; named here since torch is not loaded."""


def lift_remedy(name: str) -> str:
    """What to do about a network that is not in the catalogue; "" if torchvision lacks it too."""
    if not LIFTED.fullmatch(name):
        return ""
    return (
        f"a study trains {' or '.join(CATALOGUE)}; in your own code "
        f'lift(torchvision.models.{name}(), "3t") makes a video network of this one'
    )


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
