"""Put together how much of 3D filters the nearest 3T filters explain: by run, and by cell."""

import pandas as pd

from threetconv.schemas.truth import RULER_CELLS, RULER_RUNS
from threetconv.statistics.truth.ruler import ruler_cells, ruler_runs
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    filters, tuning = (pd.concat(map(read_parquet, files)) for files in (given.ruler, given.tuning))
    by_run = ruler_runs(filters, tuning, read_parquet(given.runs))
    log.info("%d values of %d runs", len(by_run), by_run["run_id"].nunique())
    write_parquet(by_run, output.by_run, RULER_RUNS)
    cells = ruler_cells(by_run, seed=params.seed, alpha=params.alpha)
    write_parquet(cells, output.cells, RULER_CELLS)
