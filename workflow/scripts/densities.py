"""Densities and histograms of the temporal parameters at the best checkpoints."""

from threetconv.files import write_parquet
from threetconv.logs import step_log
from threetconv.parameters import VALUES, read_parameters
from threetconv.schemas.statistics import DENSITIES, HISTOGRAMS, JOINT_DENSITIES
from threetconv.statistics import densities, joint_density
from threetconv.statistics.histograms import histograms

with step_log(snakemake.log[0]):
    parameters = read_parameters(snakemake.input, tags=["best"], columns=VALUES)
    write_parquet(densities(parameters), snakemake.output.densities, DENSITIES)
    write_parquet(joint_density(parameters), snakemake.output.joint, JOINT_DENSITIES)
    write_parquet(histograms(parameters), snakemake.output.histograms, HISTOGRAMS)
