# The study, from videos to report. `snakemake --cores all` runs config.yaml, `--configfile F` another.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir).resolve()
# Scripts and rules import the package from the source tree, inside conda environments too.
sys.path.insert(0, f"{ROOT}/src")

if "study" not in config:

    configfile: f"{ROOT}/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/parameters.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    run_config,


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        f"{REPORTS}/report.html",
        f"{REPORTS}/report.pdf",
        f"{RESULTS}/notebooks/query_parameters.ipynb",
        f"{RESULTS}/run_config.yaml",
        TABLE_PAGES,
        MODEL_CARDS,
        WHAT_USERS_READ,
        (
            [
                f"{REPORTS}/explorer.html",
                f"{RESULTS}/notebooks/explain_a_channel.ipynb",
            ]
            if EXPLAINED
            else []
        ),


onsuccess:
    names = ["report.html", "report.pdf"] + ["explorer.html"] * bool(EXPLAINED)
    written = [Path(REPORTS, name).resolve() for name in names]
    if all(path.exists() for path in written):
        print(
            f"\nThe report of the study {STUDY['study']!r}:", *written, sep="\n  "
        )


onerror:
    print(
        "\nThe study stopped: the message above says what is wrong and what to do; logs are in "
        f"{RESULTS}/logs/.\nNo half-written file was left. The same command goes on from here."
    )
