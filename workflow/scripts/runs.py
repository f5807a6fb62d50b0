"""Gather the records of all runs."""

from pathlib import Path

from threetconv.records.run_folder import metrics_table, runs_table, snapshots_table
from threetconv.schemas.runs import METRICS, RUNS, SNAPSHOTS
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    folders = [Path(record).parent for record in snakemake.input.records]
    write_parquet(runs_table(folders), snakemake.output.runs, RUNS)
    write_parquet(metrics_table(folders), snakemake.output.metrics, METRICS)
    write_parquet(snapshots_table(folders), snakemake.output.snapshots, SNAPSHOTS)
