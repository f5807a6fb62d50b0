from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from threetconv.data import class_names, read_clips
from threetconv.errors import InputError

# The real lists name the folder HandstandPushups and its files v_HandStandPushups.
TRAIN = [
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1",
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02.avi 1",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 37",
]
TEST = [
    "HandstandPushups/v_HandStandPushups_g01_c01.avi",
    "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi",
]
INDEX = ["1 ApplyEyeMakeup", "37 HandstandPushups"]


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "ucf101"
    for entry in TRAIN + TEST:
        file = root / entry.split()[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"adapters do not open videos")
    put(root, "classInd.txt", INDEX)
    put(root, "trainlist01.txt", TRAIN)
    put(root, "testlist01.txt", TEST)
    return root


def put(root: Path, name: str, lines: list[str]) -> None:
    (root / name).write_text("\r\n".join(lines) + "\r\n", newline="")  # as published


def expected(videos: Path) -> pd.DataFrame:
    a, h = "ApplyEyeMakeup", "HandstandPushups"
    rows = [
        ("v_ApplyEyeMakeup_g08_c01", a, "train"),
        ("v_ApplyEyeMakeup_g08_c02", a, "train"),
        ("v_HandStandPushups_g08_c01", h, "train"),
        ("v_ApplyEyeMakeup_g01_c01", a, "val"),
        ("v_HandStandPushups_g01_c01", h, "val"),
    ]
    full = [(clip, str(videos / lab / f"{clip}.avi"), lab, split) for clip, lab, split in rows]
    return pd.DataFrame(full, columns=["clip_id", "path", "label", "split"], dtype="str")


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read_clips("ucf101", root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def test_table(root):
    table = read_clips("ucf101", root)
    pd.testing.assert_frame_equal(table, expected(root))
    assert class_names(table) == ["ApplyEyeMakeup", "HandstandPushups"]


@pytest.mark.parametrize("place", ["inside", "beside"])
def test_lists_in_their_own_folder(root, place):
    lists = (root if place == "inside" else root.parent) / "ucfTrainTestlist"
    lists.mkdir()
    for file in root.glob("*.txt"):
        file.rename(lists / file.name)
    pd.testing.assert_frame_equal(read_clips("ucf101", root), expected(root))


def test_videos_as_the_archive_unpacks(root):
    (root / "UCF-101").mkdir()
    for label in ("ApplyEyeMakeup", "HandstandPushups"):
        (root / label).rename(root / "UCF-101" / label)
    pd.testing.assert_frame_equal(read_clips("ucf101", root), expected(root / "UCF-101"))


def test_other_split(root):
    put(root, "trainlist03.txt", [TRAIN[0], TRAIN[2]])
    put(root, "testlist03.txt", [*TEST, TRAIN[1].split()[0]])
    table = read_clips("ucf101", root, split=3)
    assert table["split"].tolist() == ["train"] * 2 + ["val"] * 3
    fails(root, "trainlist02.txt", "no such file", split=2)


@pytest.mark.parametrize("split", [0, 4, "1", True])
def test_impossible_split(root, split):
    fails(root, repr(split), "1, 2 or 3", split=split)


def test_subset_of_classes(root):
    for file in (root / "HandstandPushups").iterdir():
        file.unlink()
    table = read_clips("ucf101", root, classes=["ApplyEyeMakeup"])
    assert set(table["label"]) == {"ApplyEyeMakeup"}
    assert len(table) == 3
    fails(root, "no class 'Archery'", "'ApplyEyeMakeup', 'HandstandPushups'", classes=["Archery"])


def test_missing_root(tmp_path):
    fails(tmp_path / "nowhere", str(tmp_path / "nowhere"), "nothing at this path", "UCF101")


def test_root_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    fails(tmp_path / "file", "found:    a file")


def test_no_lists_at_all(root):
    for file in root.glob("*.txt"):
        file.unlink()
    fails(root, "none of classInd.txt, trainlist01.txt, testlist01.txt", "ucfTrainTestlist")


@pytest.mark.parametrize("name", ["classInd.txt", "trainlist01.txt", "testlist01.txt"])
def test_missing_list(root, name):
    (root / name).unlink()
    fails(root, str(root / name), "no such file", "download")


@pytest.mark.parametrize("name", ["classInd.txt", "trainlist01.txt", "testlist01.txt"])
def test_empty_list(root, name):
    put(root, name, [])
    fails(root, name, "an empty file")


@pytest.mark.parametrize("line", ["ApplyEyeMakeup", "x ApplyEyeMakeup", "2 ApplyEyeMakeup"])
def test_malformed_index(root, line):
    put(root, "classInd.txt", [*INDEX, line])
    fails(root, "classInd.txt, line 3", repr(line))


@pytest.mark.parametrize("line", ["v_ApplyEyeMakeup_g01_c01.avi 1", "a/b/c.avi 1", "a/b.avi 1 2"])
def test_malformed_entry(root, line):
    put(root, "trainlist01.txt", [TRAIN[0], "", line])
    fails(root, "trainlist01.txt, line 3", repr(line))


def test_unknown_class_in_list(root):
    put(root, "testlist01.txt", [*TEST, "HandStandPushups/v_HandStandPushups_g01_c02.avi"])
    fails(root, "testlist01.txt, line 3", "did you mean 'HandstandPushups'?")


def test_number_that_disagrees_with_the_index(root):
    put(root, "trainlist01.txt", [TRAIN[0].replace(" 1", " 2"), *TRAIN[1:]])
    fails(root, "trainlist01.txt, line 1", "class number 2 for 'ApplyEyeMakeup'", "1, as in")


def test_label_without_clips(root):
    put(root, "classInd.txt", [*INDEX, "101 YoYo"])
    fails(root, "trainlist01.txt", "1 classes without a training clip: 'YoYo'")


def test_class_without_validation_clip_is_told(root, caplog):
    put(root, "testlist01.txt", TEST[:1])
    with caplog.at_level(logging.WARNING):
        read_clips("ucf101", root)
    assert "1 classes have no validation clip" in caplog.text
    assert "'ApplyEyeMakeup'" in caplog.text


def test_class_folder_missing(root):
    (root / "ApplyEyeMakeup").rename(root / "Makeup")
    fails(root, str(root), "1 of 2 class folders are missing: 'ApplyEyeMakeup'", "classes=")


def test_class_folder_empty(root):
    for file in (root / "ApplyEyeMakeup").iterdir():
        file.unlink()
    fails(root, str(root / "ApplyEyeMakeup"), "a class folder without a video")


def test_listed_clips_missing_on_disk(root):
    (root / TRAIN[0].split()[0]).unlink()
    fails(root, "1 of 3 clips listed in trainlist01.txt are missing", "_g08_c01.avi'")
    (root / TRAIN[0].split()[0]).touch()
    put(root, "testlist01.txt", [*TEST, *[f"ApplyEyeMakeup/v_{i}.avi" for i in range(5)]])
    fails(root, "5 of 7 clips listed in testlist01.txt", "v_2.avi' and 2 more")


def test_clip_in_both_lists(root):
    put(root, "testlist01.txt", [*TEST, TRAIN[0].split()[0]])
    fails(root, "1 clips listed more than once: 'v_ApplyEyeMakeup_g08_c01'")


def test_clip_listed_twice(root):
    put(root, "trainlist01.txt", [*TRAIN, TRAIN[0]])
    fails(root, "1 clips listed more than once")
