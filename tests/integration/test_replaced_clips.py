"""Clips that are replaced under their names, or broken: in training, after it, in the workflow."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
import yaml

from threetconv.clips.bad_clips import clips_of_run
from threetconv.errors import InputError
from threetconv.explain.class_preferences import class_preferences
from threetconv.explain.run import Options, explain_run, show_clips
from threetconv.records.plan import Run
from threetconv.records.run_folder import parameter_table, read_run
from threetconv.support.files import read_parquet
from threetconv.training.checkpoints import Checkpoints
from threetconv.training.fetch_run import fetch_run
from threetconv.training.recipes import Recipe
from threetconv.training.settings import Settings

from ..builders import trained_runs

ROOT = Path(__file__).resolve().parents[2]
SHAPE = (8, 16, 16)
PACKED = "results/packed/kitchen.npy"
RUN = Run("resnet18-toy-scratch-3t-r1", "resnet18", "toy", "scratch", "3t", "none", 1, 7)


def write_video(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 24, 24, "yuvj420p"
        for _ in range(SHAPE[0]):
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Videos: eight to train on, eight to validate with, of two classes."""
    rows = []
    for i in range(16):
        path = tmp_path / f"clips/{i:02d}.avi"
        write_video(path, i)
        rows.append((f"c{i:02d}", str(path), "ab"[i % 2], "train" if i < 8 else "val"))
    return pd.DataFrame(rows, columns=["clip_id", "path", "label", "split"])


def train(table: pd.DataFrame, folder: Path, **changes: Any) -> Path:
    arguments: dict[str, Any] = {
        "clip_shape": SHAPE,
        "settings": Settings(epochs=2, batch_size=4, learning_rate=1e-2),
    }
    return trained_runs.train(RUN, table, folder / "run", **(arguments | changes))


class KilledError(Exception):
    """What ends a run between two checkpoints."""


def test_a_finished_run_of_a_batch_is_not_trained_again(
    table: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Unless its settings or its clips have changed since."""
    caplog.set_level(logging.INFO, logger="threetconv")
    place = tmp_path / "batch"
    run = train(table, place, keep_finished=True)
    first = (run / "run.json").read_bytes()
    train(table, place, keep_finished=True)
    assert "trained already" in caplog.text
    assert (run / "run.json").read_bytes() == first

    caplog.clear()
    recipe = Recipe("fast", dict.fromkeys(("scale", "rotate", "translate"), 30.0))
    other = Settings(epochs=2, batch_size=4, learning_rate=1e-2, recipe=recipe)
    train(table, place, keep_finished=True, settings=other)
    assert "trained already" not in caplog.text
    assert json.loads(read_run(run)["run"]["recipe_details"])["name"] == "fast"

    write_video(Path(table["path"][3]), 100)
    caplog.clear()
    train(table, place, keep_finished=True, settings=other)
    assert "trained already" not in caplog.text


def test_a_run_whose_clips_were_replaced_starts_anew(
    table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And one whose clips were not goes on."""
    save, saved = Checkpoints.save, []

    def save_and_die(self: Checkpoints, update: int, state: Any) -> Path:
        saved.append(save(self, update, state))
        if len(saved) == 2:
            raise KilledError
        return saved[-1]

    there = tmp_path / "checkpoints"
    options: dict[str, Any] = {"checkpoints": there, "checkpoint_seconds": 0}
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_and_die)
        with pytest.raises(KilledError):
            train(table, tmp_path / "killed", **options)
    shutil.copytree(there, tmp_path / "kept")

    with caplog.at_level(logging.INFO, logger="threetconv"):
        first = read_run(train(table, tmp_path / "killed", **options))["run"]
    assert "goes on at update 2 of 4" in caplog.text

    caplog.clear()
    shutil.copytree(tmp_path / "kept", there)
    for i in (3, 9):
        write_video(Path(table["path"][i]), 100 + i)
    with caplog.at_level(logging.INFO, logger="threetconv"):
        run = train(table, tmp_path / "again", **options)
    assert "goes on at" not in caplog.text
    said = f"training starts anew: the clips have changed: 2 of 16 differ, first {table['path'][3]}"
    assert said in caplog.text
    second = read_run(run)["run"]
    assert len(first["data_digest"]) == 64
    assert first["data_digest"] != second["data_digest"]
    alone = read_run(train(table, tmp_path / "alone"))["run"]
    assert second["weights_sha256"] == alone["weights_sha256"] != first["weights_sha256"]
    assert second["data_digest"] == alone["data_digest"]


def test_what_a_run_left_out_is_left_out_of_all_that_follows(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    """Two of eight validation clips are broken, and one of training; clips are streamed."""
    broken = [table["path"][i] for i in (1, 8, 13)]
    for path in broken:
        Path(path).write_bytes(b"not a video")
    run = train(table, tmp_path, on_bad_clip="skip", max_bad_share=0.2)
    document = read_run(run)
    assert sorted(document["bad_clips"]) == broken
    good = ["c09", "c10", "c11", "c12", "c14", "c15"]
    assert clips_of_run(table, document, split="val")["clip_id"].tolist() == good
    for seed in range(3):
        frames, _, ids = show_clips(document, table, None, count=8, seed=seed)
        assert sorted(ids) == good
        assert len(frames) == len(good)
    options = Options(2, {"faithfulness": 1, "displacement": 0, "random": 0}, ("gradient",), 1, 0.1)
    explain_run(
        run,
        table=table,
        packed=None,
        parameters=parameter_table(run),
        options=options,
        seed=8,
        out=tmp_path / "explained",
    )
    assert (tmp_path / "explained/sanity.parquet").exists()
    preferences = class_preferences(run, table)
    assert preferences.groupby("label")["n_clips"].first().to_dict() == {"a": 3, "b": 3}
    fetched = {"on_bad_clip": "skip", "max_bad_share": 0.2, "cache": tmp_path / "cache"}
    fetch_run(
        RUN,
        source=f"file:{run / 'best.safetensors'}",
        table=table,
        packed=None,
        clip_shape=SHAPE,
        width=0.125,
        folder=tmp_path / "fetched",
        **fetched,
    )
    again = read_run(tmp_path / "fetched")
    assert sorted(again["bad_clips"]) == broken[1:]
    assert again["run"]["data_digest"] == document["run"]["data_digest"]
    lost = document | {"bad_clips": dict.fromkeys(table["path"], "broken")}
    with pytest.raises(InputError, match="that can be read"):
        clips_of_run(table, lost, split="val")


def own_study(folder: Path) -> None:
    for i, name in enumerate(("train/a/0", "train/a/1", "train/b/2", "val/a/3", "val/b/4")):
        write_video(folder / f"mine/{name}.avi", i)
    clip = dict(zip(("frames", "height", "width"), SHAPE, strict=True))
    dataset = {"adapter": "folder", "root": "mine", "clip": clip}
    study = {
        "study": "own",
        "networks": ["resnet18"],
        "variants": [{"init": "scratch", "convolution": "3t"}],
        "datasets": {"kitchen": dataset},
        "training": {"epochs": 1, "batch_size": 2, "learning_rate": {"3t": 1.0e-3}},
        "output": {"results": "results", "reports": "reports"},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(study))


def snakemake(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), "--cores", "1"]
    done = subprocess.run(
        [*command, "--configfile", str(folder / "own.yaml"), *arguments, "--", PACKED],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout + done.stderr


def test_the_same_command_notices_clips_that_were_replaced(tmp_path: Path) -> None:
    own_study(tmp_path)
    snakemake(tmp_path)
    packed = tmp_path / "results/packed"
    before = read_parquet(packed / "kitchen.parquet")

    shutil.copy(tmp_path / "mine/train/a/1.avi", tmp_path / "mine/train/a/0.avi")
    plan = snakemake(tmp_path, "--dry-run")
    assert "'kitchen': 1 of 5 clips looked at have changed" in plan
    assert "first mine/train/a/0.avi" in plan
    assert "rule clip_table:" in plan
    assert "rule pack_clips:" in plan
    assert read_parquet(packed / "kitchen.parquet").equals(before)
    snakemake(tmp_path)
    after = read_parquet(packed / "kitchen.parquet")
    assert after["path"].tolist() == before["path"].tolist()
    assert (after["digest"] != before["digest"]).tolist() == [True] + [False] * 4
    assert after["digest"][0] == after["digest"][1]
    array = np.load(packed / "kitchen.npy")
    assert np.array_equal(array[0], array[1])

    assert "Nothing to be done" in snakemake(tmp_path)
    (tmp_path / "mine/val/b/4.avi").rename(tmp_path / "mine/val/b/5.avi")
    plan = snakemake(tmp_path, "--dry-run")
    assert "have changed or are gone since the clip table was made, first mine/val/b/4.avi" in plan
    assert "rule clip_table:" in plan
    assert len(json.loads((tmp_path / "results/clips/kitchen.contents.json").read_text())) == 5
