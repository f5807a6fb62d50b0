"""Run the statistics and figures of a study stage by stage in this process; print times and memory.

python benchmarks/_stages.py FOLDER [--workers 1]     (FOLDER: made by _study.make_study)

A stage is a script of the workflow, run as its rule runs it. The output is JSON: seconds by the
clock, seconds of processor time and peak memory (MB, so far) of each. Imports count for the stage
that wants them first, as in a workflow. To add a stage, name its script and files in `stages`.
"""

from __future__ import annotations

import argparse
import json
import resource
import runpy
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

STARTED = time.perf_counter()
SCRIPTS = Path(__file__).parents[1] / "workflow/scripts"
DATASETS = ["jester", "ucf101"]


class Names(dict[str, Any]):
    """Snakemake's named lists, as scripts use them: by name, by number, or one after another."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __getitem__(self, key: Any) -> Any:
        return list(self.values())[key] if isinstance(key, int) else super().__getitem__(key)

    def __iter__(self) -> Any:
        return iter(self.values())


def stages(folder: Path) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(script, inputs, outputs) of each stage, in order; inputs of `figures` name the figure."""

    def tables(*names: str) -> dict[str, Any]:
        return {name: folder / f"{name}.parquet" for name in names}

    def pictures(*names: str) -> dict[str, Any]:
        return {name: folder / f"figures/{name}.svg" for name in names}

    files = sorted((folder / "parameters").rglob("*.parquet"))
    rows = {"parameters": files}
    return [
        ("summaries", rows | tables("runs", "snapshots"), tables("summaries")),
        ("tests", tables("summaries", "runs"), tables("tests", "layers")),
        ("sensitivity", rows | tables("summaries", "runs"), tables("sensitivity")),
        ("descriptions", rows | tables("summaries", "runs"), tables("bootstrap", "distances")),
        ("power", tables("summaries", "runs"), tables("power")),
        (
            "paper_tables",
            tables("runs", "metrics", "summaries"),
            tables("accuracy", "controls", "displacement"),
        ),
        ("densities", dict(enumerate(files)), tables("densities", "joint", "histograms")),
        ("figures", {"figure": "accuracy"} | tables("metrics", "runs"), pictures("accuracy")),
        *(
            (
                "figures",
                {"figure": "distributions", "init": init}
                | tables("densities", "joint", "histograms"),
                pictures(f"distributions_{init}", f"histograms_{init}"),
            )
            for init in ("pretrained", "scratch")
        ),
        ("figures", {"figure": "effects"} | tables("tests"), pictures("effects")),
        ("figures", {"figure": "controls"} | tables("summaries"), pictures("controls")),
    ]


def run(script: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any], workers: int) -> None:
    """Run a script of the workflow with these files."""
    files = {k: v for k, v in inputs.items() if k not in {"figure", "init"}}
    params = {
        "alpha": 0.05, "seed": 1, "dataset_contrast": DATASETS, "margin": 1.1, "max_rows": 10_000,
        "resamples": 1000, "stands_for": {name: name for name in DATASETS},
        "figure": inputs.get("figure"),
        "options": {"init": inputs["init"]} if "init" in inputs else {},
    }  # fmt: skip
    given = SimpleNamespace(
        input=Names(files),
        output=Names(outputs),
        params=Names(params),
        log=[next(iter(outputs.values())).with_suffix(".log")],
        threads=workers,
        wildcards={},
    )
    runpy.run_path(str(SCRIPTS / f"{script}.py"), init_globals={"snakemake": given})


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
    lines = [measured("start", STARTED, 0.0)]
    for script, inputs, outputs in stages(options.folder):
        start = time.perf_counter(), time.process_time()
        run(script, inputs, outputs, options.workers)
        name = " ".join(str(inputs[key]) for key in ("figure", "init") if key in inputs)
        lines.append(measured(name or script.replace("_", " "), *start))
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
