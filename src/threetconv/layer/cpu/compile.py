"""Compile kernels with numba at the first call, and cache them on disk if a folder is writable."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numba import from_dtype, njit, types
from numba.core.ccallback import CFunc

__all__ = ["Callback", "compiled"]

log = logging.getLogger(__name__)

# "numpy": division by zero gives inf or nan, without a check and a Python exception
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "boundscheck": False}


def compiled(function: Any) -> Any:
    """A function that Python and other compiled functions can call; it releases the GIL."""
    try:
        kernel: Any = njit(cache=True, nogil=True, **_OPTIONS)(function)
    except RuntimeError:  # numba finds no writable folder for its cache
        return njit(nogil=True, **_OPTIONS)(function)
    _mind_sources(kernel)
    return kernel


class Callback:
    """A decorator: a function ``void f(number *)`` that C code can call by address from any thread.

    The pointer leads to an order (`threetconv.layer.cpu.work_order`), not to numbers. Its type only
    tells numba the dtype of the arrays that the order names.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._compiled: dict[Any, Any] = {}

    def address(self, dtype: np.dtype[Any]) -> int:
        """Address of the machine code for `dtype`, valid as long as this object lives."""
        found: Any = self._compiled.get(dtype)
        if found is None:
            signature = ((types.CPointer(from_dtype(dtype)),), types.void)
            found = CFunc(self._function, signature, {}, {"nopython": True, **_OPTIONS})
            try:
                found.enable_caching()
            except RuntimeError:  # as in `compiled`
                _tell(
                    "in this process only: no folder for numba's cache can be written. Set the "
                    "environment variable NUMBA_CACHE_DIR to one that can"
                )
            else:
                _mind_sources(found)
                _tell_if_new(found)
            found.compile()
            self._compiled[dtype] = found
        address: int = found.address
        return address


def _tell_if_new(kernel: Any) -> None:
    """Let a kernel say so before it is compiled; one that is read from the cache says nothing."""
    compile_anew: Any = getattr(kernel, "_compile_uncached", None)  # private, as below

    def say_and_compile() -> Any:
        _tell(f"once: they are kept in {kernel._cache.cache_path}")
        return compile_anew()

    if compile_anew is not None:
        kernel._compile_uncached = say_and_compile


@functools.cache
def _tell(how_often: str) -> None:
    log.warning("compiling the kernels that build 3T filters (up to a minute), %s", how_often)


def _mind_sources(kernel: Any) -> None:
    """Invalidate a kernel's cache when any kernel file changes.

    numba itself notices edits only in the function's own file, not in the functions it inlines.
    """
    # private attributes of numba; without them edits elsewhere would go unnoticed, nothing worse
    index: Any = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if hasattr(index, "_source_stamp"):
        index._source_stamp = (index._source_stamp, _sources())


def _sources() -> tuple[tuple[float, int], ...]:
    """Modification time and size of every kernel file."""
    here = Path(__file__).parent
    stats = [file.stat() for file in sorted(here.glob("*.py"))]
    return tuple((stat.st_mtime, stat.st_size) for stat in stats)
