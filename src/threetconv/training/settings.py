"""Inputs of a training run: its settings, and labelled sets that hand out batches.

Source of the defaults: arXiv 2006.15983 and the authors' published experiment code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from threetconv.training.recipes import PAPER, Recipe

__all__ = ["PRECISIONS", "Group", "LabelledSet", "Settings"]

Group = NDArray[np.int64]
"""Indices of the items of one batch."""
# name -> the type that autocast computes in; None: no autocast
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class LabelledSet(Protocol):
    """A labelled set that hands out the batches that it is asked for."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), class indices."""
        ...

    def __len__(self) -> int: ...

    def __call__(self, groups: Sequence[Group], *, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        """(float32 inputs (B, ...), int64 labels (B,)) for the items of each group, in order.

        B is the size of the group, or less where items that cannot be read are left out. `epoch`
        seeds random choices that differ between epochs; it is 0 in evaluation.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """Settings of a training run, besides data, network and seed.

    Attributes:
        epochs: passes over the training set, at most.
        batch_size: clips per update.
        learning_rate: Adam's; the peak one when the schedule varies it.
        schedule: name in `threetconv.training.schedules.SCHEDULES`; "constant" is the paper's
            effective one.
        patience: epochs without a better validation accuracy after which "plateau" halves the rate.
        early_stopping: epochs without a better validation accuracy after which training ends.
        warm_up: updates over which the rates rise to what the schedule says, linearly.
        weight_decay: decoupled (AdamW, Loshchilov and Hutter 2019) and not of transforms, biases
            and norms, as common.
        label_smoothing: share of each label that is spread over all classes (Szegedy et al. 2016),
            in training only.
        clip_gradient: norm of all gradients together above which they are scaled down to it; None:
            never.
        class_weights: name in `threetconv.training.loss.CLASS_WEIGHTS`.
        auxiliary_weight: weight of each auxiliary head's loss, 0.3 in the paper.
        snapshot_every: updates between snapshots of the temporal parameters.
        micro_batch: clips in memory at once; gradients of a batch are summed over its parts. Batch
            norm sees one part at a time. None: the whole batch.
        precision: name in `PRECISIONS`; below float32 for GPUs (torch 2.14's bfloat16 convolutions
            are wrong for some shapes on CPUs).
        recipe: how temporal parameters are trained.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str = "constant"
    patience: int = 5
    early_stopping: int | None = None
    warm_up: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    clip_gradient: float | None = None
    class_weights: str = "none"
    auxiliary_weight: float = 0.3
    snapshot_every: int = 100
    micro_batch: int | None = None
    precision: str = "float32"
    recipe: Recipe = PAPER

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`; TypeError for fields that do not exist."""
        return cls(**{**fields, "recipe": Recipe(**fields.get("recipe", {}))})
