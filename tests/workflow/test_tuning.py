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
import torch

from threetconv.records.load_model import load_model
from threetconv.records.plan import Run
from threetconv.schemas.tuning import TUNING, TUNING_RESPONSES
from threetconv.training.settings import Settings
from threetconv.tuning.tune import tune

from ..builders import trained_runs

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, 16, 16)


def test_the_script_writes_both_tables_of_each_run(tmp_path: Path) -> None:
    """Of two runs one after another, each as if it were measured alone."""
    clips = np.random.default_rng(0).integers(0, 256, (8, *SHAPE, 3), dtype=np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    names = [f"c{i}" for i in range(8)]
    table = pd.DataFrame({"clip_id": names, "path": names, "label": list("abababab")})
    table = table.assign(split=["train"] * 4 + ["val"] * 4, row=range(8))
    kinds = ("3t", "3d")
    folders = [
        trained_runs.train(
            Run(kind, "resnet18", "toy", "scratch", kind, "none", 1, 7),
            table,
            tmp_path / kind,
            packed=tmp_path / "clips.npy",
            clip_shape=SHAPE,
            settings=Settings(epochs=1, batch_size=4, learning_rate=1e-2),
        )
        for kind in kinds
    ]
    output = SimpleNamespace(
        channels=[tmp_path / f"tuning/{kind}.parquet" for kind in kinds],
        responses=[tmp_path / f"tuning/responses/{kind}.parquet" for kind in kinds],
    )
    job = SimpleNamespace(
        input=SimpleNamespace(record=[str(folder / "run.json") for folder in folders]),
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
    for i, kind in enumerate(kinds):
        channels, responses = output.channels[i], output.responses[i]
        assert pq.read_schema(channels).equals(TUNING, check_metadata=True)
        assert pq.read_schema(responses).equals(TUNING_RESPONSES, check_metadata=True)
        written = pd.read_parquet(channels)
        found = tune(load_model(folders[i]), None, SHAPE, seed=3).channels
        pd.testing.assert_frame_equal(
            written.drop(columns="run_id"), found, check_dtype=False, check_exact=True
        )
        assert set(written["run_id"]) == {kind}
        assert written["own_dsi"].notna().any() == (kind == "3t")
        assert responses.stat().st_size < 1_000_000


def test_the_example_of_the_library_page_runs() -> None:
    text = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    section = text.partition("## What does a channel answer to?")[2].partition("\n## ")[0]
    (example,) = re.findall(r"(?s)```python\n(.*?)```", section)
    found: dict[str, object] = {}
    exec(example, found)
    channels = found["channels"]
    assert isinstance(channels, pd.DataFrame)
    assert channels["own_dsi"].notna().any()
