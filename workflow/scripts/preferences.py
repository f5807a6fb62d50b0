"""Work out which of the classes that have an opposite channels of 3T runs prefer."""

from pathlib import Path

import torch

from threetconv.explain.class_preferences import class_preferences
from threetconv.schemas.channels import PREFERENCES
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    # The number of threads decides the order of float sums, so it must be the rule's.
    torch.set_num_threads(snakemake.threads)
    given, params = snakemake.input, snakemake.params
    for record, table in zip(given.record, snakemake.output, strict=True):
        preferences = class_preferences(
            Path(record).parent,
            read_parquet(given.table),
            given.get("packed"),
            labels=params.labels,
            most=params.most,
        )
        log.info("%s: %d lines", Path(record).parent.name, len(preferences))
        write_parquet(preferences, table, PREFERENCES)
