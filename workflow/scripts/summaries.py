"""Summarise the temporal parameters of every run, controls included."""

from threetconv.schemas.statistics import SUMMARIES
from threetconv.statistics.summaries.summarise import summarise_files
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    runs, snapshots = (read_parquet(snakemake.input[name]) for name in ("runs", "snapshots"))
    files = snakemake.input.parameters
    summaries = summarise_files(files, runs, snapshots, workers=snakemake.threads)
    log.info("%d lines of %d runs", len(summaries), len(files))
    write_parquet(summaries, snakemake.output[0], SUMMARIES)
