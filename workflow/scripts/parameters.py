"""Extract the temporal parameters of every run."""

from pathlib import Path

from threetconv.files import write_parquet
from threetconv.logs import step_log
from threetconv.parameters import SCHEMA
from threetconv.runs import parameter_table

with step_log(snakemake.log[0]) as log:
    for record, output in zip(snakemake.input.records, snakemake.output, strict=True):
        table = parameter_table(Path(record).parent)
        log.info("%s: %d rows of %d layers", output, len(table), table["layer"].nunique())
        write_parquet(table, output, SCHEMA)
