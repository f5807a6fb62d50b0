"""Run an order in several threads, for compiled code that does not hold the GIL.

An order is a block of 64-bit integers. It begins with three counts: pieces of work taken, pieces in
all, pieces done; the function's arguments follow. Each thread calls the function, which takes one
piece after the other until none is left.

Where torch uses OpenMP, its own threads do the work. After an operator they spin for a while, so
they start within 2 microseconds, where waking a thread takes 50 or more. Separate threads would
also compete with the spinning ones for the processors.
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
_PER_THREAD = 4  # pieces per thread, for load balance: a thread that starts late takes fewer

Order = Any  # ctypes' array of int64
_Function: Any = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Parallel = Callable[[int, Order, int, int], None]


def make_order(arguments: Sequence[int]) -> Order:
    """An order: the counts, then the arguments."""
    return (ctypes.c_int64 * (ARGUMENTS + len(arguments)))(0, 0, 0, *arguments)


def carry_out(function: int, order: Order, count: int, threads: int) -> None:
    """Run an order in threads, the calling one included; return when all have finished.

    Args:
        function: address of a function ``void f(int64 *order)``.
        order: see above; the counts are filled in here.
        count: the largest number of pieces that the work can be split into.
        threads: number of threads.

    Raises:
        MemoryError: if a piece was not done: allocation is all that can fail in the kernels, and a
            C callback cannot raise.
    """
    pieces = min(count, threads * _PER_THREAD) if threads > 1 else 1
    order[NEXT], order[PIECES], order[DONE] = 0, pieces, 0
    if pieces == 1:
        _callable(function)(order)
    elif (parallel := _openmp()) and not _forked.is_set():
        parallel(function, order, threads, 0)  # 0: no flags
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
    """`GOMP_parallel` of the OpenMP library that torch uses, or None if there is none.

    GNU's library, which torch ships on Linux, has this function, and so do LLVM's and Intel's.
    """
    if "ATen parallel backend: OpenMP" not in torch.__config__.parallel_info():
        return None
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        try:
            library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / name))
            # looked up through torch's library, which finds it in the OpenMP that it is linked
            # with; loading OpenMP by name could give another copy with threads of its own
            parallel = library.GOMP_parallel
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
    """Call `work` in `threads` threads, the caller's included; helpers stay for the next call."""
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
        del work, ended  # these names would keep the order's memory alive while waiting


def _forget() -> None:
    """Reset in a forked child: the parent's threads are gone, and OpenMP would wait for them."""
    global _tasks, _growing
    # new ones: a thread that no longer exists may have held the old lock or queue at the fork
    _helpers.clear()
    _tasks, _growing = SimpleQueue(), threading.Lock()
    _forked.set()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
