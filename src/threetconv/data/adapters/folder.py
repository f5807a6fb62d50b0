"""Videos in folders: ``<root>/{train,val}/<class>/<clip>``.

A clip is a video file (.mp4, .avi, .webm, .mkv) or a folder of images (.jpg, .jpeg, .png) whose
names, numbers compared as numbers, give the order of the frames. Folders other than ``train``
and ``val`` are not read. Labels and clip ids are in Unicode's composed form (NFC), whatever the
disk has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from threetconv.data.adapters.adapter import Adapter
from threetconv.data.adapters.disk import check_frame_folders, need_folder, visible
from threetconv.data.contents import IMAGE_SUFFIXES
from threetconv.data.table import VIDEO_SUFFIXES, choose_classes, clip_table, few, nfc
from threetconv.errors import InputError

__all__ = ["ADAPTER", "read_folder"]

log = logging.getLogger(__name__)

LAYOUT = "<root>/{train,val}/<class>/<clip>"


def read_folder(root: str | Path, *, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """The clip table of a folder of videos.

    Args:
        root: folder with ``train`` and ``val``.
        classes: keep these classes only; all by default.

    Returns:
        Clip table; ``clip_id`` is the path below `root` ("train/waving/a.mp4").

    Raises:
        InputError: a folder is missing, empty or closed, a class folder holds no clip or something
            that cannot be looked at, a clip's folder holds no image, or a class is in ``val`` only.
    """
    root = need_folder(
        Path(root),
        expected=f"a dataset laid out as {LAYOUT}",
        remedy="correct the path, or put the videos there",
    )
    labels = {split: _class_folders(root / split) for split in ("train", "val")}
    # of both splits, so that a class in val alone is named in the table's own check
    keep = choose_classes({name for found in labels.values() for name in found}, classes, root)
    rows = []
    for split, folders in labels.items():
        for label in (name for name in keep if name in folders):
            for clip in _clips(folders[label]):
                # the same id on every disk and system
                clip_id = nfc(clip.relative_to(root).as_posix())
                rows.append((clip_id, str(clip), label, split))
    return clip_table(rows, root)


def _class_folders(split: Path) -> dict[str, Path]:
    """Class name -> its folder below ``<root>/<split>``."""
    need_folder(
        split,
        expected=f"one folder per class, laid out as {LAYOUT}",
        remedy=f"make the folder {split.name}/ and put class folders with clips into it",
    )
    folders: dict[str, Path] = {}
    for entry in visible(split):
        if not entry.is_dir():
            continue
        if nfc(entry.name) in folders:
            raise InputError(
                split,
                found=f"two folders {nfc(entry.name)!r}, which differ in the Unicode form only",
                expected="one folder per class",
                remedy="move the clips of one into the other",
            )
        folders[nfc(entry.name)] = entry
    if not folders:
        raise InputError(
            split,
            found="no class folder",
            expected=f"one folder per class, laid out as {LAYOUT}",
            remedy="sort the clips into folders named after their classes",
        )
    return folders


def _clips(folder: Path) -> list[Path]:
    """The clips in a class folder: video files and folders of images."""
    entries = visible(folder)
    frame_folders = [entry for entry in entries if entry.is_dir()]
    videos = [e for e in entries if e.is_file() and e.suffix.lower() in VIDEO_SUFFIXES]
    others = [e.name for e in entries if e.is_file() and e not in set(videos)]
    if not videos and not frame_folders:
        # frames without a folder for each clip are the most likely mistake, so it has its own text
        images = [name for name in others if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        if images:
            found = f"{len(images)} images lying loose: {few(images)}"
        else:
            found = f"no clip, only {few(others)}" if others else "an empty class folder"
        raise InputError(
            folder,
            found=found,
            expected=f"video files ({', '.join(sorted(VIDEO_SUFFIXES))}) or one folder of "
            f"images ({', '.join(sorted(IMAGE_SUFFIXES))}) per clip",
            remedy="add clips of this class, convert them to one of these kinds, or remove "
            "the class folder",
        )
    check_frame_folders(frame_folders, folder)
    if others:
        log.warning("%s: not clips, left out: %s", folder, few(others))
    return sorted(videos + frame_folders)


ADAPTER = Adapter(read_folder)
