"""The clips of a split: its own, in the order asked for, drawn by seed, epoch and clip alone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from threetconv.clips.augment import Augmentation, augmentation
from threetconv.clips.controls import change_frames
from threetconv.clips.dataset import ClipDataset, normalise
from threetconv.clips.loader import Split

SHAPE = (4, 8, 8)


@pytest.fixture
def table() -> pd.DataFrame:
    """Validation clips come first; none may reach training."""
    return pd.DataFrame(
        {
            "clip_id": list("abcde"),
            "path": list("abcde"),
            "label": ["x", "y", "x", "y", "x"],
            "split": ["val", "val", "train", "train", "train"],
            "row": range(5),
        }
    )


@pytest.fixture
def packed(table: pd.DataFrame, tmp_path: Path) -> ClipDataset:
    array = np.full((5, *SHAPE, 3), 50, dtype=np.uint8)
    array[:2] = 200
    np.save(tmp_path / "clips.npy", array)
    return ClipDataset(table, packed=tmp_path / "clips.npy")


@pytest.mark.parametrize(("split", "value"), [("train", 50), ("val", 200)])
def test_each_split_sees_its_own_clips(
    split: str, value: int, table: pd.DataFrame, packed: ClipDataset
) -> None:
    clips = Split(packed, table, split, seed=0)
    expected = normalise(np.full((1, *SHAPE, 3), value, dtype=np.uint8))
    order = np.arange(len(clips))[::-1]
    seen = []
    for inputs, labels in clips([order[:2], order[2:]], epoch=1):
        torch.testing.assert_close(inputs, expected.expand_as(inputs))
        seen += labels.tolist()
    assert len(seen) == len(clips) == (3 if split == "train" else 2)
    assert seen == clips.labels[order].tolist()


def test_clips_made_ahead_are_the_same(table: pd.DataFrame, packed: ClipDataset) -> None:
    groups = [np.array([2]), np.array([0, 1])]
    plain, early = (
        list(Split(packed, table, "train", seed=0, ahead=ahead)(groups, epoch=1))
        for ahead in (0, 1)
    )
    assert [labels.tolist() for _, labels in early] == [labels.tolist() for _, labels in plain]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(plain, early, strict=True))
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    left = iter(Split(packed, table, "train", seed=0, ahead=1)(groups, epoch=1))
    next(left)
    assert "prefetch" in [thread.name for thread in threading.enumerate()]
    left.close()


def test_clips_are_normalised_where_they_are_wanted(
    table: pd.DataFrame, packed: ClipDataset
) -> None:
    clips = Split(packed, table, "val", seed=0, device="meta")
    ((inputs, labels),) = clips([np.arange(2)], epoch=1)
    assert (inputs.device.type, inputs.dtype) == ("meta", torch.float32)
    assert inputs.shape == (2, 3, *SHAPE)
    assert labels.tolist() == [0, 1]


def test_an_absent_split_is_empty(table: pd.DataFrame, packed: ClipDataset) -> None:
    assert len(Split(packed, table, "test", seed=0)) == 0


def test_changes_are_drawn_by_seed_epoch_and_clip_alone(
    table: pd.DataFrame, packed: ClipDataset
) -> None:
    drawn: dict[tuple[int, int, int], int] = {}

    def augment(frames: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
        current.append(seed)
        return frames

    for run_seed in (0, 1):
        clips = Split(packed, table, "train", seed=run_seed, augment=augment)
        for epoch in (1, 2):
            for order in ([0, 1, 2], [2, 0, 1]):
                current: list[int] = []
                list(clips([np.array(order)], epoch=epoch))
                for i, seed in zip(order, current, strict=True):
                    assert drawn.setdefault((run_seed, epoch, i), seed) == seed
    assert len(set(drawn.values())) == len(drawn) == 12


def test_a_control_comes_before_augmentation(table: pd.DataFrame, packed: ClipDataset) -> None:
    clips = Split(
        packed,
        table,
        "train",
        seed=0,
        change=lambda i, frames: frames + np.uint8(i),
        augment=lambda frames, _seed: frames * np.uint8(2),
    )
    ((inputs, _),) = clips([np.array([1])], epoch=1)
    expected = normalise(np.full((1, *SHAPE, 3), 2 * (50 + 3), dtype=np.uint8))
    torch.testing.assert_close(inputs, expected)


ALL = {
    "horizontal_flip": 0.5, "crop": 0.5, "rotation": 15, "brightness": 0.3, "contrast": 0.3,
    "saturation": 0.3,
}  # fmt: skip


@pytest.mark.parametrize(("stored", "counts"), [("packed", [2]), ("streamed", [1, 2])])
def test_augmentation_is_the_workers_and_its_numbers_are_the_same(
    stored: str,
    counts: list[int],
    table: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 0, 1 and 2 workers, from the beginning of an epoch and from its middle."""
    array = np.random.default_rng(0).integers(0, 256, (5, 6, 20, 30, 3), dtype=np.uint8)
    for name, clip in zip(table["path"], array, strict=True):
        (tmp_path / name).mkdir()
        for t, frame in enumerate(clip):
            Image.fromarray(frame).save(tmp_path / name / f"{t}.png")
    here = table.assign(path=[str(tmp_path / name) for name in table["path"]])
    np.save(tmp_path / "clips.npy", array)
    packed = tmp_path / "clips.npy" if stored == "packed" else None
    groups = [np.array([2, 0]), np.array([1]), np.array([0, 1, 2])]
    how: dict[str, Any] = {"augment": augmentation(ALL), "change": change_frames("static", seed=3)}

    def clips(workers: int, *asked: tuple[int, int]) -> list[list[torch.Tensor]]:
        """The batches from `start` of each epoch asked for."""
        with ClipDataset(here, frames=6, size=(20, 30), packed=packed) as data:
            split = Split(data, here, "train", seed=7, workers=workers, **how)
            return [[x for x, _ in split(groups[start:], epoch=epoch)] for epoch, start in asked]

    want = dict(zip((1, 2), clips(0, (1, 0), (2, 0)), strict=True))
    assert not torch.equal(want[1][0], want[2][0])
    first = how["augment"](  # as numbers were before workers augmented
        how["change"](4, array[4]), int(np.random.default_rng([7, 1, 4, 1]).integers(2**31))
    )
    assert torch.equal(want[1][0][:1], normalise(first[None]))

    def refuse(*_: object) -> None:
        raise AssertionError("augmented in this process")

    monkeypatch.setattr(Augmentation, "__call__", refuse)  # workers have their own
    asked = ((2, 1), (1, 0), (2, 0))  # the first as after a kill
    for workers in counts:
        for (epoch, start), got in zip(asked, clips(workers, *asked), strict=True):
            assert all(torch.equal(x, y) for x, y in zip(got, want[epoch][start:], strict=True))
    with pytest.raises(AssertionError, match="in this process"):
        clips(0, (1, 0))


def test_augmentation_in_this_process_is_in_its_own_thread(
    table: pd.DataFrame, packed: ClipDataset
) -> None:
    """Not in one that makes clips ahead: it draws from the generator that training draws from."""
    threads = []

    def augment(frames: NDArray[np.uint8], _seed: int) -> NDArray[np.uint8]:
        threads.append(threading.current_thread())
        return frames

    clips = Split(packed, table, "train", seed=0, augment=augment, ahead=1)
    list(clips([np.arange(3)], epoch=1))
    assert threads == [threading.current_thread()] * 3


def test_packed_clips_that_are_not_augmented_need_no_process(
    table: pd.DataFrame, packed: ClipDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr("threetconv.clips.dataset.pool", refuse)
    for change in (None, change_frames("static", seed=3)):
        clips = Split(packed, table, "train", seed=0, workers=2, change=change)
        assert len(list(clips([np.arange(3)], epoch=1))) == 1
    augmented = Split(packed, table, "train", seed=0, workers=2, augment=augmentation(ALL))
    with pytest.raises(AssertionError, match="was started"):
        list(augmented([np.arange(3)], epoch=1))


def test_random_offsets_change_with_the_epoch(table: pd.DataFrame, tmp_path: Path) -> None:
    """Frames that hold their own number: which are taken differs from epoch to epoch."""
    for name in table["path"]:
        (tmp_path / name).mkdir()
        for number in range(20):
            grey = np.full((*SHAPE[1:], 3), 10 * number, dtype=np.uint8)
            Image.fromarray(grey).save(tmp_path / name / f"{number:05d}.png")
    here = table.assign(path=[str(tmp_path / name) for name in table["path"]])
    sizes: dict[str, Any] = {"frames": 4, "size": SHAPE[1:]}
    with ClipDataset(here, sampling="random-offset", **sizes) as data:
        clips = Split(data, here, "train", seed=0, random_offset=True)

        def frames(epoch: int) -> list[float]:
            ((inputs, _),) = clips([np.array([0])], epoch=epoch)
            return inputs[0, 0, :, 0, 0].tolist()

        assert frames(1) == frames(1)
        assert len({tuple(frames(epoch)) for epoch in range(1, 9)}) > 2
        steps = np.diff(frames(1))
        np.testing.assert_allclose(steps, steps[0], rtol=1e-4)
