"""What an adapter is: how one data set's folder is read, and what is known of the set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Adapter", "Groups", "ListedClip"]

ListedClip = tuple[str, str, str]  # clip id, label, split


@dataclass(frozen=True)
class Groups:
    """Groups of clips that belong together, for the hold-out and for checks of the splits.

    Attributes:
        of: (clip_id, label) -> name of the group, unique across classes; raises an `InputError`
            when the clip's name tells none.
        what: the groups, in words.
        severity: of a group that is in two splits, as in `threetconv.data.checks.findings.Finding`.
        remedy: what to do about it.
    """

    of: Callable[[str, str], str]
    what: str
    severity: str
    remedy: str


@dataclass(frozen=True)
class Adapter:
    """A data set, or a layout of folders, that studies can name.

    Each module beside this one that is named in `threetconv.data.adapters.registry.ADAPTERS` has
    one, as ``ADAPTER``.

    Attributes:
        read: ``read(root, **options)`` -> clip table; its keyword-only parameters are the options
            that a study may give.
        groups: clips that are held out together and may not be in two splits; None: unknown.
        published: number of the published split -> list ("train", "val", "test") -> clips in it,
            and "classes" -> number of classes, by the publishers' own count. Where `read` holds
            validation clips out of the training list, its "train" and "val" add up to "train" here;
            with ``selection="test"`` its "val" is "test" here.
        listed: (root, number of the published split) -> the entries of the lists as they stand, for
            a check of a set that `read` refuses: nothing raises, lines that are no entries are
            passed over. None: lists cannot be read so.
    """

    read: Callable[..., pd.DataFrame]
    groups: Groups | None = None
    published: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    listed: Callable[[Path, int], Iterator[ListedClip]] | None = None
