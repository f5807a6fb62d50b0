from __future__ import annotations

import logging
from pathlib import Path

import pytest

from threetconv.data.adapters.hmdb51 import film_of
from threetconv.data.adapters.registry import read_clips
from threetconv.data.table import class_names
from threetconv.errors import InputError

# file name -> 1 (training), 2 (test), 0 (neither); odd characters as in the real set
BRUSH = {
    "April_09_brush_hair_u_nm_np1_ba_goo_0.avi": "1",
    "April_09_brush_hair_u_nm_np1_ba_goo_1.avi": "1",
    "#20_Rhythm_clap_&_brush!_brush_hair_u_nm_np1_fr_goo_0.avi": "1",
    "Blonde_(being);brushed_brush_hair_f_nm_np2_ri_med_0.avi": "2",
    "Haarek\u00e4mmen_brush_hair_h_cm_np1_le_goo_1.avi": "0",
}
EAT = {
    "Crash_eat_h_cm_np1_fr_med_11.avi": "1",
    "Crash_eat_h_cm_np1_fr_med_12.avi": "1",
    "[PG]_eat_u_nm_np1_fr_bad_0.avi": "1",
    "Alien's_eat_u_nm_np1_fr_med_3.avi": "2",
}
LISTS = {"brush_hair": BRUSH, "eat": EAT}


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "hmdb51"
    for label, files in LISTS.items():
        (root / label).mkdir(parents=True)
        for name in files:
            (root / label / name).write_bytes(b"adapters do not open videos")
        put(root / "testTrainMulti_7030_splits", label, files)
    return root


def put(folder: Path, label: str, files: dict[str, str], split: int = 1) -> None:
    folder.mkdir(exist_ok=True)
    text = "".join(f"{name} {part} \r\n" for name, part in files.items())  # as published
    (folder / f"{label}_test_split{split}.txt").write_text(text, newline="")


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read_clips("hmdb51", root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def test_published_lists(root):
    table = read_clips("hmdb51", root, selection="test")
    assert class_names(table) == ["brush_hair", "eat"]
    found = {Path(path).name: split for path, split in zip(table.path, table.split, strict=True)}
    want = {
        name: {"1": "train", "2": "val"}[part]
        for files in LISTS.values()
        for name, part in files.items()
        if part != "0"
    }
    assert found == want
    assert all(Path(path).is_file() for path in table["path"])
    assert (table["clip_id"] + ".avi" == table["path"].map(lambda p: Path(p).name)).all()


def test_whole_films_are_held_out_by_default(root):
    table = read_clips("hmdb51", root)
    assert table["split"].value_counts().to_dict() == {"train": 4, "val": 2, "test": 2}
    films = {
        part: {film_of(c, lab) for c, lab in zip(rows.clip_id, rows.label, strict=True)}
        for part, rows in table.groupby("split")
    }
    assert not films["train"] & films["val"]
    assert films["val"] == {"#20_Rhythm_clap_&_brush!", "[PG]"}  # the smallest of each class
    other = read_clips("hmdb51", root, holdout=0.5)
    assert other["split"].value_counts()["train"] < 6
    fails(root, "did you mean 'holdout'?", selection="hold-out")


def test_film_of_two_classes_leaves_both(root):
    files = {f"Crash_brush_hair_u_nm_np1_ba_goo_{k}.avi": "1" for k in range(3)}
    for name in files:
        (root / "brush_hair" / name).touch()
    put(root / "testTrainMulti_7030_splits", "brush_hair", BRUSH | files)
    for seed in range(8):
        table = read_clips("hmdb51", root, holdout=0.5, holdout_seed=seed)
        crash = table[table["clip_id"].str.startswith("Crash")]
        assert len(crash) == 5
        assert crash["split"].nunique() == 1


@pytest.mark.parametrize(
    ("name", "label", "film"),
    [
        ("Crash_eat_h_cm_np1_fr_med_11.avi", "eat", "Crash"),
        ("Crash_eat_h_cm_np1_fr_med_11", "eat", "Crash"),
        (
            "Return_of_the_King_2_draw_sword_u_cm_np12_ri_goo_0.mp4",
            "draw_sword",
            "Return_of_the_King_2",
        ),
        ("#1_eat_eat_l_nm_np0_le_bad_7.AVI", "eat", "#1_eat"),
        ("Film_Eat_h_cm_np1_fr_med_1.avi", "eat", "Film"),
        ("Film_chew_h_cm_np1_fr_med_1.avi", "eat", "Film_chew"),
        ("another_name_3.avi", "eat", "another_name"),
        ("7.avi", "eat", "7"),
    ],
)
def test_film_of(name, label, film):
    assert film_of(name, label) == film


def test_other_names_are_told(root, caplog):
    (root / "eat" / "mine_1.avi").touch()
    put(root / "testTrainMulti_7030_splits", "eat", EAT | {"mine_1.avi": "1"})
    with caplog.at_level(logging.WARNING):
        assert "mine_1" in set(read_clips("hmdb51", root)["clip_id"])
    assert "1 names do not end as HMDB51's do" in caplog.text


@pytest.mark.parametrize("place", ["root", "beside"])
def test_places_of_the_lists(root, place):
    want = read_clips("hmdb51", root)
    lists = root / "testTrainMulti_7030_splits"
    if place == "beside":
        lists.rename(root.parent / lists.name)
    else:
        for file in lists.iterdir():
            file.rename(root / file.name)
    assert read_clips("hmdb51", root).equals(want)


@pytest.mark.parametrize("place", ["hmdb51_org", "videos"])
def test_places_of_the_videos(root, place):
    (root / place).mkdir()
    for label in LISTS:
        (root / label).rename(root / place / label)
    assert len(read_clips("hmdb51", root)) == 8


def test_copy_in_other_spelling(root, caplog):
    (root / "eat").rename(root / "Eat")
    for file in (root / "Eat").iterdir():
        file.rename(file.with_suffix(".mp4"))
    with caplog.at_level(logging.WARNING):
        table = read_clips("hmdb51", root)
    assert set(table["label"]) == {"brush_hair", "eat"}
    assert "as 'Eat' for 'eat'" in caplog.text
    assert "4 listed names are on disk with another video suffix" in caplog.text


def test_disk_written_by_macos(root, caplog):
    name = "Haarek\u00e4mmen_brush_hair_h_cm_np1_le_goo_1"
    (root / "brush_hair" / f"{name}.avi").rename(
        root / "brush_hair" / f"{name.replace(chr(0xE4), 'a' + chr(0x308))}.avi"
    )
    put(root / "testTrainMulti_7030_splits", "brush_hair", BRUSH | {f"{name}.avi": "1"})
    with caplog.at_level(logging.WARNING):
        table = read_clips("hmdb51", root)
    assert all(Path(path).is_file() for path in table["path"])
    assert name in set(table["clip_id"])
    assert "in another case or Unicode form" in caplog.text


def test_split_and_classes(root):
    put(root / "testTrainMulti_7030_splits", "eat", dict(reversed(EAT.items())), split=3)
    table = read_clips("hmdb51", root, split=3)
    assert set(table["label"]) == {"eat"}
    for file in (root / "eat").iterdir():
        file.unlink()
    assert set(read_clips("hmdb51", root, classes=["brush_hair"])["label"]) == {"brush_hair"}
    fails(root, "no class 'brush'", "did you mean 'brush_hair'?", classes=["brush"])
    fails(root, str(root / "eat"), "a class folder without a video", "leave eat out")
    fails(root, "no file <class>_test_split2.txt", "test_train_splits.rar", split=2)
    fails(root, "1, 2 or 3", split=4)


@pytest.mark.parametrize("line", ["Crash_eat_h_cm_np1_fr_med_11.avi", "a.avi 3", "a.avi one"])
def test_malformed_line(root, line):
    with (root / "testTrainMulti_7030_splits" / "eat_test_split1.txt").open("a") as file:
        file.write(f"\n{line}\n")
    fails(root, "eat_test_split1.txt, line 6", repr(line))


def test_no_training_clip(root):
    put(root / "testTrainMulti_7030_splits", "eat", dict.fromkeys(EAT, "2"))
    fails(root, "eat_test_split1.txt", "no training clip")


def test_missing(root, tmp_path):
    (root / "eat" / "Crash_eat_h_cm_np1_fr_med_12.avi").unlink()
    fails(root, "1 of 3 clips listed in eat_test_split1.txt are missing", "_med_12.avi'")
    fails(tmp_path / "nowhere", "nothing at this path", "HMDB51")
