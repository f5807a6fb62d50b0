"""Compare what was planted with what the temporal parameters show."""

import pandas as pd

from threetconv.records.parameters import read_parameters
from threetconv.schemas.statistics import ALIGNMENT, PLANTED, PLANTED_LAYERS
from threetconv.statistics.planted.alignment import alignment_table
from threetconv.statistics.planted.recovery import planted_layers, planted_table
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    params = snakemake.params
    summaries, runs = (read_parquet(snakemake.input[name]) for name in ("summaries", "runs"))
    options = {"motions": params.motions, "alpha": params.alpha, "seed": params.seed}
    # the whole network, and its first layer alone, whose input is the clip itself
    tables = [planted_table(summaries, runs, layer_index=i, **options) for i in (None, 0)]
    write_parquet(pd.concat(tables, ignore_index=True), snakemake.output.table, PLANTED)
    layers = planted_layers(summaries, runs, params.motions)
    write_parquet(layers, snakemake.output.layers, PLANTED_LAYERS)
    preferences = pd.concat(map(read_parquet, snakemake.input.preferences), ignore_index=True)
    parameters = read_parameters(snakemake.input.parameters, tags=["best"])
    alignment = alignment_table(parameters, preferences, runs, **options)
    write_parquet(alignment, snakemake.output.alignment, ALIGNMENT)
