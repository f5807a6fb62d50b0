"""What training leaves behind, in memory: weights, snapshots of temporal parameters, metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Result", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """Temporal parameters at one moment; `sum_lr2` is the sum of squared learning rates so far."""

    step: int
    epoch: int
    tag: str
    sum_lr2: float | None
    values: dict[str, np.ndarray]


@dataclass
class Result:
    """What training leaves behind; of a fetched run, None for what is not known.

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
        import torch  # who only reads records does without it

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
