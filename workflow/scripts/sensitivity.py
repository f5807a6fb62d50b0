"""Ask the questions in other ways: outcomes, equivalence, mixed models, energy of (px, py)."""

import pandas as pd

from threetconv.schemas.statistics import SENSITIVITY
from threetconv.statistics.tests.energy import energy_tests
from threetconv.statistics.tests.equivalence import equivalence_tests
from threetconv.statistics.tests.mixed import mixed_tests
from threetconv.statistics.tests.outcomes import sensitivity_tests
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    params, files = snakemake.params, snakemake.input.parameters
    summaries, runs = (read_parquet(snakemake.input[name]) for name in ("summaries", "runs"))
    contrast, level = {"datasets": params.dataset_contrast}, {"alpha": params.alpha}
    margin = params.margin
    tables = [
        sensitivity_tests(summaries, runs, seed=params.seed, **contrast, **level),
        equivalence_tests(summaries, runs, margin=margin, **contrast, **level),
        mixed_tests(summaries, runs, **contrast),
        energy_tests(files, runs, seed=params.seed, max_rows=params.max_rows, **contrast, **level),
    ]
    log.info("%d lines", sum(map(len, tables)))
    write_parquet(pd.concat(tables, ignore_index=True), snakemake.output[0], SENSITIVITY)
