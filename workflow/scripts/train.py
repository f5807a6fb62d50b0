"""Train one run of the design, or several of one cell; each goes on where it was stopped."""

from pathlib import Path

from threetconv.records.plan import Run
from threetconv.support.files import write_text
from threetconv.training.settings import Settings
from threetconv.training.train_run import TrainJob, start

if __name__ == "__main__":  # worker processes import this file again
    params, clip, resources = snakemake.params, snakemake.params.clip, snakemake.resources
    together, folder = snakemake.rule == "train_batch", Path(snakemake.output[0]).parent
    for run in (Run(**fields) for fields in params.runs):
        log_file = Path(snakemake.log[0])
        job = TrainJob(
            run=run,
            table=snakemake.input.table,
            packed=snakemake.input.get("packed"),
            clip_shape=(clip["frames"], clip["height"], clip["width"]),
            width=params.width,
            symmetric_time=params.symmetric_time,
            settings=Settings.from_dict(params.settings),
            weights=snakemake.input.get("weights"),
            carry=params.carry,
            folder=folder / run.run_id if together else folder,
            log_file=log_file.parents[1] / f"train/{run.run_id}.log" if together else log_file,
            device=params.device,
            threads=snakemake.threads,
            workers=snakemake.threads,
            **params.data,
            # Snakemake deletes outputs of a job that was stopped, but not a batch's finished runs.
            keep_finished=together,
            checkpoints=Path(params.checkpoints) / run.run_id,
            checkpoint_seconds=resources.get("checkpoint_seconds", 60),
        )
        # Several processes share the batches of one run; `start` waits for them.
        start(job, processes=max(1, resources.get("processes", 1)))
    if together:
        write_text(snakemake.output.done, "\n".join(run["run_id"] for run in params.runs) + "\n")
