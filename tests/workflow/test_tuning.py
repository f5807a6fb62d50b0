"""The script that measures a run, and the example of docs/library.md, as they stand."""

from __future__ import annotations

import logging
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from threetconv.records.load_model import load_model
from threetconv.records.plan import Run
from threetconv.schemas.tuning import TUNING, TUNING_RESPONSES
from threetconv.training.settings import Settings
from threetconv.tuning.tune import tune

from ..builders import trained_runs

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, 16, 16)


@pytest.mark.parametrize("convolution", ["3t", "3d"])
def test_the_script_writes_both_tables_of_a_run(tmp_path: Path, convolution: str) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (8, *SHAPE, 3), dtype=np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    names = [f"c{i}" for i in range(8)]
    table = pd.DataFrame({"clip_id": names, "path": names, "label": list("abababab")})
    table = table.assign(split=["train"] * 4 + ["val"] * 4, row=range(8))
    run = Run("run", "resnet18", "toy", "scratch", convolution, "none", 1, 7)
    folder = trained_runs.train(
        run,
        table,
        tmp_path / "run",
        packed=tmp_path / "clips.npy",
        clip_shape=SHAPE,
        settings=Settings(epochs=1, batch_size=4, learning_rate=1e-2),
    )
    output = SimpleNamespace(
        channels=tmp_path / "tuning/run.parquet",
        responses=tmp_path / "tuning/responses/run.parquet",
    )
    job = SimpleNamespace(
        input=SimpleNamespace(record=str(folder / "run.json")),
        output=output,
        params=SimpleNamespace(seed=3),
        log=[str(tmp_path / "tuning.log")],
        threads=torch.get_num_threads(),
    )
    handlers = list(logging.getLogger("threetconv").handlers)
    try:
        runpy.run_path(str(ROOT / "workflow/scripts/tuning.py"), {"snakemake": job})
    finally:
        logging.getLogger("threetconv").handlers[:] = handlers
    assert pq.read_schema(output.channels).equals(TUNING, check_metadata=True)
    assert pq.read_schema(output.responses).equals(TUNING_RESPONSES, check_metadata=True)
    written = pd.read_parquet(output.channels)
    found = tune(load_model(folder), None, SHAPE, seed=3).channels
    pd.testing.assert_frame_equal(written.drop(columns="run_id"), found, check_dtype=False)
    assert set(written["run_id"]) == {"run"}
    assert written["own_dsi"].notna().any() == (convolution == "3t")
    assert output.responses.stat().st_size < 1_000_000


def test_the_example_of_the_library_page_runs() -> None:
    text = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    section = text.partition("## What does a channel answer to?")[2].partition("\n## ")[0]
    (example,) = re.findall(r"(?s)```python\n(.*?)```", section)
    found: dict[str, object] = {}
    exec(example, found)
    channels = found["channels"]
    assert isinstance(channels, pd.DataFrame)
    assert channels["own_dsi"].notna().any()
