"""Something-Something v2: what hands do with things, WebM files, splits in JSON lists.

Videos are ``<id>.webm`` below ``<root>/20bn-something-something-v2``, else ``<root>/videos``, else
the root itself. The lists, in the root or in ``<root>/labels``, are

* ``something-something-v2-{train,validation,labels}.json`` of the first release, or
* ``{train,validation,labels}.json`` of the later one, where ``test-answers.csv`` (lines
  ``id;label``) gives the labels of the test list.

A list holds objects with ``id`` and ``template``, "Holding [something] next to [something]"; the
label is the template without brackets, as ``labels.json`` has it ("label" in the lists names the
things and is not the class). A test list without answers is not read.
Source: Goyal et al., "The 'something something' video database", ICCV 2017.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.data.adapters.adapter import Adapter
from threetconv.data.adapters.disk import is_there, need_file, need_folder
from threetconv.data.adapters.find_files import Listing, find_folder, locate, tell
from threetconv.data.table import check_labels, choose_classes, clip_table, read_pairs, read_text
from threetconv.errors import InputError

__all__ = ["ADAPTER", "read_something_something"]

LISTS = {"train": "train.json", "val": "validation.json"}
LABELS = "labels.json"
ANSWERS = "test-answers.csv"
OLD = "something-something-v2-"
HOW = "download the labels of Something-Something v2 and extract them there"

Entry = tuple[str, str]  # clip id, label


def read_something_something(
    root: str | Path, *, classes: Sequence[str] | None = None
) -> pd.DataFrame:
    """The clip table of Something-Something v2; "val" is the published validation list.

    Args:
        root: folder with the lists and the videos, or with folders of them.
        classes: keep these classes only, by their names in labels.json; all 174 by default.
            Videos of other classes need not exist.

    Returns:
        Clip table; ``clip_id`` is the video's number. Split "test" where test-answers.csv is.

    Raises:
        InputError: a list is missing or malformed, uses a template that labels.json lacks or
            repeats a clip; a label has no training clip; a listed clip is not on disk.
    """
    root = need_folder(
        Path(root),
        expected="Something-Something v2: JSON lists and <id>.webm files",
        remedy="correct the path, or download the dataset and extract it there",
    )
    entries, known = _lists(root)
    trained = {label for _, label in entries["train"]}
    keep = choose_classes(known, classes, root, trained=trained)
    places = [root / "20bn-something-something-v2", root / "videos"]
    videos = Listing(find_folder(places) or root)
    rows = []
    for split, listed in entries.items():
        files = [(label, f"{clip}.webm") for clip, label in listed]
        # one folder holds the clips of all classes
        found = locate(
            files, dict.fromkeys(keep, videos), where=videos.folder, source=f"split {split}"
        )
        rows += [(*clip, split) for clip in found]
    tell(videos.folder, [videos])
    return clip_table(rows, root)


def _lists(root: Path) -> tuple[dict[str, list[Entry]], set[str]]:
    """The entries of each split, and the labels of labels.json."""
    places = [place for place in (root, root / "labels") if is_there(place)]
    place, prefix = next(
        (
            (place, prefix)
            for place in places
            for prefix in (OLD, "")
            # the release whose lists are there; its prefix holds for all of its files
            if any(is_there(place / f"{prefix}{name}") for name in LISTS.values())
        ),
        (root, ""),
    )
    expected = (
        f"{LABELS}, {' and '.join(LISTS.values())} (or {OLD}train.json and so on) in the root or "
        "in labels/"
    )

    def need(name: str) -> Path:
        return need_file(place / f"{prefix}{name}", expected=expected, remedy=HOW)

    paths = {split: need(name) for split, name in LISTS.items()}
    known = _labels(need(LABELS))
    entries = {split: _read_list(path) for split, path in paths.items()}
    # test.json has ids alone; these lines have the labels
    if is_there(place / ANSWERS):
        paths["test"] = place / ANSWERS
        entries["test"] = read_pairs(paths["test"], example="1420;Holding something", how=HOW)
    for split, listed in entries.items():
        check_labels(paths[split], (label for _, label in listed), known, source=LABELS)
    return entries, known


def _json(path: Path, kind: type, what: str) -> Any:
    """The content of a JSON file, which must be a filled `kind`."""
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(
            path,
            found=f"no JSON: {error}",
            expected=what,
            remedy=HOW,
        ) from error
    if not isinstance(content, kind) or not content:
        raise InputError(
            path,
            found=f"{type(content).__name__} of length 0" if not content else repr(content)[:60],
            expected=what,
            remedy=HOW,
        )
    return content


def _labels(path: Path) -> set[str]:
    return {_without_brackets(label) for label in _json(path, dict, "an object {label: number}")}


def _read_list(path: Path) -> list[Entry]:
    what = 'objects such as {"id": "78687", "template": "Holding [something]"} in a list'
    entries = []
    for number, item in enumerate(_json(path, list, what), start=1):
        values = item if isinstance(item, dict) else {}
        clip, template = values.get("id"), values.get("template")
        # ids are text in the published lists; numbers are accepted too
        number_or_text = isinstance(clip, (str, int)) and not isinstance(clip, bool)
        if not number_or_text or not str(clip) or not isinstance(template, str) or not template:
            raise InputError(
                f"{path}, entry {number}",
                found=repr(item)[:120],
                expected=what,
                remedy="correct the entry, or download the list again",
            )
        entries.append((str(clip), _without_brackets(template)))
    return entries


def _without_brackets(template: str) -> str:
    return template.replace("[", "").replace("]", "").strip()


ADAPTER = Adapter(
    read_something_something,
    # Goyal et al., "The 'something something' video database", ICCV 2017, second release:
    # 220,847 clips in all.
    published={1: {"train": 168_913, "val": 24_777, "test": 27_157, "classes": 174}},
)
