# The study, from videos to report: `snakemake --cores all` runs config.yaml,
# `--configfile F` another configuration.
import atexit
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir).resolve()
# Scripts and rules import the package from the source tree, inside conda environments too.
sys.path.insert(0, f"{ROOT}/src")

# Only where no configuration was given: Snakemake would merge this one's keys into the other study.
if not config and not workflow.overwrite_configfiles:

    configfile: f"{ROOT}/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/parameters.smk"
include: "workflow/rules/tuning.smk"
include: "workflow/rules/need.smk"
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


# Each job's process reads this file again; only the main one reports.
if workflow.is_main_process:
    atexit.register(told_in_a_dry_run, Path.cwd())


onstart:
    # Inside `refusals`, so that a missing GPU or a foreign lock is told without a traceback.
    with refusals("The study was not started."):
        # jobs of a cluster see GPUs that this machine need not have
        here = workflow.local_exec and not workflow.touch
        waiting = {job.rule.name for job in workflow.dag.needrun_jobs()}
        if here and STUDY["training"]["device"] == "cuda" and waiting & ON_DEVICE:
            # With conda or containers the jobs' torch is another than this process's.
            own_torch = not workflow.deployment_settings.deployment_method
            check_gpu(sys.executable if own_torch else None)
        HELD.append(hold(STUDY["study"], STUDY["output"]))
    if workflow.local_exec:
        look_at_the_queue_when_it_changes()
    if changed := changed_keys(STUDY):
        print(
            f"The study {STUDY['study']!r} last ran with other settings in:",
            ", ".join(changed),
            file=sys.stderr,
        )
    # Readers take whole folders of tables: files of runs that the study no longer has would be
    # pooled.
    if stale := left_of_other_settings():
        move_aside(RESULTS, stale)
        print(in_words(RESULTS, stale, moved=True), file=sys.stderr)


onsuccess:
    names = ["report.html", "report.pdf"] + ["explorer.html"] * bool(EXPLAINED)
    written = [Path(REPORTS, name).resolve() for name in names]
    # Not so when only some targets were asked for.
    if all(path.exists() for path in written):
        print(
            f"\nThe report of the study {STUDY['study']!r}:", *written, sep="\n  "
        )


onerror:
    print(
        "\nThe study stopped: the message above says what is wrong and what to do; logs are in "
        f"{RESULTS}/logs/.\nNo half-written file was left. The same command goes on from here."
    )
