"""Test the study's contrasts."""

from threetconv.files import read_parquet, write_parquet
from threetconv.logs import step_log
from threetconv.statistics import run_tests

with step_log(snakemake.log[0]):
    params = snakemake.params
    tests = run_tests(
        read_parquet(snakemake.input.summaries),
        read_parquet(snakemake.input.runs),
        datasets=params.dataset_contrast,
        alpha=params.alpha,
        seed=params.seed,
    )
    write_parquet(tests, snakemake.output[0])
