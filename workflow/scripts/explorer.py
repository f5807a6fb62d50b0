"""Put all that is known of channels on one page."""

from pathlib import Path

from threetconv.explorer.collect import collect
from threetconv.explorer.page import explorer
from threetconv.support.files import write_text
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    params = snakemake.params
    variants = [
        collect(Path(record).parent, folder, parameters or None, tuning or None)
        for record, folder, parameters, tuning in zip(
            snakemake.input.records,
            params.folders,
            params.parameters,
            params.tuning,
            strict=True,
        )
    ]
    write_text(snakemake.output[0], explorer(variants, title=params.title))
