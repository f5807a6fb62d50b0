"""The scripts that measure what runs need, and put it together, as they stand."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch

from threetconv.records.plan import Run
from threetconv.schemas.endpoints import ENDPOINTS
from threetconv.schemas.need import NEED, NEED_CELLS, NEED_CLASSES, NEED_RUNS, NEED_TESTS
from threetconv.schemas.runs import ORDER_LEAK
from threetconv.schemas.truth import AGREEMENT, REPRODUCIBILITY
from threetconv.training.need import need_of_run
from threetconv.training.settings import Settings

from ..builders import trained_runs

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, 16, 16)


class Files(SimpleNamespace):
    """Snakemake's lists of files."""

    def get(self, name: str) -> Any:
        return getattr(self, name, None)

    def __getitem__(self, i: int) -> Any:
        return list(vars(self).values())[i]


def run_script(name: str, job: SimpleNamespace) -> None:
    handlers = list(logging.getLogger("threetconv").handlers)
    try:
        runpy.run_path(str(ROOT / f"workflow/scripts/{name}.py"), {"snakemake": job})
    finally:
        logging.getLogger("threetconv").handlers[:] = handlers


def test_the_scripts_write_all_tables(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (8, *SHAPE, 3), dtype=np.uint8)
    packed = tmp_path / "clips.npy"
    np.save(packed, clips)
    names = [f"c{i}" for i in range(8)]
    table = pd.DataFrame({"clip_id": names, "path": names, "label": list("abababab")})
    table = table.assign(split=["train"] * 4 + ["val"] * 4, row=range(8))
    cell = ("resnet18", "toy", "scratch", "3t")
    run = Run("run", *cell, "none", 1, 7)
    folder = trained_runs.train(
        run,
        table,
        tmp_path / "run",
        packed=packed,
        clip_shape=SHAPE,
        settings=Settings(epochs=1, batch_size=4, learning_rate=1e-2),
    )
    clip_table = tmp_path / "run-clips.parquet"
    params = {"opposites": [("a", "b"), ("c", "d")], "layers": False, "clips": None, "seed": 3}
    need, again = tmp_path / "need.parquet", tmp_path / "again.parquet"
    record = str(folder / "run.json")
    job = SimpleNamespace(
        input=Files(record=[record, record], table=str(clip_table), packed=str(packed)),
        output=[need, again],
        params=SimpleNamespace(**params),
        log=[str(tmp_path / "need.log")],
        threads=torch.get_num_threads(),
    )
    run_script("need", job)
    assert pq.read_schema(need).equals(NEED, check_metadata=True)
    found = need_of_run(folder, table, packed, opposites=[("a", "b")], seed=3)
    pd.testing.assert_frame_equal(pd.read_parquet(need), found, check_dtype=False)
    # what is measured before in the same process changes nothing
    pd.testing.assert_frame_equal(pd.read_parquet(again), pd.read_parquet(need), check_exact=True)
    assert "c and d" in (tmp_path / "need.log").read_text()

    runs = pd.DataFrame([("run", *cell, "paper", "none", 1)])
    keys = ["network", "dataset", "init", "convolution"]
    runs.columns = ["run_id", *keys, "recipe", "control", "replicate"]
    runs.assign(num_classes=2).to_parquet(tmp_path / "runs.parquet")
    schemas = {
        "need_runs": NEED_RUNS,
        "need_cells": NEED_CELLS,
        "need_classes": NEED_CLASSES,
        "need_tests": NEED_TESTS,
    }
    output = {name: tmp_path / f"{name}.parquet" for name in schemas}
    job = SimpleNamespace(
        input=Files(need=[str(need)], runs=str(tmp_path / "runs.parquet")),
        output=Files(**output),
        params=SimpleNamespace(alpha=0.05, seed=1),
        log=[str(tmp_path / "tables.log")],
    )
    run_script("need_tables", job)
    for name, schema in schemas.items():
        assert pq.read_schema(output[name]).equals(schema, check_metadata=True)
    inputs = {name: output[name] for name in ("need_runs", "need_tests")}
    for name, schema in (
        ("agreement", AGREEMENT),
        ("reproducibility", REPRODUCIBILITY),
        ("order_leak", ORDER_LEAK),
    ):
        inputs[name] = tmp_path / f"{name}.parquet"
        pq.write_table(schema.empty_table(), inputs[name])
    endpoints = tmp_path / "endpoints.parquet"
    job = SimpleNamespace(
        input=inputs,
        output=[endpoints],
        params=SimpleNamespace(alpha=0.05, seed=1),
        log=[str(tmp_path / "endpoints.log")],
    )
    run_script("endpoints", job)
    assert pq.read_schema(endpoints).equals(ENDPOINTS, check_metadata=True)
    assert "direction use, paper, toy, static: missing" in (tmp_path / "endpoints.log").read_text()
    values = pd.read_parquet(output["need_runs"])
    assert {"accuracy", "direction use", "opposite", "drop"} == set(values["measure"])
