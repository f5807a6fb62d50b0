"""Seconds per update of finished runs, from the records that they left."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from threetconv.errors import InputError

__all__ = ["recorded_steps"]


def recorded_steps(results: str | Path) -> pd.DataFrame:
    """Seconds per update of finished runs, validation included, as they were.

    Args:
        results: results folder of a study; its ``runs/*/run.json`` are read: those of the study's
            runs, or all that are there while the study is not finished.

    Returns:
        network, convolution, dataset, seconds (median over the runs of a kind), runs, batch_size,
        micro_batch (0: the whole batch), precision, clip ("30x150x224"), parameters.

    Raises:
        InputError: no finished run.
    """
    from threetconv.records.run_folder import read_run  # arrow
    from threetconv.records.study_results import open_study

    folder = Path(results) / "runs"
    files = sorted(folder.glob("*/run.json"))
    # results/runs.parquet: the study is finished, and older runs may lie beside its own
    if folder.with_suffix(".parquet").is_file():
        present = set(open_study(results).runs["run_id"])
        files = [file for file in files if file.parent.name in present]
    records = [read_run(file.parent)["run"] for file in files]
    timed = [r for r in records if r.get("seconds") and r.get("n_updates")]
    if not timed:
        raise InputError(
            folder,
            found="no record of a finished run",
            expected="the results folder of a finished study, with runs/<run>/run.json",
            remedy="leave --from-results out to measure here, or give --step-time",
        )
    table = pd.DataFrame(timed)
    shape = table[["frames", "height", "width"]].astype(str).agg("x".join, axis=1)
    table = table.assign(
        seconds=table["seconds"] / table["n_updates"],
        clip=shape,
        micro_batch=[r.get("micro_batch") or 0 for r in timed],
        precision=[r.get("precision") or "float32" for r in timed],
    )
    cells = table.groupby(["network", "convolution", "dataset"], sort=False)
    return cells.agg(
        seconds=("seconds", "median"),
        runs=("seconds", "size"),
        batch_size=("batch_size", "first"),
        micro_batch=("micro_batch", "first"),
        precision=("precision", "first"),
        clip=("clip", "first"),
        parameters=("n_parameters", "first"),
    ).reset_index()
