"""How long the statistics and figures of a study of the paper's size take, and in how much memory.

    python benchmarks/bench_statistics.py [--quick] [--rows 6e6] [--json benchmarks/statistics.json]

The study (8 cells, 5 seeds, 20 snapshots a run: 6 million rows) is made first, in a temporary
folder, and does not count. Each round then runs all stages in a fresh process of its own, from its
start to the last figure on disk. The summaries are also measured against plain pandas, interleaved
in one process on the files of two runs. `--quick` is for seeing that it runs: thin networks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _study import make_study
from _timing import Row, interleaved, print_table, write_json
from plain_summaries import plain_summaries

from threetconv.statistics.summaries.moments import STATISTICS
from threetconv.statistics.summaries.summarise import summarise_files

PAPER_ROWS = 6e6  # the time limit is for this many, the memory limit for any number
SECONDS, MEGABYTES = (60.0, 20.0), (2000.0, 1000.0)  # must, aim
STAGES = Path(__file__).with_name("_stages.py")
KEYS = ["run_id", "step", "tag", "scope", "layer_index", "parameter", "rows", "weighting"]


def whole_stage(
    folder: Path, *, rounds: int, threads: int, workers: int, limited: bool
) -> list[Row]:
    """All stages in fresh processes: the total first (with its limits), each stage, then memory."""
    command = [sys.executable, str(STAGES), str(folder), "--workers", str(workers)]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    clock: dict[str, list[float]] = {"all": []}  # stage -> seconds of each round
    processor: dict[str, list[float]] = {"all": []}
    peaks = []
    for _ in range(rounds):
        start = time.perf_counter()
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        clock["all"].append(time.perf_counter() - start)
        lines = json.loads(run.stdout)
        processor["all"].append(sum(line["processor"] for line in lines))
        peaks.append(lines[-1]["peak"])
        for line in lines:
            clock.setdefault(line["stage"], []).append(line["seconds"])
            processor.setdefault(line["stage"], []).append(line["processor"])
    rows = []
    for stage, seconds in clock.items():
        what = "statistics and figures, all stages" if stage == "all" else f"  {stage}"
        rows.append(
            Row(
                what,
                "s",
                statistics.median(seconds),
                *(SECONDS if limited and stage == "all" else (None, None)),
                more_is_better=False,
                medians={"processor": statistics.median(processor[stage])},
            )
        )
    memory = {"least": min(peaks), "most": max(peaks)}
    what = "peak memory of the process"
    rows.append(Row(what, "MB", statistics.median(peaks), *MEGABYTES, False, memory))
    return rows


def against_pandas(folder: Path, rounds: int) -> Row:
    """Summaries of two runs (one of each network): ours and plain pandas, which must agree."""
    files = [
        min((folder / "parameters" / f"network={network}").rglob("*.parquet"))
        for network in ("googlenet", "resnet18")
    ]
    runs = pd.read_parquet(folder / "runs.parquet")
    ours = summarise_files(files, runs).set_index(KEYS).sort_index()
    plain = plain_summaries(files).set_index(KEYS).sort_index()
    for name in ("n", "n_identity", *(s for s in STATISTICS if s in ours)):
        np.testing.assert_allclose(
            ours[name].to_numpy(), plain[name].to_numpy(), rtol=1e-9, atol=1e-11, err_msg=name
        )
    alternatives: dict[str, Any] = {
        "pandas": lambda: plain_summaries(files),
        "ours": lambda: summarise_files(files, runs),
    }
    medians = interleaved(alternatives, rounds=rounds)
    what = "summaries of two runs, against plain pandas"
    return Row(what, "times faster", medians["pandas"] / medians["ours"], 3, 10, True, medians)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="thin networks, one round")
    parser.add_argument(
        "--rows", type=float, default=PAPER_ROWS, help="rows of the parameter tables"
    )
    parser.add_argument("--rounds", type=int, default=3, help="fresh processes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="if above 1, memory without theirs")
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--folder", type=Path, help="keep the study here (default: temporary)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        start = time.perf_counter()
        rows = make_study(
            folder,
            rows=options.rows / 10 if options.quick else options.rows,
            seeds=5,
            width=0.25 if options.quick else 1.0,
        )
        made = time.perf_counter() - start
        print(f"{rows:,} rows, made in {made:.0f} s (not counted)", flush=True)
        start = time.perf_counter()
        table = whole_stage(
            folder,
            rounds=rounds,
            threads=options.threads,
            workers=options.workers,
            limited=options.rows <= PAPER_ROWS,
        )
        table.append(against_pandas(folder, 2 if options.quick else 5))
    print_table(table)
    print(
        f"{options.threads} threads, {options.workers} process(es) for the summaries, "
        f"medians of {rounds} fresh process(es), by the clock and of processor time in s "
        f"(pandas: ms); "
        f"measured in {time.perf_counter() - start:.0f} s"
    )
    if options.json:
        facts = {"parameter_rows": rows, "rounds": rounds, "workers": options.workers}
        write_json(options.json, table, quick=options.quick, **facts)


if __name__ == "__main__":
    main()
