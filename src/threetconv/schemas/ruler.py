"""The table of the nearest 3T filters of 3D filters."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import NUMBER, column
from threetconv.schemas.runs import CHANNEL, LAYER, LAYER_INDEX, RUN_ID

__all__ = ["RULER"]

RULER = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("share", NUMBER, "of the change over time that the nearest 3T filter explains"),
        column("chance", NUMBER, "the same of a filter whose change has lost its pattern"),
        column("change", NUMBER, "size of the change over time, as a share of the whole filter"),
        column("path_x", NUMBER, "of the fit, from first to last slice, to the right", "taps"),
        column("path_y", NUMBER, "of the fit, upwards", "taps"),
        column("log_zoom", NUMBER, "of the fit, above 0 where it grows"),
        column("clockwise", NUMBER, "turn of the fit", "rad"),
    ]
)
