"""Negative controls: what is taken away is gone, and everything else is as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from threetconv.clips.controls import change_frames, shuffle_labels
from threetconv.clips.dataset import ClipDataset
from threetconv.clips.loader import batches
from threetconv.errors import InputError
from threetconv.records.plan import Run
from threetconv.records.run_folder import parameter_table, read_run
from threetconv.training.settings import Settings

from ..builders import trained_runs

SHAPE = (8, 16, 16)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def test_an_unknown_control_names_those_that_exist() -> None:
    with pytest.raises(InputError, match="frame-shuffled"):
        change_frames("shuffled", seed=0)


@pytest.mark.parametrize("control", ["none", "label-shuffled"])
def test_frames_are_left_alone(control: str) -> None:
    assert change_frames(control, seed=0) is None


def test_static_repeats_one_frame_of_the_clip(frames: np.ndarray) -> None:
    change = change_frames("static", seed=3)
    assert change is not None
    still = change(5, frames)
    assert still.shape == frames.shape
    assert still.dtype == np.uint8
    assert (still == still[0]).all()
    assert any((still[0] == frame).all() for frame in frames)


def test_which_frame_is_repeated_differs_between_clips(frames: np.ndarray) -> None:
    change = change_frames("static", seed=3)
    assert change is not None
    kept = [
        next(t for t in range(8) if (change(i, frames)[0] == frames[t]).all()) for i in range(60)
    ]
    counts = np.bincount(kept, minlength=8)
    assert (counts > 0).all()
    assert counts.max() < 20


def test_shuffling_keeps_every_frame_once_and_loses_their_order(frames: np.ndarray) -> None:
    change = change_frames("frame-shuffled", seed=3)
    assert change is not None
    mixed = change(0, frames)
    places = [next(t for t in range(8) if (frame == frames[t]).all()) for frame in mixed]
    assert sorted(places) == list(range(8))
    assert places != list(range(8))


@pytest.mark.parametrize("control", ["static", "frame-shuffled"])
def test_a_clip_looks_the_same_every_time_and_other_seeds_differ(
    control: str, frames: np.ndarray
) -> None:
    first, again, other = (change_frames(control, seed=s) for s in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    assert all((first(i, frames) == again(i, frames)).all() for i in range(5))
    assert any((first(i, frames) != other(i, frames)).any() for i in range(5))


def table(n: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in range(n)],
            "path": "nowhere",
            "label": [("a", "b", "c", "d")[i % 4] for i in range(n)],
            "split": ["val" if i % 5 == 0 else "train" for i in range(n)],
            "row": range(n),
        }
    )


def test_training_labels_are_permuted_and_validation_keeps_its_own() -> None:
    before = table()
    after = shuffle_labels(before, seed=1)
    train = before["split"] == "train"
    pd.testing.assert_frame_equal(after[~train], before[~train])
    pd.testing.assert_frame_equal(after.drop(columns="label"), before.drop(columns="label"))
    assert sorted(after.loc[train, "label"]) == sorted(before.loc[train, "label"])
    assert (after.loc[train, "label"] != before.loc[train, "label"]).any()
    pd.testing.assert_frame_equal(shuffle_labels(before, seed=1), after)
    assert (shuffle_labels(before, seed=2)["label"] != after["label"]).any()


def test_batches_are_changed_by_the_clip_not_by_its_place(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (6, *SHAPE, 3), dtype=np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    data = ClipDataset(table(6), packed=tmp_path / "clips.npy")
    change = change_frames("frame-shuffled", seed=4)
    (whole, _), *_ = batches(data, [np.arange(6)], change=change)
    (turned, _), *_ = batches(data, [np.array([3, 1])], change=change)
    assert (turned[0] == whole[3]).all()
    assert (turned[1] == whole[1]).all()
    (plain, _), *_ = batches(data, [np.arange(6)])
    assert (plain != whole).any()


def test_a_control_run_is_the_run_on_changed_clips(tmp_path: Path) -> None:
    """Training on the control gives the numbers of training on clips that were changed before."""
    clips = np.random.default_rng(0).integers(0, 256, (12, *SHAPE, 3), dtype=np.uint8)
    change = change_frames("static", seed=7)
    assert change is not None
    np.save(tmp_path / "as_they_are.npy", clips)
    np.save(tmp_path / "static.npy", np.stack([change(i, clip) for i, clip in enumerate(clips)]))
    results = {}
    for control, packed in (("static", "as_they_are"), ("none", "static")):
        folder = tmp_path / control
        trained_runs.train(
            Run(f"run-{control}", "resnet18", "toy", "scratch", "3t", control, 1, 7),
            table(12),
            folder,
            packed=tmp_path / f"{packed}.npy",
            clip_shape=SHAPE,
            width=0.0625,
            settings=Settings(epochs=1, batch_size=4, learning_rate=1e-3, snapshot_every=2),
        )
        results[control] = parameter_table(folder).drop(columns="run_id")
        assert read_run(folder)["run"]["control"] == control
    pd.testing.assert_frame_equal(results["static"], results["none"])
