"""Describe differences between rows of runs: hierarchical bootstrap, distances."""

from threetconv.schemas.statistics import BOOTSTRAP, DISTANCES
from threetconv.statistics.densities.distances import row_distances
from threetconv.statistics.summaries.bootstrap import hierarchical_bootstrap
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    params, files = snakemake.params, snakemake.input.parameters
    runs = read_parquet(snakemake.input.runs)
    options = {"datasets": params.dataset_contrast, "seed": params.seed}
    bootstrap = hierarchical_bootstrap(files, runs, n_resamples=params.resamples, **options)
    write_parquet(bootstrap, snakemake.output.bootstrap, BOOTSTRAP)
    distances = row_distances(files, runs, **options)
    write_parquet(distances, snakemake.output.distances, DISTANCES)
