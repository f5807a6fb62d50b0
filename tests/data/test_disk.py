"""Links to nowhere, circles, closed folders and names that are no text: named, in every layout."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from threetconv.cli.app import app
from threetconv.data.adapters.disk import walk
from threetconv.data.adapters.registry import read_clips
from threetconv.errors import InputError, printable

LATIN = os.fsdecode(b"caf\xe9")


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"adapters do not open clips")


def folder(root: Path) -> Path:
    for split in ("train", "val"):
        for name in ("a/0.mp4", "a/1.mp4", "b/2.mp4"):
            touch(root / split / name)
    return root / "train/a/1.mp4"


def jester(root: Path) -> Path:
    for clip in range(4):
        touch(root / f"20bn-jester-v1/{clip}/00001.jpg")
    for split, ids in (("train", (0, 1)), ("validation", (2, 3))):
        (root / f"jester-v1-{split}.csv").write_text("".join(f"{i};Wave\n" for i in ids))
    (root / "jester-v1-labels.csv").write_text("Wave\n")
    return root / "20bn-jester-v1/1"


def ucf101(root: Path) -> Path:
    lines = [f"YoYo/v_YoYo_g{group:02d}_c01.avi" for group in range(1, 5)]
    for line in lines:
        touch(root / "UCF-101" / line)
    (root / "classInd.txt").write_text("1 YoYo\n")
    (root / "trainlist01.txt").write_text("".join(f"{line} 1\n" for line in lines[1:]))
    (root / "testlist01.txt").write_text(f"{lines[0]}\n")
    return root / "UCF-101" / lines[1]


def hmdb51(root: Path) -> Path:
    names = [f"{film}_wave_h_cm_np1_fr_med_0.avi" for film in ("Alien", "Crash", "Heat")]
    for name in names:
        touch(root / "wave" / name)
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir()
    text = "".join(f"{name} {part}\n" for name, part in zip(names, "112", strict=True))
    (lists / "wave_test_split1.txt").write_text(text)
    return root / "wave" / names[0]


def kinetics(root: Path) -> Path:
    for split, video in (("train", "aaa"), ("val", "bbb")):
        touch(root / split / f"{video}.mp4")
        (root / f"{split}.csv").write_text(f"label,youtube_id\nwave,{video}\n")
    return root / "train/aaa.mp4"


def something(root: Path) -> Path:
    for clip in (1, 2):
        touch(root / f"videos/{clip}.webm")
    for split, clip in (("train", 1), ("validation", 2)):
        entry = {"id": str(clip), "template": "Holding [something]"}
        (root / f"{split}.json").write_text(json.dumps([entry]))
    (root / "labels.json").write_text('{"Holding something": "0"}')
    return root / "videos/1.webm"


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "folder": folder,
    "jester": jester,
    "ucf101": ucf101,
    "hmdb51": hmdb51,
    "kinetics": kinetics,
    "something-something-v2": something,
}
"""Adapter -> what makes a good set and says where one of its clips is."""


def break_it(path: Path, how: str) -> None:
    away = path.with_name("away")
    path.rename(path.parents[1] / away.name)
    if how == "dead":
        path.symlink_to("nowhere")
    else:
        path.symlink_to(path.name)


def refused(adapter: str, root: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_clips(adapter, root, **({"missing": "skip"} if adapter == "kinetics" else {}))
    str(caught.value).encode()  # can be printed
    return caught.value


@pytest.mark.parametrize("adapter", LAYOUTS)
def test_the_sets_below_are_good(tmp_path, adapter):
    clip = LAYOUTS[adapter](tmp_path)
    assert str(clip) in set(read_clips(adapter, tmp_path)["path"])


@pytest.mark.parametrize("what", ["clip", "folder around it"])
@pytest.mark.parametrize(
    ("how", "words"), [("dead", "whose target is not there"), ("circle", "lead in a circle")]
)
@pytest.mark.parametrize("adapter", LAYOUTS)
def test_links_that_lead_nowhere_are_named(tmp_path, adapter, how, words, what):
    root = tmp_path / "set"
    root.mkdir()
    clip = LAYOUTS[adapter](root)
    broken = clip if what == "clip" else clip.parent
    break_it(broken, how)
    error = refused(adapter, root)
    assert words in error.found
    assert repr(broken.name) in error.found.replace(f"{broken.parent}/", "")
    assert " (1): " in error.found
    assert "git annex get" in error.remedy


LISTS = {
    "jester": "jester-v1-train.csv",
    "ucf101": "trainlist01.txt",
    "hmdb51": "testTrainMulti_7030_splits/wave_test_split1.txt",
    "kinetics": "train.csv",
    "something-something-v2": "train.json",
}


@pytest.mark.parametrize("adapter", LISTS)
def test_lists_that_are_links_to_nowhere_or_latin_1_are_named(tmp_path, adapter):
    root = tmp_path / "set"
    root.mkdir()
    LAYOUTS[adapter](root)
    file = root / LISTS[adapter]
    text = file.read_bytes()
    file.write_bytes(text + b"caf\xe9\n")
    error = refused(adapter, root)
    assert error.where == str(file)
    assert "not UTF-8 text (line " in error.found
    file.unlink()
    file.symlink_to("nowhere")
    error = refused(adapter, root)
    assert file.name in f"{error.where} {error.found}"
    assert "not there" in error.found or "cannot be read" in error.found


def test_optional_lists_that_are_links_to_nowhere_are_not_left_out(tmp_path):
    something(tmp_path)
    (tmp_path / "test-answers.csv").symlink_to("nowhere")
    assert "cannot be read" in refused("something-something-v2", tmp_path).found


@pytest.mark.parametrize("adapter", LAYOUTS)
def test_closed_folders_are_named(tmp_path, adapter, monkeypatch):
    root = tmp_path / "set"
    root.mkdir()
    closed = LAYOUTS[adapter](root).parent
    scandir = os.scandir

    def guarded(path):
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    error = refused(adapter, root)
    assert f"'{closed.name}'" in error.found.replace(f"{closed.parent}/", "")
    assert "cannot be read (Permission denied)" in error.found


@pytest.mark.parametrize("what", ["clip", "class"])
def test_names_that_are_not_utf8_are_shown_safely(tmp_path, what):
    clip = folder(tmp_path)
    target = clip.with_name(f"{LATIN}.mp4") if what == "clip" else clip.parent.with_name(LATIN)
    (clip if what == "clip" else clip.parent).rename(target)
    error = refused("folder", tmp_path)
    assert "not UTF-8 text" in error.found
    assert "train/caf\\xe9" in error.found or "train/a/caf\\xe9.mp4" in error.found
    assert "convmv" in error.remedy


def test_in_lists_only_the_names_that_are_meant_count(tmp_path):
    """A stray name beside the listed clips harms nobody; one that is listed cannot be text."""
    clip = ucf101(tmp_path)
    touch(clip.with_name(f"{LATIN}.avi"))
    assert len(read_clips("ucf101", tmp_path)) == 4
    moved = tmp_path / LATIN
    (tmp_path / "UCF-101").rename(moved)
    for name in ("classInd.txt", "trainlist01.txt", "testlist01.txt"):
        (tmp_path / name).rename(moved / name)
    assert "caf\\xe9" in refused("ucf101", moved).found


def test_half_a_character_in_json(tmp_path):
    something(tmp_path)
    (tmp_path / "labels.json").write_text('{"Holding \\ud800": "0"}')
    for split, clip in (("train", 1), ("validation", 2)):
        entry = f'[{{"id": "{clip}", "template": "Holding \\ud800"}}]'
        (tmp_path / f"{split}.json").write_text(entry)
    assert "not UTF-8 text" in refused("something-something-v2", tmp_path).found


def test_printable():
    assert printable("café") == "café"
    assert printable(LATIN) == "caf\\xe9"
    assert printable("\ud800") == "\\ud800"
    error = InputError(f"/{LATIN}", found=LATIN, expected=LATIN, remedy=LATIN)
    assert error.where == "/caf\\xe9"
    assert str(error).encode().count(rb"\xe9") == 4


def test_a_walk_follows_links_and_ends(tmp_path):
    touch(tmp_path / "elsewhere/b.mp4")
    touch(tmp_path / "set/a/a.mp4")
    touch(tmp_path / "set/.git/annex/c.mp4")
    (tmp_path / "set/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/a/up").symlink_to(tmp_path / "set")
    faults: dict[str, str] = {}
    seen = {folder.name: files for folder, files in walk(tmp_path / "set", faults)}
    assert seen == {"set": [], "a": ["a.mp4"], "link": ["b.mp4"]}
    assert faults == {str(tmp_path / "set/a/up"): "links that lead in a circle"}
    assert [p.name for p, _ in walk(tmp_path / "set", {}, depth=0)] == ["set"]


# ------------------------------------------------------------------- data check


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Checks of a set that was spoiled: (severity, check) pairs, and what is printed."""
    import pandas as pd
    import yaml

    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "400")):
        monkeypatch.setenv(name, value)

    def run(adapter: str, spoil: Callable[[Path, Path], None], **options: object):
        root = tmp_path / "set"
        root.mkdir()
        spoil(LAYOUTS[adapter](root), root)
        clip = {"frames": 8, "height": 32, "width": 32}
        dataset = {"adapter": adapter, "root": str(root), "clip": clip, "options": options}
        study = {
            "study": "check",
            "networks": ["resnet18"],
            "variants": [{"init": "scratch", "convolution": "3t"}],
            "training": {"epochs": 1, "batch_size": 2, "learning_rate": {"3t": 0.001}},
            "datasets": {"mine": dataset},
        }
        file, out = tmp_path / "study.yaml", tmp_path / "found.csv"
        file.write_text(yaml.safe_dump(study))
        arguments = ["data", "check", str(file), "--workers", "1", "--quick", "--csv", str(out)]
        result = CliRunner().invoke(app, arguments)
        assert isinstance(result.exception, SystemExit), result.exception
        found = pd.read_csv(out, keep_default_na=False)
        return {(row.severity, row.check) for row in found.itertuples()}, result.stdout

    return run


LISTED = ("error", "lists and folders")
UNREAD = ("error", "unreadable")  # the clips of this file hold no pictures
NO_LIST = ("note", "unlisted clips")


def nothing(_clip: Path, _root: Path) -> None:
    pass


def gone(clip: Path, _root: Path) -> None:
    clip.unlink()


def dead(clip: Path, _root: Path) -> None:
    break_it(clip, "dead")


def latin_name(clip: Path, _root: Path) -> None:
    clip.rename(clip.with_name(f"{LATIN}{clip.suffix}"))


def latin_list(_clip: Path, root: Path) -> None:
    with (root / "trainlist01.txt").open("ab") as file:
        file.write(b"YoYo/caf\xe9_g01_c01.avi 1\n")


def linked(_clip: Path, root: Path) -> None:
    """A list that is wrong, and a folder that is a link, as adapters follow them."""
    (root / "UCF-101").rename(root.parent / "elsewhere")
    (root / "UCF-101").symlink_to(root.parent / "elsewhere")
    (root / "classInd.txt").write_text("1 YoYo\n1 YoYo\n")


def respelled(_clip: Path, root: Path) -> None:
    (root / "UCF-101/YoYo/v_YoYo_g03_c01.avi").rename(root / "UCF-101/YoYo/V_yoyo_g03_c01.AVI")
    (root / "classInd.txt").write_text("1 YoYo\n1 YoYo\n")


@pytest.mark.parametrize(
    ("adapter", "spoil", "options", "expected"),
    [
        ("ucf101", gone, {}, {LISTED, UNREAD, ("error", "missing clips")}),
        ("ucf101", dead, {}, {LISTED, UNREAD, ("error", "files")}),
        ("ucf101", latin_list, {}, {LISTED, UNREAD, ("error", "missing clips")}),
        ("ucf101", linked, {}, {LISTED, UNREAD}),
        ("ucf101", respelled, {}, {LISTED, UNREAD}),
        ("ucf101", nothing, {"split": 9}, {LISTED, UNREAD, NO_LIST}),
        ("folder", dead, {}, {LISTED, UNREAD, NO_LIST, ("error", "files")}),
        ("folder", latin_name, {}, {LISTED, UNREAD, NO_LIST, ("error", "files")}),
        ("kinetics", dead, {"missing": "skip"}, {LISTED, UNREAD, NO_LIST, ("error", "files")}),
    ],
)
def test_a_check_invents_nothing_after_a_listing_error(check, adapter, spoil, options, expected):
    """No published counts, no classes without clips: what is listed is not all of the set."""
    found, said = check(adapter, spoil, **options)
    assert found == expected
    if spoil in (latin_name, latin_list):
        assert "not UTF-8 text" in said
