"""Pretrain a 2D network on still images."""

import torch

from threetconv.support.logs import step_log
from threetconv.training.pretrain_2d import train_on_stills
from threetconv.training.settings import Settings

with step_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    stills = snakemake.params.stills
    train_on_stills(
        snakemake.wildcards.network,
        snakemake.input[0],
        size=tuple(stills["size"]),
        width=snakemake.params.width,
        settings=Settings(
            epochs=stills["epochs"],
            batch_size=stills["batch_size"],
            learning_rate=stills["learning_rate"],
            schedule="one-cycle",
        ),
        seed=snakemake.params.seed,
        out=snakemake.output[0],
    )
