"""What training leaves behind, in memory: weights, snapshots of temporal parameters, metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Result", "Snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """Temporal parameters at one moment.

    Attributes:
        step, epoch, tag: when that is.
        sum_lr2: sum of the squared learning rates of temporal parameters so far.
        values: "<layer>.<parameter>" -> (D - 1, out) array; and "<layer>.<parameter>.walk", the
            variance of the random walk that noise alone makes (`threetconv.training.step.Walks`),
            where it is known.
    """

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
