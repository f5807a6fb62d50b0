"""Put together the primary endpoints of the analysis plan."""

from threetconv.schemas.endpoints import ENDPOINTS
from threetconv.statistics.truth.endpoints import endpoints_table
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    params = snakemake.params
    tables = {name: read_parquet(file) for name, file in snakemake.input.items()}
    table = endpoints_table(**tables, seed=params.seed, alpha=params.alpha)
    write_parquet(table, snakemake.output[0], ENDPOINTS)
    for line in table.to_dict("records"):
        log.info("%(endpoint)s, %(recipe)s, %(dataset)s, %(comparison)s: %(status)s", line)
