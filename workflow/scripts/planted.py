"""Compare what was planted with what parameters and channels show."""

import pandas as pd

from threetconv.records.parameters import read_parameters
from threetconv.schemas.statistics import ALIGNMENT, PLANTED, PLANTED_LAYERS, PLANTED_WHERE
from threetconv.statistics.planted.alignment import alignment_table
from threetconv.statistics.planted.recovery import planted_layers, planted_table
from threetconv.statistics.planted.tuned import planted_tuning
from threetconv.statistics.planted.where import planted_where
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    summaries, runs = read_parquet(given.summaries), read_parquet(given.runs)
    options = {"motions": params.motions, "alpha": params.alpha, "seed": params.seed}
    preferences = pd.concat(map(read_parquet, given.preferences), ignore_index=True)
    parameters = read_parameters(given.parameters, tags=["best"])
    alignment = alignment_table(parameters, preferences, runs, **options)
    write_parquet(alignment, output.alignment, ALIGNMENT)
    # the whole network, and its first layer alone, whose input is the clip itself
    tables = [
        planted_table(summaries, alignment, runs, layer_index=i, **options) for i in (None, 0)
    ]
    planted = pd.concat(tables, ignore_index=True)
    write_parquet(planted, output.planted_table, PLANTED)
    layers = planted_layers(summaries, runs, params.motions)
    write_parquet(layers, output.planted_layers, PLANTED_LAYERS)
    tuned = None
    if given.tuning:
        tuning = pd.concat(map(read_parquet, given.tuning), ignore_index=True)
        tuned = planted_tuning(tuning, runs, **options)
        write_parquet(tuned, output.planted_tuning, PLANTED)
    if given.need:
        needs, (alpha, seed) = read_parquet(given.need), (params.alpha, params.seed)
        where = planted_where(planted, needs, tuned, alpha=alpha, seed=seed)
        write_parquet(where, output.planted_where, PLANTED_WHERE)
