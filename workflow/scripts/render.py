"""Render a synthetic data set."""

from pathlib import Path

from threetconv.data.synthetic.gestures import render_gestures
from threetconv.data.synthetic.planted import render_planted
from threetconv.data.synthetic.scenes import render_scenes
from threetconv.support.logs import progress_to, step_log

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]) as log:
        settings = dict(snakemake.params.render)
        make = {
            "gestures": render_gestures,
            "scenes": render_scenes,
            "planted": render_planted,
        }[settings.pop("set")]
        make(
            Path(snakemake.output[0]),
            clips=settings.pop("clips"),
            frames=tuple(settings.pop("frames")),
            size=tuple(settings.pop("size")),
            **settings,
            seed=snakemake.params.seed,
            workers=snakemake.threads,
            progress=progress_to(log, f"rendering {snakemake.wildcards.dataset}"),
        )
