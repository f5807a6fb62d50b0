"""Draw an entry of the registry of figures from the tables that a rule names."""

from threetconv.figures.registry import draw
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    tables = {name: read_parquet(path) for name, path in snakemake.input.items()}
    recipe = snakemake.wildcards.get("recipe")
    for name, table in tables.items():
        if recipe is not None and "recipe" in table:
            shown = table["recipe"] == recipe
            if "convolution" in table:  # others have no recipes: a reference beside each
                shown |= table["convolution"] != "3t"
            tables[name] = table[shown]
    options = snakemake.params.get("options", {})
    draw(snakemake.params.figure, tables, snakemake.output, **options)
