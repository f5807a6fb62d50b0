"""Densities and histograms of the temporal parameters at the best checkpoints."""

from threetconv.records.parameters import VALUES, read_parameters
from threetconv.schemas.statistics import DENSITIES, HISTOGRAMS, JOINT_DENSITIES
from threetconv.statistics.densities.histograms import histograms
from threetconv.statistics.densities.joint import joint_density
from threetconv.statistics.densities.kde import densities
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    parameters = read_parameters(snakemake.input, tags=["best"], columns=VALUES)
    write_parquet(densities(parameters), snakemake.output.densities, DENSITIES)
    write_parquet(joint_density(parameters), snakemake.output.joint, JOINT_DENSITIES)
    write_parquet(histograms(parameters), snakemake.output.histograms, HISTOGRAMS)
