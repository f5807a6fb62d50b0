"""Draw accuracy by epoch."""

from threetconv.figures.accuracy import accuracy_curves
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    metrics, runs = (read_parquet(snakemake.input[name]) for name in ("metrics", "runs"))
    save(accuracy_curves(metrics, runs), snakemake.output[0])
