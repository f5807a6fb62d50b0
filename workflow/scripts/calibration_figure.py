"""Draw type I error, coverage and power of every test in simulated studies."""

from threetconv.figures.calibration import calibration
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    save(calibration(read_parquet(snakemake.input[0])), snakemake.output[0])
