"""Run the statistics and figures of a study stage by stage in this process; print times and memory.

python benchmarks/_stages.py FOLDER [--workers 1]     (FOLDER: made by _study.make_study)

The output is JSON: seconds by the clock, seconds of processor time and peak memory (MB, so far) of
each stage. A stage imports what it
needs itself, so that slow imports count for the stage that wants them first, as in a workflow. To
add a stage, write a function of `Tables` and name it in `STAGES`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()
SEED = 1
DATASETS = ("jester", "ucf101")
CHECKPOINTS = ("best", "matched")


class Tables:
    """The files of a study, and the tables that earlier stages have made."""

    def __init__(self, folder: Path, workers: int) -> None:
        from threetconv.support.files import read_parquet

        self.folder, self.workers = folder, workers
        self.files = sorted((folder / "parameters").rglob("*.parquet"))
        self.runs, self.snapshots, self.metrics = (
            read_parquet(folder / f"{name}.parquet") for name in ("runs", "snapshots", "metrics")
        )
        self.made: dict[str, Any] = {}

    def statistic(self, name: str, /, *args: Any, module: str = "", **options: Any) -> None:
        """Call a function of threetconv.statistics (or of a module of it) and keep its result."""
        where = importlib.import_module(f"threetconv.statistics.{module}".rstrip("."))
        self.made[name] = getattr(where, name)(*args, **options)

    def draw(self, name: str, *args: Any, **options: Any) -> None:
        """Draw a figure and save it as the workflow does."""
        figures = importlib.import_module("threetconv.figures")
        figure = getattr(figures, name)(*args, **options)
        figures.save(figure, self.folder / "figures" / f"{name}.svg")

    def over_files(self, name: str, module: str) -> None:
        """A statistic that reads the rows of the parameter files itself."""
        options: dict[str, Any] = {"seed": SEED, "datasets": DATASETS}
        self.statistic(name, self.files, self.runs, module=module, **options)


def summaries(tables: Tables) -> None:
    tables.statistic(
        "summarise_files",
        tables.files,
        tables.runs,
        tables.snapshots,
        module="summaries",
        workers=tables.workers,
    )
    tables.made["summaries"] = tables.made["summarise_files"]


def tests(tables: Tables) -> None:
    options: dict[str, Any] = {
        "seed": SEED,
        "families": ("dataset", "init", "dataset x init"),
        "datasets": DATASETS,
    }
    tables.statistic(
        "run_tests", tables.made["summaries"], tables.runs, checkpoint=CHECKPOINTS, **options
    )


def sensitivity(tables: Tables) -> None:
    made = tables.made["summaries"]
    tables.statistic(
        "sensitivity_tests", made, tables.runs, module="outcomes", seed=SEED, datasets=DATASETS
    )


def equivalence(tables: Tables) -> None:
    made = tables.made["summaries"]
    tables.statistic(
        "equivalence_tests", made, tables.runs, module="equivalence", datasets=DATASETS
    )


def mixed_models(tables: Tables) -> None:
    made = tables.made["summaries"]
    tables.statistic("mixed_tests", made, tables.runs, module="mixed", datasets=DATASETS)


def energy(tables: Tables) -> None:
    tables.over_files("energy_tests", "energy")


def bootstrap(tables: Tables) -> None:
    tables.over_files("hierarchical_bootstrap", "bootstrap")


def distances(tables: Tables) -> None:
    tables.over_files("row_distances", "distances")


def layer_tests(tables: Tables) -> None:
    options: dict[str, Any] = {"seed": SEED, "datasets": DATASETS, "checkpoint": CHECKPOINTS}
    tables.statistic(
        "layer_tests", tables.made["summaries"], tables.runs, module="layerwise", **options
    )


def layer_profile(tables: Tables) -> None:
    tables.statistic("layer_profile", tables.made["summaries"], tables.runs, module="layerwise")


def displacement(tables: Tables) -> None:
    paper = {name: name for name in DATASETS}
    tables.statistic("displacement_table", tables.made["summaries"], tables.runs, paper)


def accuracy(tables: Tables) -> None:
    paper = {name: name for name in DATASETS}
    tables.statistic("accuracy_table", tables.metrics, tables.runs, paper)


def best_rows(tables: Tables) -> None:
    from threetconv.records.parameters import VALUES, read_parameters

    tables.made["best"] = read_parameters(tables.files, tags=["best"], columns=VALUES)


def densities(tables: Tables) -> None:
    tables.statistic("densities", tables.made["best"])


def joint_densities(tables: Tables) -> None:
    tables.statistic("joint_density", tables.made["best"])


def histograms(tables: Tables) -> None:
    tables.statistic("histograms", tables.made["best"])
    tables.statistic("joint_histogram", tables.made["best"])


def density_figures(tables: Tables) -> None:
    for init in ("pretrained", "scratch"):
        tables.draw(
            "temporal_distributions",
            tables.made["densities"],
            tables.made["joint_density"],
            init=init,
        )


def histogram_figures(tables: Tables) -> None:
    for init in ("pretrained", "scratch"):
        tables.draw("histograms", tables.made["histograms"], init=init)


def effect_figure(tables: Tables) -> None:
    tables.draw("effects", tables.made["run_tests"])


def profile_figures(tables: Tables) -> None:
    profile = tables.made["layer_profile"]
    for network in sorted(profile["network"].unique()):
        tables.draw("profile", profile, tables.made["layer_tests"], network=network)


def accuracy_figure(tables: Tables) -> None:
    tables.draw("accuracy_curves", tables.metrics, tables.runs)


STAGES: list[Callable[[Tables], None]] = [
    summaries,
    tests,
    layer_tests,
    layer_profile,
    sensitivity,
    equivalence,
    mixed_models,
    energy,
    bootstrap,
    distances,
    displacement,
    accuracy,
    best_rows,
    densities,
    joint_densities,
    histograms,
    density_figures,
    histogram_figures,
    effect_figure,
    profile_figures,
    accuracy_figure,
]


def peak_memory() -> float:
    """The most memory (MB) this process has had. getrusage would count its parent's on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    tables = Tables(options.folder, options.workers)
    lines = [measured("start", STARTED, 0.0)]
    for stage in STAGES:
        start = time.perf_counter(), time.process_time()
        stage(tables)
        lines.append(measured(stage.__name__.replace("_", " "), *start))
    print(json.dumps(lines))


def measured(stage: str, start: float, processor: float) -> dict[str, Any]:
    """Seconds by the clock and of processor time since the start; the peak memory so far (MB)."""
    return {
        "stage": stage,
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - processor,
        "peak": peak_memory(),
    }


if __name__ == "__main__":
    main()
