"""Processes that work side by side for a caller that may be any script."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, ParamSpec, TypeVar

__all__ = ["Workers", "pool", "worker_died"]

P = ParamSpec("P")
T = TypeVar("T")

NAMED = 16
"""How many paths a message names at most."""


class Workers:
    """Up to `count` processes, started by the tasks that need them; a context manager.

    Processes are spawned, not forked: a fork of a process with threads (torch, arrow) can hang.
    A worker that dies raises `BrokenProcessPool` from its future instead of waiting for ever
    (see `worker_died`). Workers end with the process that started them, also when that one is
    killed.

    Raises:
        ValueError: `count` is less than 1.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._executor = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_end_with_parent,
        )

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``function(*args, **kwargs)`` in a worker; all must be picklable."""
        with _without_main():  # submitting is what starts the processes
            return self._executor.submit(function, *args, **kwargs)

    def close(self) -> None:
        """Drop what has not begun, wait for the rest, end the processes; may be called twice."""
        if self._executor._broken:  # joins, without ending, a process started as another died
            for process in list((self._executor._processes or {}).values()):
                process.kill()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def pool(workers: int) -> Workers:
    """Up to `workers` processes for a ``with`` block; on leaving it they end."""
    return Workers(workers)


def worker_died(paths: Sequence[str]) -> RuntimeError:
    """The error for a worker process that ended in the middle of its work.

    Args:
        paths: what the workers were at, the one that died among it.
    """
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return RuntimeError(
        f"a worker process died while it read one of: {', '.join(paths[:NAMED])}{more}. It was "
        "killed, by a user or by a system short of memory, or its decoder crashed on a broken "
        "file. Run again, with fewer workers if memory is short; if it dies on the same files "
        "again, take them out"
    )


def _end_with_parent() -> None:
    """In a worker: watch the process that started it, and end when that one has ended.

    A worker waits for tasks on a pipe whose writing end it holds too, so it never sees its end.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, args=(parent.sentinel,), daemon=True).start()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main script from a process being spawned.

    The new process would import it, and so run a script that has no ``__name__`` guard again.
    """
    main = sys.modules["__main__"]
    names = [name for name in ("__file__", "__spec__") if name in vars(main)]
    hidden: dict[str, Any] = {name: vars(main)[name] for name in names}
    vars(main).pop("__file__", None)
    vars(main)["__spec__"] = None
    try:
        yield
    finally:
        vars(main).pop("__spec__")
        vars(main).update(hidden)
