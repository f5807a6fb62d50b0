"""Find the nearest 3T filters of the filters of one 3D run, or of several, one after another."""

from pathlib import Path

import torch

from threetconv.records.load_model import load_model
from threetconv.records.run_folder import read_run
from threetconv.schemas.ruler import RULER
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log
from threetconv.tuning.ruler import measure_filters

with step_log(snakemake.log[0]) as log:
    # The number of threads decides the order of float sums, so it must be the rule's.
    torch.set_num_threads(snakemake.threads)
    params = snakemake.params
    for record, table in zip(snakemake.input.record, snakemake.output, strict=True):
        folder = Path(record).parent
        run = read_run(folder)["run"]
        shape = (run["frames"], run["height"], run["width"])
        found = measure_filters(
            load_model(folder), clip_shape=shape, every=params.every, seed=params.seed
        )
        share = found["share"].mean()
        log.info("%s: %d channels, mean share %.3f", run["run_id"], len(found), share)
        write_parquet(found.assign(run_id=run["run_id"]), table, RULER)
