"""The lists of Jester and UCF101 as they stand, faults and all.

An adapter stops at the first thing wrong; a check of the data wants to name everything. Here
nothing is refused, and lines that are no entries are passed over: the adapter's message names them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

from threetconv.data.inspection import clips_on_disk
from threetconv.data.jester import KEYS, find_lists, has_header
from threetconv.data.table import COLUMNS
from threetconv.errors import InputError

__all__ = ["LISTS", "listed_clips"]

Row = tuple[str, str, str]  # clip id, label, split


def _jester(root: Path, _number: int) -> Iterator[Row]:
    for split, path in _jester_lists(root).items():
        lines = _lines(path)
        if lines and has_header(lines[0]):
            reader = csv.DictReader(lines)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
            key = next((key for key in KEYS if key in reader.fieldnames), "")
            entries = [[row.get(key) or "", row.get("label") or ""] for row in reader]
        else:
            entries = [line.strip('"').split(";") for line in lines]
        for clip, *label in entries:
            if clip.strip() and len(label) == 1 and label[0].strip():
                yield clip.strip(), label[0].strip(), split


def _jester_lists(root: Path) -> dict[str, Path]:
    """Split -> list, those that are there, found where and as the adapter finds them."""
    try:
        files, names = find_lists(root)
        found = {split: files.find(name) for split, name in names.items()}
    except (InputError, OSError):  # two answer to one name, or there is no folder
        return {}
    return {split: path for split, path in found.items() if path is not None}


def _ucf101(root: Path, number: int) -> Iterator[Row]:
    places = (root, root / "ucfTrainTestlist", root.parent / "ucfTrainTestlist")
    for split in ("train", "test"):
        name = f"{split}list{number:02d}.txt"
        path = next((place / name for place in places if (place / name).is_file()), None)
        for line in [] if path is None else _lines(path):
            label, slash, rest = line.partition("/")
            if slash and rest.split():
                yield Path(rest.split()[0]).stem, label, split


LISTS: dict[str, Callable[[Path, int], Iterator[Row]]] = {"jester": _jester, "ucf101": _ucf101}
"""By adapter: a function from (root, number of the published split) to the rows of its lists."""


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def listed_clips(
    adapter: str, root: str | Path, *, split: int = 1
) -> tuple[pd.DataFrame, list[str], pd.DataFrame]:
    """What the lists and the disk say when the adapter refuses them.

    Args:
        adapter: name of the layout; only those in `LISTS` have lists that are read here.
        root: the data set's folder.
        split: number of UCF101's published split.

    Returns:
        (clips in lists and on disk, in the columns of a clip table, repetitions included; ids in
        lists that are not on disk; clips on disk that no list names, with an empty split).
        Without lists everything is in the third.
    """
    root = Path(root)
    disk = clips_on_disk(root)
    rows = list(LISTS[adapter](root, split)) if adapter in LISTS else []
    places = dict(zip(disk["clip_id"], disk["path"], strict=True))
    full = [(clip, places[clip], label, part) for clip, label, part in rows if clip in places]
    missing = sorted({clip for clip, _, _ in rows} - set(places))
    unlisted = disk[~disk["clip_id"].isin({clip for clip, _, _ in rows})]
    table = pd.DataFrame(full, columns=list(COLUMNS), dtype="str")
    return table, missing, unlisted.reset_index(drop=True)
