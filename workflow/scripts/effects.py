"""Draw the effects with their intervals."""

from threetconv.figures.effects import effects
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    save(effects(read_parquet(snakemake.input[0])), snakemake.output[0])
