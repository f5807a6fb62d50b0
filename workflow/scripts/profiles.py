"""Draw displacement by depth, one figure for each network."""

from threetconv.figures.profile import profile
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    params = snakemake.params
    layers, tests = (read_parquet(snakemake.input[name]) for name in ("profile", "tests"))
    for network, path in zip(params.networks, snakemake.output, strict=True):
        mine = layers[(layers["network"] == network) & (layers["control"] == "none")]
        matched = (mine["checkpoint"] == "matched").any()
        checkpoint = "matched" if matched else "best"  # fetched runs have no other
        figure = profile(layers, tests, network=network, alpha=params.alpha, checkpoint=checkpoint)
        save(figure, path)
