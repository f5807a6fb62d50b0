"""20BN-Jester: hand gestures, a folder of JPEG frames per clip, splits in CSV lists.

Two releases are read:

* v1: ``jester-v1-train.csv`` and ``jester-v1-validation.csv`` (lines ``id;label``, no header),
  ``jester-v1-labels.csv`` (one label a line);
* the newer one: ``Train.csv`` and ``Validation.csv``, comma separated, with a header that has
  ``video_id`` (or ``id``) and ``label``; ``jester-v1-labels.csv`` is used when it is there.

Frames are ``<clip>/00001.jpg`` ... below ``<root>/20bn-jester-v1``, else below ``<root>/Train``
and ``<root>/Validation``, else below the root itself. The published test list has no labels and
is not read. Source: Materzynska et al., "The Jester Dataset", ICCV Workshops 2019.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pandas as pd

from threetconv.data.registry import register
from threetconv.data.table import (
    check_frame_folders,
    choose_classes,
    clip_table,
    few,
    need_file,
    need_folder,
    read_text,
)
from threetconv.errors import InputError, nearest

__all__ = ["read_jester"]

LABELS = "jester-v1-labels.csv"
V1 = {"train": "jester-v1-train.csv", "val": "jester-v1-validation.csv"}
NEWER = {"train": "Train.csv", "val": "Validation.csv"}
HOW = "download the lists from Jester's page and put them into this folder"

Entry = tuple[str, str]  # clip id, label


@register("jester")
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
    keep = set(choose_classes(known, classes, root))
    untrained = sorted(keep - {label for _, label in entries["train"]})
    if untrained:
        raise InputError(
            root,
            found=f"{len(untrained)} labels without a training clip: {few(untrained)}",
            expected="training clips for every label of the labels file",
            remedy="complete the training list, or name the classes to use with classes=",
        )
    rows = []
    for split, listed in entries.items():
        chosen = [(clip, label) for clip, label in listed if label in keep]
        folder = _frames_folder(root, split)
        _check_on_disk(folder, [clip for clip, _ in chosen])
        rows += [(clip, str(folder / clip), label, split) for clip, label in chosen]
    return clip_table(rows, root)


def _lists(root: Path) -> tuple[dict[str, list[Entry]], set[str]]:
    """The entries of each split, and the labels that may occur."""
    v1 = any((root / name).is_file() for name in V1.values())
    newer = any((root / name).is_file() for name in NEWER.values())
    names = NEWER if newer and not v1 else V1
    expected = f"the lists {' and '.join(V1.values())}, or {' and '.join(NEWER.values())}"
    paths = {
        split: need_file(root / name, expected=expected, remedy=HOW)
        for split, name in names.items()
    }
    read = _read_v1 if names is V1 else _read_newer
    entries = {split: read(path) for split, path in paths.items()}
    if names is V1 or (root / LABELS).is_file():
        known = _labels(root / LABELS)
    else:
        known = {label for _, label in entries["train"]}
    for split, listed in entries.items():
        _check_entries(paths[split], listed, known)
    return entries, known


def _labels(path: Path) -> set[str]:
    need_file(path, expected="the file of Jester's labels, one a line", remedy=HOW)
    labels = {line.strip() for line in read_text(path).splitlines()} - {""}
    if not labels:
        raise InputError(path, found="an empty file", expected="one label a line", remedy=HOW)
    return labels


def _read_v1(path: Path) -> list[Entry]:
    entries = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split(";")]
        if len(fields) != 2 or not all(fields):
            raise InputError(
                f"{path}, line {number}",
                found=repr(line),
                expected="a clip's number and its label, as in 34870;Drumming Fingers",
                remedy="correct the line, or download the list again",
            )
        entries.append((fields[0], fields[1]))
    return entries


def _read_newer(path: Path) -> list[Entry]:
    entries = []
    with StringIO(read_text(path), newline="") as handle:
        reader = csv.DictReader(handle)
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        key = next((name for name in ("video_id", "id") if name in header), None)
        if key is None or "label" not in header:
            raise InputError(
                path,
                found=f"columns {', '.join(header) or '(none)'}",
                expected="a header with video_id and label, separated by commas",
                remedy="download the list again",
            )
        for row in reader:
            clip, label = (row[key] or "").strip(), (row["label"] or "").strip()
            if not clip or not label:
                raise InputError(
                    f"{path}, line {reader.line_num}",
                    found=f"{key} {clip!r} with label {label!r}",
                    expected="a clip's number and its label",
                    remedy="correct the line, or download the list again",
                )
            entries.append((clip, label))
    return entries


def _check_entries(path: Path, entries: list[Entry], known: set[str]) -> None:
    """Refuse an empty list, and labels that the labels file (or the training list) lacks."""
    if not entries:
        raise InputError(path, found="no clip", expected="one clip a line", remedy=HOW)
    strange = sorted({label for _, label in entries} - known)
    if strange:
        raise InputError(
            path,
            found=f"{len(strange)} labels that are not known: {few(strange)}",
            expected=f"labels of {LABELS} (without it, of the training list)",
            remedy=nearest(strange[0], sorted(known)) or f"correct the list or {LABELS}",
        )


def _frames_folder(root: Path, split: str) -> Path:
    """The folder that holds the clips' folders of a split."""
    places = (root / "20bn-jester-v1", root / Path(NEWER[split]).stem)
    return next((place for place in places if place.is_dir()), root)


def _check_on_disk(folder: Path, clips: list[str]) -> None:
    present = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    missing = [clip for clip in clips if clip not in present]
    if missing:
        raise InputError(
            folder,
            found=f"{len(missing)} of {len(clips)} listed clips have no folder: {few(missing)}",
            expected="the frames of every listed clip, as <clip>/00001.jpg ...",
            remedy="extract all parts of the archive, or take these clips out of the list",
        )
    check_frame_folders([folder / clip for clip in clips], folder)
