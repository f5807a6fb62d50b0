"""Draw some clips of a data set."""

from threetconv.clips.bad_clips import BadClips
from threetconv.clips.strips import draw_clips
from threetconv.figures.clips import clip_strip
from threetconv.figures.theme import save
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    params = snakemake.params
    table = read_parquet(snakemake.input.table)
    # Unreadable clips are treated as in packing, so that both steps accept the same data set.
    bad = BadClips(params.on_bad_clip, total=len(table), ceiling=params.max_bad_share)
    clips, strips = draw_clips(
        table, count=6, frames=params.clip["frames"], seed=params.seed, bad=bad
    )
    save(clip_strip(strips, list(clips["label"])), snakemake.output[0])
