"""The columns of every table that the workflow writes: name, type, meaning, unit.

`TABLES` has them by the table's name. A table is added beside its kin (`clips`, `runs`, `channels`,
`tuning`, `need`, `ruler`, `statistics`, `truth`, `endpoints`) and to `TABLES`. Modules import a
schema from the file that it stands in and not from here: a step runs again when a module that it
imports changes, and a new column of a test must not make training run again.
"""

from __future__ import annotations

import pyarrow as pa

from threetconv.schemas import (
    channels,
    clips,
    endpoints,
    need,
    ruler,
    runs,
    statistics,
    truth,
    tuning,
)

__all__ = ["TABLES"]

TABLES: dict[str, pa.Schema] = {
    "clips": clips.CLIPS,
    "packed": clips.PACKED,
    "runs": runs.RUNS,
    "metrics": runs.METRICS,
    "snapshots": runs.SNAPSHOTS,
    "order_leak": runs.ORDER_LEAK,
    "parameters": runs.PARAMETERS,
    "control_parameters": runs.PARAMETERS,
    "summaries": statistics.SUMMARIES,
    "tests": statistics.TESTS,
    "accuracy_tests": statistics.ACCURACY_TESTS,
    "sensitivity": statistics.SENSITIVITY,
    "layer_profile": statistics.LAYER_PROFILE,
    "bootstrap": statistics.BOOTSTRAP,
    "distances": statistics.DISTANCES,
    "calibration": statistics.CALIBRATION,
    "power": statistics.POWER,
    "planted": statistics.PLANTED,
    "planted_layers": statistics.PLANTED_LAYERS,
    "planted_tuning": statistics.PLANTED,
    "planted_where": statistics.PLANTED_WHERE,
    "alignment": statistics.ALIGNMENT,
    "agreement": truth.AGREEMENT,
    "agreement_runs": truth.AGREEMENT_RUNS,
    "reproducibility": truth.REPRODUCIBILITY,
    "endpoints": endpoints.ENDPOINTS,
    "prediction": truth.PREDICTION,
    "prediction_runs": truth.PREDICTION_RUNS,
    "preferences": channels.PREFERENCES,
    "tuning": tuning.TUNING,
    "tuning/responses": tuning.TUNING_RESPONSES,
    "need": need.NEED,
    "need_runs": need.NEED_RUNS,
    "need_cells": need.NEED_CELLS,
    "need_classes": need.NEED_CLASSES,
    "need_tests": need.NEED_TESTS,
    "ruler": ruler.RULER,
    "ruler_runs": truth.RULER_RUNS,
    "ruler_cells": truth.RULER_CELLS,
    "tables/accuracy": statistics.ACCURACY,
    "tables/accuracy_of_controls": statistics.ACCURACY,
    "tables/displacement": statistics.DISPLACEMENT,
    "tables/densities": statistics.DENSITIES,
    "tables/joint_densities": statistics.JOINT_DENSITIES,
    "tables/histograms": statistics.HISTOGRAMS,
    "explanations/channels": channels.CHANNELS,
    "explanations/faithfulness": channels.FAITHFULNESS,
    "explanations/chosen": channels.CHOSEN,
    "explanations/images": channels.IMAGES,
    "explanations/sanity": channels.SANITY,
    "explanations/trajectories": channels.TRAJECTORIES,
}
