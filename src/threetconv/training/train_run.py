"""Train one run of a study from start to end, on one process or several.

A run is given as a `TrainJob`. ``python -m threetconv.training.train_run JOB.json``, alone or
under torchrun, trains the one in the file; `start` writes such a file where it needs processes.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from threetconv.clips.augment import augmentation, refuse_flip
from threetconv.clips.bad_clips import BadClips
from threetconv.clips.controls import change_frames, shuffle_labels
from threetconv.clips.dataset import ClipDataset
from threetconv.clips.loader import Split
from threetconv.data.contents import clip_marks, data_digest, table_text
from threetconv.data.decoding.frame_sampling import SAMPLING
from threetconv.networks.build import build_network
from threetconv.networks.trace import trace
from threetconv.records.plan import Run, derive_seed
from threetconv.records.run_folder import write_run
from threetconv.records.run_record import RunRecord
from threetconv.support.files import read_parquet, write_text
from threetconv.support.logs import step_log
from threetconv.support.provenance import bytes_sha256, code_digest, file_sha256, versions
from threetconv.training.checkpoints import Checkpoints
from threetconv.training.distributed import ALONE, World, join
from threetconv.training.loop import fit
from threetconv.training.recipes import spread_transforms
from threetconv.training.settings import Settings
from threetconv.training.torchrun import launch

__all__ = ["TrainJob", "start", "train_run"]

log = logging.getLogger("threetconv.training.train_run")  # also where this is run as __main__


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """Everything that training one run needs; each process of the run gets it as a JSON file.

    Attributes:
        run: which cell, which control, which replicate, which seed.
        table: Parquet file of the data set's clip table.
        packed: its clips as one array, or None to decode them as they are needed.
        clip_shape: (frames, height, width).
        width: factor on every channel count.
        symmetric_time: as for `threetconv.networks.build.build_network`.
        settings: of training.
        weights: 2D weights of a pretrained run; None for one from scratch.
        carry: what is carried over from the 2D weights.
        folder: where the four files go.
        log_file: where the run's log goes.
        device: "cpu" or "cuda".
        threads: of torch, in each process.
        workers: processes that augment clips, and decode those that are not packed.
        sampling: name in `threetconv.data.decoding.frame_sampling.SAMPLING`, for training clips.
        augment: options of `threetconv.clips.augment.augmentation`, for training clips; empty:
            none.
        on_bad_clip: "fail" or "skip": what happens at a clip that cannot be read.
        max_bad_share: of all clips; with more of them broken, "skip" fails as well.
        keep_finished: leave a note beside the files that says what they were made from, and train
            nothing where such a note is there and still true.
        checkpoints: folder for checkpoints; None: no checkpoints.
        checkpoint_seconds: between two of them, at least.
    """

    run: Run
    table: str | Path
    packed: str | Path | None
    clip_shape: tuple[int, int, int]
    width: float
    settings: Settings
    weights: str | Path | None
    carry: str
    folder: str | Path
    log_file: str | Path
    device: str = "cpu"
    threads: int = 1
    workers: int = 0
    sampling: str = "even"
    augment: Mapping[str, Any] = field(default_factory=dict)
    on_bad_clip: str = "fail"
    max_bad_share: float = 0.01
    keep_finished: bool = False
    checkpoints: str | Path | None = None
    checkpoint_seconds: float = 60.0
    symmetric_time: bool = False

    def to_json(self) -> str:
        """The job as text, for `from_json`."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> TrainJob:
        """The job that `to_json` wrote; ValueError, KeyError or TypeError where it did not."""
        fields = json.loads(text)
        fields["run"] = Run(**fields["run"])
        fields["settings"] = Settings.from_dict(fields["settings"])
        fields["clip_shape"] = tuple(fields["clip_shape"])
        return cls(**fields)


def train_run(job: TrainJob, world: World = ALONE) -> None:
    """Build the network of a run, train it and write its folder.

    A run that was stopped goes on from its newest checkpoint and gets the numbers that it would
    have had otherwise, on the CPU to the bit. If its settings, code or clips have changed since
    (see `threetconv.data.contents`), it logs what has changed and starts anew.

    Args:
        job: what to train.
        world: the processes that train this run together.
    """
    torch.set_num_threads(job.threads)
    run, shape, table = job.run, job.clip_shape, read_parquet(job.table)
    # the control changes labels for training; `table` stays as it is for the record's digest
    clips = shuffle_labels(table, seed=run.seed) if run.control == "label-shuffled" else table
    marks = clip_marks(table, packed=job.packed is not None)
    bad = BadClips(job.on_bad_clip, total=len(clips), ceiling=job.max_bad_share)
    origin = _origin(job, world, clips, marks)
    note = Path(job.folder) / "made_from.json"
    if job.keep_finished and note.is_file() and json.loads(note.read_text()) == origin:
        log.info("%s: trained already", run.run_id)
        return
    # training may sample frames at random; validation and test (`whole`) always see evenly spaced
    # ones. Both share one list of bad clips
    data, whole = (
        ClipDataset(
            clips, packed=job.packed, frames=shape[0], size=shape[1:], sampling=sampling, bad=bad
        )
        for sampling in (job.sampling, "even")
    )
    network = build_network(
        run.network,
        convolution=run.convolution,
        num_classes=len(data.classes),
        clip_shape=shape,
        width=job.width,
        weights=job.weights,
        carry=job.carry,
        seed=run.seed,
        symmetric_time=job.symmetric_time,
    )
    spread = job.settings.recipe.spread
    if any(spread.values()):
        spread_transforms(network, shape, spread, seed=derive_seed(run.seed, "transforms"))
    layers = trace(network, shape)
    device = world.device if world.size > 1 else job.device
    how: dict[str, Any] = {
        "seed": run.seed,
        "workers": job.workers,
        "change": change_frames(run.control, seed=run.seed),
        # micro-batches are for batches that do not fit on the GPU: parts go there one by one
        "device": "cpu" if job.settings.micro_batch else device,
        "ahead": 1 if device.startswith("cuda") else 0,
    }
    augment = augmentation(job.augment)
    if augment.horizontal_flip:
        # a mirror image of a swipe to the left is one to the right, under the wrong label
        refuse_flip(data.classes, f"data set {run.dataset}, augment.horizontal_flip")
    training = Split(
        data,
        clips,
        "train",
        augment=augment if augment.acts else None,
        random_offset=SAMPLING[job.sampling].draws,
        **how,
    )
    validation, test = (Split(whole, clips, split, **how) for split in ("val", "test"))
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
    if job.checkpoints is not None:
        saved = Checkpoints(
            job.checkpoints,
            belongs_to=origin,
            every=job.checkpoint_seconds,
            notes=bad.found,
            marks=marks,
        )
    with data, whole:
        result = fit(
            network,
            training,
            validation,
            job.settings,
            seed=run.seed,
            device=job.device,
            test=test if len(test) else None,
            checkpoints=saved,
            world=world,
        )
    # each process reads its own share of the clips, so each knows other bad ones
    found = {path: what for each in world.each(bad.found) for path, what in each.items()}
    if not world.is_first:
        return
    settings = job.settings
    record = RunRecord(
        **run.to_dict(),
        source="trained",
        optimiser="adam",
        lr=settings.learning_rate,
        recipe_details=json.dumps(asdict(settings.recipe)) if layers else None,
        settings=json.dumps(
            settings.to_dict() | {"sampling": job.sampling, "augment": dict(job.augment)}
        ),
        schedule=settings.schedule,
        class_weights=settings.class_weights,
        early_stopping=settings.early_stopping,
        precision=settings.precision,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        micro_batch=settings.micro_batch,
        processes=world.size,
        frames=shape[0],
        height=shape[1],
        width=shape[2],
        width_factor=job.width,
        symmetric_time=job.symmetric_time,
        carry=job.carry if job.weights is not None else "convolutions",
        num_classes=len(data.classes),
        n_train=len(training),
        n_val=len(validation),
        n_test=len(test),
        data_digest=data_digest(table, marks),
    )
    write_run(
        Path(job.folder), record, result, network, layers, classes=data.classes, bad_clips=found
    )
    if job.keep_finished:
        write_text(note, json.dumps(origin))
    if saved is not None:
        # only now: until the folder is written, a run that is stopped goes on from its last
        # checkpoint
        saved.remove()


def _origin(
    job: TrainJob, world: World, clips: pd.DataFrame, marks: Mapping[str, str]
) -> dict[str, Any]:
    """All that changes a run's numbers. Threads and processes do: they change the order of sums."""
    return {
        "run": job.run.to_dict(),
        "settings": job.settings.to_dict(),
        "table": bytes_sha256(table_text(clips)),
        "clips": bytes_sha256("".join(marks.values()).encode()),
        "clip_shape": list(job.clip_shape),
        "width": job.width,
        "symmetric_time": job.symmetric_time,
        "weights": file_sha256(job.weights) if job.weights is not None else None,
        "carry": job.carry,
        "sampling": [job.sampling, dict(job.augment), job.on_bad_clip],
        "threads": torch.get_num_threads(),
        "processes": world.size,
        "device": job.device,
        "versions": versions(),
        "code": code_digest("training.train_run"),
    }


def start(job: TrainJob, *, processes: int) -> None:
    """`train_run` in this process, or in several that share each batch.

    Args:
        job: what to train.
        processes: how many; each needs a GPU of its own when the device is "cuda".
    """
    if processes == 1:
        with step_log(job.log_file):
            train_run(job)
        return
    with tempfile.TemporaryDirectory(prefix="threetconv-") as place:
        # the processes start without this one's memory, so the job travels as a file
        file = Path(place) / "job.json"
        file.write_text(job.to_json(), encoding="utf-8")
        launch(processes, "threetconv.training.train_run", [str(file)])


def main() -> None:
    """Read the job and do it, as one of the processes that torchrun has started, or alone."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m threetconv.training.train_run JOB.json")
    try:
        job = TrainJob.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{sys.argv[1]} is no job of threetconv.training.train_run ({error})")
    with join(job.device) as world:
        path = Path(job.log_file)
        # one log file per process, since they would write over each other's lines
        name = path if world.is_first else path.with_stem(f"{path.stem}-process{world.rank}")
        with step_log(name):
            train_run(job, world)


if __name__ == "__main__":
    main()
