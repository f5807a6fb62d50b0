"""What goes into a training run and what comes out of it: plain data, no loop.

Source of the defaults: arXiv 2006.15983 and the authors' published experiment code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["PRECISIONS", "Batches", "Group", "Result", "Settings", "Snapshot"]

Group = NDArray[np.int64]
"""Indices of the items of one batch."""
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Batches(Protocol):
    """A labelled set that hands out the batches that it is asked for."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), class indices."""
        ...

    def __len__(self) -> int: ...

    def __call__(self, groups: Sequence[Group], *, epoch: int) -> Iterable[tuple[Tensor, Tensor]]:
        """(float32 inputs (B, ...), int64 labels (B,)) for the items of each group, in order.

        B is the size of the group, or less where items that cannot be read are left out. `epoch` is
        for what is drawn anew in every epoch; 0 in evaluation.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """What decides a training run, apart from data, network and seed.

    Attributes:
        epochs: passes over the training set, at most.
        batch_size: clips per update.
        learning_rate: Adam's; the peak one when the schedule varies it.
        schedule: name in `threetconv.training.schedules.SCHEDULES`; "constant" is the paper's
            effective one.
        patience: epochs without a better validation accuracy after which "plateau" halves the rate.
        early_stopping: epochs without a better validation accuracy after which training ends.
        class_weights: name in `threetconv.training.loss.CLASS_WEIGHTS`.
        auxiliary_weight: weight of each auxiliary head's loss, 0.3 in the paper.
        snapshot_every: updates between snapshots of the temporal parameters.
        micro_batch: clips in memory at once; gradients of a batch are summed over its parts. Batch
            norm sees one part at a time. None: the whole batch.
        precision: name in `PRECISIONS`; below float32 for GPUs (torch 2.14's bfloat16 convolutions
            are wrong for some shapes on CPUs).
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str = "constant"
    patience: int = 5
    early_stopping: int | None = None
    class_weights: str = "none"
    auxiliary_weight: float = 0.3
    snapshot_every: int = 100
    micro_batch: int | None = None
    precision: str = "float32"


@dataclass(frozen=True)
class Snapshot:
    """Temporal parameters at one moment; `sum_lr2` is the sum of squared learning rates so far."""

    step: int
    epoch: int
    tag: str
    sum_lr2: float
    values: dict[str, np.ndarray]


@dataclass
class Result:
    """What training leaves behind.

    Attributes:
        best_state: state dict of the best validation epoch.
        best_epoch, best_step: when that was; epochs count from 1.
        metrics: step, epoch, split, metric, value, n; a row per epoch, split and metric. The
            training loss has the classes' weights. Rows of split "test" are of the best epoch only.
        snapshots: in order of time: init, snapshots, last; and best.
        n_updates, sum_lr2, seconds: totals.
    """

    best_state: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_step: int = 0
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    snapshots: list[Snapshot] = field(default_factory=list)
    n_updates: int = 0
    sum_lr2: float = 0.0
    seconds: float = 0.0

    def state(self) -> dict[str, Any]:
        """What there is so far, but for `metrics` and `seconds`: tensors and plain values."""
        snapshots = [
            [s.step, s.epoch, s.tag, s.sum_lr2, {k: torch.from_numpy(v) for k, v in values.items()}]
            for s, values in ((s, s.values) for s in self.snapshots)  # noqa: PD011 (not a table)
        ]
        fields = ("best_state", "best_epoch", "best_step", "n_updates", "sum_lr2")
        return {name: getattr(self, name) for name in fields} | {"snapshots": snapshots}

    def restore(self, state: dict[str, Any]) -> None:
        """Become what `state` was."""
        for name, value in state.items():
            setattr(self, name, value)
        self.snapshots = [
            Snapshot(step, epoch, tag, sum_lr2, {k: v.numpy() for k, v in values.items()})
            for step, epoch, tag, sum_lr2, values in state["snapshots"]
        ]
