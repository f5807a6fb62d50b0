"""Have several threads carry out an order, for compiled code that holds no Python lock.

An order is a block of 64-bit integers. It begins with three counts: pieces of work that have been
taken, pieces that there are, pieces that are done; then comes what the function needs to know. Each
thread calls the function, which takes one piece after the other until none is left.

The threads are torch's own, where torch runs on OpenMP. After an operator they go on spinning for a
while: they start on ours at once (2 microseconds; waking a thread takes 50 and more), while threads
beside them would compete with them for the processors.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

__all__ = ["ARGUMENTS", "DONE", "NEXT", "PIECES", "carry_out", "make_order"]

NEXT, PIECES, DONE, ARGUMENTS = range(4)
_PER_THREAD = 4  # pieces: who comes late, or shares its processor, does fewer

Order = Any  # ctypes' array of int64
_Function: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Parallel = Callable[[int, Order, int, int], None]


def make_order(arguments: Sequence[int]) -> Order:
    """An order: the counts, then the arguments."""
    return (ctypes.c_int64 * (ARGUMENTS + len(arguments)))(0, 0, 0, *arguments)


def carry_out(function: int, order: Order, count: int, threads: int) -> None:
    """Have threads, the calling one among them, carry out an order; return when all have ended.

    Args:
        function: address of a function ``void f(int64 *order)``.
        order: see above; the counts are filled in here.
        count: how many parts the work can be cut into.
        threads: how many are to work.

    Raises:
        MemoryError: if pieces were not done. Compiled code has no other reason.
    """
    pieces = min(count, threads * _PER_THREAD) if threads > 1 else 1
    order[NEXT], order[PIECES], order[DONE] = 0, pieces, 0
    if pieces == 1:
        _callable(function)(order)
    elif (parallel := _openmp()) and not _forked.is_set():
        parallel(function, order, threads, 0)
    else:
        _side_by_side(functools.partial(_callable(function), order), threads)
    if order[DONE] != pieces:
        raise MemoryError(
            f"{order[DONE]} of {pieces} pieces of the filters were done: there was no memory for "
            "the others"
        )


@functools.cache
def _callable(function: int) -> Callable[[Order], None]:
    found: Callable[[Order], None] = _Function(function)
    return found


@functools.cache
def _openmp() -> _Parallel | None:
    """`GOMP_parallel` of the OpenMP library that torch uses, if it uses one that is known here.

    GNU's library has it, which torch comes with on Linux, and so have LLVM's and Intel's.
    """
    if "ATen parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return None
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name))
            parallel = library.GOMP_parallel  # also looked for in the libraries that this one uses
        except (OSError, AttributeError):
            continue
        parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        parallel.restype = None
        found: _Parallel = parallel
        return found
    return None


_forked = threading.Event()
_tasks: SimpleQueue[tuple[Callable[[], None], SimpleQueue[None]]] = SimpleQueue()
_helpers: list[threading.Thread] = []
_growing = threading.Lock()


def _side_by_side(work: Callable[[], None], threads: int) -> None:
    """Call `work` in so many threads; those beside the caller's are kept for the next call."""
    with _growing:
        while len(_helpers) < threads - 1:
            helper = threading.Thread(target=_help, name="threetconv-filters", daemon=True)
            helper.start()
            _helpers.append(helper)
    ended: SimpleQueue[None] = SimpleQueue()
    for _ in range(threads - 1):
        _tasks.put((work, ended))
    work()
    for _ in range(threads - 1):
        ended.get()


def _help() -> None:
    while True:
        work, ended = _tasks.get()
        work()
        ended.put(None)
        del work, ended  # hold nobody's memory while waiting


def _forget() -> None:
    """A forked child has none of its parent's threads, and OpenMP would wait for them forever."""
    global _tasks, _growing
    _helpers.clear()
    _tasks, _growing = SimpleQueue(), threading.Lock()
    _forked.set()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
