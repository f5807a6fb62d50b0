# Checks the configuration before any job starts, and defines the names that all rules share.
from contextlib import chdir, contextmanager

from snakemake.exceptions import WorkflowError

from threetconv.data.adapters.registry import adapter_module
from threetconv.errors import InputError
from threetconv.support.gpu import check_gpu
from threetconv.support.provenance import code_digest
from threetconv.records.plan import derive_seed
from threetconv.study.folder import (
    changed_keys,
    check_owner,
    hold,
    in_words,
    move_aside,
    stale_files,
)
from threetconv.study.layout import StudyLayout
from threetconv.study.validate import validate_study


@contextmanager
def refusals(what):
    """The package's own errors as Snakemake's: one message, no traceback."""
    try:
        yield
    except InputError as error:
        raise WorkflowError(f"{what}\n\n{error}\n")


if set("{}") & set(str(ROOT)):
    raise WorkflowError(
        f"{ROOT}: Snakemake reads braces in the names of inputs as wildcards. Move this checkout "
        "to a folder without braces."
    )
with refusals("The study's configuration cannot be used."):
    STUDY = validate_study(config)
    check_owner(STUDY["study"], STUDY["output"])
ON_DEVICE = {
    "train",
    "train_batch",
    "fetch_run",
    "explain",
}  # rules that obey training.device
HELD = []  # keeps the lock on the study's folders alive as long as this process runs
LAYOUT = StudyLayout(STUDY)
RESULTS, REPORTS = LAYOUT.results, LAYOUT.reports
DATASETS, RENDERED = LAYOUT.datasets, LAYOUT.rendered
PLANTED, STANDS_FOR = LAYOUT.planted, LAYOUT.stands_for
RUNS, RUNS_3T, FETCHED = LAYOUT.runs, LAYOUT.runs_3t, LAYOUT.fetched
INITS, RECIPES = LAYOUT.inits, LAYOUT.recipes
PARAMETER_FILES, CONTROL_FILES = LAYOUT.parameter_files, LAYOUT.control_files
PREFERENCE_FILES = LAYOUT.preference_files
PAIRED, PREFERRING = LAYOUT.paired, LAYOUT.preferring
TUNED, TUNING_FILES = LAYOUT.tuned, LAYOUT.tuning_files
TUNED_3T = [
    f"{RESULTS}/tuning/{run.run_id}.parquet" for run in RUNS_3T if run.run_id in TUNED
]
# of runs on planted motion: without them, or without a need, tables of both are not made
PLANTED_TUNED = [
    f"{RESULTS}/tuning/{run.run_id}.parquet"
    for run in RUNS_3T
    if run.run_id in TUNED and run.dataset in PLANTED
]
RULED, RULER_FILES = LAYOUT.ruled, LAYOUT.ruler_files
NEEDING, NEED_FILES = LAYOUT.needing, LAYOUT.need_files
PLANTED_NEEDING = [
    run.run_id for run in RUNS_3T if run.run_id in NEEDING and run.dataset in PLANTED
]
# name of a table of planted motion -> its file; by these names the report asks for them
PLANTED_TABLES = {
    name: f"{RESULTS}/{file}.parquet"
    for name, file, wanted in (
        ("planted_table", "planted", PLANTED),
        ("planted_layers", "planted_layers", PLANTED),
        ("alignment", "alignment", PLANTED),
        ("planted_tuning", "planted_tuning", PLANTED_TUNED),
        ("planted_where", "planted_where", PLANTED_NEEDING),
    )
    if wanted
}
EXPLAINED, EXPLAINED_PAIRS = LAYOUT.explained, LAYOUT.explained_pairs
EXPLAINED_TABLES, EXPLANATIONS = LAYOUT.explained_tables, LAYOUT.explanations
RUN_RECORDS = [LAYOUT.run_file(run_id, "run.json") for run_id in RUNS]
MODEL_CARDS = [LAYOUT.run_file(run_id, "README.md") for run_id in RUNS]
# the environment of jobs that need torch, for CPUs unless the study asks for a GPU
TRAINING_ENV = (
    "../envs/training-gpu.yaml"
    if STUDY["training"]["device"] == "cuda"
    else "../envs/training.yaml"
)


def any_of(names):
    """Wildcard constraint: one of these names (or nothing that exists)."""
    return "|".join(names) or "none"


def of_job(file, jobs):
    """A file of every run of a job: `{job}` in it becomes `{job}-r1`, ..., or stays for one run.

    All cells have as many runs, so the first job tells for all.
    """
    job, run_ids = next(iter(jobs.items()), ("", [""]))
    return [
        file.replace("{job}", run_id.replace(job, "{job}", 1)) for run_id in run_ids
    ]


wildcard_constraints:
    dataset=any_of(DATASETS),
    network=any_of(STUDY["networks"]),
    init="pretrained|scratch",
    recipe=any_of(RECIPES),
    run_id=any_of(RUNS),


def left_of_other_settings():
    """Files of runs and cells that are not of this study; none if results are stored remotely."""
    if workflow.storage_settings.default_storage_provider:
        return []
    made = [file.regex() for each in workflow.rules for file in each.output]
    return stale_files(RESULTS, made)


def look_at_the_queue_when_it_changes():
    """Take away Snakemake's limit of 100 local job starts a second, which costs more than it saves.

    With it every look at the queue sets a timer for the next one, and every job that ends adds a
    look: after a hundred jobs it looks a hundred times a second, each time with a solver of integer
    programs in a process of its own (Snakemake 9.27; a fifth of a core in the embedded study).
    """
    if hasattr(workflow.scheduler, "job_rate_limiter"):
        workflow.scheduler.job_rate_limiter = None


def told_in_a_dry_run(working_directory):
    """Report stale files in a dry run: it calls no hook, and is known as one only after parsing."""
    # At exit Snakemake may have left the working directory that results are relative
    # to.
    with chdir(working_directory):
        stale = left_of_other_settings() if workflow.dryrun else []
    if stale:
        print(f"\n{in_words(RESULTS, stale, moved=False)}", file=sys.stderr)
