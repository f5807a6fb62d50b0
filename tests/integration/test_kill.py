"""Training that is killed with SIGKILL, again and again, ends with the bits of a run left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import yaml

from threetconv.records.plan import Run
from threetconv.records.run_folder import parameter_table

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, 32, 32)
FILES = ["best.safetensors", "metrics.parquet", "run.json", "snapshots.safetensors"]
CLASSES = ["left", "right", "up"]
SPLITS = {"train": 22, "val": 8, "test": 5}
SETTINGS: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 5,
    "learning_rate": 3e-3,
    "schedule": "plateau",
    "patience": 1,
    "early_stopping": 6,
    "class_weights": "balanced",
    "snapshot_every": 3,
}


def started(*command: str, out: Path) -> subprocess.Popen[bytes]:
    """A process in a session of its own; what it prints is added to `out`."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with out.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def session(leader: int) -> dict[int, str]:
    """The processes that are alive in a session: id -> command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == leader and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (OSError, ValueError):  # it has just ended
            continue
    return found


def wait_until(
    process: subprocess.Popen[bytes], condition: Callable[[], bool], *, pause: float = 0.002
) -> bool:
    """Whether `condition` came true before the process ended."""
    end = time.monotonic() + 300
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "the moment to kill at did not come"
        time.sleep(pause)
    return True


def kill(process: subprocess.Popen[bytes], *, alone: bool) -> None:
    """SIGKILL to a process, with or without its group; nothing of its session stays alive."""
    (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    wait_for_empty(process.pid)


def wait_for_empty(leader: int) -> None:
    """Nothing of a session stays alive for more than a few seconds after its leader."""
    end = time.monotonic() + 10
    while left := session(leader):
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.05)


def listed(folder: Path) -> set[tuple[str, int]]:
    """Name and inode of each file in a folder that may not be there."""
    try:
        with os.scandir(folder) as entries:
            return {(entry.name, entry.inode()) for entry in entries}
    except FileNotFoundError:
        return set()


def temporary_files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*") if path.is_file())


@dataclass(frozen=True)
class Job:
    """A training job below a folder."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "job.json"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def log(self) -> Path:
        return self.folder / "train.log"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def output(self) -> Path:
        return self.folder / "output.txt"

    def start(self) -> subprocess.Popen[bytes]:
        self.log.unlink(missing_ok=True)
        return started("threetconv.training.train_run", str(self.file), out=self.output)

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        assert process.wait(timeout=300) == 0, self.output.read_text()[-3000:]
        wait_for_empty(process.pid)

    def newest(self) -> int | None:
        """Update of the newest whole checkpoint."""
        found = [int(path.name[:9]) for path in self.checkpoints.glob("[0-9]*.pt")]
        return max(found, default=None)

    def went_on_at(self) -> int | None:
        """Update that the last start went on from, as its log says."""
        said = re.search(r"goes on at update (\d+) of", self.logged())
        return int(said[1]) if said else None

    def logged(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def reached(self, moment: str) -> Callable[[], bool]:
        """A condition that comes true when training that is just starting gets to `moment`.

        "start-up": at once; "<n> updates": checkpoints of n more; "checkpoint": in the middle of
        writing one; "last files": when the first of the final files is being written.
        """
        newest, here, there = self.newest() or 0, listed(self.checkpoints), listed(self.run)
        if moment == "start-up":
            return lambda: True
        if moment == "checkpoint":
            return lambda: any(name.startswith(".") for name, _ in listed(self.checkpoints) - here)
        if moment == "last files":
            return lambda: listed(self.run) != there
        more = int(moment.removesuffix(" updates"))
        return lambda: self.log.exists() and (self.newest() or 0) >= newest + more


def write_job(folder: Path, data: dict[str, Any], **changes: Any) -> Job:
    job = Job(folder)
    folder.mkdir(parents=True)
    network = changes.pop("network", "googlenet")
    run = Run(f"{network}-toy", network, "toy", "scratch", "3t", "none", 1, 7)
    settings = SETTINGS | changes.pop("settings", {})
    content = {
        "run": run.to_dict(),
        "clip_shape": SHAPE,
        "width": 0.125,
        "settings": settings,
        "weights": None,
        "carry": "convolutions",
        "folder": str(job.run),
        "device": "cpu",
        "checkpoints": str(job.checkpoints),
        "checkpoint_seconds": 0,
        "log_file": str(job.log),
    }
    job.file.write_text(json.dumps(content | data | changes), encoding="utf-8")
    return job


def clip_table(paths: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in range(len(paths))],
            "path": paths,
            "label": [CLASSES[min(i % 4, 2)] for i in range(len(paths))],
            "split": [split for split, n in SPLITS.items() for _ in range(n)],
        }
    )


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Clips of noise, of a colour for each class, in one array."""
    folder, n = tmp_path_factory.mktemp("packed"), sum(SPLITS.values())
    table = clip_table([f"c{i}.avi" for i in range(n)])
    table.to_parquet(folder / "clips.parquet", index=False)
    clips = np.random.default_rng(0).integers(0, 200, (n, *SHAPE, 3), dtype=np.uint8)
    for clip, label in zip(clips, table["label"], strict=True):
        clip[..., CLASSES.index(label)] += 40
    np.save(folder / "clips.npy", clips)
    return {"table": str(folder / "clips.parquet"), "packed": str(folder / "clips.npy")}


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Videos that two processes decode as they are needed."""
    folder, rng = tmp_path_factory.mktemp("streamed"), np.random.default_rng(1)
    paths = [str(folder / f"{i}.avi") for i in range(sum(SPLITS.values()))]
    for path in paths:
        with av.open(path, "w") as container:
            stream = container.add_stream("mjpeg", rate=Fraction(25))
            stream.width, stream.height, stream.pix_fmt = 48, 40, "yuvj420p"
            for _ in range(int(rng.integers(6, 20))):
                pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
    clip_table(paths).to_parquet(folder / "clips.parquet", index=False)
    return {
        "table": str(folder / "clips.parquet"),
        "packed": None,
        "workers": 2,
        "sampling": "random-offset",
    }


def kills(
    job: Job, moments: list[str], rng: np.random.Generator, *, alone: bool
) -> Iterator[dict[str, Any]]:
    """Start a job and kill it, once for each moment and a random time after it; at last, let it be.

    Asserts that each start goes on from the newest checkpoint that there is.
    """
    for moment in [*moments, "end"]:
        newest, there = job.newest(), job.checkpoints.exists()
        process = job.start()
        if moment == "end":
            job.finish(process)
        else:
            longest = {"start-up": 4.0, "checkpoint": 0.001, "last files": 0.02}.get(moment, 0.3)
            reached = job.reached(moment)
            assert moment == "start-up" or wait_until(process, job.log.exists)
            assert wait_until(process, reached, pause=0), job.output.read_text()[-3000:]
            time.sleep(float(rng.uniform(0, longest)))
            kill(process, alone=alone)
        went_on = job.went_on_at()
        if moment == "end" or went_on is not None:
            assert went_on == newest
        yield {
            "moment": moment,
            "checkpoint there": there and newest is not None,
            "went on at": went_on,
            "newest": job.newest(),
            "temporary": len(temporary_files(job.folder)),
        }


def assert_same(job: Job, alone: Job) -> None:
    """Byte for byte; of run.json all but the seconds that it took."""
    records = []
    for folder in (job.run, alone.run):
        record = json.loads((folder / "run.json").read_text())
        assert record["run"].pop("seconds") > 0
        records.append(record)
    assert records[0] == records[1]
    for name in FILES:
        if name != "run.json":
            assert (job.run / name).read_bytes() == (alone.run / name).read_bytes(), name
    assert parameter_table(job.run).equals(parameter_table(alone.run))
    assert sorted(path.name for path in job.run.glob("[!.]*")) == FILES
    assert not job.checkpoints.exists()


def assert_survives(
    folder: Path, data: dict[str, Any], moments: list[str], *, parent_alone: bool, **changes: Any
) -> None:
    """Kill a job at `moments`, and compare it with one that saves nothing and is left alone."""
    alone = write_job(folder / "alone", data, **changes | {"checkpoints": None})
    process = alone.start()
    job = write_job(folder / "killed", data, **changes)
    rng = np.random.default_rng(2026)
    record = list(kills(job, moments, rng, alone=parent_alone))
    print(*record, sep="\n")
    alone.finish(process)
    assert_same(job, alone)
    after_a_checkpoint = [entry for entry in record if entry["checkpoint there"]]
    went_on = [entry for entry in after_a_checkpoint if entry["went on at"]]
    assert len(went_on) >= len(moments) // 3
    assert temporary_files(job.folder) == []


@pytest.mark.slow
def test_two_kills_of_a_small_run(tmp_path: Path, packed: dict[str, Any]) -> None:
    settings = {"epochs": 2}
    moments = ["2 updates", "checkpoint"]
    assert_survives(tmp_path, packed, moments, parent_alone=False, settings=settings)


FEW = ["start-up", "0 updates", "1 updates", "checkpoint", "4 updates", "0 updates"]
MORE = ["3 updates", "checkpoint", "2 updates", "checkpoint"]
LAST = ["last files", "last files", "last files"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_of_a_network_with_dropout(tmp_path: Path, packed: dict[str, Any]) -> None:
    assert_survives(tmp_path, packed, FEW + MORE + LAST, parent_alone=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_between_checkpoints(tmp_path: Path, packed: dict[str, Any]) -> None:
    """Updates without a checkpoint are done again."""
    changes = {"network": "resnet18", "checkpoint_seconds": 0.05}
    # so long that checkpoints are written: each may take 2 % of the time
    settings = {"schedule": "one-cycle", "micro_batch": 3, "epochs": 60, "early_stopping": None}
    assert_survives(tmp_path, packed, FEW + LAST, parent_alone=False, settings=settings, **changes)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_with_processes_that_decode(tmp_path: Path, streamed: dict[str, Any]) -> None:
    """The processes of a killed parent end by themselves."""
    augment = {"crop": 0.6, "brightness": 0.3}
    assert_survives(tmp_path, streamed, FEW + LAST, parent_alone=True, augment=augment)


def contents(folder: Path) -> dict[str, bytes | dict[str, Any]]:
    """Runs and parameter tables of a study, without the seconds that a run took."""
    found: dict[str, bytes | dict[str, Any]] = {}
    for path in [*folder.glob("runs/*/[!.]*"), *folder.glob("parameters/**/*.parquet")]:
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.name == "run.json":
            record = json.loads(path.read_text())
            assert record["run"].pop("seconds") > 0
            found[str(path.relative_to(folder))] = record
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_of_snakemake(tmp_path: Path) -> None:
    """All of it is killed, workflow and jobs; ``--unlock`` and the same command go on."""
    study = yaml.safe_load((ROOT / "workflow/studies/smoke.yaml").read_text())
    study["networks"], study["variants"] = ["resnet18"], [{"init": "scratch", "convolution": "3t"}]
    study["datasets"] = {"gestures": study["datasets"]["gestures"]}
    study["training"] |= {"epochs": 20, "batch_size": 3, "schedule": "plateau", "patience": 2}
    del study["statistics"]
    file, rng = tmp_path / "study.yaml", np.random.default_rng(5)
    file.write_text(yaml.safe_dump(study))

    def begin(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        folder.mkdir(exist_ok=True)
        command = ["snakemake", "--directory", str(folder), "--configfile", str(file)]
        options = ["--cores", "2", "--set-resources", "train:checkpoint_seconds=0", *arguments]
        return started(*command, *options, out=folder / "output.txt")

    def updates(folder: Path) -> int:
        """Of all runs together, as their checkpoints tell."""
        checkpoints = folder.glob("results/smoke/checkpoints/*/[0-9]*.pt")
        newest: dict[Path, int] = {}
        for path in checkpoints:
            newest[path.parent] = max(newest.get(path.parent, 0), int(path.name[:9]))
        return sum(newest.values())

    def finish(folder: Path, process: subprocess.Popen[bytes]) -> None:
        assert process.wait(timeout=600) == 0, (folder / "output.txt").read_text()[-5000:]
        wait_for_empty(process.pid)

    killed, alone, went_on = tmp_path / "killed", tmp_path / "alone", 0
    for more in (1, 5, 10):
        before = updates(killed)
        process = begin(killed, "--rerun-incomplete", "--until", "parameters")
        assert wait_until(process, lambda least=before + more: updates(killed) >= least)
        time.sleep(float(rng.uniform(0, 0.3)))
        kill(process, alone=False)
        logs = [path.read_text() for path in killed.glob("results/smoke/logs/train/*.log")]
        went_on += sum("goes on at update" in log for log in logs)
        finish(killed, begin(killed, "--unlock"))
    finish(killed, begin(killed, "--rerun-incomplete", "--until", "parameters"))
    assert went_on >= 2
    finish(alone, begin(alone, "--until", "parameters"))
    found = contents(killed / "results/smoke")
    assert len(found) == 2 * (len(FILES) + 1)
    assert found == contents(alone / "results/smoke")
    assert not list(killed.glob("results/smoke/checkpoints/*"))
