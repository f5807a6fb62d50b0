"""The one rule by which a p-value is compared with a level."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pandas as pd

__all__ = ["passes"]

ROUNDING = 1e-9  # of the level: 3 x (1 / 60) must pass 0.05, whatever the last bit says
P = TypeVar("P", float, np.ndarray, pd.Series)


def passes(p: P, alpha: float) -> P:
    """Whether p is at most `alpha`, within rounding; NaN does not pass."""
    return p <= alpha * (1 + ROUNDING)
