# The configuration, checked before any job starts, and the names that all rules share.
import yaml
from snakemake.exceptions import WorkflowError

from threetconv.errors import InputError
from threetconv.provenance import code_digest
from threetconv.study import derive_seed, plan_runs, validate_study


def read_study():
    schema = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
    try:
        return validate_study(config, schema)
    except InputError as error:
        raise WorkflowError(f"The study's configuration cannot be used.\n\n{error}\n")


STUDY = read_study()
RESULTS = STUDY["output"]["results"]
REPORTS = STUDY["output"]["reports"]
DATASETS = STUDY["datasets"]
RUNS = {run.run_id: run for run in plan_runs(STUDY)}
RENDERED = [name for name, dataset in DATASETS.items() if "render" in dataset]
PLANTED = {
    name: dataset["render"]["motion"]
    for name, dataset in DATASETS.items()
    if dataset.get("render", {}).get("set") == "planted"
}
# the paper's data set beside whose numbers each data set's are printed
STANDS_FOR = {
    name: d["stands_for"] for name, d in DATASETS.items() if "stands_for" in d
}


def any_of(names):
    """Wildcard constraint: one of these names (or nothing that exists)."""
    return "|".join(names) or "none"


wildcard_constraints:
    dataset=any_of(DATASETS),
    network=any_of(STUDY["networks"]),
    init="pretrained|scratch",
    run_id=any_of(RUNS),


def dataset_root(name):
    """The folder of a data set: the user's, or the one that the workflow renders."""
    return DATASETS[name].get("root", f"{RESULTS}/data/{name}")


def parameter_file(run):
    """Where a 3T run's parameter table stands (hive partitions).

    Controls have a folder of their own, so that nobody who reads all of `parameters` mixes them in.
    """
    kind = "parameters" if run.control == "none" else "control_parameters"
    cell = f"network={run.network}/dataset={run.dataset}/init={run.init}"
    return f"{RESULTS}/{kind}/{cell}/{run.run_id}.parquet"


RUNS_3T = [run for run in RUNS.values() if run.convolution == "3t"]
INITS = list(dict.fromkeys(run.init for run in RUNS_3T))
PARAMETER_FILES = [parameter_file(run) for run in RUNS_3T if run.control == "none"]
PREFERENCE_FILES = [
    f"{RESULTS}/preferences/{run.run_id}.parquet" for run in RUNS_3T if PLANTED
]
CONTROL_FILES = [parameter_file(run) for run in RUNS_3T if run.control != "none"]
RUN_RECORDS = [f"{RESULTS}/runs/{run_id}/run.json" for run_id in RUNS]


def run_inputs(wildcards):
    run = RUNS[wildcards.run_id]
    files = {"table": f"{RESULTS}/clips/{run.dataset}.parquet"}
    if DATASETS[run.dataset]["store"] == "packed":
        files |= {
            "table": f"{RESULTS}/packed/{run.dataset}.parquet",
            "packed": f"{RESULTS}/packed/{run.dataset}.npy",
        }
    if run.init == "pretrained":
        files["weights"] = f"{RESULTS}/weights_2d/{run.network}.safetensors"
    return files


def run_settings(wildcards):
    """The fields of `threetconv.training.Settings` for a run."""
    run, training = RUNS[wildcards.run_id], STUDY["training"]
    sizes = training["batch_size"]
    return {
        "epochs": training["epochs"],
        "batch_size": sizes[run.network] if isinstance(sizes, dict) else sizes,
        "learning_rate": training["learning_rate"][run.convolution],
        "schedule": training["schedule"],
        "auxiliary_weight": training["auxiliary_weight"],
        "snapshot_every": training["snapshot_every"],
    }
