"""Tables of whether temporal parameters tell the truth: agreement, reproducibility, prediction.

And of how much of 3D filters the nearest 3T filters explain, over runs (`ruler` has those of runs).
"""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import NUMBER, TEXT, WHOLE, column
from threetconv.schemas.runs import (
    CONTROL,
    DATASET,
    INIT,
    LAYER,
    LAYER_INDEX,
    NETWORK,
    PARAMETER,
    RECIPE,
    RUN_ID,
)
from threetconv.schemas.statistics import (
    CI_METHOD,
    EXACT,
    HIGH,
    LOW,
    P_ADJUSTED,
    P_FLOOR,
    P_RAW,
    PERMUTATIONS,
    REASON,
    SEED,
    STATUS,
    WHERE,
)

__all__ = [
    "AGREEMENT",
    "AGREEMENT_RUNS",
    "INDEX_OF",
    "N_OTHER",
    "N_RUNS",
    "PREDICTION",
    "PREDICTION_RUNS",
    "REPRODUCIBILITY",
    "RULER_CELLS",
    "RULER_RUNS",
    "TEST",
]

INDEX_OF = {"s": "zoom_index", "r": "turn_index", "px": "direction_x", "py": "direction_y"}
"""Parameter -> the index of tuning that should agree with it."""

CELL = [NETWORK, DATASET, INIT, RECIPE, CONTROL]
N_RUNS = column("n_runs", WHOLE, "runs that the line is over", "runs")
N_OTHER = column("n_other", WHOLE, "runs that they are compared with, 0 against a number", "runs")
AGAINST = column("against", TEXT, "zero, or runs of a control: label-shuffled, static")
TEST = [
    LOW,
    HIGH,
    CI_METHOD,
    column("method", TEXT, "how p was made"),
    P_RAW,
    P_FLOOR,
    P_ADJUSTED,
    EXACT,
    PERMUTATIONS,
    column("adjustment", TEXT, "how p was adjusted, and over what"),
    STATUS,
    REASON,
    SEED,
]
MATRIX = [
    column("scope", TEXT, "first (layer), model (mean of all layers) or layer"),
    column("tuning", TEXT, "total, or own: beyond the same layer with transforms at the identity"),
    WHERE,
    LAYER,
    column("parameter", TEXT, "s, r, px or py; diagonal: mean of the four correlations expected"),
    column("index", TEXT, "of tuning; off-diagonal: less the mean size of the twelve others"),
]
AGREEMENT_RUNS = pa.schema(
    [
        RUN_ID,
        *CELL,
        *MATRIX,
        column("n_channels", WHOLE, "channels with that index", "channels"),
        column("correlation", NUMBER, "Spearman over channels, or the contrast"),
        column("null", NUMBER, "its mean if channels exchange their tuning within layers"),
        column("null_sd", NUMBER, "its SD then"),
        column("reason", TEXT, "why there is no correlation"),
    ]
)
AGREEMENT = pa.schema(
    [
        *CELL,
        *MATRIX,
        AGAINST,
        N_RUNS,
        N_OTHER,
        column("estimate", NUMBER, "mean over runs (pooled: over cells), or difference of means"),
        column("null", NUMBER, "mean over runs if channels exchange their tuning"),
        column("null_high", NUMBER, "97.5 % point of it"),
        *TEST,
    ]
)
REPRODUCIBILITY = pa.schema(
    [
        *CELL,
        column("measure", TEXT, "icc: of the runs of a cell; specific: within less between sets"),
        column("scope", TEXT, "model (mean of all layers, by rows) or layer"),
        WHERE,
        LAYER,
        PARAMETER,
        AGAINST,
        N_RUNS,
        N_OTHER,
        column("n_rows", WHOLE, "channels times transitions that are compared", "rows"),
        column("estimate", NUMBER, "share of the variance of what was moved, or difference"),
        *TEST,
    ]
)
PREDICTION_RUNS = pa.schema(
    [
        RUN_ID,
        *CELL,
        column("towards", TEXT, "class"),
        column("away", TEXT, "its opposite"),
        column("n_channels", WHOLE, "channels of the first layer", "channels"),
        column("accuracy", NUMBER, "share of channels whose preferred class of two was predicted"),
        column("null", NUMBER, "its mean if channels exchange their preferences"),
        column("reason", TEXT, "why there is no accuracy"),
    ]
)
PREDICTION = pa.schema(
    [
        *CELL,
        N_RUNS,
        column("n_pairs", WHOLE, "pairs of opposite classes", "pairs"),
        column("accuracy", NUMBER, "mean over pairs and runs"),
        column("null", NUMBER, "its mean if channels exchange their preferences"),
        column("estimate", NUMBER, "accuracy less that"),
        *TEST,
    ]
)
RULED = [
    column("measure", TEXT, "share (explained) or cosine (path of the fit, preferred direction)"),
    column("scope", TEXT, "first (layer that was fitted) or deeper"),
    LAYER_INDEX,
    LAYER,
]
CHANCE = column("chance", NUMBER, "the same of sign twins, or if channels exchange their tuning")
RULER_RUNS = pa.schema(
    [
        RUN_ID,
        *CELL,
        *RULED,
        column("n_channels", WHOLE, "channels with a value", "channels"),
        column("value", NUMBER, "mean over channels, or cosine weighted by both lengths"),
        CHANCE,
    ]
)
RULER_CELLS = pa.schema(
    [
        *CELL,
        *RULED,
        N_RUNS,
        column("mean", NUMBER, "over runs (pooled: over cells)"),
        column("mean_low", NUMBER, "lower end of its 95 % t interval"),
        column("mean_high", NUMBER, "upper end of its 95 % t interval"),
        CHANCE,
        column("chance_low", NUMBER, "lower end of its 95 % t interval"),
        column("chance_high", NUMBER, "upper end of its 95 % t interval"),
        column("estimate", NUMBER, "mean less chance"),
        *TEST,
    ]
)
