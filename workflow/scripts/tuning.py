"""Measure what the channels of one run answer to, or of several, one after another."""

from pathlib import Path

import torch

from threetconv.records.load_model import load_model
from threetconv.records.run_folder import read_run
from threetconv.schemas.tuning import TUNING, TUNING_RESPONSES
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log
from threetconv.tuning.tune import tune

with step_log(snakemake.log[0]) as log:
    # The number of threads decides the order of float sums, so it must be the rule's.
    torch.set_num_threads(snakemake.threads)
    records, output = snakemake.input.record, snakemake.output
    for files in zip(records, output.channels, output.responses, strict=True):
        record, to_channels, to_responses = files
        folder = Path(record).parent
        run = read_run(folder)["run"]
        shape = (run["frames"], run["height"], run["width"])
        found = tune(load_model(folder), None, shape, seed=snakemake.params.seed)
        layers = found.channels["layer"].nunique()
        log.info("%s: %d channels of %d layers", run["run_id"], len(found.channels), layers)
        channels = found.channels.assign(run_id=run["run_id"])
        write_parquet(channels, to_channels, TUNING)
        responses = found.responses.assign(run_id=run["run_id"])
        write_parquet(responses, to_responses, TUNING_RESPONSES)
