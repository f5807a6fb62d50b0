"""Work done ahead of need in a thread, so that who takes the results does not wait for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_POLL = 0.05  # seconds after which a thread that cannot put its item looks whether it still should


def prefetch(items: Iterable[T], *, ahead: int = 1) -> Generator[T]:
    """The items, in order, of which a thread has the next ones ready.

    The thread runs `items` from its first item to its last, or until this generator is closed, and
    closes it there. It helps where making an item leaves the interpreter to others: reading,
    copying, converting, sending to a GPU.

    Args:
        items: an iterable that nobody else uses meanwhile.
        ahead: items made beyond the one that is being used; one more is under way.

    Raises:
        Whatever `items` raises, after the items that came before it.
        ValueError: `ahead` is less than 1.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, not {ahead}")
    return _taken(items, ahead)


def _taken(items: Iterable[T], ahead: int) -> Generator[T]:
    ready: queue.Queue[tuple[str, Any]] = queue.Queue(ahead)
    stop = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stop.is_set():
            with suppress(queue.Full):
                ready.put((kind, value), timeout=_POLL)
                return True
        return False

    def work() -> None:
        try:
            source = iter(items)
            try:
                for item in source:
                    if not put("item", item):
                        return
            finally:
                getattr(source, "close", lambda: None)()
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        thread.join()
