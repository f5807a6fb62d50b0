"""Write the analysis plan before training; later, what the configuration changes in it."""

from pathlib import Path

from threetconv.statistics.analysis_plan import analysis_plan, write_plan
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    target = Path(snakemake.output[0])
    trained = any(target.parent.glob("runs/*/run.json"))
    trained = trained or any(target.parent.glob("batches/*/*/run.json"))
    content = write_plan(target, analysis_plan(snakemake.params.study), trained=trained)
    log.info("plan %s, %d deviations", content["sha256"], len(content["deviations"]))
