"""Train one run of the design, or go on where it was stopped."""

from pathlib import Path

from threetconv.records.plan import Run
from threetconv.training.settings import Settings
from threetconv.training.train_run import TrainJob, start

if __name__ == "__main__":  # worker processes import this file again
    params, clip, resources = snakemake.params, snakemake.params.clip, snakemake.resources
    job = TrainJob(
        run=Run(**params.run),
        table=snakemake.input.table,
        packed=snakemake.input.get("packed"),
        clip_shape=(clip["frames"], clip["height"], clip["width"]),
        width=params.width,
        symmetric_time=params.symmetric_time,
        settings=Settings(**params.settings),
        weights=snakemake.input.get("weights"),
        carry=params.carry,
        folder=Path(snakemake.output.record).parent,
        log_file=snakemake.log[0],
        device=params.device,
        threads=snakemake.threads,
        workers=snakemake.threads,
        **params.data,
        checkpoints=params.checkpoints,
        checkpoint_seconds=resources.get("checkpoint_seconds", 60),
    )
    # Several processes share the batches of one run; `start` waits for them.
    start(job, processes=max(1, resources.get("processes", 1)))
