"""Turn a data set's folder into a table of clips."""

from pathlib import Path

from threetconv.data.adapters.registry import read_clips
from threetconv.data.contents import contents_text
from threetconv.schemas.clips import CLIPS
from threetconv.support.files import write_parquet, write_text
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    params = snakemake.params
    table = read_clips(params.adapter, Path(params.root), **params.options)
    counts = table.groupby("split")["label"].agg(["size", "nunique"])
    for split, (clips, classes) in counts.iterrows():
        log.info("%s: %d clips of %d classes", split, clips, classes)
    # What the files were when the table was made: later runs compare it to notice changed clips.
    write_text(snakemake.output.contents, contents_text(table["path"]))
    write_parquet(table, snakemake.output.table, CLIPS)
