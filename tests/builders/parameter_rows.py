"""Rows of parameter tables, made up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.layer.units import IDENTITY
from threetconv.schemas.runs import PARAMETERS

MADE_UP = {
    "epoch": 0, "kernel_t": 3, "kernel_hw": 3, "jump": 1, "order_leak": False, "channel": 0,
    "transition": 0,
}  # fmt: skip


def completed(table: pd.DataFrame) -> pd.DataFrame:
    """With every column of a parameter table: runs from the identity, walks unknown."""
    columns = {
        **MADE_UP,
        **{f"{name}_start": np.float32(value) for name, value in IDENTITY.items()},
        **{f"{name}_walk": np.float32(np.nan) for name in IDENTITY},
    }
    lacking = {name: value for name, value in columns.items() if name not in table}
    return table.assign(**lacking)[PARAMETERS.names]
