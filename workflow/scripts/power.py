"""Which effects a study of this design and spread between runs could have found."""

from threetconv.schemas.statistics import POWER
from threetconv.statistics.calibration.own_study import study_power
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    summaries, runs = (read_parquet(snakemake.input[name]) for name in ("summaries", "runs"))
    table = study_power(summaries, runs, seed=snakemake.params.seed, alpha=snakemake.params.alpha)
    log.info("%d designs", len(table))
    write_parquet(table, snakemake.output[0], POWER)
