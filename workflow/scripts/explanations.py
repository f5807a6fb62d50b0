"""Explanations of all runs as single tables."""

from threetconv.explain.tables import chosen_trajectories, together
from threetconv.files import write_parquet
from threetconv.logs import step_log
from threetconv.schemas import channels

with step_log(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    tables = together(params.folders)
    tables["trajectories"] = chosen_trajectories(tables["chosen"], params.parameters, params.runs)
    for name, table in tables.items():
        write_parquet(table, output[name], getattr(channels, name.upper()))
