"""Tables of what networks need: accuracy without order, without transforms; by run and by cell."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import NUMBER, TEXT, WHOLE, column
from threetconv.schemas.runs import (
    CONTROL,
    CONVOLUTION,
    DATASET,
    INIT,
    LAYER,
    LAYER_INDEX,
    NETWORK,
    RECIPE,
    REPLICATE,
    RUN_ID,
)
from threetconv.schemas.statistics import (
    CI_METHOD,
    EXACT,
    HIGH,
    LOW,
    N_A,
    N_B,
    N_RUNS,
    P_ADJUSTED,
    P_FLOOR,
    P_RAW,
    PERMUTATIONS,
    REASON,
    SEED,
    STATUS,
)

__all__ = ["NEED", "NEED_CELLS", "NEED_CLASSES", "NEED_RUNS", "NEED_TESTS"]

CLIPS = column("clips", TEXT, "forwards, backwards, frozen (one frame) or shuffled (frames)")
TRANSFORMS = column(
    "transforms", TEXT, "intact, or what is at the identity: all, translation, scale, rotation"
)
BATCH_NORM = column("batch_norm", TEXT, "statistics as trained, or recomputed on training clips")
CONDITION = [TRANSFORMS, BATCH_NORM, LAYER_INDEX, LAYER]
CELL = [NETWORK, DATASET, INIT, CONVOLUTION, RECIPE, CONTROL]
MEASURE = column(
    "measure", TEXT, "accuracy, direction use, opposite (backward clips), drop (by the identity)"
)

OVER_RUNS = [
    N_RUNS,
    column("mean", NUMBER, "over runs", "% or percentage points"),
    column("least", NUMBER, "of the runs", "% or percentage points"),
    column("most", NUMBER, "of the runs", "% or percentage points"),
    LOW,
    HIGH,
    CI_METHOD,
]

NEED = pa.schema(
    [
        RUN_ID,
        CLIPS,
        *CONDITION,
        column("label", TEXT, "class of the clips"),
        column("opposite", TEXT, "class that is this one played backwards, empty where none is"),
        column("n", WHOLE, "clips of the class", "clips"),
        column("n_correct", WHOLE, "clips taken for their own class", "clips"),
        column("n_opposite", WHOLE, "clips taken for the opposite class", "clips"),
    ]
)
NEED_RUNS = pa.schema(
    [
        RUN_ID,
        *CELL,
        REPLICATE,
        MEASURE,
        CLIPS,
        *CONDITION,
        column("value", NUMBER, "of the run", "% or percentage points"),
        column("chance", NUMBER, "accuracy of a uniform guess", "%"),
    ]
)
NEED_CELLS = pa.schema(
    [
        *CELL,
        MEASURE,
        CLIPS,
        *CONDITION,
        *OVER_RUNS,
        column("chance", NUMBER, "accuracy of a uniform guess", "%"),
    ]
)
NEED_CLASSES = pa.schema(
    [
        *CELL,
        column("measure", TEXT, "recall of a class, or direction use of a pair of opposites"),
        column("classes", TEXT, "the class, or both classes of the pair"),
        CLIPS,
        TRANSFORMS,
        BATCH_NORM,
        *OVER_RUNS,
    ]
)
NEED_TESTS = pa.schema(
    [
        *CELL,
        MEASURE,
        CLIPS,
        *CONDITION,
        N_A,
        N_B,
        column("estimate", NUMBER, "real runs less those of the control", "percentage points"),
        LOW,
        HIGH,
        CI_METHOD,
        P_RAW,
        P_FLOOR,
        EXACT,
        PERMUTATIONS,
        P_ADJUSTED,
        column("adjustment", TEXT, "how p_adjusted was made"),
        STATUS,
        REASON,
        SEED,
    ]
)
