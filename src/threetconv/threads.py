"""Share a loop out among threads, for compiled code that holds no Python lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["share"]

Part = tuple[int, int]
_Outcome = SimpleQueue[BaseException | None]
_jobs: SimpleQueue[tuple[Callable[[Part], object], Part, _Outcome]] = SimpleQueue()
_helpers: list[threading.Thread] = []
_growing = threading.Lock()


def share(work: Callable[[Part], object], count: int, threads: int) -> None:
    """Call ``work((start, stop))`` for parts that make up ``range(count)``, one part per thread.

    The calling thread does a part too. Threads are kept for the next call (a call costs some 10
    microseconds), are shared by all callers, and end with the process.

    Raises:
        Exception: whatever a part raises, once all parts have ended.
    """
    threads = max(1, min(threads, count))
    if threads == 1:
        work((0, count))
        return
    _grow(threads - 1)
    bounds = [count * i // threads for i in range(threads + 1)]
    done: _Outcome = SimpleQueue()
    for i in range(1, threads):
        _jobs.put((work, (bounds[i], bounds[i + 1]), done))
    error: BaseException | None = None
    try:
        work((0, bounds[1]))
    except BaseException as raised:
        error = raised
    outcomes = [done.get() for _ in range(1, threads)]
    error = error or next((outcome for outcome in outcomes if outcome is not None), None)
    if error is not None:
        raise error


def _grow(helpers: int) -> None:
    if len(_helpers) >= helpers:
        return
    with _growing:
        while len(_helpers) < helpers:
            helper = threading.Thread(target=_help, name="threetconv-filters", daemon=True)
            _helpers.append(helper)
            helper.start()


def _help() -> None:
    while True:
        work, part, done = _jobs.get()
        try:
            work(part)
        except BaseException as error:
            done.put(error)
        else:
            done.put(None)
        del work, part, done  # hold nobody's arrays while waiting


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _jobs, _growing
    _helpers.clear()
    _jobs, _growing = SimpleQueue(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
