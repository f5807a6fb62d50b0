"""Put together what runs need: by run, by cell, and against negative controls."""

import pandas as pd

from threetconv.schemas.need import NEED_CELLS, NEED_CLASSES, NEED_RUNS, NEED_TESTS
from threetconv.statistics.truth.need import need_cells, need_classes, need_runs, need_tests
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    counts = pd.concat([read_parquet(file) for file in given.need], ignore_index=True)
    runs = read_parquet(given.runs)
    values = need_runs(counts, runs)
    log.info("%d values of %d runs", len(values), values["run_id"].nunique())
    write_parquet(values, output.need_runs, NEED_RUNS)
    write_parquet(need_cells(values), output.need_cells, NEED_CELLS)
    write_parquet(need_classes(counts, runs), output.need_classes, NEED_CLASSES)
    tests = need_tests(values, seed=params.seed, alpha=params.alpha)
    write_parquet(tests, output.need_tests, NEED_TESTS)
