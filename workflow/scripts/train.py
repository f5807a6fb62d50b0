"""Train one run of the design, or go on where it was stopped."""

from pathlib import Path

from threetconv.training.train_run import start

if __name__ == "__main__":  # worker processes import this file again
    params, clip, resources = snakemake.params, snakemake.params.clip, snakemake.resources
    start(
        {
            "run": params.run,
            "table": snakemake.input.table,
            "packed": snakemake.input.get("packed"),
            "clip_shape": (clip["frames"], clip["height"], clip["width"]),
            "width": params.width,
            "settings": params.settings,
            "weights": snakemake.input.get("weights"),
            "carry": params.carry,
            "folder": str(Path(snakemake.output.record).parent),
            "device": params.device,
            "workers": snakemake.threads,
            **params.data,
            "checkpoints": params.checkpoints,
            "checkpoint_seconds": resources.get("checkpoint_seconds", 60),
        },
        log_file=snakemake.log[0],
        threads=snakemake.threads,
        processes=max(1, resources.get("processes", 1)),
    )
