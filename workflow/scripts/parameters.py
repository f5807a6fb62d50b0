"""Extract the temporal parameters of one run."""

from pathlib import Path

from threetconv.records.run_folder import parameter_table
from threetconv.schemas.runs import PARAMETERS
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    table = parameter_table(Path(snakemake.input.record).parent)
    log.info("%d rows of %d layers", len(table), table["layer"].nunique())
    write_parquet(table, snakemake.output[0], PARAMETERS)
