"""Datasets: a folder on disk becomes a table of clips; nothing is copied or decoded here.

`read_clips` loads on first use, so that what only names datasets does not import pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threetconv.data.adapters.read import read_clips

__all__ = ["read_clips"]


def __getattr__(name: str) -> Any:
    if name != "read_clips":
        raise AttributeError(f"module 'threetconv.data' has no attribute {name!r}")
    from threetconv.data.adapters.read import read_clips

    return read_clips
