"""Measure what the accuracy of one run needs, or of several, one after another."""

from pathlib import Path

import torch

from threetconv.schemas.need import NEED
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log
from threetconv.training.need import need_of_run

with step_log(snakemake.log[0]) as log:
    # The number of threads decides the order of float sums, so it must be the rule's.
    torch.set_num_threads(snakemake.threads)
    params, given = snakemake.params, snakemake.input
    for record, table in zip(given.record, snakemake.output, strict=True):
        found = need_of_run(
            Path(record).parent,
            read_parquet(given.table),
            given.get("packed"),
            opposites=params.opposites,
            layers=params.layers,
            most=params.clips,
            seed=params.seed,
        )
        log.info("%s: %d lines", Path(record).parent.name, len(found))
        write_parquet(found, table, NEED)
