"""Test differences of accuracy between convolutions, and between starts."""

from threetconv.schemas.statistics import ACCURACY_TESTS
from threetconv.statistics.tests.accuracy import accuracy_tests
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    metrics, runs = (read_parquet(snakemake.input[name]) for name in ("metrics", "runs"))
    table = accuracy_tests(metrics, runs, seed=snakemake.params.seed, alpha=snakemake.params.alpha)
    log.info("%d tests", len(table))
    write_parquet(table, snakemake.output[0], ACCURACY_TESTS)
