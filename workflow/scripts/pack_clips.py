"""Decode every clip of a data set once, into one array."""

from threetconv.clips.bad_clips import BadClips
from threetconv.clips.packed import pack_clips
from threetconv.schemas.clips import PACKED
from threetconv.support.files import read_parquet, write_parquet, write_text
from threetconv.support.logs import progress_to, step_log

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]) as log:
        params, clip = snakemake.params, snakemake.params.clip
        table = read_parquet(snakemake.input.table)
        bad = BadClips(params.on_bad_clip, total=len(table), ceiling=params.max_bad_share)
        packed = pack_clips(
            table,
            frames=clip["frames"],
            size=(clip["height"], clip["width"]),
            out=snakemake.output.array,
            workers=snakemake.threads,
            progress=progress_to(log, f"decoding {snakemake.wildcards.dataset}"),
            bad=bad,
        )
        write_parquet(packed, snakemake.output.table, PACKED)
        # The list of unreadable clips is an output even when empty: the study records what it left
        # out.
        write_text(snakemake.output.left_out, bad.table().to_csv(index=False))
