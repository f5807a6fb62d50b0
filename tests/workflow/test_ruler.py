"""The script that puts the nearest 3T filters of runs together, as it stands."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow.parquet as pq

from threetconv.schemas.truth import RULER_CELLS, RULER_RUNS

from ..builders.ruler_tables import ruled
from ..builders.truth_tables import grid
from .test_need import run_script


def test_the_script_writes_both_tables(tmp_path: Path) -> None:
    runs = grid(each=2)
    runs.to_parquet(tmp_path / "runs.parquet")
    given: dict[str, list[str]] = {"ruler": [], "tuning": []}
    for name, table in zip(given, ruled(runs), strict=True):
        for run_id, of_run in table.groupby("run_id"):
            given[name].append(str(tmp_path / f"{name}-{run_id}.parquet"))
            of_run.to_parquet(given[name][-1])
    output = SimpleNamespace(by_run=tmp_path / "by_run.parquet", cells=tmp_path / "cells.parquet")
    job = SimpleNamespace(
        input=SimpleNamespace(**given, runs=tmp_path / "runs.parquet"),
        output=output,
        params=SimpleNamespace(alpha=0.05, seed=1),
        log=[str(tmp_path / "tables.log")],
    )
    run_script("ruler_tables", job)
    for file, schema in ((output.by_run, RULER_RUNS), (output.cells, RULER_CELLS)):
        assert pq.read_schema(file).equals(schema, check_metadata=True)
    assert set(pd.read_parquet(output.by_run)["run_id"]) == set(runs["run_id"])
    assert len(pd.read_parquet(output.cells)) == 2 * 2 + 2 + 2  # first layers, all, deeper ones
