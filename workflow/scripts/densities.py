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
    curves = pd.concat(map(densities, recipes), ignore_index=True)
    write_parquet(curves, snakemake.output.densities, DENSITIES)
    regions = pd.concat(map(joint_density, recipes), ignore_index=True)
    write_parquet(regions, snakemake.output.joint, JOINT_DENSITIES)
    bars = pd.concat(map(histograms, recipes), ignore_index=True)
    write_parquet(bars, snakemake.output.histograms, HISTOGRAMS)
