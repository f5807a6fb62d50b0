"""Logging for a step of a workflow: a file that keeps everything, a terminal that shows it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from threetconv.errors import InputError

__all__ = ["progress_to", "step_log"]


@contextmanager
def step_log(path: str | Path) -> Iterator[logging.Logger]:
    """Send the package's log to `path` and to stderr while the block runs.

    Bad input ends the process with status 1 and the message alone, without a traceback; any other
    error is logged with its traceback and raised.
    """
    log = logging.getLogger("threetconv")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # backslashreplace: a message may name a file whose name is not valid UTF-8
    to_file = logging.FileHandler(path, mode="w", encoding="utf-8", errors="backslashreplace")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setFormatter(logging.Formatter(f"[{Path(path).stem}] %(message)s"))
    to_terminal.setLevel(logging.WARNING)  # many steps share the terminal
    previous = log.level
    log.setLevel(logging.INFO)
    for handler in (to_file, to_terminal):
        log.addHandler(handler)
    try:
        yield log
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("failed")
        raise
    finally:
        log.setLevel(previous)
        for handler in (to_file, to_terminal):
            log.removeHandler(handler)
            handler.flush()
        to_file.close()


def progress_to(log: logging.Logger, what: str, every: float = 5.0) -> Callable[[int, int], None]:
    """A progress callback (done, total) that logs a line every few seconds and at the end."""
    started = time.monotonic()
    last = started

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done < total and now - last < every:
            return
        last = now
        remaining = (now - started) / max(done, 1) * (total - done)
        log.info("%s: %d of %d, %.0f s to go", what, done, total, remaining)

    return report
