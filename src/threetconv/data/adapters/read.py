"""Datasets: a folder on disk becomes a table of clips; nothing is copied or decoded here.

An adapter is one file and one line: a function ``read(root, **options)`` that returns
`threetconv.data.table.clip_table`, decorated with `register`, imported below.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.data.adapters import folder, hmdb51, jester, kinetics, something_something, ucf101
from threetconv.data.adapters.registry import ADAPTERS, register
from threetconv.data.table import COLUMNS, SPLITS, check_clip_table, class_names, clip_table
from threetconv.errors import InputError, look_up, nearest

__all__ = [
    "ADAPTERS",
    "COLUMNS",
    "SPLITS",
    "check_clip_table",
    "class_names",
    "clip_table",
    "folder",
    "hmdb51",
    "jester",
    "kinetics",
    "read_clips",
    "register",
    "something_something",
    "ucf101",
]


def read_clips(adapter: str, root: str | Path, **options: Any) -> pd.DataFrame:
    """The clip table of the dataset below `root`.

    Args:
        adapter: name in `ADAPTERS`: "folder", "hmdb51", "jester", "kinetics",
            "something-something-v2" or "ucf101".
        root: the dataset's folder.
        options: the adapter's own options, such as ``classes`` or UCF101's ``split``.

    Returns:
        Table with string columns clip_id (unique), path, label, split ("train", "val" and,
        where a labelled test list is read, "test"), sorted by split, label and clip_id.

    Raises:
        InputError: unknown adapter or option, or anything amiss in the folder.
    """
    read = look_up(ADAPTERS, adapter, what="adapter")
    allowed = [
        p.name for p in inspect.signature(read).parameters.values() if p.kind is p.KEYWORD_ONLY
    ]
    for name in options:
        if name not in allowed:
            raise InputError(
                f"option {name!r} of adapter {adapter!r}",
                found="no option of that name",
                expected=f"one of {', '.join(allowed)}" if allowed else "no options",
                remedy=nearest(name, allowed) or "remove it, or use one of the names above",
            )
    return read(root, **options)
