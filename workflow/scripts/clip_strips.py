"""Draw some clips of a data set."""

from threetconv.bad_clips import BadClips
from threetconv.figures import clip_strip, save
from threetconv.files import read_parquet
from threetconv.logs import step_log
from threetconv.strips import draw_clips

with step_log(snakemake.log[0]):
    params = snakemake.params
    table = read_parquet(snakemake.input.table)
    bad = BadClips(params.on_bad_clip, total=len(table), ceiling=params.max_bad_share)
    clips, strips = draw_clips(
        table, count=6, frames=params.clip["frames"], seed=params.seed, bad=bad
    )
    save(clip_strip(strips, list(clips["label"])), snakemake.output.strip)
