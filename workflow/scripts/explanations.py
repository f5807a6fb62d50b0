"""Explanations of all runs as single tables."""

from threetconv.explain.tables import chosen_trajectories, together
from threetconv.schemas import channels
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    tables = together(params.folders)
    tables["trajectories"] = chosen_trajectories(tables["chosen"], params.parameters, params.runs)
    # Schemas are named after their tables.
    for name, table in tables.items():
        write_parquet(table, output[name], getattr(channels, name.upper()))
