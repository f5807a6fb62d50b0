"""Decode every clip of a data set once, into one array."""

from threetconv.files import read_parquet, write_parquet
from threetconv.logs import progress_to, step_log
from threetconv.packing import pack_clips

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]) as log:
        clip = snakemake.params.clip
        table = pack_clips(
            read_parquet(snakemake.input[0]),
            frames=clip["frames"],
            size=(clip["height"], clip["width"]),
            out=snakemake.output.array,
            workers=snakemake.threads,
            progress=progress_to(log, f"decoding {snakemake.wildcards.dataset}"),
        )
        write_parquet(table, snakemake.output.table)
