"""HMDB51: human motion from films and the web, AVI files in class folders, three published splits.

Videos are ``<root>/<class>/*.avi``, or the class folders lie in ``<root>/hmdb51_org`` or
``<root>/videos``. The split files ``<class>_test_split{1,2,3}.txt`` are looked for in
``testTrainMulti_7030_splits`` in the root or beside it, and in the root. Their lines are
``<file>.avi`` and 1 (training), 2 (test) or 0 (in neither list of this split).

As with UCF101, "val" is held out of the training list by default, whole films at a time.
Source: Kuehne et al., "HMDB: a large video database for human motion recognition", ICCV 2011.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from threetconv.data.adapters.adapter import Adapter, Groups
from threetconv.data.adapters.disk import is_there, need_folder, scan
from threetconv.data.adapters.find_files import class_folders, find_folder, locate, tell
from threetconv.data.adapters.holdout import check_options, split_clips
from threetconv.data.table import choose_classes, clip_table, few, nfc, read_text
from threetconv.errors import InputError

__all__ = ["ADAPTER", "film_of", "read_hmdb51"]

log = logging.getLogger(__name__)

LISTS = "testTrainMulti_7030_splits"
HOW = f"download test_train_splits.rar from HMDB51's page and extract {LISTS} beside the videos"
PARTS = {"1": "train", "2": "test", "0": None}
# body part in view, camera motion, number of people, view, quality, number of the clip
SUFFIX = re.compile(
    r"_(?:f|h|u|l)_(?:cm|nm)_np\d+_(?:ba|fr|le|ri)_(?:goo|med|bad)_\d+$", re.IGNORECASE
)


def read_hmdb51(
    root: str | Path,
    *,
    split: int = 1,
    classes: Sequence[str] | None = None,
    selection: str = "holdout",
    holdout: float = 0.1,
    holdout_seed: int = 0,
) -> pd.DataFrame:
    """The clip table of HMDB51.

    Args:
        root: folder with the class folders.
        split: 1, 2 or 3, the published split.
        classes: keep these classes only; all 51 by default. Folders and split files of other
            classes need not exist.
        selection: "holdout" takes "val" from the training list, whole films at a time, and makes
            the test list "test"; "test" makes the test list "val".
        holdout: share of the training clips of each class to hold out, above 0, at most 0.5. A
            film with clips of several classes leaves training for all of them.
        holdout_seed: which films are held out.

    Returns:
        Clip table; ``clip_id`` is the listed file's name without its suffix.

    Raises:
        InputError: a split file is missing or malformed; a class folder is missing or empty; a
            listed clip is not on disk or matches several files; a class has no training clip;
            nothing can be held out; an option is out of range.
    """
    root = need_folder(
        Path(root),
        expected=f"the HMDB51 dataset: <class>/*.avi and {LISTS}",
        remedy="correct the path, or download HMDB51 and extract all its archives there",
    )
    check_options("hmdb51", split, selection, holdout, holdout_seed)
    lists = _lists(root, split)
    keep = choose_classes(lists, classes, root)
    # hmdb51_org is the name of the published archive
    videos = find_folder([root / "hmdb51_org", root / "videos"]) or root
    folders = class_folders(videos, keep, files="<film>_<class>_..._<number>.avi")
    clips: dict[str, list[tuple[str, str, str]]] = {"train": [], "test": []}
    for label in keep:
        entries = _read_list(lists[label])
        # a class's list holds both parts, and clips of neither, which are left out
        for part in clips:
            listed = [(label, file) for file, its_part in entries if its_part == part]
            clips[part] += locate(listed, folders, where=videos, source=lists[label].name)
    tell(videos, folders.values())
    odd = [clip for clip, _, _ in clips["train"] if not SUFFIX.search(clip)]
    if odd:
        log.warning(
            "%s: %d names do not end as HMDB51's do, so their film is the name without its last "
            "number: %s",
            videos,
            len(odd),
            few(odd),
        )
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


def film_of(name: str, label: str) -> str:
    """The film that a clip was cut from: its name up to the class and the fixed suffix.

    "Crash" of "Crash_eat_h_cm_np1_fr_med_11.avi" in class "eat". Of a name that does not end so,
    everything but the last number.

    Args:
        name: file name or clip id.
        label: the clip's class.
    """
    # a clip id has no suffix, a file name has
    stem = re.sub(r"\.(?:avi|mp4|webm|mkv)$", "", name, flags=re.IGNORECASE)
    film = SUFFIX.sub("", stem)
    if film == stem:
        return re.sub(r"_?\d+$", "", stem) or stem
    # the class is cut off too: clips of one film in two classes are one group
    if film.casefold().endswith(f"_{label}".casefold()):
        return film[: -len(label) - 1]
    return film


GROUPS = Groups(
    film_of,
    what="films or videos (which several clips were cut from)",
    severity="warning",  # the lists are used as they were published
    remedy="nothing, if the published lists share them: say so where accuracies are reported; "
    "otherwise move all clips of a film into one split",
)
"""What is held out as a whole; a film is the same in every class."""


def _lists(root: Path, split: int) -> dict[str, Path]:
    """Class name -> its split file."""
    ending = f"_test_split{split}.txt"
    places = (root / LISTS, root, root.parent / LISTS)
    for place in places:
        if is_there(place):
            found = [place / e.name for e in scan(place) if e.name.endswith(ending)]
            if found:
                return {nfc(path.name.removesuffix(ending)): path for path in found}
    raise InputError(
        root,
        found=f"no file <class>{ending}",
        expected=f"these files in {', '.join(map(str, places))}",
        remedy=HOW,
    )


def _read_list(path: Path) -> list[tuple[str, str | None]]:
    """(file name, "train", "test" or None) of every line that is not blank."""
    entries = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        # from the right, so that a file name may hold spaces
        fields = line.rsplit(maxsplit=1)
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in PARTS:
            raise InputError(
                f"{path}, line {number}",
                found=repr(line),
                expected="<file>.avi and 1 (training), 2 (test) or 0 (neither)",
                remedy="correct the line, or download the split files again",
            )
        entries.append((fields[0].strip(), PARTS[fields[1]]))
    if not any(part == "train" for _, part in entries):
        raise InputError(
            path,
            found="no training clip",
            expected="lines with <file>.avi and 1",
            remedy=HOW,
        )
    return entries


ADAPTER = Adapter(
    read_hmdb51,
    groups=GROUPS,
    # 70 training and 30 test clips of each class in every split.
    published={split: {"train": 3_570, "test": 1_530, "classes": 51} for split in (1, 2, 3)},
)
