"""Train one run of the design."""

from pathlib import Path

import torch

from threetconv.files import read_parquet
from threetconv.logs import step_log
from threetconv.runs import train_run
from threetconv.study import Run
from threetconv.training import Settings

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]):
        torch.set_num_threads(snakemake.threads)
        params, clip = snakemake.params, snakemake.params.clip
        train_run(
            Run(**params.run),
            table=read_parquet(snakemake.input.table),
            packed=snakemake.input.get("packed"),
            clip_shape=(clip["frames"], clip["height"], clip["width"]),
            width=params.width,
            settings=Settings(**params.settings),
            weights=snakemake.input.get("weights"),
            carry=params.carry,
            folder=Path(snakemake.output.record).parent,
            device=params.device,
            workers=snakemake.threads,
        )
