"""The folder adapter, and what all adapters share: the registry and the clip table."""

from __future__ import annotations

import inspect
import logging
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import threetconv
from threetconv.data.adapters import disk
from threetconv.data.adapters.registry import (
    ADAPTERS,
    adapter_module,
    find_adapter,
    read_clips,
)
from threetconv.data.table import check_clip_table, class_names, clip_table
from threetconv.errors import InputError

ROOT = Path(__file__).parents[2]
CLIPS = [
    "train/clap/a.mp4",
    "train/clap/b.AVI",
    "train/wave/clip7",
    "train/wave/z.mkv",
    "val/clap/a.webm",
    "val/wave/clip1",
]


@pytest.fixture
def root(tmp_path) -> Path:
    root = tmp_path / "videos"
    for name in CLIPS:
        clip = root / name
        if clip.suffix:
            clip.parent.mkdir(parents=True, exist_ok=True)
            clip.write_bytes(b"adapters do not open videos")
        else:
            clip.mkdir(parents=True)
            Image.new("L", (4, 4)).save(clip / "1.PNG")
    (root / "train" / "clap" / ".DS_Store").touch()
    return root


def fails(root: Path, *parts: str, **options: object) -> None:
    with pytest.raises(InputError) as caught:
        read_clips("folder", root, **options)
    for part in ("remedy: ", "expected: ", *parts):
        assert part in str(caught.value)


def test_table(root):
    rows = [(name, str(root / name), name.split("/")[1], name.split("/")[0]) for name in CLIPS]
    want = pd.DataFrame(rows, columns=["clip_id", "path", "label", "split"], dtype="str")
    pd.testing.assert_frame_equal(read_clips("folder", root), want)


def test_subset_of_classes(root):
    shutil.rmtree(root / "train" / "wave" / "clip7")
    (root / "train" / "wave" / "z.mkv").unlink()  # an empty class, but not one to keep
    assert set(read_clips("folder", root, classes=["clap"])["label"]) == {"clap"}
    fails(root, "no class 'clapp'", "did you mean 'clap'?", classes=["clapp"])


def test_missing_root(tmp_path):
    fails(tmp_path / "nowhere", str(tmp_path / "nowhere"), "<root>/{train,val}/<class>/<clip>")


@pytest.mark.parametrize("split", ["train", "val"])
def test_missing_split(root, split):
    shutil.rmtree(root / split)
    fails(root, str(root / split), "nothing at this path", f"make the folder {split}/")


def test_split_without_classes(root):
    shutil.rmtree(root / "val" / "clap")
    shutil.rmtree(root / "val" / "wave")
    fails(root, str(root / "val"), "no class folder")


def test_empty_class(root):
    (root / "val" / "clap" / "a.webm").unlink()
    fails(root, str(root / "val" / "clap"), "an empty class folder", ".webm")


def test_class_with_other_files_only(root):
    (root / "val" / "clap" / "a.webm").rename(root / "val" / "clap" / "a.mov")
    fails(root, str(root / "val" / "clap"), "no clip, only 'a.mov'", "convert")


def test_loose_images(root):
    (root / "val" / "wave" / "clip1" / "1.PNG").rename(root / "val" / "wave" / "1.PNG")
    (root / "val" / "wave" / "clip1").rmdir()
    fails(root, str(root / "val" / "wave"), "1 images lying loose", "one folder of images")


def test_other_files_beside_clips_are_told(root, caplog):
    (root / "val" / "clap" / "b.mov").touch()
    with caplog.at_level(logging.WARNING):
        assert len(read_clips("folder", root)) == len(CLIPS)
    assert "left out: 'b.mov'" in caplog.text


def test_clip_folder_without_images(root):
    (root / "train" / "wave" / "clip7" / "1.PNG").unlink()
    fails(root, str(root / "train" / "wave"), "1 of 1 clip folders hold no image: 'clip7'")


def test_class_only_in_validation(root):
    shutil.rmtree(root / "train" / "wave")
    fails(root, str(root), "1 classes without a training clip: 'wave'")


def test_class_only_in_training_is_told(root, caplog):
    shutil.rmtree(root / "val" / "wave")
    with caplog.at_level(logging.WARNING):
        read_clips("folder", root)
    assert "1 classes have no validation clip" in caplog.text


def test_names_from_macos(root, caplog):
    """Disks written by macOS hold accents in NFD; the labels are in NFC."""
    label = "Pas assé"
    for split, form in (("train", "NFD"), ("val", "NFC")):
        (root / split / "clap").rename(root / split / unicodedata.normalize(form, label))
    table = read_clips("folder", root, classes=[unicodedata.normalize("NFD", label)])
    assert set(table["label"]) == {unicodedata.normalize("NFC", label)}
    assert table["clip_id"].tolist() == [
        f"train/{label}/a.mp4",
        f"train/{label}/b.AVI",
        (f"val/{label}/a.webm"),
    ]
    assert all(Path(path).is_file() for path in table["path"])
    (root / "val" / unicodedata.normalize("NFD", label)).mkdir()
    fails(root, str(root / "val"), "which differ in the Unicode form only")


class TestRegistry:
    def test_names(self):
        assert set(ADAPTERS) == {
            "folder",
            "hmdb51",
            "jester",
            "kinetics",
            "something-something-v2",
            "ucf101",
        }

    def test_unknown_adapter(self, root):
        with pytest.raises(InputError, match=r"adapter 'ucf11'(.|\n)*did you mean 'ucf101'"):
            read_clips("ucf11", root)

    def test_unknown_option(self, root):
        with pytest.raises(InputError, match=r"option 'clases'(.|\n)*did you mean 'classes'"):
            read_clips("folder", root, clases=["clap"])
        with pytest.raises(InputError, match="option 'split' of adapter 'folder'"):
            read_clips("folder", root, split=2)

    @pytest.mark.parametrize("name", ADAPTERS)
    def test_every_adapter_is_found_and_takes_options_by_keyword(self, name):
        parameters = inspect.signature(find_adapter(name).read).parameters.values()
        root, *options = parameters
        assert root.kind is root.POSITIONAL_OR_KEYWORD
        assert "classes" in {p.name for p in options}
        assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in options)

    def test_every_module_with_an_adapter_is_registered(self):
        found = set()
        for file in Path(disk.__file__).parent.glob("*.py"):
            if re.search("^ADAPTER = ", file.read_text(encoding="utf-8"), re.MULTILINE):
                found.add(file.stem)
        assert found == set(map(adapter_module, ADAPTERS))

    def test_groups(self):
        recordings, films = find_adapter("ucf101").groups, find_adapter("hmdb51").groups
        assert recordings is not None
        assert films is not None
        assert recordings.of("v_YoYo_g07_c02", "YoYo") == "YoYo/g07"
        assert films.of("Crash_eat_h_cm_np1_fr_med_11", "eat") == "Crash"
        assert (recordings.severity, films.severity) == ("error", "warning")
        assert find_adapter("jester").groups is None

    def test_torch_is_not_imported(self):
        source = Path(threetconv.__file__).parents[1]
        code = (
            f"import sys; sys.path.insert(0, {str(source)!r})\n"
            "import threetconv.data, threetconv.clips.dataset\n"
            "print('torch' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        assert run.stdout == "False\n"


GOOD = [("a", "p", "x", "train"), ("b", "q", "x", "val")]


class TestTable:
    @given(st.permutations([*GOOD, ("c", "r", "w", "train"), ("d", "s", "w", "val")]))
    def test_order_of_rows_does_not_matter(self, rows):
        table = clip_table(rows, "here")
        assert table["clip_id"].tolist() == ["c", "a", "d", "b"]
        assert class_names(table) == ["w", "x"]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "no clip in split 'train'"),
            (GOOD[:1], "no clip in split 'val'"),
            ([*GOOD, ("c", "r", "x", "valid")], "split 'valid'"),
            ([*GOOD, ("c", "r", "y", "test")], "without a training clip: 'y'"),
            ([*GOOD, GOOD[0]], "1 clips listed more than once: 'a'"),
            ([*GOOD, ("a", "r", "x", "test")], "1 clips listed more than once: 'a'"),
            ([*GOOD, ("c", "p", "x", "test")], "1 files that stand for several clips: 'p'"),
        ],
    )
    def test_refused(self, rows, message):
        with pytest.raises(InputError, match=message) as caught:
            clip_table(rows, "the/root")
        assert str(caught.value).startswith("the/root\n")

    def test_split_test(self, caplog):
        rows = [*GOOD, ("c", "r", "x", "test"), ("d", "s", "y", "train"), ("e", "t", "y", "val")]
        with caplog.at_level(logging.WARNING):
            table = clip_table(rows, "here")
        assert class_names(table) == ["x", "y"]
        assert table["split"].tolist() == ["test", "train", "train", "val", "val"]
        assert "1 classes have no test clip" in caplog.text
        assert "validation" not in caplog.text

    def test_missing_column_or_value(self):
        table = clip_table(GOOD, "here")
        with pytest.raises(InputError, match="a clip table without label"):
            check_clip_table(table.drop(columns="label"), "here")
        table.loc[0, "label"] = None
        with pytest.raises(InputError, match="missing values"):
            check_clip_table(table, "here")
