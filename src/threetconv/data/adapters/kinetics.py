"""Kinetics-style sets: ten-second cuts of YouTube videos, splits in CSV lists.

Lists are files whose name ends in train, val, validate, validation or test (``train.csv``,
``kinetics_400_val.csv``), or one file with a column ``split``, in the root or in
``<root>/annotations``. Columns: ``label``, ``youtube_id`` (or ``id``, ``video_id``), and where
they are there ``time_start``, ``time_end`` (seconds) and ``split``; without header ``label``,
``youtube_id``, ``time_start``, ``time_end``, ``split``. A list without labels is not read.

Videos are ``<youtube_id>_<start>_<end>.mp4`` with times of six digits, or ``<youtube_id>.mp4``,
anywhere up to four folders below the root: ``<split>/<label>/``, with spaces or underscores in
the label, or flat. Of several files of one name, those in a folder of the clip's split are taken,
then, of those, the one in a folder of its label. YouTube's ids differ by case, so case counts.
Source: Kay et al., "The Kinetics human action video dataset", arXiv:1705.06950.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

from threetconv.data.adapters.adapter import Adapter
from threetconv.data.adapters.disk import is_there, need_folder, refuse, scan, walk
from threetconv.data.adapters.find_files import same_name
from threetconv.data.table import SPLITS, VIDEO_SUFFIXES, choose_classes, clip_table, few, read_text
from threetconv.errors import InputError, nearest

__all__ = ["ADAPTER", "read_kinetics"]

log = logging.getLogger(__name__)

MISSING = ("fail", "skip")
DEPTH = 4  # folders below the root in which videos are looked for
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
KEYS = ("youtube_id", "video_id", "id")
SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "validate": "val",
    "validation": "val",
    "test": "test",
}
# the word stands alone: "train" of "kinetics_train", not of "restrain"; longest names first
ENDING = re.compile(rf"(?:^|[^a-z])({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})$")
HOW = "download the annotations of Kinetics and put its CSV files into this folder"


@dataclass(frozen=True)
class _Clip:
    clip_id: str  # also the file name without suffix, where a file holds the cut alone
    video: str  # YouTube's id
    label: str
    split: str


def read_kinetics(
    root: str | Path, *, classes: Sequence[str] | None = None, missing: str = "fail"
) -> pd.DataFrame:
    """The clip table of a Kinetics-style set.

    Args:
        root: folder with the lists and the videos.
        classes: keep these classes only, by their names in the training list; all by default.
        missing: what to do when listed videos are not on disk, which is usual since videos vanish
            from YouTube: "fail", or "skip" to leave them out and log how many.

    Returns:
        Clip table; ``clip_id`` is ``<youtube_id>_<start>_<end>``, without times ``<youtube_id>``.

    Raises:
        InputError: no list for train or val; a list is malformed; a listed clip is not on disk or
            in several places; no clip at all is on disk; an option is unknown.
    """
    root = need_folder(
        Path(root),
        expected="a Kinetics-style set: CSV lists and .mp4 files",
        remedy="correct the path, or download the set there",
    )
    if missing not in MISSING:
        raise InputError(
            "option 'missing' of adapter 'kinetics'",
            found=repr(missing),
            expected="fail or skip",
            remedy=nearest(str(missing), list(MISSING)) or "leave it out for fail",
        )
    clips = [clip for path, split in _lists(root) for clip in _read_list(path, split)]
    for split in ("train", "val"):
        if not any(clip.split == split for clip in clips):
            raise InputError(
                root,
                found=f"no list with labelled clips of split {split}",
                expected="CSV files ending in train and val, or one with a column split",
                remedy=HOW,
            )
    # Kinetics has no list of classes: the training list defines them
    known = {clip.label for clip in clips if clip.split == "train"}
    keep = set(choose_classes(known, classes, root))
    strange = sorted({clip.label for clip in clips} - known)
    if strange and classes is None:
        raise InputError(
            root,
            found=f"{len(strange)} classes without a training clip: {few(strange)}",
            expected="every class to be in train",
            remedy=nearest(strange[0], sorted(known)) or "complete the lists, or use classes=",
        )
    chosen = [clip for clip in clips if clip.label in keep]
    files = _videos(root)
    places = [_place(clip, files, root) for clip in chosen]
    _tell_missing(chosen, places, root, missing)
    rows = [
        (clip.clip_id, str(place), clip.label, clip.split)
        for clip, place in zip(chosen, places, strict=True)
        if place is not None
    ]
    return clip_table(rows, root)


def _lists(root: Path) -> list[tuple[Path, str | None]]:
    """The lists and their splits, None for one whose rows say it."""
    for folder in (root, root / "annotations"):
        if not is_there(folder):
            continue
        lists = [p for p in (folder / e.name for e in scan(folder)) if p.suffix.lower() == ".csv"]
        named: dict[str, Path] = {}
        for path in lists:
            ending = ENDING.search(path.stem.lower())
            if ending is None:
                continue
            split = SPLIT_NAMES[ending.group(1)]
            if split in named:
                raise InputError(
                    folder,
                    found=f"two lists for {split}: {named[split].name} and {path.name}",
                    expected="one CSV file for each split",
                    remedy="move the one that is not meant to another folder",
                )
            named[split] = path
        if named:
            return [(path, split) for split, path in named.items()]
        if len(lists) == 1:
            return [(lists[0], None)]
    raise InputError(
        root,
        found="no list of clips",
        expected="CSV files ending in train and val, or a single one with a column split, here or "
        "in annotations/",
        remedy=HOW,
    )


def _read_list(path: Path, split: str | None) -> Iterator[_Clip]:
    """The clips of a list; none, with a line in the log, when it has no labels."""
    with StringIO(read_text(path), newline="") as handle:
        reader = csv.reader(handle)
        rows = [(reader.line_num, [f.strip() for f in row]) for row in reader if any(row)]
    header = [name.lower() for name in rows[0][1]] if rows else []
    # some releases of the lists come without a header
    if any(key in header for key in KEYS):
        rows = rows[1:]
    # a sixth column is is_cc, the licence of the video
    elif len(header) in (5, 6) and _seconds(header[2]) and _seconds(header[3]):
        header = list(COLUMNS)
    else:
        raise InputError(
            path,
            found=f"columns {', '.join(header) or '(none)'}",
            expected=f"{', '.join(COLUMNS)}, with or without a header",
            remedy=HOW,
        )
    if "label" not in header:
        log.info("%s: a list without labels, not read", path)
        return
    for number, fields in rows:
        # a row may lack the last columns, or have more than the header
        row = dict(zip(header, fields, strict=False))
        video = next((row[key] for key in KEYS if row.get(key)), "")
        times = [row.get(name, "") for name in ("time_start", "time_end")]
        seconds = [_seconds(time) for time in times]
        # the split in the file's name, if there is one, comes before the column
        part = split or SPLIT_NAMES.get(row.get("split", "").lower())
        if part == "test" and video and not row.get("label"):
            continue  # the test list was first published without labels
        if not video or not row.get("label") or part not in SPLITS or any(times) != all(seconds):
            raise InputError(
                f"{path}, line {number}",
                found=",".join(fields),
                expected=f"{', '.join(COLUMNS)}, as in air drumming,_dbcJuKJQNs,40,50,val",
                remedy="correct the line, or download the list again",
            )
        clip_id = "_".join([video, *filter(None, seconds)])
        yield _Clip(clip_id, video, row["label"], part)


def _seconds(text: str) -> str:
    """Whole seconds in six digits, "000059" of "59" or "59.0"; empty when it is no time."""
    return f"{int(float(text)):06d}" if re.fullmatch(r"\d+(\.\d*)?", text) else ""


def _videos(root: Path) -> dict[str, list[Path]]:
    """Name without suffix -> the videos of that name below `root`."""
    found: dict[str, list[Path]] = {}
    faults: dict[str, str] = {}
    for place, names in walk(root, faults, depth=DEPTH):
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in VIDEO_SUFFIXES:
                found.setdefault(stem, []).append(place / name)
    refuse(root, faults)
    return found


def _place(clip: _Clip, files: dict[str, list[Path]], root: Path) -> Path | None:
    """The file of a clip: under its own name, else under its video's."""
    # downloaders that cut the clip put the times into the name, others keep YouTube's id
    found = files.get(clip.clip_id) or files.get(clip.video) or []
    if len(found) < 2:
        return found[0] if found else None

    def in_split(path: Path) -> bool:
        endings = [ENDING.search(part.lower()) for part in path.parent.relative_to(root).parts]
        return clip.split in [SPLIT_NAMES[ending.group(1)] for ending in endings if ending]

    def in_label(path: Path) -> bool:
        return same_name(path.parent.name.replace("_", " ")) == same_name(
            clip.label.replace("_", " ")
        )

    for meant in (in_split, in_label):
        # a rule that fits none is left out, instead of losing the clip
        found = [path for path in found if meant(path)] or found
    if len(found) > 1:
        raise InputError(
            root,
            found=f"{len(found)} files for clip {clip.clip_id}: {few(list(map(str, found)), 2)}",
            expected="one file for each clip",
            remedy="remove the copies",
        )
    return found[0]


def _tell_missing(
    clips: Sequence[_Clip], places: Sequence[Path | None], root: Path, missing: str
) -> None:
    """Refuse, or say in the log, that listed clips are not on disk."""
    absent = [clip for clip, place in zip(clips, places, strict=True) if place is None]
    if not absent:
        return
    counts = ", ".join(f"{sum(c.split == s for c in absent)} of {s}" for s in SPLITS)
    if missing == "fail" or len(absent) == len(clips):
        raise InputError(
            root,
            found=f"{len(absent)} of {len(clips)} listed clips are missing ({counts}): "
            f"{few([clip.clip_id for clip in absent])}",
            expected="<youtube_id>_<start>_<end>.mp4 or <youtube_id>.mp4 for every listed clip",
            remedy="correct the path or download the videos"
            if len(absent) == len(clips)
            else "download them; if they are gone from YouTube, use missing: skip",
        )
    # a class may vanish as a whole, which changes the number of outputs
    lost = {clip.label for clip in clips} - {
        clip.label for clip, place in zip(clips, places, strict=True) if place is not None
    }
    log.warning(
        "%s: %d of %d listed clips are missing and left out (%s)%s",
        root,
        len(absent),
        len(clips),
        counts,
        f"; with them {len(lost)} whole classes: {few(sorted(lost))}" if lost else "",
    )


ADAPTER = Adapter(read_kinetics)  # no published counts: sources disagree, clips vanish from YouTube
