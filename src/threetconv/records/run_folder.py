"""A training run as a folder of files: write it, read it back.

best.safetensors       weights of the best validation epoch
snapshots.safetensors  temporal parameters: "<number>/<layer>.<parameter>"
metrics.parquet        loss and accuracy by epoch
run.json               what was run: a row of the runs table, the 3T layers, the list of snapshots
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from threetconv.errors import InputError
from threetconv.networks.layer_info import LayerInfo
from threetconv.records.parameters import tabulate
from threetconv.records.result import Result
from threetconv.records.run_record import RunRecord
from threetconv.schemas.runs import METRICS, RUNS, SNAPSHOTS
from threetconv.support.files import (
    read_parquet,
    remove_leftovers,
    typed,
    write_parquet,
    write_tensors,
    write_text,
)
from threetconv.support.provenance import file_sha256, git_sha, versions

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "metrics_table",
    "parameter_table",
    "read_run",
    "runs_table",
    "snapshots_table",
    "write_run",
]


def write_run(
    folder: Path,
    record: RunRecord,
    result: Result,
    network: nn.Module,
    layers: Sequence[LayerInfo],
    *,
    classes: list[str],
    bad_clips: Mapping[str, str],
) -> None:
    """Write the four files of a run, run.json last.

    Args:
        folder: where they go.
        record: what was run; what the other arguments tell is filled in here.
        result: of training.
        network: what was trained.
        layers: its 3T layers.
        classes: class names by index.
        bad_clips: path -> what was found, of clips that were left out.
    """
    remove_leftovers(folder)
    write_tensors(result.best_state, folder / "best.safetensors")
    arrays = {
        f"{number}/{key}": value
        for number, snapshot in enumerate(result.snapshots)
        for key, value in snapshot.values.items()  # noqa: PD011 (not a DataFrame)
    }
    write_tensors(arrays, folder / "snapshots.safetensors")
    metrics = result.metrics.assign(run_id=record.run_id)
    write_parquet(metrics, folder / "metrics.parquet", METRICS)
    record = replace(
        record,
        n_bad_clips=len(bad_clips),
        n_parameters=sum(p.numel() for p in network.parameters()),
        # scale, rotate and two translations for every channel and transition
        n_temporal=sum(4 * layer.channels * len(layer.reachable) for layer in layers),
        sum_lr2=result.sum_lr2,
        n_updates=result.n_updates,
        best_epoch=result.best_epoch,
        best_step=result.best_step,
        weights_sha256=file_sha256(folder / "best.safetensors"),
        git_sha=git_sha(),
        versions=json.dumps(versions(), sort_keys=True),
        seconds=round(result.seconds, 3),
        status="ok",
    )
    snapshots = [
        {"step": s.step, "epoch": s.epoch, "tag": s.tag, "sum_lr2": s.sum_lr2}
        for s in result.snapshots
    ]
    document = {
        "run": record.to_dict(),
        "classes": classes,
        "layers": [layer.to_dict() for layer in layers],
        "snapshots": snapshots,
        "bad_clips": dict(sorted(bad_clips.items())),
    }
    # last: its presence says that the run is complete (`read_run`)
    write_text(folder / "run.json", json.dumps(document, indent=1) + "\n")


def read_run(folder: str | Path) -> dict[str, Any]:
    """The contents of a run's run.json: run, classes, layers, snapshots.

    Raises:
        InputError: `folder` is not that of a finished run, or its record is damaged.
    """
    path = Path(folder) / "run.json"
    if not path.is_file():
        kind = "no run.json in this folder" if Path(folder).is_dir() else "no folder at this path"
        raise InputError(
            folder,
            found=kind,
            expected="the folder of a finished run, with run.json in it",
            remedy="give the path of such a folder, results/runs/RUN of a study; or run the "
            "workflow that makes it",
        )
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        # raises where the file is JSON of another form
        document["run"]["run_id"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged_run(folder, f"{type(error).__name__}: {error}") from error
    return document


def damaged_run(folder: str | Path, found: str, *, file: str = "run.json") -> InputError:
    """The error for a run whose folder is there and whose file `file` is not what was written."""
    return InputError(
        Path(folder) / file,
        found=found,
        expected="the file as a finished run of this version of threetconv has it",
        remedy="copy the run's folder again from where it was made; or delete it, and run the "
        "workflow that makes it",
    )


def parameter_table(folder: str | Path) -> pd.DataFrame:
    """The parameter table of a run, all snapshots; columns of `schemas.runs.PARAMETERS`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    document = read_run(folder)
    if not document["snapshots"]:
        raise InputError(
            Path(folder) / "run.json",
            found="no snapshots",
            expected="a run of a 3T network; others have no temporal parameters",
            remedy="ask for parameters of 3T runs only",
        )
    file = Path(folder) / "snapshots.safetensors"
    try:
        arrays = load_file(file)
    except (OSError, SafetensorError) as error:
        raise damaged_run(folder, f"{type(error).__name__}: {error}", file=file.name) from error
    layers = [LayerInfo.from_dict(fields) for fields in document["layers"]]
    numbered: list[dict[str, Any]] = [{} for _ in document["snapshots"]]
    for key, array in arrays.items():
        number, _, name = key.partition("/")
        numbered[int(number)][name] = array
    # a fetched run has no snapshot of its start, which then counts as the identity
    tags = [snapshot["tag"] for snapshot in document["snapshots"]]
    start = numbered[tags.index("init")] if "init" in tags else None
    frames = []
    for values, snapshot in zip(numbered, document["snapshots"], strict=True):
        frames.append(
            tabulate(
                values,
                layers,
                run_id=document["run"]["run_id"],
                step=snapshot["step"],
                epoch=snapshot["epoch"],
                tag=snapshot["tag"],
                start=start,
            )
        )
    return pd.concat(frames, ignore_index=True)


def runs_table(folders: Iterable[str | Path]) -> pd.DataFrame:
    """One row per run, in the order given."""
    records = pd.DataFrame([read_run(folder)["run"] for folder in folders])
    names = dict.fromkeys([*RUNS.names, *records.columns])  # a fetched run has other facts
    return typed(records.reindex(columns=list(names)), RUNS)


def snapshots_table(folders: Iterable[str | Path]) -> pd.DataFrame:
    """run_id, step, epoch, tag, sum_lr2: when each run's temporal parameters were recorded."""
    rows = []
    for folder in folders:
        document = read_run(folder)
        rows += [{"run_id": document["run"]["run_id"], **s} for s in document["snapshots"]]
    return typed(pd.DataFrame(rows, columns=SNAPSHOTS.names), SNAPSHOTS)


def metrics_table(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Loss and accuracy of all runs by epoch, long."""
    return pd.concat(
        [read_parquet(Path(folder) / "metrics.parquet") for folder in folders], ignore_index=True
    )
