"""Render the still images that the 2D networks are pretrained on."""

from pathlib import Path

from threetconv.data.synthetic.stills import render_stills
from threetconv.support.logs import progress_to, step_log

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]) as log:
        render_stills(
            Path(snakemake.output[0]),
            images=snakemake.params.stills["images"],
            size=tuple(snakemake.params.stills["size"]),
            seed=snakemake.params.seed,
            workers=snakemake.threads,
            progress=progress_to(log, "rendering stills"),
        )
