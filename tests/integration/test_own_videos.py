"""A user's own videos through the whole workflow: odd sizes, grey, too short, one data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from threetconv import open_study
from threetconv.support.files import read_parquet

ROOT = Path(__file__).resolve().parents[2]


def write_video(
    path: Path, *, frames: int, size: tuple[int, int], codec: str, grey: bool = False
) -> None:
    """Moving stripes, (height, width) as given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height = width, height
        stream.pix_fmt = "gray" if grey else {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        x = np.arange(width)[None, :, None]
        for t in range(frames):
            picture = np.broadcast_to((x * 5 + t * 9) % 256, (height, width, 3)).astype(np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for split in ("train", "val"):
        write_video(folder / f"mine/{split}/wave/a.mp4", frames=20, size=(49, 65), codec="mpeg4")
        write_video(folder / f"mine/{split}/wave/b.avi", frames=5, size=(48, 64), codec="mjpeg")
        write_video(
            folder / f"mine/{split}/jump/c.mkv", frames=12, size=(40, 40), codec="ffv1", grey=True
        )
    config = {
        "study": "own",
        "replicates": 1,
        "networks": ["resnet18"],
        "width": 0.125,
        "variants": [{"init": "scratch", "convolution": "3t"}],
        "datasets": {
            "kitchen": {
                "adapter": "folder",
                "root": "mine",
                "clip": {"frames": 8, "height": 32, "width": 32},
            }
        },
        "training": {"epochs": 1, "batch_size": 2, "learning_rate": {"3t": 1.0e-3}},
        "statistics": {"calibration_replicates": 20, "bootstrap_resamples": 100},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(config))
    return folder


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), "--cores", "2"]
    return subprocess.run(
        [*command, "--configfile", str(folder / "own.yaml"), *arguments],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_own_videos_give_a_report(study):
    done = run(study)
    assert done.returncode == 0, done.stderr[-5000:]
    table = read_parquet(study / "results/own/packed/kitchen.parquet")
    assert sorted(table["n_frames_read"].unique()) == [5, 12, 20]
    log = (study / "results/own/logs/pack_clips/kitchen.log").read_text()
    assert "5 frames where 8 are wanted; its last frame is repeated 3 times" in log
    packed = np.load(study / "results/own/packed/kitchen.npy")
    short = int(np.flatnonzero(table["n_frames_read"] == 5)[0])
    assert (packed[short, 4:] == packed[short, 4]).all()
    grey = int(np.flatnonzero(table["n_frames_read"] == 12)[0])
    assert (np.ptp(packed[grey].astype(int), axis=-1) <= 1).all()
    page = (study / "reports/own/report.html").read_text()
    assert "kitchen" in page
    assert read_parquet(
        study / "results/own/tests.parquet"
    ).empty  # one data set, one start: no contrast


@pytest.mark.slow
def test_a_replicate_that_is_taken_back_is_not_counted(study):
    """`replicates: 2`, then 1 again: the notebook counts the run that the study has."""
    target = "results/own/notebooks/query_parameters.ipynb"
    for replicates in (2, 1, 2):
        done = run(study, "--config", f"replicates={replicates}", "--", target)
        assert done.returncode == 0, done.stderr[-5000:]
        assert len(open_study(study / "results/own").runs) == replicates
        counted = open_study(study / "results/own").sql("SELECT DISTINCT run_id FROM parameters")
        assert len(counted.fetchall()) == replicates
        cell = json.loads((study / target).read_text())["cells"][3]
        lines = "".join(cell["outputs"][0]["data"]["text/plain"]).splitlines()
        assert lines[1].split()[4] == str(replicates), lines  # the column `runs`
    aside = list((study / "results/own/aside").rglob("*-r2.parquet"))
    assert len(aside) == 1
    assert "rule train" not in done.stderr  # what was trained once is used again
    run(study, "--", target)


def test_an_unreadable_video_stops_with_its_name(study):
    broken = study / "mine/val/jump/broken.mp4"
    broken.write_bytes(b"this is not a video")
    try:
        done = run(study, "--forcerun", "clip_table", "--", "results/own/packed/kitchen.npy")
        assert done.returncode == 1
        assert "mine/val/jump/broken.mp4" in done.stderr
        assert "remedy:" in done.stderr
        assert "Traceback" not in done.stderr
        leftovers = [p.name for p in (study / "results/own/packed").glob("*")]
        assert not [name for name in leftovers if name.startswith(".kitchen")]
    finally:
        broken.unlink()
