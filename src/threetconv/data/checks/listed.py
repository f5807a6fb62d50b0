"""The lists of Jester and UCF101 as they stand, faults and all.

An adapter stops at the first thing wrong; a check of the data wants to name everything. Here
nothing is refused, and lines that are no entries are passed over: the adapter's message names them.
So what is found here need not be all of the data set.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from threetconv.data.adapters.find_files import same_name
from threetconv.data.adapters.jester import KEYS, find_lists, has_header
from threetconv.data.checks.inspection import clips_on_disk
from threetconv.data.table import COLUMNS
from threetconv.errors import InputError

__all__ = ["LISTS", "Listed", "listed_clips"]

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
    if number not in (1, 2, 3):
        return
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
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


class Listed(NamedTuple):
    """What lists and disk say.

    Attributes:
        table: clips in lists and on disk, in the columns of a clip table, repetitions included.
        missing: ids in lists that are not on disk; empty where there are `faults`, behind which
            they may be.
        unlisted: clips on disk that no list names, with an empty split; without lists, all.
        faults: path -> why, of what on disk cannot be looked at.
    """

    table: pd.DataFrame
    missing: list[str]
    unlisted: pd.DataFrame
    faults: dict[str, str]


def listed_clips(adapter: str, root: str | Path, *, split: int = 1) -> Listed:
    """What the lists and the disk say when the adapter refuses them.

    Args:
        adapter: name of the layout; only those in `LISTS` have lists that are read here.
        root: the data set's folder.
        split: number of UCF101's published split.
    """
    root = Path(root)
    disk, faults = clips_on_disk(root)
    rows = list(LISTS[adapter](root, split)) if adapter in LISTS else []
    keys = disk["clip_id"].map(same_name)  # as the adapters find them
    places = dict(zip(keys, disk["path"], strict=True))
    full = [
        (clip, places[same_name(clip)], label, part)
        for clip, label, part in rows
        if same_name(clip) in places
    ]
    missing = sorted({clip for clip, _, _ in rows if same_name(clip) not in places})
    unlisted = disk[~keys.isin({same_name(clip) for clip, _, _ in rows})]
    table = pd.DataFrame(full, columns=list(COLUMNS), dtype="str")
    return Listed(table, [] if faults else missing, unlisted.reset_index(drop=True), faults)
