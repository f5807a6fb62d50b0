"""Draw some clips of a data set."""

from threetconv.figures.clips import clip_strip
from threetconv.figures.theme import save
from threetconv.files import read_parquet
from threetconv.logs import step_log
from threetconv.strips import choose_clips, read_strips

with step_log(snakemake.log[0]):
    params = snakemake.params
    clips = choose_clips(read_parquet(snakemake.input[0]), count=6, seed=params.seed)
    strips = read_strips(clips, frames=params.clip["frames"])
    save(clip_strip(strips, list(clips["label"])), snakemake.output.strip)
