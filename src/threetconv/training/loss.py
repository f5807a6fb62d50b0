"""The loss of a training run: cross-entropy, with or without weights of the classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["CLASS_WEIGHTS", "summed_loss"]


def _none(labels: NDArray[np.int64]) -> None:
    return None


def _balanced(labels: NDArray[np.int64]) -> Tensor:
    """N / (C n_c) for class c with n_c of N items, as in scikit-learn: every class counts alike.

    The paper's authors weighted the classes of Jester. A class without an item has weight 0.
    """
    # (C,), up to the highest class that has an item
    counts = np.bincount(labels)
    present = counts > 0
    # the maximum avoids a division by 0, since both branches are computed; over the training set
    # the weights have mean 1, so the learning rate keeps its meaning
    weights = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return torch.from_numpy(weights).float()


CLASS_WEIGHTS: dict[str, Callable[[NDArray[np.int64]], Tensor | None]] = {
    "none": _none,
    "balanced": _balanced,
}
"""(class indices of the training set) -> float32 (C,), or None for no weights."""


def summed_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float = 0.0
) -> Tensor:
    """Sum over items of weight times cross-entropy; a scalar.

    Args:
        logits: (B, C).
        labels: int64 (B,).
        weights: (C,) or fewer, or None. Classes beyond have no training item, hence no weight.
        smoothing: share of each label that all classes get alike, times their weights.
    """
    options: dict[str, Any] = {"reduction": "sum", "label_smoothing": smoothing}
    if weights is None:
        return F.cross_entropy(logits, labels, **options)
    # the network may have more outputs than there are weights
    padded = F.pad(weights, (0, logits.shape[1] - len(weights))).to(logits)
    return F.cross_entropy(logits, labels, weight=padded, **options)
