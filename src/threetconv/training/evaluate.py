"""Loss and accuracy of a network on a labelled set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.training.distributed import ALONE, World
from threetconv.training.settings import LabelledSet

__all__ = ["evaluate", "outputs"]


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data: LabelledSet,
    *,
    batch_size: int,
    device: str = "cpu",
    world: World = ALONE,
) -> tuple[float, float, int]:
    """(mean cross-entropy, accuracy, number of items) in evaluation mode, in float32.

    Items that cannot be read and are left out do not count. Several processes share the items.
    """
    network.eval()
    # loss, correct answers, items; in float64
    sums = np.zeros(3)
    items = np.arange(len(data))
    groups = [
        world.share(items[start : start + batch_size]) for start in range(0, len(items), batch_size)
    ]
    # nothing is exchanged within a batch in evaluation, so a process may have fewer batches than
    # others; epoch 0: nothing random is drawn
    for inputs, labels in data([group for group in groups if len(group)], epoch=0):
        # none of the group could be read
        if not len(labels):
            continue
        logits, *_ = outputs(network(inputs.to(device)))
        logits = logits.float().cpu()
        loss = float(F.cross_entropy(logits, labels, reduction="sum"))
        sums += loss, int((logits.argmax(1) == labels).sum()), len(labels)
    loss_sum, correct, seen = world.total(*sums)
    return loss_sum / max(seen, 1), correct / max(seen, 1), int(seen)


def outputs(output: Tensor | tuple[Tensor, ...]) -> Iterator[Tensor]:
    """The logits, then those of auxiliary heads; a head that returned None is left out."""
    if isinstance(output, Tensor):
        yield output
    else:
        yield from (head for head in output if head is not None)
