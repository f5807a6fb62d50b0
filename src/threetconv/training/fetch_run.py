"""A run that is fetched instead of trained: the same folder, made from downloaded weights.

Only the weights of such a run are known. Loss and accuracy are measured here, on the study's own
clips. Updates and learning rate are unknown (null) unless they are given; without them the run has
no noise floor. Comparisons at matched noise budgets need snapshots of the training, so a fetched
run never takes part in them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from threetconv.clips.bad_clips import BadClips
from threetconv.clips.controls import change_frames
from threetconv.data.contents import clip_marks, data_digest
from threetconv.data.table import class_names
from threetconv.errors import InputError
from threetconv.networks.weight_files import load_weights
from threetconv.records.load_model import network_of
from threetconv.records.plan import Run
from threetconv.records.result import Result, Snapshot
from threetconv.records.run_folder import write_run
from threetconv.records.run_record import RunRecord
from threetconv.support.download import Downloader, fetch
from threetconv.support.provenance import file_sha256

if TYPE_CHECKING:
    from torch import nn

    from threetconv.clips.loader import Split

__all__ = ["fetch_run"]

log = logging.getLogger(__name__)

UNKNOWN: Any = None  # null in the record
EPOCH = 0  # not an epoch of training, which count from 1
BATCH = 64  # clips at a time; changes nothing but memory


def fetch_run(
    run: Run,
    *,
    source: str,
    sha256: str | None = None,
    format: str = "threetconv",
    table: pd.DataFrame,
    packed: str | Path | None,
    clip_shape: tuple[int, int, int],
    width: float,
    cache: str | Path,
    folder: str | Path,
    n_updates: int | None = None,
    learning_rate: float | None = None,
    licence: str = "",
    classes: Sequence[str] | None = None,
    carry: str = "convolutions",
    device: str = "cpu",
    workers: int = 0,
    on_bad_clip: str = "fail",
    max_bad_share: float = 0.01,
    symmetric_time: bool = False,
    downloader: Downloader | None = None,
) -> None:
    """Fetch the weights of a run, measure them and write the run's folder.

    The folder is that of `threetconv.records.run_folder`. run.json says "source":
    "fetched", from where, and the file's SHA-256; snapshots.safetensors has one snapshot, "best",
    for a 3T network; metrics.parquet has loss and accuracy on "val" and, where the table has it,
    "test".

    Args:
        run: the cell of the design that the weights stand in for. Under a control of the clips
            they are measured on clips changed in that way.
        source, sha256, cache, downloader: see `threetconv.support.download.fetch`.
        format: name in `threetconv.networks.weight_files.FORMATS`.
        table: clip table of the data set.
        packed: its clips as one array, or None to decode them.
        clip_shape: (frames, height, width).
        width: factor on every channel count.
        folder: where the four files go.
        n_updates, learning_rate: of its training, with a constant rate, where they are known.
        licence: of the weights, as an SPDX identifier or in words.
        classes: names of the network's outputs, in their order; the table's own, sorted, by
            default. Weights from elsewhere may well have another order.
        carry: what a pretrained run of this study carries over (batch norm's eps follows it).
        device: "cpu" or "cuda".
        workers: processes that decode clips when they are not packed.
        on_bad_clip: "fail" or "skip": what happens at a clip that cannot be read.
        symmetric_time: as for `threetconv.networks.build.build_network`.
        max_bad_share: of all clips; with more of them broken, "skip" fails as well.

    Raises:
        InputError: the file cannot be had, has another hash, holds code, or is the weight file
            of another network; no validation clips; a loss that is not finite; updates or a
            learning rate that are not positive.
    """
    from threetconv.clips.dataset import ClipDataset  # torch only where it is needed
    from threetconv.clips.loader import Split
    from threetconv.networks.trace import temporal_state, trace

    # before the download, so that a bad option stops early
    sum_lr2 = _sum_lr2(run.run_id, n_updates, learning_rate)
    path = fetch(source, sha256=sha256, cache=cache, downloader=downloader)
    names = list(class_names(table) if classes is None else classes)
    record = RunRecord(
        **run.to_dict(),
        source="fetched",
        fetched_from=source,
        fetched_sha256=file_sha256(path),
        fetched_format=format,
        licence=licence,
        lr=learning_rate,
        schedule=UNKNOWN if sum_lr2 is None else "constant",
        frames=clip_shape[0],
        height=clip_shape[1],
        width=clip_shape[2],
        width_factor=width,
        symmetric_time=symmetric_time,
        carry=carry if run.init == "pretrained" and format != "authors" else "convolutions",
        num_classes=len(names),
        n_val=int((table["split"] == "val").sum()),
        n_test=int((table["split"] == "test").sum()),
        data_digest=data_digest(table, clip_marks(table, packed=packed is not None)),
    )
    network = network_of(record.to_dict())
    load_weights(path, network, format=format)
    layers = trace(network, clip_shape)
    # tables need a number where the updates are unknown
    step = n_updates or 0
    bad = BadClips(on_bad_clip, total=len(table), ceiling=max_bad_share)
    with ClipDataset(
        table, packed=packed, frames=clip_shape[0], size=clip_shape[1:], classes=names, bad=bad
    ) as data:
        options: dict[str, Any] = {
            "seed": run.seed,
            "workers": workers,
            "change": change_frames(run.control, seed=run.seed),
        }
        splits = {split: Split(data, table, split, **options) for split in ("val", "test")}
        metrics = _measured(network.to(device), splits, record=record, step=step, device=device)
    state = temporal_state(network.to("cpu"))
    result = Result(
        best_state=network.state_dict(),
        best_epoch=EPOCH,
        best_step=n_updates or UNKNOWN,
        metrics=metrics,
        snapshots=[Snapshot(step, EPOCH, "best", sum_lr2, state)] if state else [],
        n_updates=n_updates or UNKNOWN,
        sum_lr2=sum_lr2,
    )
    write_run(Path(folder), record, result, network, layers, classes=names, bad_clips=bad.found)


def _sum_lr2(run_id: str, n_updates: int | None, learning_rate: float | None) -> Any:
    """Sum of squared learning rates under a constant one; None where that is not known."""
    for name, value in (("n_updates", n_updates), ("learning_rate", learning_rate)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(
                f"checkpoint of {run_id}: {name}",
                found=str(value),
                expected="a number above 0, or nothing where it is not known",
                remedy="leave it out, or take it from whoever trained the weights",
            )
    if n_updates is None or learning_rate is None:
        return UNKNOWN
    return n_updates * learning_rate**2


def _measured(
    network: nn.Module, splits: dict[str, Split], *, record: RunRecord, step: int, device: str
) -> pd.DataFrame:
    """Loss and accuracy by split, as training records them."""
    from threetconv.training.evaluate import evaluate  # torch only where it is needed

    run_id, chance = record.run_id, 1 / record.num_classes
    rows: list[tuple[Any, ...]] = []
    for split, clips in splits.items():
        # only some data sets have a labelled test list; validation clips are required
        if split == "test" and not len(clips):
            continue
        loss, accuracy, n = evaluate(network, clips, batch_size=BATCH, device=device)
        if not n or not math.isfinite(loss):
            raise InputError(
                f"{run_id}, split {split!r}",
                found=f"a loss of {loss}" if n else "no clip that can be shown to the network",
                expected="a finite loss over at least one clip",
                remedy="use other weights" if n else "name a data set with validation clips",
            )
        log.info("%s: %s loss %.3f accuracy %.3f of %d clips", run_id, split, loss, accuracy, n)
        # weights of the right shape, outputs in another order: the usual mistake, and no error
        if accuracy <= chance:
            log.warning(
                "%s: %s accuracy %.3f, chance is %.3f: are the outputs of the weights in the "
                "order of the classes? (see `classes` in the study)",
                *(run_id, split, accuracy, chance),
            )
        rows.append((step, EPOCH, split, "loss", loss, n))
        rows.append((step, EPOCH, split, "accuracy", accuracy, n))
    return pd.DataFrame(rows, columns=["step", "epoch", "split", "metric", "value", "n"])
