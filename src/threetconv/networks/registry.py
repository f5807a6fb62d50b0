"""Facts about networks that planning a study needs, without importing torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from threetconv.layer.time_reach import output_frames, tells_order

__all__ = ["CATALOGUE", "NetworkFacts", "leaks_order", "lengths_without_leak", "lift_remedy"]


@dataclass(frozen=True)
class NetworkFacts:
    """What planning needs to know about a network.

    Attributes:
        strided: stages with a stride in time, in forward order; each a tuple of windows that read
            the same input, (depth, stride, padding). One without padding shrinks to its input.
        depth: depth in time of its deepest filter; clips must be at least as long.
        imagenet: torchvision's name of its ImageNet weights.
    """

    depth: int
    imagenet: str
    strided: tuple[tuple[tuple[int, int, int], ...], ...]


CATALOGUE: dict[str, NetworkFacts] = {
    "resnet18": NetworkFacts(
        depth=7,
        imagenet="ResNet18_Weights.IMAGENET1K_V1",
        # first convolution, pooling; in blocks 2 to 4 the convolution and the shortcut beside it
        strided=(((7, 2, 3),), ((3, 2, 1),), *[((3, 2, 1), (1, 2, 0))] * 3),
    ),
    "googlenet": NetworkFacts(
        depth=7,
        imagenet="GoogLeNet_Weights.IMAGENET1K_V1",
        strided=(((7, 2, 3),), ((3, 2, 0),), ((3, 2, 0),)),
    ),
}


def leaks_order(network: str, frames: int) -> bool:
    """Whether a network of the study tells a clip from its reverse, whatever its filters.

    From sizes alone, as `threetconv.networks.order_leak.order_leak` finds by a forward pass;
    without `symmetric_time`.
    """
    for parallel in CATALOGUE[network].strided:
        windows = [(d if p else min(d, frames), s, (p, p)) for d, s, p in parallel]
        if any(tells_order(frames, *its) for its in windows):
            return True
        frames = output_frames(frames, *windows[0])
    return False


def lengths_without_leak(networks: Iterable[str], near: int, *, count: int = 2) -> list[int]:
    """The next numbers of frames, up to 4 * `near`, at which none of the networks leaks order."""
    named = list(networks)
    lengths = (n for n in range(near, 4 * near) if not any(leaks_order(x, n) for x in named))
    return list(islice(lengths, count))


# lets the error about an unknown network say that `lift` takes it
LIFTED = re.compile(
    "alexnet|convnext_(tiny|small|base|large)|densenet(121|161|169|201)"
    "|efficientnet_(b[0-7]|v2_[sml])|googlenet|inception_v3|mnasnet(0_5|0_75|1_0|1_3)"
    "|mobilenet_(v2|v3_small|v3_large)|regnet_[xy]_([0-9]+gf|[0-9]+mf|1_6gf|3_2gf)"
    "|resnet(18|34|50|101|152)|resnext(50_32x4d|101_32x8d|101_64x4d)"
    "|shufflenet_v2_x(0_5|1_0|1_5|2_0)|squeezenet1_[01]|vgg(11|13|16|19)(_bn)?"
    "|wide_resnet(50|101)_2"
)
"""Names of torchvision's classification networks that `lift` takes; torchvision is not loaded."""


def lift_remedy(name: str) -> str:
    """What to do about a network that is not in `CATALOGUE`; "" if torchvision lacks it too."""
    if not LIFTED.fullmatch(name):
        return ""
    return (
        f"a study trains {' or '.join(CATALOGUE)}; in your own code "
        f'lift(torchvision.models.{name}(), "3t") makes a video network of this one'
    )
