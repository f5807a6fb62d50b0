"""20BN-Jester: hand gestures, a folder of JPEG frames per clip, splits in CSV lists.

Three releases are read, their lists in the root or in ``<root>/labels``:

* v1: ``jester-v1-train.csv`` and ``jester-v1-validation.csv`` with ``jester-v1-labels.csv``;
* the newer one: ``Train.csv`` and ``Validation.csv``; a labels file is used when it is there;
* the last one: ``train.csv`` and ``validation.csv`` with ``labels.csv``.

Whatever its name, a list has lines ``id;label`` without header, or is comma separated with a
header that has ``video_id`` (or ``id``) and ``label``; the first line tells. Labels files have one
label a line. Ids are text: leading zeros count.

Frames are ``<clip>/00001.jpg`` ... below ``<root>/20bn-jester-v1``, else below ``<root>/Train``
and ``<root>/Validation``, else below the root itself. The published test list has no labels and
is not read, whatever is in it. Source: Materzynska et al., "The Jester Dataset", ICCV Workshops
2019.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import pandas as pd

from threetconv.data.adapters.adapter import Adapter, ListedClip
from threetconv.data.adapters.disk import (
    check_frame_folders,
    lenient_lines,
    need_file,
    need_folder,
    refuse,
)
from threetconv.data.adapters.find_files import Listing, find_folder, same_name
from threetconv.data.table import (
    check_labels,
    choose_classes,
    clip_table,
    few,
    read_pairs,
    read_text,
)
from threetconv.errors import InputError

__all__ = ["ADAPTER", "read_jester"]

V1 = {"train": "jester-v1-train.csv", "val": "jester-v1-validation.csv"}
NEWER = {"train": "Train.csv", "val": "Validation.csv"}
LABELS = {"v1": "jester-v1-labels.csv", "newer": "labels.csv"}
KEYS = ("video_id", "id")
HOW = "download the lists from Jester's page and put them into this folder"

Entry = tuple[str, str]  # clip id, label


def read_jester(root: str | Path, *, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The clip table of Jester; "val" is Jester's validation list.

    Args:
        root: folder with the CSV lists and the clips' folders.
        classes: keep these classes only; all 27 by default. Lists and folders of other classes
            need not be complete.

    Returns:
        Clip table; ``clip_id`` is Jester's number of the clip.

    Raises:
        InputError: a list is missing or malformed, uses a label that the labels file lacks or
            repeats a clip; a label has no training clip; a listed clip is not on disk.
    """
    root = need_folder(
        Path(root),
        expected="the Jester dataset: CSV lists and a folder of JPEG frames per clip",
        remedy="correct the path, or download Jester and extract it there",
    )
    entries, known = _lists(root)
    trained = {label for _, label in entries["train"]}
    keep = set(choose_classes(known, classes, root, trained=trained))
    rows = []
    for split, listed in entries.items():
        chosen = [(clip, label) for clip, label in listed if label in keep]
        # the first release has one folder for all clips, the newer one a folder for each split
        folder = find_folder([root / "20bn-jester-v1", root / Path(NEWER[split]).stem]) or root
        _check_on_disk(folder, [clip for clip, _ in chosen])
        rows += [(clip, str(folder / clip), label, split) for clip, label in chosen]
    return clip_table(rows, root)


def _lists(root: Path) -> tuple[dict[str, list[Entry]], set[str]]:
    """The entries of each split, and the labels that may occur."""
    files, names = _find_lists(root)
    expected = f"the lists {' and '.join(V1.values())}, or {' and '.join(NEWER.values())}"
    paths = {
        split: need_file(files.find(name) or files.folder / name, expected=expected, remedy=HOW)
        for split, name in names.items()
    }
    entries = {split: _read_list(path) for split, path in paths.items()}
    found = [path for path in map(files.find, LABELS.values()) if path is not None]
    # the first release always has a labels file; without it `_labels` says what is missing
    if names is V1 or found:
        known = _labels(found[0] if found else files.folder / LABELS["v1"])
    else:
        known = {label for _, label in entries["train"]}
    for split, listed in entries.items():
        source = "the labels file (or, without one, in the training list)"
        check_labels(paths[split], (label for _, label in listed), known, source=source)
    return entries, known


def _find_lists(root: Path) -> tuple[Listing, dict[str, str]]:
    """The files of the folder with the lists, and the lists' names by split.

    The names are those of the release whose lists are there, else of the first release. `Listing`
    finds them in any case.

    Args:
        root: the data set's folder; it must exist.

    Raises:
        InputError: several folders or files match one name.
    """
    files = Listing(_folder_of_lists(root))
    # `find` ignores case, so NEWER stands for the last release (train.csv) as well
    for names in (V1, NEWER):
        if any(files.find(name) for name in names.values()):
            return files, names
    return files, V1


def _folder_of_lists(root: Path) -> Path:
    """``<root>/labels`` when lists are there and none is in the root, else the root."""
    below = find_folder([root / "labels"])
    if below is None:
        return root
    lists = {same_name(name) for name in (*V1.values(), *NEWER.values())}
    here, there = ({same_name(n) for n in Listing(place).names} & lists for place in (root, below))
    return below if there and not here else root


def _labels(path: Path) -> set[str]:
    need_file(path, expected="the file of Jester's labels, one a line", remedy=HOW)
    labels = set()
    for line in map(str.strip, read_text(path).splitlines()):
        # a label may be quoted as in CSV, with quotes inside doubled
        quoted = len(line) > 2 and line[0] == line[-1] == '"'
        labels.add(line[1:-1].replace('""', '"') if quoted else line)
    labels.discard("")
    if not labels:
        raise InputError(path, found="an empty file", expected="one label a line", remedy=HOW)
    return labels


def _read_list(path: Path) -> list[Entry]:
    first = next((line for line in read_text(path).splitlines() if line.strip()), "")
    if _has_header(first) or (path.name in NEWER.values() and ";" not in first):
        return _read_table(path)  # it refuses a header without the columns needed
    return read_pairs(path, example="34870;Drumming Fingers", how=HOW)


def _has_header(first: str) -> bool:
    """Whether a first line is the header of a comma-separated list; else lines are ``id;label``."""
    names = [name.strip().lower() for name in next(csv.reader([first]), [])]
    return "label" in names or any(key in names for key in KEYS)


def _read_table(path: Path) -> list[Entry]:
    """The entries of a comma-separated list with a header; empty rows are passed over."""
    entries = []
    with StringIO(read_text(path), newline="") as handle:
        reader = csv.DictReader(handle)
        header = [name.strip().lower() for name in reader.fieldnames or []]
        reader.fieldnames = header
        key = next((name for name in KEYS if name in header), None)
        if key is None or "label" not in header:
            raise InputError(
                path,
                found=f"columns {', '.join(header) or '(none)'}",
                expected="a header with video_id and label, separated by commas",
                remedy="download the list again",
            )
        for row in reader:
            clip, label = (row[key] or "").strip(), (row["label"] or "").strip()
            if clip and label:
                entries.append((clip, label))
            elif any(str(value or "").strip() for value in row.values()):
                raise InputError(
                    f"{path}, line {reader.line_num}",
                    found=f"{key} {clip!r} with label {label!r}",
                    expected="a clip's number and its label",
                    remedy="correct the line, or download the list again",
                )
    if not entries:
        raise InputError(path, found="no clip", expected="one clip a line", remedy=HOW)
    return entries


def _check_on_disk(folder: Path, clips: list[str]) -> None:
    present = Listing(folder, folders=True)
    # ids are numbers: no spelling to tolerate, so the exact name is asked for
    missing = [clip for clip in clips if clip not in present.names]
    if missing:
        raise InputError(
            folder,
            found=f"{len(missing)} of {len(clips)} listed clips have no folder: {few(missing)}",
            expected="the frames of every listed clip, as <clip>/00001.jpg ...",
            remedy="extract all parts of the archive, or take these clips out of the list",
        )
    # links that lead nowhere matter only where a listed clip is behind one
    if not present.faults.keys().isdisjoint(clips):
        refuse(folder, present.faults)
    check_frame_folders([folder / clip for clip in clips], folder)


def _listed(root: Path, _split: int) -> Iterator[ListedClip]:
    """The entries of the lists as they stand; see `Adapter.listed`."""
    try:
        files, names = _find_lists(root)
        lists = {part: files.find(name) for part, name in names.items()}
    except (InputError, OSError):  # two files match one name, or there is no folder
        return
    for part, path in lists.items():
        lines = [] if path is None else lenient_lines(path)
        if lines and _has_header(lines[0]):
            # lenient twin of `_read_table`: rows that are no entries are left out below
            reader = csv.DictReader(lines)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
            key = next((key for key in KEYS if key in reader.fieldnames), "")
            entries = [[row.get(key) or "", row.get("label") or ""] for row in reader]
        else:
            entries = [line.strip('"').split(";") for line in lines]
        for clip, *label in entries:
            if clip.strip() and len(label) == 1 and label[0].strip():
                yield clip.strip(), label[0].strip(), part


ADAPTER = Adapter(
    read_jester,
    # Materzynska et al., ICCV Workshops 2019: 148,092 clips in all.
    published={1: {"train": 118_562, "val": 14_787, "test": 14_743, "classes": 27}},
    listed=_listed,
)
