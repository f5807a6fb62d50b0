"""Draw displacement over noise floor, of real runs and of negative controls."""

from threetconv.figures.controls import controls
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    save(controls(read_parquet(snakemake.input[0])), snakemake.output[0])
