"""UCF101: human actions, AVI files in class folders, three published train/test splits.

Videos are ``<root>/<Class>/v_<Class>_gNN_cNN.avi`` or ``<root>/UCF-101/<Class>/...`` (as the
archive unpacks). ``classInd.txt``, ``trainlist0N.txt`` and ``testlist0N.txt`` are looked for in
the root, in ``<root>/ucfTrainTestlist`` and in ``ucfTrainTestlist`` beside the root.

Copies spell one class ``HandstandPushups`` or ``HandStandPushups``, in lists, folders or files:
names are matched without regard to case where that is unambiguous, and so is the suffix of
videos that were transcoded. What was matched so is logged; labels are those of classInd.txt.

The published lists have no validation part. By default whole groups of the training list are
held out as "val" (`threetconv.data.adapters.holdout`) and the test list becomes "test"; the paper's
way, the best epoch chosen on the test list itself, is ``selection="test"``.
Source: Soomro, Zamir and Shah, "UCF101", CRCV-TR-12-01, 2012.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from threetconv.data.adapters.adapter import Adapter, Groups, ListedClip
from threetconv.data.adapters.disk import is_there, lenient_lines, need_file, need_folder
from threetconv.data.adapters.find_files import class_folders, find_folder, locate, same_name, tell
from threetconv.data.adapters.holdout import check_options, split_clips
from threetconv.data.table import choose_classes, clip_table, read_text
from threetconv.errors import InputError, nearest

__all__ = ["ADAPTER", "group_of", "read_ucf101"]

INDEX = "classInd.txt"
LISTS = "ucfTrainTestlist"
HOW = "download UCF101TrainTestSplits-RecognitionTask.zip and extract it beside the videos"

Entry = tuple[str, str]  # class as in classInd.txt, file name as listed


def read_ucf101(
    root: str | Path,
    *,
    split: int = 1,
    classes: Sequence[str] | None = None,
    selection: str = "holdout",
    holdout: float = 0.1,
    holdout_seed: int = 0,
) -> pd.DataFrame:
    """The clip table of UCF101.

    Args:
        root: folder with the class folders.
        split: 1, 2 or 3, the published split.
        classes: keep these classes only; all 101 by default. Folders of other classes need not
            exist.
        selection: "holdout" takes "val" from the training list, whole groups of a class at a
            time, and makes the test list "test"; "test" makes the test list "val", as the paper.
        holdout: share of the training clips of each class to hold out, above 0, at most 0.5.
        holdout_seed: which groups are held out.

    Returns:
        Clip table; ``clip_id`` is the listed file's name without its suffix.

    Raises:
        InputError: a list is missing or malformed, names an unknown class, disagrees with
            classInd.txt or repeats a clip; a class folder is missing or empty, or a class has
            no training clip; a listed clip is not on disk or matches several files; nothing can
            be held out; an option is out of range.
    """
    root = need_folder(
        Path(root),
        expected="the UCF101 dataset: <Class>/v_<Class>_gNN_cNN.avi",
        remedy="correct the path, or download UCF101 and extract it there",
    )
    check_options("ucf101", split, selection, holdout, holdout_seed)
    index, lists = _lists(root, split)
    entries = {name: _read_list(path, index) for name, path in lists.items()}
    trained = {label for label, _ in entries["train"]}
    keep = choose_classes(index, classes, root, trained=trained)
    videos = find_folder([root / "UCF-101"]) or root
    folders = class_folders(videos, keep, files="v_<Class>_gNN_cNN.avi")
    clips = {
        name: locate(listed, folders, where=videos, source=lists[name].name)
        for name, listed in entries.items()
    }
    tell(videos, folders.values())
    rows = split_clips(
        clips["train"],
        clips["test"],
        GROUPS.of,
        selection=selection,
        holdout=holdout,
        holdout_seed=holdout_seed,
        where=root,
    )
    return clip_table(rows, root)


def group_of(name: str) -> str:
    """The group of a clip, from its file name or id: "g07" of "v_Archery_g07_c02.avi".

    Clips of one class and group were cut from one recording. Groups are numbered from g01 to g25
    within each class: "g07" of another class is another recording.

    Raises:
        InputError: the name has no ``_gNN_cNN`` at its end.
    """
    # from the end, as a class name may hold anything
    found = re.search(r"_(g\d+)_c\d+(?:\.\w+)?$", name, flags=re.IGNORECASE)
    if found is None:
        raise InputError(
            f"clip {name!r} of UCF101",
            found="a name without a group",
            expected="v_<Class>_gNN_cNN, as in v_Archery_g07_c02",
            remedy="restore the published name, or use selection: test, which needs no groups",
        )
    return found.group(1).lower()


GROUPS = Groups(
    # numbers start anew in each class, so the class belongs to the group's name
    lambda name, label: f"{label}/{group_of(name)}",
    what="groups of a class (clips cut from one recording)",
    # the published lists share no group between training and test, so a copy that does is broken
    severity="error",
    remedy="move all clips of a group into one split, as the published lists do",
)
"""What is held out as a whole, and may not be in two splits."""


def _places(root: Path) -> tuple[Path, ...]:
    """The folders in which lists may be."""
    return root, root / LISTS, root.parent / LISTS


def _lists(root: Path, split: int) -> tuple[dict[str, int], dict[str, Path]]:
    """Class name -> its number in classInd.txt, and the list file of each split."""
    names = {"train": f"trainlist{split:02d}.txt", "test": f"testlist{split:02d}.txt"}
    wanted = (INDEX, *names.values())
    places = _places(root)
    # all lists from one place: those of two downloads may disagree
    place = next((p for p in places if any(is_there(p / name) for name in wanted)), None)
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
    taken: set[str] = set()
    for where, fields in _lines(path):
        if len(fields) != 2 or not fields[0].isdigit() or same_name(fields[1]) in taken:
            raise InputError(
                where,
                found=repr(" ".join(fields)),
                expected="a number and a class name, each class once, as in 1 ApplyEyeMakeup",
                remedy="correct the line, or download the lists again",
            )
        index[fields[1]] = int(fields[0])
        taken.add(same_name(fields[1]))
    return index


def _read_list(path: Path, index: Mapping[str, int]) -> list[Entry]:
    """The entries ``<Class>/<file>`` of a list, checked against classInd.txt."""
    spelled = {same_name(label): label for label in index}
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
        if same_name(label) not in spelled:
            raise InputError(
                where,
                found=f"class {label!r}, which {INDEX} lacks",
                expected=f"a class of {INDEX}",
                remedy=nearest(label, sorted(index)) or f"correct the line or {INDEX}",
            )
        # lists may spell HandStandPushups otherwise than the index, whose spelling is kept
        label = spelled[same_name(label)]
        # training lists have the class number too, test lists do not
        if len(fields) == 2 and fields[1] != str(index[label]):
            raise InputError(
                where,
                found=f"class number {fields[1]} for {label!r}",
                expected=f"{index[label]}, as in {INDEX}",
                remedy="use lists and classInd.txt of the same download",
            )
        entries.append((label, file))
    return entries


def _listed(root: Path, split: int) -> Iterator[ListedClip]:
    """The entries of the lists as they stand; see `Adapter.listed`."""
    if split not in (1, 2, 3):
        return
    places = _places(root)
    for part in ("train", "test"):
        name = f"{part}list{split:02d}.txt"
        path = next((place / name for place in places if (place / name).is_file()), None)
        for line in [] if path is None else lenient_lines(path):
            label, slash, rest = line.partition("/")
            if slash and rest.split():
                yield Path(rest.split()[0]).stem, label, part


ADAPTER = Adapter(
    read_ucf101,
    groups=GROUPS,
    published={
        # 13,320 clips in every split
        1: {"train": 9_537, "test": 3_783, "classes": 101},
        2: {"train": 9_586, "test": 3_734, "classes": 101},
        3: {"train": 9_624, "test": 3_696, "classes": 101},
    },
    listed=_listed,
)
