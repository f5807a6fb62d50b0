"""Weights of classes, and the loss they weigh."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from threetconv.training.loss import CLASS_WEIGHTS, summed_loss


def test_balanced_weights_by_hand() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = CLASS_WEIGHTS["balanced"](labels)
    assert weights is not None
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 0, 10 / 3])
    assert sum(float(weights[label]) for label in labels) == pytest.approx(10)
    assert CLASS_WEIGHTS["none"](labels) is None


def test_the_loss_is_a_weighted_sum() -> None:
    logits, labels = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(7)
    labels = labels % 3
    weights = torch.tensor([0.5, 2.0, 3.0])
    each = functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(summed_loss(logits, labels, None), each.sum())
    torch.testing.assert_close(summed_loss(logits, labels, weights), (weights[labels] * each).sum())
