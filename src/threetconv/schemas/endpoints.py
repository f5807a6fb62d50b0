"""The table of primary endpoints: each against zero and against negative controls."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import NUMBER, TEXT, column
from threetconv.schemas.runs import DATASET, INIT, NETWORK, RECIPE
from threetconv.schemas.truth import N_OTHER, N_RUNS, TEST

__all__ = ["ENDPOINTS", "UNITS"]

UNITS = {
    "tuning agreement": "contrast of correlations",
    "reproducibility": "share of variance",
    "direction use": "percentage points",
}
"""Endpoint -> what its estimate is."""
_STATUS = column("status", TEXT, "ok, untestable, degenerate, descriptive, or missing: not there")
ENDPOINTS = pa.schema(
    [
        RECIPE,
        column("endpoint", TEXT, ", ".join(UNITS)),
        NETWORK,
        DATASET,
        INIT,
        column("comparison", TEXT, "zero, or real runs less those of a control"),
        N_RUNS,
        N_OTHER,
        column("estimate", NUMBER, "mean over cells, or difference of means"),
        column("unit", TEXT, "of the estimate"),
        *(_STATUS if field.name == "status" else field for field in TEST),
    ]
)
