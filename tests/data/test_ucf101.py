from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from threetconv.data.adapters.registry import read_clips
from threetconv.data.adapters.ucf101 import group_of
from threetconv.data.table import class_names
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


def read(root: Path, **options: object) -> pd.DataFrame:
    """The lists as they are; `TestHoldout` reads the default way."""
    return read_clips("ucf101", root, **({"selection": "test"} | options))


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read(root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def test_table(root):
    table = read(root)
    pd.testing.assert_frame_equal(table, expected(root))
    assert class_names(table) == ["ApplyEyeMakeup", "HandstandPushups"]


@pytest.mark.parametrize("place", ["inside", "beside"])
def test_lists_in_their_own_folder(root, place):
    lists = (root if place == "inside" else root.parent) / "ucfTrainTestlist"
    lists.mkdir()
    for file in root.glob("*.txt"):
        file.rename(lists / file.name)
    pd.testing.assert_frame_equal(read(root), expected(root))


def test_videos_as_the_archive_unpacks(root):
    (root / "UCF-101").mkdir()
    for label in ("ApplyEyeMakeup", "HandstandPushups"):
        (root / label).rename(root / "UCF-101" / label)
    pd.testing.assert_frame_equal(read(root), expected(root / "UCF-101"))


def test_other_split(root):
    put(root, "trainlist03.txt", [TRAIN[0], TRAIN[2]])
    put(root, "testlist03.txt", [*TEST, TRAIN[1].split()[0]])
    table = read(root, split=3)
    assert table["split"].tolist() == ["train"] * 2 + ["val"] * 3
    fails(root, "trainlist02.txt", "no such file", split=2)


@pytest.mark.parametrize("split", [0, 4, "1", True])
def test_impossible_split(root, split):
    fails(root, repr(split), "1, 2 or 3", split=split)


def test_subset_of_classes(root):
    for file in (root / "HandstandPushups").iterdir():
        file.unlink()
    table = read(root, classes=["ApplyEyeMakeup"])
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
    put(root, "testlist01.txt", [*TEST, "HandstandPushup/v_HandStandPushups_g01_c02.avi"])
    fails(root, "testlist01.txt, line 3", "did you mean 'HandstandPushups'?")


def test_number_that_disagrees_with_the_index(root):
    put(root, "trainlist01.txt", [TRAIN[0].replace(" 1", " 2"), *TRAIN[1:]])
    fails(root, "trainlist01.txt, line 1", "class number 2 for 'ApplyEyeMakeup'", "1, as in")


def test_label_without_clips(root):
    put(root, "classInd.txt", [*INDEX, "101 YoYo"])
    fails(root, "1 classes without a training clip: 'YoYo'", "the training list")


def test_class_without_validation_clip_is_told(root, caplog):
    put(root, "testlist01.txt", TEST[:1])
    with caplog.at_level(logging.WARNING):
        read(root)
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


class TestSpelling:
    """One class is HandstandPushups here and HandStandPushups there; suffixes vary."""

    def same(self, root: Path, caplog: pytest.LogCaptureFixture, told: str) -> pd.DataFrame:
        with caplog.at_level(logging.WARNING):
            table = read(root)
        want = expected(root)
        for column in ("clip_id", "label", "split"):
            assert table[column].tolist() == want[column].tolist()
        assert all(Path(path).is_file() for path in table["path"])
        assert told in caplog.text
        return table

    @pytest.mark.parametrize("where", ["lists", "disk", "both"])
    def test_folder(self, root, caplog, where):
        def other(line: str) -> str:
            return line.replace("HandstandPushups/", "HandStandPushups/")

        if where != "disk":
            put(root, "trainlist01.txt", [other(line) for line in TRAIN])
            put(root, "testlist01.txt", [other(line) for line in TEST])
        if where != "lists":
            (root / "HandstandPushups").rename(root / "HandStandPushups")
        told = "" if where == "lists" else "as 'HandStandPushups' for 'HandstandPushups'"
        self.same(root, caplog, told)
        assert ("HandStand" in caplog.text) == (where != "lists")

    def test_files(self, root, caplog):
        for file in (root / "HandstandPushups").iterdir():
            file.rename(file.with_name(file.name.replace("HandStand", "Handstand")))
        table = self.same(root, caplog, "2 listed names are on disk in another case")
        assert table["path"][2].endswith("/HandstandPushups/v_HandstandPushups_g08_c01.avi")

    def test_suffix_in_upper_case(self, root, caplog):
        for file in (root / "ApplyEyeMakeup").iterdir():
            file.rename(file.with_suffix(".AVI"))
        self.same(root, caplog, "3 listed names are on disk in another case")

    @pytest.mark.parametrize("suffix", [".mp4", ".webm", ".MKV"])
    def test_transcoded(self, root, caplog, suffix):
        for file in root.rglob("*.avi"):
            file.rename(file.with_suffix(suffix))
        self.same(root, caplog, "listed names are on disk with another video suffix")

    def test_beside_the_original_a_transcoded_file_does_not_count(self, root, caplog):
        (root / TRAIN[0].split()[0]).with_suffix(".mp4").touch()
        pd.testing.assert_frame_equal(read(root), expected(root))
        assert not caplog.text

    def test_ambiguous(self, root):
        file = root / TRAIN[0].split()[0]
        file.rename(file.with_suffix(".mp4"))
        file.with_suffix(".webm").touch()
        fails(root, "_c01.mp4' and 'v_ApplyEyeMakeup_g08_c01.webm'", "one entry of that name")
        file.with_suffix(".webm").unlink()
        file.with_suffix(".mp4").rename(file.with_name(file.name.upper()))
        file.with_name(file.name.lower()).touch()
        fails(root, "any of which may be the listed 'v_ApplyEyeMakeup_g08_c01.avi'")

    def test_one_file_under_two_spellings(self, root):
        put(root, "testlist01.txt", [*TEST, TRAIN[2].split()[0].replace("_Hand", "_hand")])
        fails(root, "1 files that stand for several clips", "v_HandStandPushups_g08_c01.avi'")

    def test_class_listed_in_both_spellings(self, root):
        put(root, "classInd.txt", [*INDEX, "38 HandStandPushups"])
        fails(root, "classInd.txt, line 3", "each class once")

    def test_hidden_files_of_macos_are_no_clips(self, root):
        for file in list(root.rglob("*.avi")):
            file.with_name(f"._{file.name}").touch()
        pd.testing.assert_frame_equal(read(root), expected(root))
        for file in (root / "ApplyEyeMakeup").glob("v_*.avi"):
            file.unlink()
        fails(root, str(root / "ApplyEyeMakeup"), "a class folder without a video")

    def test_byte_order_mark_and_label_column_in_the_test_list(self, root):
        text = "\ufeff" + "\r\n".join([f"{TEST[0]} 37", f"{TEST[1]} 1", "", ""])
        (root / "testlist01.txt").write_bytes(text.encode())
        pd.testing.assert_frame_equal(read(root), expected(root))


@pytest.mark.parametrize(
    "name", ["v_YoYo_g07_c02.avi", "v_YoYo_g07_c02", "YoYo/v_YoYo_G07_C02.mp4", "v_g01_c01_g07_c11"]
)
def test_group_of(name):
    assert group_of(name) == "g07"


@pytest.mark.parametrize("name", ["v_YoYo_c02.avi", "v_YoYo_g07.avi", ""])
def test_group_of_another_name(name):
    with pytest.raises(InputError, match="a name without a group"):
        group_of(name)


class TestHoldout:
    """Four training groups of ten clips and one test group in each of two classes."""

    @pytest.fixture
    def groups(self, root) -> Path:
        lists: dict[str, list[str]] = {"train": [], "test": []}
        for number, label in ((1, "ApplyEyeMakeup"), (37, "HandstandPushups")):
            for group in range(1, 6):
                for clip in range(1, 11):
                    name = f"{label}/v_{label}_g{group:02d}_c{clip:02d}.avi"
                    (root / name).touch()
                    lists["test" if group == 1 else "train"].append(f"{name} {number}")
        for split, lines in lists.items():
            put(root, f"{split}list01.txt", lines)
        return root

    def parts(self, table: pd.DataFrame) -> dict[str, set[str]]:
        named = table["label"] + "/" + table["clip_id"].map(group_of)
        return {split: set(named[table["split"] == split]) for split in table["split"].unique()}

    def test_is_the_default(self, groups, caplog):
        with caplog.at_level(logging.INFO):
            table = read_clips("ucf101", groups)
        assert table["split"].value_counts().to_dict() == {"train": 60, "val": 20, "test": 20}
        parts = self.parts(table)
        assert parts["test"] == {"ApplyEyeMakeup/g01", "HandstandPushups/g01"}
        assert not parts["train"] & parts["val"]
        assert sorted(name.split("/")[0] for name in parts["val"]) == [
            "ApplyEyeMakeup",
            "HandstandPushups",
        ]
        assert "20 of 80 training clips, 2 of 8 groups" in caplog.text

    def test_the_papers_way(self, groups, caplog):
        with caplog.at_level(logging.INFO):
            table = read_clips("ucf101", groups, selection="test")
        assert table["split"].value_counts().to_dict() == {"train": 80, "val": 20}
        assert "the epoch is selected on the published test list (20 clips)" in caplog.text

    def test_share_and_seed(self, groups):
        wide = self.parts(read_clips("ucf101", groups, holdout=0.5))
        assert len(wide["val"]) == len(wide["train"]) == 4
        drawn = {
            frozenset(self.parts(read_clips("ucf101", groups, holdout_seed=seed))["val"])
            for seed in range(6)
        }
        assert len(drawn) > 1

    def test_order_and_choice_of_classes_do_not_matter(self, groups):
        table = read_clips("ucf101", groups)
        lines = (groups / "trainlist01.txt").read_text().split("\n")
        put(groups, "trainlist01.txt", [line for line in reversed(lines) if line])
        pd.testing.assert_frame_equal(read_clips("ucf101", groups), table)
        one = table[table["label"] == "HandstandPushups"].reset_index(drop=True)
        found = read_clips("ucf101", groups, classes=["HandstandPushups"])
        pd.testing.assert_frame_equal(found, one)

    def test_class_of_one_group_stays_in_train(self, groups, caplog):
        lines = (groups / "trainlist01.txt").read_text().splitlines()
        put(groups, "trainlist01.txt", [x for x in lines if "Hand" in x or "_g02_" in x])
        with caplog.at_level(logging.WARNING):
            table = read_clips("ucf101", groups)
        assert set(table.loc[table["split"] == "val", "label"]) == {"HandstandPushups"}
        assert "1 classes have one group in the training list; it stays in train" in caplog.text
        assert "1 classes have no validation clip" in caplog.text

    def test_nothing_to_hold_out(self, root):
        fails(root, "none of which can be held out", "selection: test", selection="holdout")

    def test_name_without_group(self, groups):
        (groups / "HandstandPushups" / "v_Hand.avi").touch()
        put(groups, "trainlist01.txt", [*TRAIN, "HandstandPushups/v_Hand.avi 37"])
        (groups / TRAIN[2].split()[0]).touch()
        fails(groups, "clip 'v_Hand' of UCF101", "selection: test", selection="holdout")
        assert len(read(groups)) == 24

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("selection", "tests", "did you mean 'test'?"),
            ("selection", None, "leave it out for holdout"),
            ("holdout", 0, "above 0 and at most 0.5"),
            ("holdout", 0.6, "above 0 and at most 0.5"),
            ("holdout", float("nan"), "above 0 and at most 0.5"),
            ("holdout", "0.1", "above 0 and at most 0.5"),
            ("holdout", True, "above 0 and at most 0.5"),
            ("holdout_seed", 0.5, "a whole number"),
        ],
    )
    def test_impossible_options(self, groups, option, value, message):
        fails(groups, f"option {option!r} of adapter 'ucf101'", message, **{option: value})
