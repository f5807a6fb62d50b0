"""Densities and histograms of the temporal parameters at the best checkpoints."""

import pandas as pd

from threetconv.records.parameters import VALUES, read_parameters
from threetconv.schemas.statistics import DENSITIES, HISTOGRAMS, JOINT_DENSITIES
from threetconv.statistics.densities.histograms import histograms
from threetconv.statistics.densities.joint import joint_density
from threetconv.statistics.densities.kde import densities
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    parameters = read_parameters(snakemake.input, tags=["best"], columns=VALUES)
    # Panels of one recipe share their axes; displacements of another may be fifty times as large.
    recipes = [part for _, part in parameters.groupby("recipe", observed=True)]
    for describe, file, schema in (
        (densities, snakemake.output.densities, DENSITIES),
        (joint_density, snakemake.output.joint, JOINT_DENSITIES),
        (histograms, snakemake.output.histograms, HISTOGRAMS),
    ):
        write_parquet(pd.concat(map(describe, recipes), ignore_index=True), file, schema)
