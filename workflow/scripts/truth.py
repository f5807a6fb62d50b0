"""Whether temporal parameters tell what channels answer to, and what other runs learn again."""

import pandas as pd

from threetconv.records.parameters import read_parameters
from threetconv.schemas.truth import AGREEMENT, AGREEMENT_RUNS, REPRODUCIBILITY
from threetconv.schemas.tuning import TUNING
from threetconv.statistics.truth.agreement import agreement_by_run, agreement_table
from threetconv.statistics.truth.reproducibility import reproducibility_table
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    given, output, params = snakemake.input, snakemake.output, snakemake.params
    runs, parameters = read_parquet(given.runs), read_parameters(given.parameters, tags=["best"])
    nothing = TUNING.empty_table().to_pandas()
    tuning = pd.concat(map(read_parquet, given.tuning)) if given.tuning else nothing
    by_run = agreement_by_run(parameters, tuning, runs, seed=params.seed)
    write_parquet(by_run, output.agreement_runs, AGREEMENT_RUNS)
    options = {"seed": params.seed, "alpha": params.alpha}
    write_parquet(agreement_table(by_run, **options), output.agreement, AGREEMENT)
    shares = reproducibility_table(parameters, runs, **options)
    write_parquet(shares, output.reproducibility, REPRODUCIBILITY)
    log.info("agreement of %d runs, %d shares", by_run["run_id"].nunique(), len(shares))
