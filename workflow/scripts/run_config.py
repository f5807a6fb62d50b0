"""Write the study's configuration with every default."""

import yaml

from threetconv.support.files import write_text
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    write_text(snakemake.output[0], yaml.safe_dump(snakemake.params.study, sort_keys=False))
