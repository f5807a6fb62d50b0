"""The clips that a data set is shown by: drawn by seed, the unreadable left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from threetconv.clips.bad_clips import BadClips
from threetconv.clips.strips import draw_clips
from threetconv.errors import InputError


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Eight clips of two classes, three of them broken; and one that is for validation."""
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for i in range(9):
        folder = root / str(i)
        folder.mkdir()
        for frame in range(3):
            Image.new("L", (6, 5), 10 * i).save(folder / f"{frame}.png")
        if i in (0, 2, 5):
            (folder / "1.png").write_bytes(b"no image")
        rows.append((str(i), str(folder), "ab"[i % 2], "val" if i == 8 else "train"))
    return pd.DataFrame(rows, columns=["clip_id", "path", "label", "split"])


def draw(
    table: pd.DataFrame, seed: int, policy: str = "skip", count: int = 6, ceiling: float = 0.4
) -> tuple[list[str], list[str]]:
    bad = BadClips(policy, total=8, ceiling=ceiling)
    clips, frames = draw_clips(table, count=count, frames=3, seed=seed, bad=bad)
    assert [clip.shape for clip in frames] == [(3, 5, 6, 3)] * len(clips)
    shades = [int(np.unique(clip).item()) for clip in frames]
    assert shades == [10 * int(i) for i in clips["clip_id"]]
    return clips["clip_id"].tolist(), clips["label"].tolist()


@pytest.mark.parametrize("seed", range(20))
def test_another_clip_is_drawn_for_a_broken_one(table: pd.DataFrame, seed: int) -> None:
    ids, labels = draw(table, seed)
    assert labels == ["a", "b"]
    assert set(ids) <= set("13467")
    assert (ids, labels) == draw(table, seed)


def test_every_readable_training_clip_is_drawn_by_some_seed(table: pd.DataFrame) -> None:
    assert {i for seed in range(40) for i in draw(table, seed)[0]} == set("13467")
    assert {draw(table, seed, count=1)[1][0] for seed in range(20)} == {"a", "b"}


def test_another_class_is_drawn_for_one_that_cannot_be_read(table: pd.DataFrame) -> None:
    only = table[table["clip_id"].isin(["0", "2", "3"])]
    for seed in range(6):
        assert draw(only, seed, count=1) == (["3"], ["b"])
    with pytest.raises(InputError, match="none of 2 training clips can be read"):
        draw(only.iloc[:2], 1)


def test_the_study_decides_what_happens_at_a_broken_clip(table: pd.DataFrame) -> None:
    broken = table[table["clip_id"].isin(["0", "2"])]
    with pytest.raises(InputError, match="an image that cannot be read"):
        draw(broken, 0, policy="fail")
    with pytest.raises(InputError, match="2 of 8 clips cannot be read"):
        draw(broken, 0, ceiling=0.125)


def test_paths_are_those_of_the_table(table: pd.DataFrame) -> None:
    bad = BadClips("skip", total=8, ceiling=0.4)
    clips, _ = draw_clips(table, count=6, frames=2, seed=0, bad=bad)
    pd.testing.assert_frame_equal(clips, table.loc[clips.index])
    assert all(Path(path).name in "025" for path in bad.found)
