"""Processes that work side by side for a caller that may be any script."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

__all__ = ["Workers", "pool"]

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A pool of spawned processes (see `pool`)."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``function(*args, **kwargs)`` in a worker; all must be picklable."""
        with _without_main():  # submitting is what starts the processes
            return self._executor.submit(function, *args, **kwargs)


@contextmanager
def pool(workers: int) -> Iterator[Workers]:
    """Start up to `workers` processes; on leaving, drop what has not begun and wait for the rest.

    Processes are spawned, not forked: a fork of a process with threads (torch, arrow) can hang.
    A worker that dies raises `BrokenProcessPool` from its future instead of waiting for ever.
    """
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(workers, mp_context=context)
    try:
        yield Workers(executor)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


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
