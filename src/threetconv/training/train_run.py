"""Train one run of a study from start to end, on one process or several.

``python -m threetconv.training.train_run JOB.json``, alone or under torchrun, calls `train_run`
with what the file says; `start` writes such a file and picks the way.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from threetconv.clips.augment import augmentation, refuse_flip
from threetconv.clips.bad_clips import BadClips
from threetconv.clips.controls import change_frames, shuffle_labels
from threetconv.clips.dataset import ClipDataset
from threetconv.clips.split import Split
from threetconv.data.contents import clip_marks, data_digest, table_text
from threetconv.networks.build import build_network
from threetconv.networks.trace import trace
from threetconv.records.plan import Run
from threetconv.records.run_folder import write_run
from threetconv.support.files import atomic, read_parquet
from threetconv.support.logs import step_log
from threetconv.support.provenance import bytes_sha256, code_digest, file_sha256, versions
from threetconv.training.checkpoints import Checkpoints
from threetconv.training.distributed import ALONE, World, join, launch
from threetconv.training.loop import Settings, fit

__all__ = ["start", "train_run"]

log = logging.getLogger("threetconv.training.train_run")  # also where this is run as __main__


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
    sampling: str = "even",
    augment: Mapping[str, Any] | None = None,
    on_bad_clip: str = "fail",
    max_bad_share: float = 0.01,
    checkpoints: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    world: World = ALONE,
) -> None:
    """Build the network of a run, train it and write its folder.

    A run that was stopped goes on from its newest checkpoint, with the numbers that it would have
    had, on the CPU to the bit; unless its settings, code or clips have changed since (see
    `threetconv.data.contents`), in which case it says what has, and starts anew.

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
        workers: processes that augment clips, and decode those that are not packed.
        sampling: name in `threetconv.data.decoding.decode.SAMPLING`, for training clips.
        augment: options of `threetconv.clips.augment.augmentation`, for training clips; empty:
            none.
        on_bad_clip: "fail" or "skip": what happens at a clip that cannot be read.
        max_bad_share: of all clips; with more of them broken, "skip" fails as well.
        checkpoints: folder for checkpoints; None: no checkpoints.
        checkpoint_seconds: between two of them, at least.
        world: the processes that train this run together.
    """
    clips = table
    if run.control == "label-shuffled":
        clips = shuffle_labels(clips, seed=run.seed)
    marks = clip_marks(table, packed=packed is not None)
    bad = BadClips(on_bad_clip, total=len(clips), ceiling=max_bad_share)
    data, whole = (
        ClipDataset(
            clips, packed=packed, frames=clip_shape[0], size=clip_shape[1:], sampling=way, bad=bad
        )
        for way in (sampling, "even")
    )
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
    changes = augmentation(augment or {})
    if changes.horizontal_flip:
        refuse_flip(data.classes, f"data set {run.dataset}, augment.horizontal_flip")
    place = world.device if world.size > 1 else device
    where: dict[str, Any] = {
        # a batch in parts is more than a GPU shall hold: its parts go there one by one
        "device": "cpu" if settings.micro_batch else place,
        "ahead": 1 if place.startswith("cuda") else 0,
    }
    training = Split(
        data,
        clips,
        "train",
        seed=run.seed,
        workers=workers,
        change=change,
        augment=changes if changes.acts else None,
        random_offset=sampling != "even",
        **where,
    )
    validation, test = (
        Split(whole, clips, split, seed=run.seed, workers=workers, change=change, **where)
        for split in ("val", "test")
    )
    log.info(
        "%s: %d training clips, %d validation clips, %d test clips, %d classes, seed %d",
        run.run_id,
        len(training),
        len(validation),
        len(test),
        len(data.classes),
        run.seed,
    )
    saved = None
    if checkpoints is not None:
        saved = Checkpoints(
            checkpoints,
            belongs_to={
                "run": run.to_dict(),
                "settings": vars(settings),
                "table": bytes_sha256(table_text(clips)),
                "clips": bytes_sha256("".join(marks.values()).encode()),
                "clip_shape": list(clip_shape),
                "width": width,
                "weights": file_sha256(weights) if weights is not None else None,
                "carry": carry,
                "sampling": [sampling, dict(augment or {}), on_bad_clip],
                "threads": torch.get_num_threads(),
                "processes": world.size,
                "device": device,
                "versions": versions(),
                "code": code_digest("training.train_run"),
            },
            every=checkpoint_seconds,
            notes=bad.found,
            marks=marks,
        )
    with data, whole:
        result = fit(
            network,
            training,
            validation,
            settings,
            seed=run.seed,
            device=device,
            test=test if len(test) else None,
            checkpoints=saved,
            world=world,
        )
    found = {path: what for each in world.each(bad.found) for path, what in each.items()}
    if not world.is_first:
        return
    parameters = sum(p.numel() for p in network.parameters())
    temporal = sum(4 * layer.channels * len(layer.reachable) for layer in layers)
    record = run.to_dict() | {
        "source": "trained",
        "optimiser": "adam",
        "lr": settings.learning_rate,
        "schedule": settings.schedule,
        "class_weights": settings.class_weights,
        "early_stopping": settings.early_stopping,
        "precision": settings.precision,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "micro_batch": settings.micro_batch,
        "processes": world.size,
        "frames": clip_shape[0],
        "height": clip_shape[1],
        "width": clip_shape[2],
        "width_factor": width,
        "carry": carry if weights is not None else "convolutions",
        "num_classes": len(data.classes),
        "n_train": len(training),
        "n_val": len(validation),
        "n_test": len(test),
        "n_bad_clips": len(found),
        "data_digest": data_digest(table, marks),
        "n_parameters": parameters,
        "n_temporal": temporal,
    }
    write_run(
        Path(folder),
        record,
        result,
        [layer.to_dict() for layer in layers],
        data.classes,
        bad_clips=found,
    )
    if saved is not None:
        saved.remove()


def start(
    arguments: Mapping[str, Any], *, log_file: str | Path, threads: int, processes: int
) -> None:
    """`train_run` in this process, or in several that share each batch.

    Args:
        arguments: of `train_run`, without `world`; `run` and `settings` as dictionaries, `table` as
            the path of a Parquet file.
        log_file: where the run's log goes.
        threads: of torch, in each process.
        processes: how many; each needs a GPU of its own when the device is "cuda".
    """
    job = {"arguments": dict(arguments), "log": str(log_file), "threads": threads}
    if processes == 1:
        with step_log(log_file):
            _run(job, ALONE)
        return
    with tempfile.TemporaryDirectory(prefix="threetconv-") as place:
        file = Path(place) / "job.json"
        with atomic(file) as temporary:
            temporary.write_text(json.dumps(job, default=str), encoding="utf-8")
        launch(processes, "threetconv.training.train_run", [str(file)])


def _run(job: Mapping[str, Any], world: World) -> None:
    torch.set_num_threads(job["threads"])
    arguments = dict(job["arguments"])
    train_run(
        Run(**arguments.pop("run")),
        table=read_parquet(arguments.pop("table")),
        settings=Settings(**arguments.pop("settings")),
        clip_shape=tuple(arguments.pop("clip_shape")),
        world=world,
        **arguments,
    )


def main() -> None:
    """Read the job and do it, as one of the processes that torchrun has started, or alone."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m threetconv.training.train_run JOB.json")
    try:
        job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        device = job["arguments"]["device"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{sys.argv[1]} is no job of threetconv.training.train_run ({error})")
    with join(device) as world:
        path = Path(job["log"])
        name = path if world.is_first else path.with_stem(f"{path.stem}-process{world.rank}")
        with step_log(name):
            _run(job, world)


if __name__ == "__main__":
    main()
