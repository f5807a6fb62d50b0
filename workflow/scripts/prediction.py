"""Predict from first-layer parameters which of two opposite classes each channel prefers."""

import pandas as pd

from threetconv.records.parameters import read_parameters
from threetconv.schemas.truth import PREDICTION, PREDICTION_RUNS
from threetconv.statistics.truth.prediction import prediction_by_run, prediction_table
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    parameters = read_parameters(given.parameters, tags=["best"])
    preferences = pd.concat(map(read_parquet, given.preferences), ignore_index=True)
    runs = read_parquet(given.runs)
    by_run = prediction_by_run(parameters, preferences, runs, params.opposites, seed=params.seed)
    write_parquet(by_run, output.by_run, PREDICTION_RUNS)
    table = prediction_table(by_run, seed=params.seed, alpha=params.alpha)
    write_parquet(table, output.table, PREDICTION)
