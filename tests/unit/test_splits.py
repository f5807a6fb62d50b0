"""The clips of a split: its own, in the order asked for, drawn by seed, epoch and clip alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from threetconv.clips import ClipDataset, normalise
from threetconv.splits import Split

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
