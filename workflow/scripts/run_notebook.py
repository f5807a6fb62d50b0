"""Run the example notebook on this study's results and show it as a page."""

from threetconv.study.notebooks import run_notebook
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    run_notebook(
        snakemake.input.notebook,
        snakemake.output.notebook,
        snakemake.output.html,
        environment={
            "THREETCONV_RESULTS": snakemake.params.results,
            **({"THREETCONV_RUN": snakemake.params.run} if snakemake.params.run else {}),
        },
    )
