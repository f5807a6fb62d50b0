"""Where a study's files lie and which runs they are of: what the rules of the workflow ask.

Paths are relative to the working directory, as Snakemake takes them. Standard library only, since
rules are read before any of their environments exists.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

from threetconv.data.contents import note_changes
from threetconv.data.synthetic.opposites import OPPOSITES
from threetconv.networks.registry import leaks_order, lengths_without_leak
from threetconv.records.plan import Run, plan_runs

__all__ = ["StudyLayout"]

Config = dict[str, Any]
Files = dict[str, str]  # name of an input -> path
# folders of parameter tables, as in `threetconv.records.parameters`, which needs pandas
CELL = ("network", "dataset", "init", "recipe")
CHANNEL_TABLES = ("channels", "faithfulness", "chosen", "images", "sanity")  # of each run


class StudyLayout:
    """Files and runs of one study.

    Args:
        study: validated, with every default filled in.

    Attributes:
        results, reports: its folders.
        datasets: name -> settings.
        runs: run id -> run.
        rendered: data sets that the workflow makes.
        planted: data set of planted motion -> which motion.
        stands_for: data set -> the paper's data set beside whose numbers its own are printed.
        fetched: run id -> checkpoint, of runs that are fetched instead of trained.
        runs_3t: runs that have temporal parameters; `inits` and `recipes` are theirs.
        batches: name -> ids of runs of one cell that one job trains, where `training.runs_per_job`
            is above 1; batch_of has the name by run.
        trained_alone: ids of runs that have a job of their own.
        parameter_files, control_files: tables of temporal parameters, of controls apart.
        paired: data sets with pairs of opposite classes -> the pairs.
        preferring: ids of the 3T runs of these.
        preference_files: which class each channel prefers, of these runs.
        tuned: ids of the runs whose channels are measured with stimuli; `tuning_files` are theirs.
        ruled: ids of the 3D runs whose filters are compared with 3T filters; `ruler_files` theirs.
        needing: ids of the runs of which it is measured what they need; `need_files` are theirs.
        explained: ids of the runs whose channels are explained, the first ones of each cell.
        explained_pairs: (network, data set) of these.
        explained_tables: name -> table of all explained runs.
        explanations: tables of single explained runs.
    """

    def __init__(self, study: Config) -> None:
        self.study = study
        self.results: str = study["output"]["results"]
        self.reports: str = study["output"]["reports"]
        self.datasets: dict[str, Config] = study["datasets"]
        self.runs = {run.run_id: run for run in plan_runs(study)}
        renders = {name: d["render"] for name, d in self.datasets.items() if "render" in d}
        self.rendered = list(renders)
        self.planted = {n: r["motion"] for n, r in renders.items() if r["set"] == "planted"}
        self.stands_for = {
            name: d["stands_for"] for name, d in self.datasets.items() if "stands_for" in d
        }
        self.fetched = {
            run.run_id: entry for run in self.runs.values() for entry in self._checkpoints_of(run)
        }
        self.runs_3t = [run for run in self.runs.values() if run.convolution == "3t"]
        self.batches: dict[str, list[str]] = {}
        size = study["training"]["runs_per_job"]
        for run_id, run in self.runs.items():
            # by number, so that more replicates leave the batches of the present ones as they are
            number = (run.replicate - 1) // size + 1
            name = f"{run_id.rpartition('-')[0]}-batch{number}"
            if run_id not in self.fetched and size > 1:
                self.batches.setdefault(name, []).append(run_id)
        self.batch_of = {run_id: name for name, ids in self.batches.items() for run_id in ids}
        apart = {*self.fetched, *self.batch_of}
        self.trained_alone = [run_id for run_id in self.runs if run_id not in apart]
        self.inits = list(dict.fromkeys(run.init for run in self.runs_3t))
        self.recipes = list(dict.fromkeys(run.recipe for run in self.runs_3t))
        # controls get their own folder, so that no reader pools them with real runs
        real = [run for run in self.runs_3t if run.control == "none"]
        self.parameter_files = [self.parameter_file(run) for run in real]
        self.control_files = [self.parameter_file(run) for run in self.runs_3t if run not in real]
        pairs = {name: self.opposites(name) for name in self.datasets}
        self.paired = {name: found for name, found in pairs.items() if found}
        self.preferring = [run.run_id for run in self.runs_3t if run.dataset in self.paired]
        self.preference_files = [
            f"{self.results}/preferences/{run_id}.parquet" for run_id in self.preferring
        ]
        self.tuned = self._first(study["tuning"])
        self.tuning_files = [
            f"{self.results}/tuning/{folder}{run_id}.parquet"
            for run_id in self.tuned
            for folder in ("", "responses/")
        ]
        wanted = study["tuning"]["ruler"] != "none"
        self.ruled = [n for n in self.tuned if wanted and self.runs[n].convolution == "3d"]
        self.ruler_files = [f"{self.results}/ruler/{run_id}.parquet" for run_id in self.ruled]
        self.needing = self._first(study["need"]) if "need" in study else []
        self.need_files = [f"{self.results}/need/{run_id}.parquet" for run_id in self.needing]
        explanations = study["explanations"]
        explained = [
            run
            for run in self.runs.values()
            if run.control == "none"
            and run.replicate <= explanations["replicates"]
            and run.network in explanations.get("networks", study["networks"])
        ]
        self.explained = [run.run_id for run in explained]
        self.explained_pairs = list(dict.fromkeys((r.network, r.dataset) for r in explained))
        folder = f"{self.results}/explanations"
        names = (*CHANNEL_TABLES, "trajectories")
        self.explained_tables = {name: f"{folder}/{name}.parquet" for name in names}
        self.explanations = [
            f"{folder}/{run_id}/{name}.parquet"
            for run_id in self.explained
            for name in CHANNEL_TABLES
        ]

    def _first(self, wanted: Config) -> list[str]:
        """Ids of the runs of each cell that a section asks for."""
        most = wanted.get("replicates")
        return [r.run_id for r in self.runs.values() if most is None or r.replicate <= most]

    def jobs(self, run_ids: list[str]) -> dict[str, list[str]]:
        """Name -> which of these runs one job measures: all of a cell, where a job trains several.

        Otherwise one. The name of a job is that of its cell or run.
        """
        jobs: dict[str, list[str]] = {}
        for run_id in run_ids:
            several = self.study["training"]["runs_per_job"] > 1
            name = run_id.rpartition("-")[0] if several else run_id
            jobs.setdefault(name, []).append(run_id)
        return jobs

    def _checkpoints_of(self, run: Run) -> list[Config]:
        """What the study says of the checkpoint of a run: one entry, or none."""
        cell = (run.init, run.convolution, run.recipe, run.control)
        keys = ("init", "convolution", "recipe", "control")
        place = (run.network, run.dataset, run.replicate)
        return [
            entry
            for variant in self.study["variants"]
            if tuple(variant[key] for key in keys) == cell
            for entry in variant["checkpoints"]
            if (entry["network"], entry["dataset"], entry["replicate"]) == place
        ]

    def dataset_root(self, name: str) -> str:
        """The folder of a data set: the user's, or the one that the workflow renders."""
        return str(self.datasets[name].get("root", f"{self.results}/data/{name}"))

    def opposites(self, name: str) -> list[tuple[str, str]]:
        """Pairs of classes of a data set that are each other played backwards."""
        dataset = self.datasets[name]
        usual = OPPOSITES.get(str(self.planted.get(name, dataset["adapter"])), ())
        return [(one, other) for one, other in dataset.get("opposites", usual)]

    def run_file(self, run_id: str, name: str) -> str:
        """A file in the folder of a run."""
        return f"{self.results}/runs/{run_id}/{name}"

    def parameter_file(self, run: Run) -> str:
        """Where a 3T run's parameter table stands (hive partitions).

        Controls have a folder of their own, so that nobody who reads all of `parameters` mixes
        them in.
        """
        kind = "parameters" if run.control == "none" else "control_parameters"
        cell = "/".join(f"{key}={getattr(run, key)}" for key in CELL)
        return f"{self.results}/{kind}/{cell}/{run.run_id}.parquet"

    def clip_inputs(self, name: str) -> Files:
        """The clips of a data set, as what is shown to a network is read from."""
        if self.datasets[name]["store"] == "packed":
            packed = f"{self.results}/packed/{name}"
            return {"table": f"{packed}.parquet", "packed": f"{packed}.npy"}
        clips = f"{self.results}/clips/{name}"
        return {"table": f"{clips}.parquet", "contents": f"{clips}.contents.json"}

    def run_inputs(self, run_id: str) -> Files:
        """What a run is trained on, and its 2D weights if it starts from such."""
        run = self.runs[run_id]
        files = self.clip_inputs(run.dataset)
        # a fetched run brings its weights and needs no 2D ones
        if run.init == "pretrained" and run_id not in self.fetched:
            files["weights"] = f"{self.results}/weights_2d/{run.network}.safetensors"
        return files

    def run_settings(self, run_id: str) -> Config:
        """The fields of `threetconv.training.settings.Settings` for a run."""
        run, training = self.runs[run_id], self.study["training"]
        sizes = training["batch_size"]
        own = {
            "batch_size": sizes[run.network] if isinstance(sizes, dict) else sizes,
            "learning_rate": training["learning_rate"][run.convolution],
        }
        other = {"device", "runs_per_job"}  # of the machine: no run's numbers depend on them
        shared = {key: value for key, value in training.items() if key not in other}
        recipe = {"name": run.recipe, **self.study["recipes"].get(run.recipe, {})}
        for key in ("rate_factor", "spread"):
            if isinstance(recipe.get(key), float | int):
                recipe[key] = dict.fromkeys(("scale", "rotate", "translate"), recipe[key])
        unset = dict.fromkeys(("early_stopping", "micro_batch", "clip_gradient"))
        return unset | shared | own | {"recipe": recipe}

    def run_data(self, run_id: str) -> Config:
        """How a run reads its data set. Clips left out in packing are not in the packed table."""
        dataset = self.datasets[self.runs[run_id].dataset]
        return {
            key: dataset[key] for key in ("sampling", "augment", "on_bad_clip", "max_bad_share")
        }

    def fetched_from(self, run_id: str) -> Config:
        """What the study says of a checkpoint, without the keys that name its run."""
        names = ("network", "dataset", "replicate")
        return {k: v for k, v in self.fetched[run_id].items() if k not in names}

    def card_facts(self, run_id: str) -> Config:
        """What a run's model card says that its record does not know.

        `selection` is the split that the best epoch is chosen on, "test" as in the paper.
        """
        dataset = self.runs[run_id].dataset
        by_test = self.datasets[dataset]["options"].get("selection") == "test"
        return {
            "synthetic": dataset in self.rendered,
            "selection": "test" if by_test else "val",
            "licence": self.fetched.get(run_id, {}).get("licence", ""),
        }

    def explained_parameters(self, run_id: str) -> str:
        """The parameter table of a run, "" of a run without 3T layers, which has none."""
        run = self.runs[run_id]
        return self.parameter_file(run) if run.convolution == "3t" else ""

    def explained_tuning(self, run_id: str) -> str:
        """The responses of a run to stimuli of known motion, "" of a run that is not measured."""
        measured = run_id in self.tuned
        return f"{self.results}/tuning/responses/{run_id}.parquet" if measured else ""

    def explained_inputs(self, run_id: str) -> Files:
        """A run, its clips, its parameters, and a run on permuted labels to compare with."""
        run = self.runs[run_id]
        files = {
            "record": self.run_file(run_id, "run.json"),
            "weights": self.run_file(run_id, "best.safetensors"),
            **self.clip_inputs(run.dataset),
        }
        if parameters := self.explained_parameters(run_id):
            files["parameters"] = parameters
        cell = (run.network, run.dataset, run.convolution, run.recipe)
        for other in self.runs.values():
            same = (other.network, other.dataset, other.convolution, other.recipe) == cell
            # a network that learned nothing from the labels: the reference of the sanity checks
            if other.control == "label-shuffled" and same and other.replicate == 1:
                files["shuffled"] = self.run_file(other.run_id, "run.json")
                files["shuffled_weights"] = self.run_file(other.run_id, "best.safetensors")
        return files

    def changed_note(self, name: str) -> Path:
        """Where it is noted that clips of a data set have changed since their table was made."""
        return Path(self.results, "clips", f"{name}.changed.txt")

    @property
    def unequal_cells(self) -> list[tuple[int, int]]:
        """Numbers of runs of two real 3T cells that differ in data set or start alone, if unequal.

        The larger number second, and each pair once.
        """
        cells = Counter(
            (run.network, run.recipe, run.dataset, run.init)
            for run in self.runs_3t
            if run.control == "none"
        )
        pairs = {
            (min(n, m), max(n, m))
            for (first, n), (second, m) in combinations(cells.items(), 2)
            if n != m
            and sum(a != b for a, b in zip(first, second, strict=True)) == 1
            and first[:2] == second[:2]
        }
        return sorted(pairs)

    @property
    def leak_cells(self) -> list[Config]:
        """What `threetconv.networks.order_leak.leak_table` measures, once for runs of one kind."""
        kinds = dict.fromkeys((r.network, r.dataset, r.convolution) for r in self.runs.values())
        return [
            {
                "network": network,
                "dataset": dataset,
                "convolution": convolution,
                "clip_shape": tuple(
                    self.datasets[dataset]["clip"][key] for key in ("frames", "height", "width")
                ),
            }
            for network, dataset, convolution in kinds
        ]

    def order_leak(self) -> str:
        """A line about networks that tell clips from their reverses by padding; "" if none does."""
        if self.study["symmetric_time"]:
            return ""
        lengths = {run.network: set[int]() for run in self.runs.values()}
        for run in self.runs.values():
            frames = self.datasets[run.dataset]["clip"]["frames"]
            if run.convolution != "2d" and leaks_order(run.network, frames):
                lengths[run.network].add(frames)
        told = []
        for network, found in lengths.items():
            if found:
                free = ", ".join(map(str, lengths_without_leak([network], max(found))))
                at = ", ".join(map(str, sorted(found)))
                told.append(f"{network} at {at} frames (not at {free})" if free else network)
        if not told:
            return ""
        return (
            f"Order leak: {' and '.join(told)} can tell a clip from its reverse by how windows are "
            "placed in time, without any filter that changes over time. symmetric_time: true "
            "mends that at any length."
        )

    def note_changed_clips(self) -> list[str]:
        """Look which clips of the user's data sets were replaced, and note it; in words."""
        told = []
        for name in self.datasets:
            if name not in self.rendered:
                contents = Path(self.results, "clips", f"{name}.contents.json")
                if found := note_changes(contents, self.changed_note(name)):
                    told.append(
                        f"Data set {name!r}: {found}. Its clip table and all that follows from it "
                        "will be made anew."
                    )
        return told
