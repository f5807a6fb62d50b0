"""Work out which class every channel of every finished 3T run prefers."""

from pathlib import Path

import torch

from threetconv.explain.class_preferences import class_preferences
from threetconv.records.run_folder import read_run
from threetconv.schemas.channels import PREFERENCES
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    torch.set_num_threads(snakemake.threads)
    names, given = snakemake.params.datasets, snakemake.input
    sets = zip(names, given.tables, given.clips, strict=True)
    # Read once per data set: many runs share it.
    clips = {name: (read_parquet(table), packed) for name, table, packed in sets}
    for record, output in zip(given.records, snakemake.output, strict=True):
        folder = Path(record).parent
        table, packed = clips[read_run(folder)["run"]["dataset"]]
        preferences = class_preferences(folder, table, packed)
        log.info("%s: %d lines", folder.name, len(preferences))
        write_parquet(preferences, output, PREFERENCES)
