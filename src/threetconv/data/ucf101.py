"""UCF101: human actions, AVI files in class folders, three published train/test splits.

Videos are ``<root>/<Class>/v_<Class>_gNN_cNN.avi`` or ``<root>/UCF-101/<Class>/...`` (as the
archive unpacks). ``classInd.txt``, ``trainlist0N.txt`` and ``testlist0N.txt`` are looked for in
the root, in ``<root>/ucfTrainTestlist`` and in ``ucfTrainTestlist`` beside the root.

The published lists have no validation part. As in the paper, the **test list is used as
"val"**: the best epoch is chosen on the clips that accuracy is reported for.
Source: Soomro, Zamir and Shah, "UCF101", CRCV-TR-12-01, 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from threetconv.data.registry import register
from threetconv.data.table import (
    choose_classes,
    clip_table,
    few,
    need_file,
    need_folder,
    read_text,
)
from threetconv.errors import InputError, nearest

__all__ = ["read_ucf101"]

INDEX = "classInd.txt"
LISTS = "ucfTrainTestlist"
HOW = "download UCF101TrainTestSplits-RecognitionTask.zip and extract it beside the videos"


@register("ucf101")
def read_ucf101(
    root: str | Path, *, split: int = 1, classes: Sequence[str] | None = None
) -> pd.DataFrame:
    """The clip table of UCF101; "val" is the published test list.

    Args:
        root: folder with the class folders.
        split: 1, 2 or 3, the published split.
        classes: keep these classes only; all 101 by default. Folders of other classes need not
            exist.

    Returns:
        Clip table; ``clip_id`` is the file's name without ".avi".

    Raises:
        InputError: a list is missing or malformed, names an unknown class, disagrees with
            classInd.txt or repeats a clip; a class folder is missing or empty, or a class has
            no training clip; a listed clip is not on disk.
    """
    root = need_folder(
        Path(root),
        expected="the UCF101 dataset: <Class>/v_<Class>_gNN_cNN.avi",
        remedy="correct the path, or download UCF101 and extract it there",
    )
    if isinstance(split, bool) or split not in (1, 2, 3):
        raise InputError(
            "option 'split' of adapter 'ucf101'",
            found=repr(split),
            expected="1, 2 or 3, the number of a published split",
            remedy="the paper uses split 1",
        )
    index, lists = _lists(root, split)
    keep = choose_classes(index, classes, root)
    entries = {name: _read_list(path, index) for name, path in lists.items()}
    trained = {entry.split("/")[0] for entry in entries["train"]}
    untrained = [label for label in keep if label not in trained]
    if untrained:
        raise InputError(
            lists["train"],
            found=f"{len(untrained)} classes without a training clip: {few(untrained)}",
            expected=f"training clips for every class of {INDEX}",
            remedy="complete the list, or name the classes to use with classes=",
        )
    videos = root / "UCF-101" if (root / "UCF-101").is_dir() else root
    present, wanted = _videos(videos, keep), set(keep)
    rows = []
    for name, listed in entries.items():
        chosen = [entry for entry in listed if entry.split("/")[0] in wanted]
        missing = [entry for entry in chosen if entry not in present]
        if missing:
            raise InputError(
                videos,
                found=f"{len(missing)} of {len(chosen)} clips listed in {lists[name].name} are "
                f"missing: {few(missing)}",
                expected="every listed clip on disk",
                remedy="extract the whole archive, or take these clips out of the list",
            )
        for entry in chosen:
            label, file = entry.split("/")
            rows.append((Path(file).stem, str(videos / entry), label, name))
    return clip_table(rows, root)


def _lists(root: Path, split: int) -> tuple[dict[str, int], dict[str, Path]]:
    """Class name -> its number in classInd.txt, and the list file of each split."""
    names = {"train": f"trainlist{split:02d}.txt", "val": f"testlist{split:02d}.txt"}
    wanted = (INDEX, *names.values())
    places = (root, root / LISTS, root.parent / LISTS)
    place = next((p for p in places if any((p / name).is_file() for name in wanted)), None)
    if place is None:
        raise InputError(
            root,
            found=f"none of {', '.join(wanted)}",
            expected=f"these lists in {', '.join(map(str, places))}",
            remedy=HOW,
        )
    for name in wanted:
        need_file(place / name, expected=f"{', '.join(wanted)} in one folder", remedy=HOW)
    return _read_index(place / INDEX), {key: place / name for key, name in names.items()}


def _lines(path: Path) -> list[tuple[str, list[str]]]:
    """(where, fields) of every line that is not blank."""
    text = read_text(path)
    lines = [
        (f"{path}, line {number}", line.split())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if not lines:
        raise InputError(path, found="an empty file", expected="one entry a line", remedy=HOW)
    return lines


def _read_index(path: Path) -> dict[str, int]:
    index: dict[str, int] = {}
    for where, fields in _lines(path):
        if len(fields) != 2 or not fields[0].isdigit() or fields[1] in index:
            raise InputError(
                where,
                found=repr(" ".join(fields)),
                expected="a number and a class name, each class once, as in 1 ApplyEyeMakeup",
                remedy="correct the line, or download the lists again",
            )
        index[fields[1]] = int(fields[0])
    return index


def _read_list(path: Path, index: dict[str, int]) -> list[str]:
    """The entries ``<Class>/<file>.avi`` of a list, checked against classInd.txt."""
    entries = []
    for where, fields in _lines(path):
        label, _, file = fields[0].partition("/")
        if not label or not file or "/" in file or len(fields) > 2:
            raise InputError(
                where,
                found=repr(" ".join(fields)),
                expected="<Class>/<file>.avi, in training lists followed by the class number",
                remedy="correct the line, or download the lists again",
            )
        if label not in index:
            raise InputError(
                where,
                found=f"class {label!r}, which {INDEX} lacks",
                expected=f"a class of {INDEX}",
                remedy=nearest(label, sorted(index)) or f"correct the line or {INDEX}",
            )
        if len(fields) == 2 and fields[1] != str(index[label]):
            raise InputError(
                where,
                found=f"class number {fields[1]} for {label!r}",
                expected=f"{index[label]}, as in {INDEX}",
                remedy="use lists and classInd.txt of the same download",
            )
        entries.append(fields[0])
    return entries


def _videos(root: Path, keep: list[str]) -> set[str]:
    """``<Class>/<file>.avi`` of every video on disk; each class must have some."""
    missing = [label for label in keep if not (root / label).is_dir()]
    if missing:
        raise InputError(
            root,
            found=f"{len(missing)} of {len(keep)} class folders are missing: {few(missing)}",
            expected=f"one folder for every class of {INDEX}",
            remedy="extract the whole archive, or name the classes to use with classes=",
        )
    present: set[str] = set()
    for label in keep:
        files = {f"{label}/{file.name}" for file in (root / label).glob("*.avi")}
        if not files:
            raise InputError(
                root / label,
                found="a class folder without a video",
                expected="files v_<Class>_gNN_cNN.avi",
                remedy="extract the archive again, or leave the class out with classes=",
            )
        present |= files
    return present
