"""Clips that are replaced under their names: noticed, said, and nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from threetconv.clips.packed import open_packed, pack_clips
from threetconv.data import contents
from threetconv.data.contents import clip_mark, clip_marks, contents_text, data_digest, note_changes
from threetconv.errors import InputError


def still_clip(folder: Path, shade: int, frames: int = 3) -> str:
    folder.mkdir(parents=True)
    for i in range(frames):
        Image.new("L", (8, 8), shade + i).save(folder / f"{i}.png")
    return str(folder)


@pytest.fixture
def clips(tmp_path) -> list[str]:
    """Two folders of frames and two files."""
    for name in ("c.mp4", "d.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    folders = [still_clip(tmp_path / name, 10) for name in "ab"]
    return [*folders, str(tmp_path / "c.mp4"), str(tmp_path / "d.mp4")]


def other_bytes(file: Path) -> None:
    """In place, of another size; the folder around it does not notice."""
    file.write_bytes(file.read_bytes() + b"!")


def same_size(file: Path) -> None:
    file.write_bytes(bytes(reversed(file.read_bytes())))
    os.utime(file, ns=(1, 1))


def visited(folder: Path) -> None:
    """What file managers leave in a folder that they show."""
    (folder / ".DS_Store").touch()
    (folder / "Thumbs.db").touch()


CHANGES: dict[str, tuple[Callable[[Path], None], int]] = {
    "file, other size": (lambda root: other_bytes(root / "c.mp4"), 2),
    "file, same size": (lambda root: same_size(root / "c.mp4"), 2),
    "file gone": (lambda root: (root / "c.mp4").unlink(), 2),
    "first frame": (lambda root: other_bytes(root / "a/0.png"), 0),
    "frame taken out": (lambda root: (root / "a/1.png").unlink(), 0),
    "frame added": (lambda root: shutil.copy(root / "a/1.png", root / "a/9.png"), 0),
    "frames gone": (lambda root: shutil.rmtree(root / "a"), 0),
    "nothing": (lambda root: None, -1),
    "folder looked at": (lambda root: visited(root / "a"), -1),
}
"""What is done -> the clip that it changes."""


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_a_clip(tmp_path, clips, change):
    do, which = CHANGES[change]
    before = [clip_mark(path) for path in clips]
    assert len(set(before)) == 4
    file, note = tmp_path / "own.contents.json", tmp_path / "own.changed.txt"
    assert note_changes(file, note) == ""  # before there is a table
    file.write_text(contents_text(clips))
    assert note_changes(file, note) == ""
    do(tmp_path)
    differ = [i for i, path in enumerate(clips) if clip_mark(path) != before[i]]
    assert differ == ([which] if which >= 0 else [])
    found = note_changes(file, note)
    assert note.exists() == bool(found) == (which >= 0)
    if found:
        assert found.startswith("1 of 4 clips looked at have changed or are gone")
        assert found.endswith(f"first {clips[which]}")


def test_frames_in_the_middle_are_seen_at_the_start_of_training(tmp_path, clips):
    """A glance at the first frame does not see it; the marks do."""
    before = clip_mark(clips[0])
    other_bytes(Path(clips[0]) / "1.png")
    assert clip_mark(clips[0]) != before


def test_the_note_stays_while_it_holds(tmp_path, clips):
    """Looking again, as a dry run does, changes nothing; what is put back is no change."""
    file, note = tmp_path / "own.contents.json", tmp_path / "own.changed.txt"
    file.write_text(contents_text(clips))
    os.utime(file, ns=(1, 1))
    before = Path(clips[2]).read_bytes(), os.stat(clips[2]).st_mtime_ns
    other_bytes(Path(clips[2]))
    said = note_changes(file, note)
    state = note.read_bytes(), note.stat().st_mtime_ns
    assert note_changes(file, note) == said
    assert (note.read_bytes(), note.stat().st_mtime_ns) == state
    other_bytes(Path(clips[2]))
    note_changes(file, note)
    assert note.read_bytes() != state[0]
    Path(clips[2]).write_bytes(before[0])
    os.utime(clips[2], ns=(before[1], before[1]))
    assert note_changes(file, note) == ""
    assert not note.exists()


def test_a_damaged_list_counts_as_changed(tmp_path):
    file, note = tmp_path / "own.contents.json", tmp_path / "own.changed.txt"
    file.write_text("{")
    assert note_changes(file, note)
    assert note.exists()


def test_a_sample_of_many(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "LOOKED_AT", 4)
    paths = [str(tmp_path / f"{i:02d}.mp4") for i in range(10)]
    for path in paths:
        Path(path).write_bytes(b"x")
    file, note = tmp_path / "own.contents.json", tmp_path / "own.changed.txt"
    file.write_text(contents_text(paths))
    for path in paths:
        Path(path).unlink()
    assert note_changes(file, note).startswith("4 of 4 clips")


def test_names_that_are_no_text(tmp_path):
    folder = Path(still_clip(tmp_path / "a", 1))
    (folder / "0.png").rename(folder / os.fsdecode(b"\xe9.png"))
    file = tmp_path / "own.contents.json"
    file.write_text(contents_text([str(folder)]), encoding="utf-8")
    assert note_changes(file, tmp_path / "note") == ""


def test_a_host_without_libraries_can_look():
    """Snakemake's own environment may hold neither pandas nor numpy."""
    code = (
        "import sys, threetconv.data.contents; "
        "print({'pandas', 'numpy', 'pyarrow', 'torch', 'av'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def clip_table(paths: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": [str(i) for i in range(len(paths))],
            "path": paths,
            "label": "a",
            "split": "train",
        }
    )


def packed_set(folder: Path, shades: list[int]) -> tuple[Path, pd.DataFrame]:
    paths = [still_clip(folder / str(i), shade) for i, shade in enumerate(shades)]
    out = folder / "clips.npy"
    return out, pack_clips(clip_table(paths), frames=3, size=(8, 8), out=out)


def test_a_packed_table_tells_its_contents(tmp_path, monkeypatch):
    """Not where or when, but what was packed."""
    monkeypatch.chdir(tmp_path)
    digests = []
    for place, shades in (("one", [10, 20]), ("two", [10, 20]), ("three", [10, 21])):
        _, table = packed_set(tmp_path / place, shades)
        marks = clip_marks(table, packed=True)
        assert list(marks.values()) == table["digest"].tolist()
        digests.append(data_digest(table.assign(path=["0", "1"]), marks))
    assert digests[0] == digests[1] != digests[2]
    assert set(clip_marks(table.drop(columns="digest"), packed=True).values()) == {""}


def test_an_array_that_was_not_packed_with_its_table_is_refused(tmp_path):
    out, table = packed_set(tmp_path / "one", [10, 20, 30])
    other, _ = packed_set(tmp_path / "two", [10, 99, 30])
    open_packed(out, table)
    open_packed(out, table.iloc[[2, 0]])
    open_packed(other, table.iloc[[2, 0]])  # the same clips
    with pytest.raises(InputError, match=r"other frames than the table says, in 1 of 3") as error:
        open_packed(other, table)
    assert table["path"][1] in error.value.found
    np.save(other, np.load(out)[:, :2])
    with pytest.raises(InputError, match="an array"):
        open_packed(other, table, frames=3)
