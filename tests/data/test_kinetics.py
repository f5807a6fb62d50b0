from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from threetconv.data.adapters.registry import read_clips
from threetconv.data.table import class_names
from threetconv.errors import InputError

HEADER = "label,youtube_id,time_start,time_end,split"
TRAIN = [
    ("air drumming", "_dbcJuKJQNs", 40, 50),
    ("air drumming", "-3B32lodo2M", 59, 69),
    ("massaging person's head", "AbCdEfGhIjK", 0, 10),
]
VAL = [("air drumming", "abcdefghijk", 7, 17), ("massaging person's head", "zz9zz9zz9zz", 100, 110)]
TEST = [("air drumming", "tttttttttt1", 3, 13)]
SPLITS = {"train": TRAIN, "val": VAL, "test": TEST}


def name(row: tuple[str, str, int, int]) -> str:
    return f"{row[1]}_{row[2]:06d}_{row[3]:06d}"


def put(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join(lines) + "\r\n", newline="")


def rows(split: str, *, written: str | None = None) -> list[str]:
    return [f'"{a}",{b},{c},{d},{written or split}' for a, b, c, d in SPLITS[split]]


def film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"adapters do not open videos")


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "k400"
    for split, listed in SPLITS.items():
        put(root / f"{split}.csv", [HEADER, *rows(split)])
        for row in listed:
            film(root / split / row[0].replace(" ", "_") / f"{name(row)}.mp4")
    return root


def clear(root: Path) -> None:
    for file in root.glob("*.csv"):
        file.unlink()


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read_clips("kinetics", root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def whole(root: Path, **options: object) -> pd.DataFrame:
    """Read a set that must come out complete."""
    table = read_clips("kinetics", root, **options)
    want = {name(row): (row[0], split) for split, listed in SPLITS.items() for row in listed}
    assert {
        c: (label, split)
        for c, label, split in zip(table.clip_id, table.label, table.split, strict=True)
    } == want
    assert all(
        Path(path).stem in (c, c[:11]) for path, c in zip(table.path, table.clip_id, strict=True)
    )
    assert all(Path(path).is_file() for path in table["path"])
    return table


def test_lists_and_folders_of_each_split(root):
    table = whole(root)
    assert class_names(table) == ["air drumming", "massaging person's head"]
    row = table[table["clip_id"] == name(VAL[0])].iloc[0]
    assert row["path"] == str(root / "val/air_drumming" / f"{name(VAL[0])}.mp4")


@pytest.mark.parametrize(
    "place", ["{split}/{label}", "{label}", "{split}", ".", "videos/{split}", "a/b/{split}/{label}"]
)
@pytest.mark.parametrize("cut", [True, False])
def test_places_of_the_videos(root, place, cut):
    for file in list(root.rglob("*.mp4")):
        split, label = file.relative_to(root).parts[:2]
        target = root / place.format(split=split, label=label.replace("_", " "))
        target.mkdir(parents=True, exist_ok=True)
        file.rename(target / (file.name if cut else f"{file.stem[:11]}.MP4"))
    whole(root)


@pytest.mark.parametrize(
    "names",
    [
        {"train": "kinetics_400_train.csv", "val": "kinetics_400_val.csv", "test": "k_test.csv"},
        {"train": "Train.csv", "val": "validate.csv", "test": "TEST.CSV"},
        {
            "train": "annotations/train.csv",
            "val": "annotations/validation.csv",
            "test": "annotations/test.csv",
        },
    ],
)
def test_names_of_the_lists(root, names):
    clear(root)
    for split, path in names.items():
        put(root / path, [HEADER, *rows(split)])
    whole(root)


def test_one_list_for_all(root):
    clear(root)
    lines = [*rows("train"), *rows("val", written="validate"), *rows("test")]
    put(root / "kinetics700.csv", [HEADER, *lines])
    whole(root)
    put(root / "kinetics700.csv", [HEADER, *lines, "air drumming,x,1,2,hold"])
    fails(root, "kinetics700.csv, line 8", "air drumming,x,1,2,hold")


@pytest.mark.parametrize("more", ["", ",0"])
def test_without_header(root, more):
    for split in SPLITS:
        put(root / f"{split}.csv", [row + more for row in rows(split)])
    whole(root)


def test_byte_order_mark_blank_lines_other_columns_and_fractions(root):
    lines = [f"1,{c}.0,{d}.0,{b},0,{a}" for a, b, c, d in TRAIN]
    header = "\ufeffis_cc, Time_Start ,time_end,YouTube_ID,x,label"
    put(root / "train.csv", [header, *lines, "", ",,,,,"])
    whole(root)


@pytest.mark.parametrize("key", ["id", "video_id", "youtube_id"])
def test_ids_without_times(root, key):
    for split, listed in SPLITS.items():
        put(root / f"{split}.csv", [f"{key},label", *[f"{row[1]},{row[0]}" for row in listed]])
        for row in listed:
            file = root / split / row[0].replace(" ", "_") / f"{name(row)}.mp4"
            file.rename(file.with_name(f"{row[1]}.webm"))
    table = read_clips("kinetics", root)
    assert set(table["clip_id"]) == {row[1] for listed in SPLITS.values() for row in listed}


@pytest.mark.parametrize(
    "lines",
    [
        ["youtube_id,time_start,time_end,split", "tttttttttt1,3,13,test"],
        [HEADER, ",tttttttttt1,3,13,test"],
    ],
)
def test_test_list_without_labels(root, lines):
    put(root / "test.csv", lines)
    assert set(read_clips("kinetics", root)["split"]) == {"train", "val"}


def test_ids_differ_by_case(root):
    """AbCdEfGhIjK and abcdefghijk are two videos."""
    other = ("air drumming", "ABCDEFGHIJK", 7, 17)
    put(root / "train.csv", [HEADER, *rows("train"), f"{other[0]},{other[1]},7,17,train"])
    fails(root, "1 of 7 listed clips are missing (1 of train, 0 of val, 0 of test)", name(other))


def test_missing(root, caplog):
    (root / "train" / "air_drumming" / f"{name(TRAIN[0])}.mp4").unlink()
    (root / "val" / "air_drumming" / f"{name(VAL[0])}.mp4").unlink()
    fails(
        root, "2 of 6 listed clips are missing (1 of train, 1 of val, 0 of test)", "missing: skip"
    )
    with caplog.at_level(logging.WARNING):
        table = read_clips("kinetics", root, missing="skip")
    assert len(table) == 4
    assert "2 of 6 listed clips are missing and left out (1 of train, 1 of val" in caplog.text
    assert "whole classes" not in caplog.text
    fails(root, "did you mean 'skip'?", missing="skp")


def test_missing_class(root, caplog):
    for file in root.rglob("massaging*/*.mp4"):
        file.unlink()
    with caplog.at_level(logging.WARNING):
        table = read_clips("kinetics", root, missing="skip")
    assert set(table["label"]) == {"air drumming"}
    assert 'with them 1 whole classes: "massaging person\'s head"' in caplog.text


def test_nothing_there(root, tmp_path):
    for file in root.rglob("*.mp4"):
        file.unlink()
    fails(root, "6 of 6 listed clips are missing", "correct the path", missing="skip")
    fails(tmp_path / "nowhere", "nothing at this path", "Kinetics")


def test_copies(root):
    first = root / "train" / "air_drumming" / f"{name(TRAIN[0])}.mp4"
    film(root / "val" / "air_drumming" / first.name)
    film(root / "elsewhere" / first.name)
    table = whole(root)
    assert str(first) in set(table["path"])
    film(root / "train" / "other" / first.name)
    assert str(first) in set(whole(root)["path"])
    film(first.with_suffix(".webm"))
    fails(root, "2 files for clip _dbcJuKJQNs_000040_000050", "remove the copies")


def test_two_cuts_of_one_file(root):
    put(root / "train.csv", [HEADER, *rows("train"), "air drumming,_dbcJuKJQNs,90,99,train"])
    fails(root, "1 of 7 listed clips")
    first = root / "train" / "air_drumming" / f"{name(TRAIN[0])}.mp4"
    first.rename(first.with_name("_dbcJuKJQNs.mp4"))
    fails(root, "1 files that stand for several clips", "_dbcJuKJQNs.mp4'")


def test_subset_of_classes(root):
    for file in root.rglob("massaging*/*.mp4"):
        file.unlink()
    assert len(read_clips("kinetics", root, classes=["air drumming"])) == 4
    fails(root, "did you mean 'air drumming'?", classes=["air_drumming"])


def test_lists_that_do_not_fit(root):
    put(root / "val.csv", [HEADER, *rows("val"), "air drummin,x,1,2,val"])
    fails(root, "1 classes without a training clip: 'air drummin'", "did you mean 'air drumming'?")
    put(root / "val.csv", [HEADER])
    fails(root, "no list with labelled clips of split val")
    put(root / "k_val.csv", [HEADER, *rows("val")])
    fails(root, "two lists for val: k_val.csv and val.csv")
    clear(root)
    fails(root, "no list of clips", "annotations")


@pytest.mark.parametrize(
    "line",
    [
        "air drumming,,1,2,train",
        ",x,1,2,train",
        "air drumming,x,1,,train",
        "air drumming,x,a,2,train",
    ],
)
def test_malformed_line(root, line):
    put(root / "train.csv", [HEADER, *rows("train"), line])
    fails(root, "train.csv, line 5", line)


@pytest.mark.parametrize("text", ["", "videos/a.mp4 3", "name,url"])
def test_not_such_a_list(root, text):
    (root / "train.csv").write_text(text)
    fails(root, str(root / "train.csv"), "columns")
