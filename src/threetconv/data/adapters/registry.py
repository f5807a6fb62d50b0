"""The adapters by name. An adapter turns a dataset's folder into a table of clips."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pandas as pd

__all__ = ["ADAPTERS", "register"]

A = TypeVar("A", bound=Callable[..., pd.DataFrame])
ADAPTERS: dict[str, Callable[..., pd.DataFrame]] = {}


def register(name: str) -> Callable[[A], A]:
    """Decorator: make an adapter available as ``read_clips(name, root)``.

    Raises:
        ValueError: the name is taken (a mistake in the program, not in the data).
    """

    def add(adapter: A) -> A:
        if name in ADAPTERS:
            raise ValueError(f"an adapter named {name!r} is registered already")
        ADAPTERS[name] = adapter
        return adapter

    return add
