"""Share a loop out among threads, for compiled code that holds no Python lock."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["share"]

Part = tuple[int, int]
_PIECES = 4  # per thread: who comes late, or shares its processor, does fewer


class _Task:
    """Pieces of a loop, for whoever has time; `outcomes` gets an entry for each piece done."""

    def __init__(self, work: Callable[[Part], object], count: int, pieces: int) -> None:
        self._work, self._count, self.pieces = work, count, pieces
        self._next = itertools.count()  # asking for the next is one step, also among threads
        self.outcomes: SimpleQueue[BaseException | None] = SimpleQueue()

    def help(self) -> None:
        while (piece := next(self._next)) < self.pieces:
            outcome: BaseException | None = None
            try:
                start = self._count * piece // self.pieces
                self._work((start, self._count * (piece + 1) // self.pieces))
            except BaseException as error:
                outcome = error
            self.outcomes.put(outcome)


_tasks: SimpleQueue[_Task] = SimpleQueue()
_helpers: list[threading.Thread] = []
_growing = threading.Lock()


def share(work: Callable[[Part], object], count: int, threads: int) -> None:
    """Call ``work((start, stop))`` for parts that make up ``range(count)``, side by side.

    The calling thread works too. The others are kept for the next call (waking them takes some 50
    microseconds), serve all callers, and end with the process.

    Raises:
        BaseException: what a part has raised, once all have ended.
    """
    threads = min(threads, count)
    if threads <= 1:
        work((0, count))
        return
    _grow(threads - 1)
    task = _Task(work, count, min(count, threads * _PIECES))
    for _ in range(threads - 1):
        _tasks.put(task)
    task.help()
    for outcome in [task.outcomes.get() for _ in range(task.pieces)]:
        if outcome is not None:
            raise outcome


def _grow(helpers: int) -> None:
    if len(_helpers) >= helpers:
        return
    with _growing:
        while len(_helpers) < helpers:
            helper = threading.Thread(target=_help, name="threetconv-filters", daemon=True)
            helper.start()
            _helpers.append(helper)


def _help() -> None:
    while True:
        task = _tasks.get()
        task.help()
        del task  # hold nobody's arrays while waiting


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _tasks, _growing
    _helpers.clear()
    _tasks, _growing = SimpleQueue(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
