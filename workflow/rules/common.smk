# The configuration, checked before any job starts, and the names that all rules share.
from contextlib import chdir, contextmanager

from snakemake.exceptions import WorkflowError

from threetconv.data.contents import note_changes
from threetconv.errors import InputError
from threetconv.support.gpu import check_gpu
from threetconv.support.provenance import code_digest
from threetconv.records.plan import derive_seed, plan_runs
from threetconv.study.validate import validate_study
from threetconv.study.folder import (
    changed_keys,
    check_owner,
    hold,
    in_words,
    move_aside,
    stale_files,
)


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
ON_DEVICE = {"train", "fetch_run", "explain"}  # rules that obey training.device
HELD = []  # the lock on the study's folders, as long as this process runs
RESULTS = STUDY["output"]["results"]
REPORTS = STUDY["output"]["reports"]
DATASETS = STUDY["datasets"]
# the environment of jobs that need torch, for CPUs unless the study asks for a GPU
TRAINING_ENV = (
    "../envs/training-gpu.yaml"
    if STUDY["training"]["device"] == "cuda"
    else "../envs/training.yaml"
)
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


def adapter_module(name):
    """The module below `threetconv.data.adapters` that an adapter stands in."""
    return name.removesuffix("-v2").replace("-", "_")


def parameter_file(run):
    """Where a 3T run's parameter table stands (hive partitions).

    Controls have a folder of their own, so that nobody who reads all of `parameters` mixes them in.
    """
    kind = "parameters" if run.control == "none" else "control_parameters"
    cell = f"network={run.network}/dataset={run.dataset}/init={run.init}"
    return f"{RESULTS}/{kind}/{cell}/{run.run_id}.parquet"


# runs that are fetched instead of trained: run id -> where from
FETCHED = {
    run.run_id: entry
    for run in RUNS.values()
    for variant in STUDY["variants"]
    for entry in variant["checkpoints"]
    if (run.init, run.convolution, run.control)
    == (variant["init"], variant["convolution"], variant["control"])
    and (run.network, run.dataset, run.replicate)
    == (entry["network"], entry["dataset"], entry["replicate"])
}
RUNS_3T = [run for run in RUNS.values() if run.convolution == "3t"]
INITS = list(dict.fromkeys(run.init for run in RUNS_3T))
PARAMETER_FILES = [parameter_file(run) for run in RUNS_3T if run.control == "none"]
PREFERENCE_FILES = [
    f"{RESULTS}/preferences/{run.run_id}.parquet" for run in RUNS_3T if PLANTED
]
CONTROL_FILES = [parameter_file(run) for run in RUNS_3T if run.control != "none"]
RUN_RECORDS = [f"{RESULTS}/runs/{run_id}/run.json" for run_id in RUNS]
# runs whose channels are explained: the first ones of each cell, controls aside
EXPLAINED = [
    run.run_id
    for run in RUNS.values()
    if run.control == "none"
    and run.replicate <= STUDY["explanations"]["replicates"]
    and run.network in STUDY["explanations"].get("networks", STUDY["networks"])
]
EXPLAINED_PAIRS = list(
    dict.fromkeys((RUNS[run_id].network, RUNS[run_id].dataset) for run_id in EXPLAINED)
)
EXPLAINED_TABLES = {
    name: f"{RESULTS}/explanations/{name}.parquet"
    for name in (
        "channels",
        "faithfulness",
        "chosen",
        "images",
        "sanity",
        "trajectories",
    )
}
EXPLANATIONS = [
    f"{RESULTS}/explanations/{run_id}/{table}.parquet"
    for run_id in EXPLAINED
    for table in ("channels", "faithfulness", "chosen", "images", "sanity")
]
MODEL_CARDS = [f"{RESULTS}/runs/{run_id}/README.md" for run_id in RUNS]


def clip_inputs(name):
    """The clips of a data set, as what is shown to a network is read from."""
    if DATASETS[name]["store"] == "packed":
        return {
            "table": f"{RESULTS}/packed/{name}.parquet",
            "packed": f"{RESULTS}/packed/{name}.npy",
        }
    return {
        "table": f"{RESULTS}/clips/{name}.parquet",
        "contents": f"{RESULTS}/clips/{name}.contents.json",
    }


def run_inputs(wildcards):
    run = RUNS[wildcards.run_id]
    files = clip_inputs(run.dataset)
    if run.init == "pretrained" and run.run_id not in FETCHED:
        files["weights"] = f"{RESULTS}/weights_2d/{run.network}.safetensors"
    return files


def selection(name):
    """The split that the best epoch of a data set's runs is chosen on: "test" as in the paper."""
    return "test" if DATASETS[name]["options"].get("selection") == "test" else "val"


def explained_parameters(run_id):
    """The parameter table of a run, "" of a 3D run, which has none."""
    run = RUNS[run_id]
    return parameter_file(run) if run.convolution == "3t" else ""


def explained_inputs(wildcards):
    """A run, its clips, its parameters, and a run on permuted labels to compare with."""
    run = RUNS[wildcards.run_id]
    folder = f"{RESULTS}/runs/{run.run_id}"
    files = {
        "record": f"{folder}/run.json",
        "weights": f"{folder}/best.safetensors",
        **clip_inputs(run.dataset),
    }
    if run.convolution == "3t":
        files["parameters"] = parameter_file(run)
    cell = (run.network, run.dataset, run.convolution)
    for other in RUNS.values():
        same = (other.network, other.dataset, other.convolution) == cell
        if other.control == "label-shuffled" and same and other.replicate == 1:
            files |= {
                "shuffled": f"{RESULTS}/runs/{other.run_id}/run.json",
                "shuffled_weights": f"{RESULTS}/runs/{other.run_id}/best.safetensors",
            }
    return files


def card_facts(run_id):
    """What a run's model card says that its record does not know."""
    dataset = RUNS[run_id].dataset
    return {
        "synthetic": dataset in RENDERED,
        "selection": selection(dataset),
        "licence": FETCHED.get(run_id, {}).get("licence", ""),
    }


def fetched_from(run_id):
    """What the study says of a checkpoint, without the keys that name its run."""
    names = ("network", "dataset", "replicate")
    return {k: v for k, v in FETCHED[run_id].items() if k not in names}


def run_data(wildcards):
    """How a run reads its data set. Clips left out in packing are not in the packed table."""
    dataset = DATASETS[RUNS[wildcards.run_id].dataset]
    return {
        key: dataset[key]
        for key in ("sampling", "augment", "on_bad_clip", "max_bad_share")
    }


def run_settings(wildcards):
    """The fields of `threetconv.training.settings.Settings` for a run."""
    run, training = RUNS[wildcards.run_id], STUDY["training"]
    sizes = training["batch_size"]
    return {
        "epochs": training["epochs"],
        "batch_size": sizes[run.network] if isinstance(sizes, dict) else sizes,
        "learning_rate": training["learning_rate"][run.convolution],
        "schedule": training["schedule"],
        "patience": training["patience"],
        "early_stopping": training.get("early_stopping"),
        "class_weights": training["class_weights"],
        "auxiliary_weight": training["auxiliary_weight"],
        "snapshot_every": training["snapshot_every"],
        "micro_batch": training.get("micro_batch"),
        "precision": training["precision"],
    }


def left_of_other_settings():
    """Files of runs and cells that this study does not make; none where results lie in a store."""
    if workflow.storage_settings.default_storage_provider:
        return []
    made = [file.regex() for each in workflow.rules for file in each.output]
    return stale_files(RESULTS, made)


def told_in_a_dry_run(working_directory):
    """Dry runs have no hook, and whether this is one is known only after this file was read."""
    with chdir(working_directory):
        stale = left_of_other_settings() if workflow.dryrun else []
    if stale:
        print(f"\n{in_words(RESULTS, stale, moved=False)}", file=sys.stderr)


def changed_note(name):
    """The note that clips of a data set have changed since their table was made; [] without one."""
    note = Path(RESULTS, "clips", f"{name}.changed.txt")
    return str(note) if note.exists() else []


def look_for_changes():
    """Say of which of the user's data sets clips were replaced, and note it for Snakemake."""
    for name in (n for n in DATASETS if n not in RENDERED):
        contents = Path(RESULTS, "clips", f"{name}.contents.json")
        found = note_changes(contents, contents.with_name(f"{name}.changed.txt"))
        if found:
            print(
                f"Data set {name!r}: {found}. Its clip table and all that follows from it "
                "will be made anew.",
                file=sys.stderr,
            )
