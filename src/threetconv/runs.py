"""A training run as a folder of files: train it, write it, read it back.

best.safetensors       weights of the best validation epoch
snapshots.safetensors  temporal parameters: "<number>/<layer>.<parameter>"
metrics.parquet        loss and accuracy by epoch
run.json               what was run: a row of the runs table, the 3T layers, the list of snapshots
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from threetconv.controls import Change, change_frames, shuffle_labels
from threetconv.errors import InputError
from threetconv.files import atomic, read_parquet, write_parquet, write_text
from threetconv.parameters import tabulate
from threetconv.provenance import file_sha256, git_sha, versions
from threetconv.study import Run

if TYPE_CHECKING:
    from threetconv.clips import ClipDataset
    from threetconv.training import Result, Settings

__all__ = [
    "metrics_table",
    "parameter_table",
    "read_run",
    "runs_table",
    "snapshots_table",
    "train_run",
]

log = logging.getLogger(__name__)


def train_run(
    run: Run,
    *,
    table: pd.DataFrame,
    packed: str | Path | None,
    clip_shape: tuple[int, int, int],
    width: float,
    settings: Settings,
    weights: str | Path | None,
    carry: str,
    folder: str | Path,
    device: str = "cpu",
    workers: int = 0,
) -> None:
    """Build the network of a run, train it and write its folder.

    Args:
        run: which cell, which control, which replicate, which seed.
        table: clip table of the data set.
        packed: its clips as one array, or None to decode them as they are needed.
        clip_shape: (frames, height, width).
        width: factor on every channel count.
        settings: of training.
        weights: 2D weights of a pretrained run; None for one from scratch.
        carry: what of them is carried over.
        folder: where the four files go.
        device: "cpu" or "cuda".
        workers: processes that decode clips when they are not packed.
    """
    from threetconv.clips import ClipDataset  # noqa: PLC0415 (torch only where it is needed)
    from threetconv.geometry import trace  # noqa: PLC0415
    from threetconv.networks import build_network  # noqa: PLC0415
    from threetconv.training import fit  # noqa: PLC0415

    if run.control == "label-shuffled":
        table = shuffle_labels(table, seed=run.seed)
    data = ClipDataset(table, packed=packed, frames=clip_shape[0], size=clip_shape[1:])
    network = build_network(
        run.network,
        convolution=run.convolution,
        num_classes=len(data.classes),
        clip_shape=clip_shape,
        width=width,
        weights=weights,
        carry=carry,
        seed=run.seed,
    )
    layers = trace(network, clip_shape)
    change = change_frames(run.control, seed=run.seed)
    training, validation = (
        _Split(data, table, split, workers, change) for split in ("train", "val")
    )
    log.info(
        "%s: %d training clips, %d validation clips, %d classes, seed %d",
        run.run_id,
        len(training),
        len(validation),
        len(data.classes),
        run.seed,
    )
    result = fit(network, training, validation, settings, seed=run.seed, device=device)
    parameters = sum(p.numel() for p in network.parameters())
    temporal = sum(4 * layer.channels * len(layer.reachable) for layer in layers)
    record = run.to_dict() | {
        "source": "trained",
        "optimiser": "adam",
        "lr": settings.learning_rate,
        "schedule": settings.schedule,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "frames": clip_shape[0],
        "height": clip_shape[1],
        "width": clip_shape[2],
        "width_factor": width,
        "num_classes": len(data.classes),
        "n_train": len(training),
        "n_val": len(validation),
        "n_parameters": parameters,
        "n_temporal": temporal,
    }
    _write(Path(folder), record, result, [layer.to_dict() for layer in layers], data.classes)


class _Split:
    """The clips of one split, as `fit` wants them."""

    def __init__(
        self,
        data: ClipDataset,
        table: pd.DataFrame,
        split: str,
        workers: int,
        change: Change | None = None,
    ) -> None:
        self._data, self._workers, self._change = data, workers, change
        self._rows = np.flatnonzero((table["split"] == split).to_numpy())

    def __len__(self) -> int:
        return len(self._rows)

    def __call__(self, order: np.ndarray, batch_size: int) -> Iterable[Any]:
        from threetconv.clips import batches  # noqa: PLC0415

        return batches(
            self._data,
            self._rows[order],
            batch_size,
            workers=self._workers,
            change=self._change,
        )


def _write(
    folder: Path,
    record: dict[str, Any],
    result: Result,
    layers: list[dict[str, Any]],
    classes: list[str],
) -> None:
    from safetensors.numpy import save_file as save_arrays  # noqa: PLC0415
    from safetensors.torch import save_file  # noqa: PLC0415

    with atomic(folder / "best.safetensors") as temporary:
        save_file({k: v.contiguous() for k, v in result.best_state.items()}, temporary)
    arrays = {
        f"{number}/{key}": value
        for number, snapshot in enumerate(result.snapshots)
        for key, value in snapshot.values.items()  # noqa: PD011 (not a DataFrame)
    }
    with atomic(folder / "snapshots.safetensors") as temporary:
        save_arrays(arrays, temporary)
    write_parquet(
        result.metrics.assign(run_id=record["run_id"])[
            ["run_id", "step", "epoch", "split", "metric", "value", "n"]
        ],
        folder / "metrics.parquet",
    )
    record |= {
        "sum_lr2": result.sum_lr2,
        "n_updates": result.n_updates,
        "best_epoch": result.best_epoch,
        "best_step": result.best_step,
        "weights_sha256": file_sha256(folder / "best.safetensors"),
        "git_sha": git_sha(),
        "versions": json.dumps(versions(), sort_keys=True),
        "seconds": round(result.seconds, 3),
        "status": "ok",
    }
    snapshots = [
        {"step": s.step, "epoch": s.epoch, "tag": s.tag, "sum_lr2": s.sum_lr2}
        for s in result.snapshots
    ]
    document = {"run": record, "classes": classes, "layers": layers, "snapshots": snapshots}
    write_text(folder / "run.json", json.dumps(document, indent=1) + "\n")


def read_run(folder: str | Path) -> dict[str, Any]:
    """The contents of a run's run.json: run, classes, layers, snapshots."""
    path = Path(folder) / "run.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        document["run"]["run_id"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            path,
            found=f"{type(error).__name__}: {error}",
            expected="the record of a finished training run",
            remedy="delete the run's folder and start the workflow again",
        ) from error
    return document


def parameter_table(folder: str | Path) -> pd.DataFrame:
    """The parameter table of a run, all snapshots; columns of `threetconv.parameters.SCHEMA`."""
    from safetensors.numpy import load_file  # noqa: PLC0415

    from threetconv.layers import Layer  # noqa: PLC0415

    document = read_run(folder)
    if not document["snapshots"]:
        raise InputError(
            Path(folder) / "run.json",
            found="no snapshots",
            expected="a run of a 3T network; others have no temporal parameters",
            remedy="ask for parameters of 3T runs only",
        )
    arrays = load_file(Path(folder) / "snapshots.safetensors")
    layers = [Layer.from_dict(fields) for fields in document["layers"]]
    frames = []
    for number, snapshot in enumerate(document["snapshots"]):
        prefix = f"{number}/"
        values = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        frames.append(
            tabulate(
                values,
                layers,
                run_id=document["run"]["run_id"],
                step=snapshot["step"],
                epoch=snapshot["epoch"],
                tag=snapshot["tag"],
            )
        )
    return pd.concat(frames, ignore_index=True)


def runs_table(folders: Iterable[str | Path]) -> pd.DataFrame:
    """One row per run, in the order given."""
    return pd.DataFrame([read_run(folder)["run"] for folder in folders])


def snapshots_table(folders: Iterable[str | Path]) -> pd.DataFrame:
    """run_id, step, epoch, tag, sum_lr2: when each run's temporal parameters were recorded."""
    rows = []
    for folder in folders:
        document = read_run(folder)
        rows += [{"run_id": document["run"]["run_id"], **s} for s in document["snapshots"]]
    return pd.DataFrame(rows, columns=["run_id", "step", "epoch", "tag", "sum_lr2"])


def metrics_table(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Loss and accuracy of all runs by epoch, long."""
    return pd.concat(
        [read_parquet(Path(folder) / "metrics.parquet") for folder in folders], ignore_index=True
    )
