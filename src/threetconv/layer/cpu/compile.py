"""Compiling kernels with numba: when first called; kept on disk where there is a folder for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import from_dtype, njit, types
from numba.core.ccallback import CFunc

__all__ = ["Callback", "compiled"]

_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": False}


def compiled(function: Any) -> Any:
    """A function that Python and other compiled functions can call; it holds no Python lock."""
    try:
        kernel: Any = njit(cache=True, nogil=True, **_OPTIONS)(function)
    except RuntimeError:  # nowhere to write
        return njit(nogil=True, **_OPTIONS)(function)
    _mind_sources(kernel)
    return kernel


class Callback:
    """A function ``void f(number *)`` that C, and so any thread, can call by its address.

    Used as a decorator. What is at the pointer are no numbers but an order
    (`threetconv.layer.cpu.work_order`): the pointer's type only says of which dtype the numbers are
    that the order is about.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._compiled: dict[Any, Any] = {}

    def address(self, dtype: np.dtype[Any]) -> int:
        """Where the machine code for numbers of `dtype` is; it stays there."""
        found: Any = self._compiled.get(dtype)
        if found is None:
            signature = ((types.CPointer(from_dtype(dtype)),), types.void)
            found = CFunc(self._function, signature, {}, {"nopython": True, **_OPTIONS})
            try:
                found.enable_caching()
            except RuntimeError:  # nowhere to write
                pass
            else:
                _mind_sources(found)
            found.compile()
            self._compiled[dtype] = found
        address: int = found.address
        return address


def _mind_sources(kernel: Any) -> None:
    """numba would notice edits in the function's own file only, not in those it calls into."""
    index: Any = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if hasattr(index, "_source_stamp"):
        index._source_stamp = (index._source_stamp, _sources())


def _sources() -> tuple[tuple[float, int], ...]:
    """When the files that make up the kernels were written, and their sizes."""
    here = Path(__file__).parent
    stats = [file.stat() for file in sorted(here.glob("*.py"))]
    return tuple((stat.st_mtime, stat.st_size) for stat in stats)
