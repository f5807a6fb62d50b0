"""Extract the temporal parameters of one run."""

from pathlib import Path

from threetconv.files import write_parquet
from threetconv.logs import step_log
from threetconv.runs import parameter_table
from threetconv.schemas.runs import PARAMETERS

with step_log(snakemake.log[0]) as log:
    table = parameter_table(Path(snakemake.input.record).parent)
    log.info("%d rows of %d layers", len(table), table["layer"].nunique())
    write_parquet(table, snakemake.output[0], PARAMETERS)
