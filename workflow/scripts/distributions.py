"""Draw densities and histograms of the temporal parameters of one initialisation."""

from threetconv.figures.distributions import temporal_distributions
from threetconv.figures.histograms import histograms
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    init = snakemake.wildcards.init
    tables = {name: read_parquet(path) for name, path in snakemake.input.items()}
    figure = temporal_distributions(tables["densities"], tables["joint"], init=init)
    save(figure, snakemake.output.distributions)
    save(histograms(tables["histograms"], init=init), snakemake.output.histograms)
