"""Runs of toy size, trained on a table of a test's own clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.records.plan import Run
from threetconv.training.train_run import TrainJob, train_run


def train(run: Run, table: pd.DataFrame, folder: Path, **changes: Any) -> Path:
    """Train from scratch at an eighth of the width; table and log lie beside the run's folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_name(f"{folder.name}-clips.parquet")
    table.to_parquet(file, index=False)
    job: dict[str, Any] = {
        "width": 0.125,
        "packed": None,
        "weights": None,
        "carry": "convolutions",
        "log_file": folder.with_suffix(".log"),
    }
    train_run(TrainJob(run=run, table=file, folder=folder, **(job | changes)))
    return folder
