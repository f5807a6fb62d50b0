"""Summarise the temporal parameters of every run."""

import pandas as pd

from threetconv.files import read_parquet, write_parquet
from threetconv.logs import step_log
from threetconv.parameters import read_parameters
from threetconv.statistics import summarise

with step_log(snakemake.log[0]) as log:
    runs, snapshots = (read_parquet(snakemake.input[name]) for name in ("runs", "snapshots"))
    # run by run: memory stays that of one run, however many there are
    parts = [summarise(read_parameters([f]), runs, snapshots) for f in snakemake.input.parameters]
    summaries = pd.concat(parts, ignore_index=True)
    log.info("%d lines of %d runs", len(summaries), len(parts))
    write_parquet(summaries, snakemake.output[0])
