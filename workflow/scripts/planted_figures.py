"""Draw planted motions against parameters, and whether directions fit."""

from threetconv.figures.planted import alignment, planted
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    table = read_parquet(snakemake.input.table)
    save(planted(table[table["layer_index"] < 0]), snakemake.output.planted)
    save(alignment(read_parquet(snakemake.input.alignment)), snakemake.output.alignment)
