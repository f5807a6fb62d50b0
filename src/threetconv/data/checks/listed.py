"""The lists of a data set, read without refusing anything.

An adapter stops at the first fault; a check of the data should name them all. Lines that are no
entries are skipped here, since the adapter's message names them. What is found can therefore be
less than the whole data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from threetconv.data.adapters.find_files import same_name
from threetconv.data.adapters.registry import find_adapter
from threetconv.data.checks.inspection import clips_on_disk
from threetconv.data.table import COLUMNS

__all__ = ["Listed", "listed_clips"]


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
        adapter: name of the layout; without `Adapter.listed`, only the disk is looked at.
        root: the data set's folder.
        split: number of the published split.
    """
    root = Path(root)
    disk, faults = clips_on_disk(root)
    read_lists = find_adapter(adapter).listed
    rows = [] if read_lists is None else list(read_lists(root, split))
    keys = disk["clip_id"].map(same_name)  # as the adapters find them
    places = dict(zip(keys, disk["path"], strict=True))
    full = [
        (clip, places[same_name(clip)], label, part)
        for clip, label, part in rows
        if same_name(clip) in places
    ]
    # a set, as a list may name a clip twice
    missing = sorted({clip for clip, _, _ in rows if same_name(clip) not in places})
    unlisted = disk[~keys.isin({same_name(clip) for clip, _, _ in rows})]
    table = pd.DataFrame(full, columns=list(COLUMNS), dtype="str")
    return Listed(table, [] if faults else missing, unlisted.reset_index(drop=True), faults)
