"""Tables of statistics: summaries, tests, descriptions, and the paper's tables."""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas.columns import FLAG, INDEX, NUMBER, SHORT, TEXT, WHOLE, column, with_prefix
from threetconv.schemas.runs import (
    CONTROL,
    CONVOLUTION,
    DATASET,
    INIT,
    LAYER,
    LAYER_INDEX,
    NETWORK,
    PARAMETER,
    RECIPE,
    REPLICATE,
    RUN_ID,
    STEP,
    TAG,
)

__all__ = [
    "ACCURACY", "ACCURACY_TESTS", "ALIGNMENT", "BOOTSTRAP", "CALIBRATION", "DENSITIES",
    "DISPLACEMENT", "DISTANCES", "HISTOGRAMS", "JOINT_DENSITIES", "LAYER_PROFILE", "PLANTED",
    "PLANTED_LAYERS", "PLANTED_WHERE", "POWER", "SENSITIVITY", "SUMMARIES", "TESTS",
]  # fmt: skip

FAMILY = column("family", TEXT, "of tests: dataset, init, dataset x init, controls")
CONTRAST = column("contrast", TEXT, "what is compared: a / b")
STRATUM = column("stratum", TEXT, "all, or the one block that is looked at")
SCOPE = column("scope", TEXT, "model or layer")
WHERE = column("layer_index", INDEX, "place of the layer, -1 of the whole model")
CHECKPOINT = column("checkpoint", TEXT, "best epoch, or matched: at equal noise budgets")
UNIT = column("unit", TEXT, "what counts as one observation")
N_A = column("n_a", WHOLE, "observations of arm a")
N_B = column("n_b", WHOLE, "observations of arm b")
RATIO = column("estimate", NUMBER, "ratio of mean displacements, a to b")
LOW = column("ci_low", NUMBER, "lower end of the interval, null without one")
HIGH = column("ci_high", NUMBER, "upper end of the interval, null without one")
CI_METHOD = column("ci_method", TEXT, "how the interval was made")
P_RAW = column("p_raw", NUMBER, "p-value as it is")
P_FLOOR = column("p_floor", NUMBER, "smallest p-value that the design can attain")
P_ADJUSTED = column("p_adjusted", NUMBER, "adjusted for the number of tests; null unless ok")
EXACT = column("exact", FLAG, "whether all permutations were enumerated")
PERMUTATIONS = column("n_permutations", WHOLE, "permutations looked at")
STATUS = column("status", TEXT, "ok, untestable, degenerate, descriptive, or heterogeneous (TOST)")
REASON = column("reason", TEXT, "why the status is what it is, and what else is to be said")
SEED = column("rng_seed", WHOLE, "of what was drawn")
MOTION = column("motion", TEXT, "that was planted in the data set")
EXPECTED = column("expected", FLAG, "whether the planted motion should move this parameter")
COMPARISON = column("comparison", TEXT, "what the runs are compared with")
BEYOND = column("beyond", TEXT, "whether they moved further: yes, no or untestable")
FLOOR = column("noise_floor", NUMBER, "mean |z| that Adam's steps alone would make")
FLOOR_RATIO = column("floor_ratio", NUMBER, "mean displacement over its noise floor")
N_RUNS = column("n_runs", WHOLE, "runs that the line is over", "runs")
COUNT = column("count", WHOLE, "rows", "rows")
DENSITY_FACTS = [
    COUNT,
    column("identity_share", NUMBER, "of rows exactly at the identity, not in the density"),
    column("clipped_share", NUMBER, "of the other rows, those outside the support"),
    column("c", NUMBER, "scale of the asinh axis, in the unit of the variable"),
    column("bandwidth", NUMBER, "of the kernel, on the asinh axis"),
]

SUMMARIES = pa.schema(
    [
        RUN_ID,
        NETWORK,
        DATASET,
        INIT,
        RECIPE,
        CONTROL,
        REPLICATE,
        STEP,
        TAG,
        SCOPE,
        WHERE,
        column("layer", TEXT, "name of the layer, empty of the whole model"),
        PARAMETER,
        column("rows", TEXT, "all or reachable"),
        column("n", WHOLE, "rows", "rows"),
        column("n_identity", WHOLE, "rows exactly where they started", "rows"),
        column("mu_paper", NUMBER, "mean of |1 - |1/s||, |r|, |tx/2| or |ty/2|, as in the paper"),
        column("sd_paper", NUMBER, "SD (ddof 0) of the same"),
        column("log_mean_abs", NUMBER, "D = ln mean |z|, z from the start; -inf if nothing moved"),
        column("log_mean_abs_identity", NUMBER, "ln mean |z|, z from the identity"),
        column("sd_abs", NUMBER, "SD of |z|"),
        column("sd", NUMBER, "SD (ddof 0) of z"),
        column("median_abs", NUMBER, "median of |z|"),
        *(column(f"q{q:02}", NUMBER, f"{q} % quantile of |z|") for q in (5, 25, 75, 95)),
        column("kurtosis", NUMBER, "excess kurtosis of z, null if z is constant"),
        FLOOR,
        FLOOR_RATIO,
        column("sum_lr2", NUMBER, "noise budget: sum of squared learning rates, null if unknown"),
        column("weighting", TEXT, "pooled: all rows alike; layer: mean of the layers' values"),
    ]
)
TESTS = pa.schema(
    [
        RECIPE,
        FAMILY,
        CONTRAST,
        STRATUM,
        column("parameter", TEXT, "s, r, px, py, or all four: s, r, px, py"),
        column("scope", TEXT, "model, joint (four parameters), depth (early / late layers), layer"),
        WHERE,
        CHECKPOINT,
        UNIT,
        N_A,
        N_B,
        column("method", TEXT, "of the test"),
        column("library_version", TEXT, "of what computed it"),
        column("statistic", NUMBER, "difference of D, a less b; or what the method says"),
        RATIO,
        LOW,
        HIGH,
        CI_METHOD,
        P_RAW,
        P_FLOOR,
        EXACT,
        PERMUTATIONS,
        P_ADJUSTED,
        column("adjustment", TEXT, "how p_adjusted was made"),
        column("hedges_g", NUMBER, "difference of D in SDs within blocks, corrected for bias"),
        column("cliffs_delta", NUMBER, "share of pairs with a above b less those with b above a"),
        column("wasserstein", NUMBER, "distance between both arms' D"),
        STATUS,
        REASON,
        SEED,
    ]
)
SENSITIVITY = pa.schema([column("outcome", TEXT, "that is compared"), *TESTS])
LAYER_PROFILE = pa.schema(
    [
        NETWORK,
        DATASET,
        INIT,
        RECIPE,
        CONTROL,
        CHECKPOINT,
        LAYER_INDEX,
        LAYER,
        PARAMETER,
        N_RUNS,
        column("n_rows", NUMBER, "reachable rows of a run", "rows"),
        column("mean", NUMBER, "exp of the mean over runs of D"),
        LOW,
        HIGH,
        FLOOR,
        FLOOR_RATIO,
        column("reachable_share", NUMBER, "of the layer's rows"),
    ]
)
BOOTSTRAP = pa.schema(
    [
        RECIPE,
        FAMILY,
        CONTRAST,
        STRATUM,
        PARAMETER,
        CHECKPOINT,
        RATIO,
        LOW,
        HIGH,
        column("level", NUMBER, "of the interval"),
        column("n_resamples", WHOLE, "of every cell"),
        column("method", TEXT, "of the interval"),
        STATUS,
        REASON,
        SEED,
    ]
)
DISTANCES = pa.schema(
    [
        RECIPE,
        FAMILY,
        CONTRAST,
        STRATUM,
        PARAMETER,
        CHECKPOINT,
        UNIT,
        N_A,
        N_B,
        column("wasserstein", NUMBER, "of the signed z", "unit of z"),
        column("energy", NUMBER, "root of the energy distance of the signed z", "unit of z"),
        column("ks", NUMBER, "largest difference of the distribution functions of z"),
        column("cliffs_delta", NUMBER, "of |z|, positive when a moved further"),
        column("note", TEXT, "what was drawn or left out"),
    ]
)
CALIBRATION = pa.schema(
    [
        NETWORK,
        column("truth", TEXT, "what holds in the simulated studies"),
        column("test", TEXT, "that is tried"),
        UNIT,
        column("design", TEXT, "of the simulated studies"),
        column("runs_per_arm", WHOLE, "and block", "runs"),
        column("tau", NUMBER, "SD over runs of D"),
        column("effect", NUMBER, "ratio of mean displacements, a to b"),
        column("quantity", TEXT, "type I error, power or coverage"),
        column("estimate", NUMBER, "share of simulated studies"),
        LOW,
        HIGH,
        column("n_replicates", WHOLE, "answers counted"),
        column("nominal", NUMBER, "what it should be, null for power"),
        column("n_untestable", WHOLE, "studies whose design cannot reach the level"),
        column("valid", TEXT, "valid, liberal, conservative, untestable, or empty for power"),
        column("note", TEXT, "what is to be said of it"),
    ]
)
POWER = pa.schema(
    [
        RECIPE,
        column("family", TEXT, "of tests; one block is of either of two"),
        column("design", TEXT, "all blocks, one block, or jointly over the four parameters"),
        column("blocks", WHOLE, "in which runs are relabelled"),
        column("seeds", WHOLE, "runs of the smallest cell", "runs"),
        column("runs", WHOLE, "of such a study", "runs"),
        P_FLOOR,
        column("level", NUMBER, "that the smallest p is held against"),
        column("testable", FLAG, "whether the floor lies below it"),
        column("ratio", NUMBER, "of mean displacements whose power is given"),
        column("tau", NUMBER, "SD of D between runs of a cell, estimated from the study's runs"),
        column("correlation", NUMBER, "of D of px and py between runs of a cell"),
        column("d", NUMBER, "|ln ratio| / tau"),
        column("power", NUMBER, "share of simulated studies that find the ratio"),
        LOW,
        HIGH,
        column("detectable_ratio", NUMBER, "smallest above 1 that 80 % of such studies find"),
        column("labelings", TEXT, "all, or how many were drawn"),
        REASON,
    ]
)
PLANTED = pa.schema(
    [
        NETWORK,
        DATASET,
        MOTION,
        INIT,
        RECIPE,
        WHERE,
        column("parameter", TEXT, "s, r, px or py; in planted_tuning an index of tuning"),
        column("expected", FLAG, "whether the planted motion should move it"),
        COMPARISON,
        CHECKPOINT,
        N_A,
        N_B,
        column("estimate", NUMBER, "ratio of mean displacements (or |index|), a to b"),
        LOW,
        HIGH,
        CI_METHOD,
        column("alternative", TEXT, "of the test: larger where planted, else two-sided, or none"),
        P_RAW,
        P_FLOOR,
        EXACT,
        PERMUTATIONS,
        P_ADJUSTED,
        column("adjustment", TEXT, "how p_adjusted was made"),
        STATUS,
        REASON,
        BEYOND,
        column("beyond_controls", TEXT, "beyond all three controls: yes, no or untestable"),
        column(
            "in_direction", TEXT, "planted: whether first-layer channels point its way, else empty"
        ),
        column("recovered", TEXT, "beyond controls and, of a planted parameter, in direction"),
        SEED,
    ]
)
PLANTED_WHERE = pa.schema(
    [
        NETWORK,
        DATASET,
        MOTION,
        INIT,
        RECIPE,
        PARAMETER,
        column("n_runs", WHOLE, "real runs whose need was measured", "runs"),
        column("n_shuffled", WHOLE, "label-shuffled runs whose need was measured", "runs"),
        column("accuracy", NUMBER, "of real runs, forwards, mean", "%"),
        column("accuracy_shuffled", NUMBER, "of label-shuffled runs, forwards, mean", "%"),
        column("chance", NUMBER, "accuracy of a uniform guess", "%"),
        column("direction_use", NUMBER, "accuracy forwards minus backwards of real runs, mean",
               "percentage points"),
        column("use_low", NUMBER, "lower end of its 95 % t interval", "percentage points"),
        column("use_high", NUMBER, "upper end of its 95 % t interval", "percentage points"),
        column("use_p", NUMBER, "that it exceeds that of label-shuffled runs, one-sided"),
        column("use_p_floor", NUMBER, "smallest p-value that the design can attain"),
        column("kind", TEXT, "of transforms that it belongs to: translation, rotation or scale"),
        column("drop", NUMBER, "of accuracy with this kind at the identity", "percentage points"),
        column("drop_all", NUMBER, "of accuracy with all at the identity", "percentage points"),
        column("share", NUMBER, "drop / drop_all, null where the latter is not above 0"),
        column("drop_first", NUMBER, "of accuracy with those of the first layer at the identity",
               "percentage points"),
        column("layer", TEXT, "whose transforms at the identity cost most, empty where unknown"),
        column("layer_index", INDEX, "its place, -1 where unknown"),
        column("drop_layer", NUMBER, "of accuracy with those of that layer at the identity",
               "percentage points"),
        column("tuning", TEXT, "first-layer tuning to the motion beyond controls; empty without"),
        column("beyond_controls", TEXT, "moved further than in controls: yes, no or untestable"),
        column("in_direction", TEXT, "first-layer channels point its way: yes, no or untestable"),
        column("recovered", TEXT, "both of these: yes, no or untestable"),
        column("lost", TEXT, "where it is lost; empty where recovered, else as planted.where says"),
        REASON,
    ]
)  # fmt: skip
PLANTED_LAYERS = pa.schema(
    [
        NETWORK,
        DATASET,
        MOTION,
        INIT,
        RECIPE,
        LAYER_INDEX,
        LAYER,
        PARAMETER,
        EXPECTED,
        COMPARISON,
        CHECKPOINT,
        N_A,
        N_B,
        RATIO,
        LOW,
        HIGH,
        BEYOND,
    ]
)
ALIGNMENT = pa.schema(
    [
        NETWORK,
        DATASET,
        MOTION,
        INIT,
        RECIPE,
        CONTROL,
        column("scope", TEXT, "model, first (layer) or layer"),
        WHERE,
        column("layer", TEXT, "name of the layer, empty of the whole model"),
        column("axis", TEXT, "the two opposite classes, or all"),
        column("parameter", TEXT, "temporal parameter that should point along the axis"),
        N_RUNS,
        column("correlation", NUMBER, "Spearman's, of preference and displacement over channels"),
        LOW,
        HIGH,
        P_RAW,
        P_FLOOR,
        P_ADJUSTED,
        column("adjustment", TEXT, "how p_adjusted was made: Holm, BH, or none for a single test"),
        STATUS,
        REASON,
    ]
)
ACCURACY = pa.schema(
    [
        NETWORK,
        DATASET,
        CONVOLUTION,
        INIT,
        RECIPE,
        CONTROL,
        N_RUNS,
        column("accuracy_mean", NUMBER, "over runs, of the validation split", "%"),
        column("accuracy_min", NUMBER, "over runs, of the validation split", "%"),
        column("accuracy_max", NUMBER, "over runs, of the validation split", "%"),
        column("chance", NUMBER, "one in as many as there are classes", "%"),
        column("n_clips", WHOLE, "validation clips", "clips"),
        column("test_mean", NUMBER, "over runs, of the test split, null without one", "%"),
        column("test_min", NUMBER, "over runs, of the test split", "%"),
        column("test_max", NUMBER, "over runs, of the test split", "%"),
        column("n_test_clips", WHOLE, "test clips", "clips"),
        column("n_parameters", WHOLE, "numbers that the network learns"),
        column("n_temporal", WHOLE, "temporal parameters among them"),
        column("paper_dataset", TEXT, "the paper's data set that this one stands for"),
        column("paper_accuracy", NUMBER, "in the paper, null where it has none", "%"),
        column("paper_n_parameters", NUMBER, "in the paper"),
    ]
)
ACCURACY_TESTS = pa.schema(
    [
        column("family", TEXT, "convolution or init: what differs between the arms"),
        column("network", TEXT, "all (mean over networks), or one"),
        DATASET,
        column("at", TEXT, "start, or convolution, of both arms"),
        CONTRAST,
        column("split", TEXT, "val or test: whose clips were counted"),
        N_A,
        N_B,
        column("mean_a", NUMBER, "accuracy of arm a, mean over runs", "%"),
        column("mean_b", NUMBER, "accuracy of arm b", "%"),
        column("estimate", NUMBER, "difference, a less b", "percentage points"),
        LOW,
        HIGH,
        CI_METHOD,
        column("method", TEXT, "of the test"),
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
_SPREAD = [
    column("n_rows", NUMBER, "rows of a run", "rows"),
    column("identity_share", NUMBER, "of rows exactly where they started"),
    column("mean", NUMBER, "of |1 - |1/s||, |r|, |tx/2| or |ty/2|, mean over runs", "1e-3"),
    column("mean_min", NUMBER, "least of the runs", "1e-3"),
    column("mean_max", NUMBER, "largest of the runs", "1e-3"),
    column("sd", NUMBER, "of the same, mean over runs", "1e-3"),
    column("sd_min", NUMBER, "least of the runs", "1e-3"),
    column("sd_max", NUMBER, "largest of the runs", "1e-3"),
    column("noise_floor", NUMBER, "mean |z| that Adam's steps alone would make", "1e-3"),
    column("floor_ratio", NUMBER, "mean over runs of mean |z| over its noise floor"),
]
DISPLACEMENT = pa.schema(
    [
        column("table", WHOLE, "of the paper: 2 pretrained, 4 scratch, 0 neither"),
        NETWORK,
        DATASET,
        INIT,
        RECIPE,
        PARAMETER,
        N_RUNS,
        *_SPREAD,
        *with_prefix("reachable rows only: ", _SPREAD, "_reachable"),
        column("paper_dataset", TEXT, "the paper's data set that this one stands for"),
        column("paper_mean", NUMBER, "in the paper, null where it has none", "1e-3"),
        column("paper_sd", NUMBER, "in the paper, null where it has none", "1e-3"),
    ]
)
DENSITIES = pa.schema(
    [
        NETWORK,
        DATASET,
        INIT,
        RECIPE,
        PARAMETER,
        column("support", NUMBER, "-ln|s|, or -r in radians clockwise"),
        column("density", NUMBER, "there"),
        *DENSITY_FACTS,
    ]
)
JOINT_DENSITIES = pa.schema(
    [
        NETWORK,
        DATASET,
        INIT,
        RECIPE,
        column("x", NUMBER, "px, to the right", "kernel extents"),
        column("y", NUMBER, "py, upwards", "kernel extents"),
        column("density", NUMBER, "there"),
        *(
            column(f"hdr{n}", NUMBER, f"density above which {n} % of the mass lies")
            for n in (50, 80, 95)
        ),
        column("region", SHORT, "smallest region with the point: 50, 80, 95; 100 outside all", "%"),
        *DENSITY_FACTS,
    ]
)
HISTOGRAMS = pa.schema(
    [
        NETWORK,
        DATASET,
        INIT,
        RECIPE,
        PARAMETER,
        column("left", NUMBER, "edge of the bin"),
        column("right", NUMBER, "edge of the bin"),
        COUNT,
    ]
)
