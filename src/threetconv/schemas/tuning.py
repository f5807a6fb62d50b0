"""Tables of what channels answer to: indices of tuning, and the responses that they are made of."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import NUMBER, SINGLE, TEXT, column
from threetconv.schemas.runs import CHANNEL, LAYER, LAYER_INDEX, RUN_ID

__all__ = ["TUNING", "TUNING_RESPONSES"]

INDICES = [
    column("direction_x", NUMBER, "to the right, of the vector sum over directions by their sum"),
    column("direction_y", NUMBER, "upwards, of the vector sum over directions by their sum"),
    column("dsi", NUMBER, "direction selectivity: length of that vector, 0 to 1"),
    column("turn_index", NUMBER, "(clockwise - counter-clockwise) by their sum"),
    column("zoom_index", NUMBER, "(growing - shrinking) by their sum"),
    column("motion_share", NUMBER, "(drifting - still gratings) by their sum"),
    column("flicker_share", NUMBER, "(gratings that change in place - still ones) by their sum"),
]
OWN = [
    column(f"own_{index.name}", NUMBER, f"{index.name} minus that with the transforms at identity")
    for index in INDICES
]
TUNING = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("direction_deg", NUMBER, "preferred, counter-clockwise from the right", "degrees"),
        column("speed", NUMBER, "preferred, in the preferred direction", "pixels per frame"),
        *INDICES,
        *OWN,
        column("extent", NUMBER, "of the layer's kernel, which sizes of stimuli follow", "pixels"),
        column("centre_x", NUMBER, "of the receptive field that textures turn about", "pixels"),
        column("centre_y", NUMBER, "of the same, downwards", "pixels"),
        column("note", TEXT, "why an index is missing, empty where none is"),
    ]
)
TUNING_RESPONSES = pa.schema(
    [
        RUN_ID,
        LAYER_INDEX,
        LAYER,
        CHANNEL,
        column("stimulus", TEXT, "grating, still, flicker, turn, zoom or still_texture"),
        column("direction", SINGLE, "of a grating, counter-clockwise from the right", "degrees"),
        column("wavelength", SINGLE, "of a grating", "pixels"),
        column(
            "speed",
            NUMBER,
            "pixels of a grating, radians clockwise, or logarithm of the growth, per frame",
        ),
        column("response", SINGLE, "mean rectified output behind its norm"),
        column("identity", SINGLE, "the same with the layer's own transforms at the identity"),
    ]
)
