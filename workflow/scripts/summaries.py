"""Summarise the temporal parameters of every run, controls included."""

from threetconv.files import read_parquet, write_parquet
from threetconv.logs import step_log
from threetconv.schemas.statistics import SUMMARIES
from threetconv.statistics.summaries import summarise_files

with step_log(snakemake.log[0]) as log:
    runs, snapshots = (read_parquet(snakemake.input[name]) for name in ("runs", "snapshots"))
    files = snakemake.input.parameters
    summaries = summarise_files(files, runs, snapshots, workers=snakemake.threads)
    log.info("%d lines of %d runs", len(summaries), len(files))
    write_parquet(summaries, snakemake.output[0], SUMMARIES)
