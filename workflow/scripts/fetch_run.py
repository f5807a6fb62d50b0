"""Fetch the weights of one run of the design, and measure it on the study's clips."""

from pathlib import Path

import torch

from threetconv.records.plan import Run
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log
from threetconv.training.fetch_run import fetch_run

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]):
        torch.set_num_threads(snakemake.threads)
        params, clip = snakemake.params, snakemake.params.clip
        fetch_run(
            Run(**params.run),
            **params.checkpoint,  # source, and what else the study says of it
            table=read_parquet(snakemake.input.table),
            packed=snakemake.input.get("packed"),
            clip_shape=(clip["frames"], clip["height"], clip["width"]),
            width=params.width,
            symmetric_time=params.symmetric_time,
            carry=params.carry,
            cache=params.cache,
            folder=Path(snakemake.output.record).parent,
            device=params.device,
            workers=snakemake.threads,
            on_bad_clip=params.on_bad_clip,
            max_bad_share=params.max_bad_share,
        )
