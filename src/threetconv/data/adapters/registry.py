"""The adapters by name: a data set's folder becomes a table of clips; nothing is copied or decoded.

Adding an adapter is one file, which ends in ``ADAPTER = Adapter(read, ...)``, and its name below.
Naming adapters imports none of them, so that planning a study needs no pandas.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threetconv.errors import InputError, look_up, nearest

if TYPE_CHECKING:
    import pandas as pd

    from threetconv.data.adapters.adapter import Adapter

__all__ = ["ADAPTERS", "adapter_module", "find_adapter", "read_clips"]

ADAPTERS = ("jester", "ucf101", "hmdb51", "something-something-v2", "kinetics", "folder")
"""Names, as studies use them; `adapter_module` names the module of each."""


def adapter_module(name: str) -> str:
    """The name of the module, beside this one, that defines an adapter."""
    return name.replace("-", "_")


def find_adapter(name: str) -> Adapter:
    """The adapter of that name.

    Raises:
        InputError: there is none; the message names all.
    """
    module = look_up({n: adapter_module(n) for n in ADAPTERS}, name, what="adapter")
    # only the adapter that is used, so that planning needs no pandas
    adapter: Adapter = import_module(f"threetconv.data.adapters.{module}").ADAPTER
    return adapter


def read_clips(adapter: str, root: str | Path, **options: Any) -> pd.DataFrame:
    """The clip table of the data set below `root`.

    Args:
        adapter: a name in `ADAPTERS`.
        root: the data set's folder.
        options: the adapter's own options, such as ``classes`` or UCF101's ``split``.

    Returns:
        Table with string columns clip_id (unique), path, label, split ("train", "val" and,
        where a labelled test list is read, "test"), sorted by split, label and clip_id.

    Raises:
        InputError: unknown adapter or option, or anything amiss in the folder.
    """
    read = find_adapter(adapter).read
    allowed = [
        # the signature is the only list of an adapter's options
        p.name
        for p in inspect.signature(read).parameters.values()
        if p.kind is p.KEYWORD_ONLY
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
