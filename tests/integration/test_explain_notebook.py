"""The notebook that explains a channel by hand: on a tiny run, with one's own video and without."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest

from threetconv.records.plan import Run
from threetconv.records.run_folder import runs_table
from threetconv.study.notebooks import run_notebook
from threetconv.training.settings import Settings

from ..builders import trained_runs

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).resolve().parents[2] / "workflow/notebooks/explain_a_channel.ipynb"
SHAPE = (8, 32, 32)
RUNS = [
    Run(f"resnet18-dots-scratch-{kind}-r1", "resnet18", "dots", "scratch", kind, "none", 1, 7)
    for kind in ("3d", "3t")
]
LABELS = ("left", "right")


def dots(label: str, seed: int, size: tuple[int, int] = SHAPE[1:]) -> np.ndarray:
    """A bright dot on noise that crosses the picture, uint8 (T, H, W, 3)."""
    height, width = size
    frames = np.random.default_rng(seed).integers(0, 60, (SHAPE[0], height, width, 3))
    for t in range(len(frames)):
        x = 4 + t * (width - 12) // len(frames)
        x = x if label == "right" else width - 4 - x
        frames[t, height // 3 : height // 3 + 6, x : x + 6] = 240
    return frames.astype(np.uint8)


def write_video(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(25))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results/: clips, a 3D and a 3T run of a network an eighth as wide."""
    folder = tmp_path_factory.mktemp("study")
    lines, arrays = [], []
    for i in range(8):
        label, split = LABELS[i % 2], "train" if i < 4 else "val"
        arrays.append(dots(label, i))
        path = f"videos/c{i}.mp4"
        write_video(folder / path, arrays[-1])
        lines.append((f"c{i}", path, label, split, i))
    table = pd.DataFrame(lines, columns=["clip_id", "path", "label", "split", "row"])
    np.save(folder / "clips.npy", np.stack(arrays))
    (folder / "results/clips").mkdir(parents=True)
    table.drop(columns="row").to_parquet(folder / "results/clips/dots.parquet", index=False)
    for run in RUNS:
        trained_runs.train(
            run,
            table,
            folder / "results/runs" / run.run_id,
            packed=folder / "clips.npy",
            clip_shape=SHAPE,
            settings=Settings(epochs=2, batch_size=4, learning_rate=1e-2, snapshot_every=2),
        )
    table_of_runs = runs_table(folder / "results/runs" / run.run_id for run in RUNS)
    table_of_runs.to_parquet(folder / "results/runs.parquet", index=False)
    return folder


def execute(study: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    """Run the notebook in the study's folder; the executed notebook."""
    monkeypatch.chdir(study)
    run_notebook(
        NOTEBOOK,
        study / "executed.ipynb",
        study / "executed.html",
        environment={"OMP_NUM_THREADS": "1", **environment},
    )
    notebook: dict[str, Any] = json.loads((study / "executed.ipynb").read_text())
    return notebook


def printed(notebook: dict[str, Any]) -> str:
    return "".join(
        "".join(output.get("text", ""))
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream" and output["name"] == "stdout"
    )


def pictures(notebook: dict[str, Any]) -> int:
    return json.dumps(notebook).count('"image/png"')


def test_by_itself_it_takes_the_first_3t_run_and_a_clip_of_the_study(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = execute(study, monkeypatch, THREETCONV_RESULTS="results")
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    said = printed(notebook)
    assert "resnet18-dots-scratch-3t-r1 on 2 classes" in said
    assert "its label: left" in said
    assert "of 488 channels move beyond noise" in said
    assert "conv1, channel " in said
    assert pictures(notebook) == 6
    page = (study / "executed.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") >= 6


def test_it_explains_a_channel_on_ones_own_video(
    study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "my holiday.mp4"
    write_video(mine, dots("right", 99, (48, 80)))
    folder = study / "results/runs/resnet18-dots-scratch-3t-r1"
    notebook = execute(study, monkeypatch, THREETCONV_VIDEO=str(mine), THREETCONV_RUN=str(folder))
    assert "its label" not in printed(notebook)
    assert pictures(notebook) == 6
