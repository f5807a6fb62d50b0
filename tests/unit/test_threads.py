"""Sharing a loop among threads: every part once, errors come back, threads stay."""

from __future__ import annotations

import os
import threading
import time

import pytest

from threetconv import threads
from threetconv.threads import share


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_every_index_is_done_once(count: int, number: int) -> None:
    parts: list[tuple[int, int]] = []
    share(parts.append, count, number)
    done = [i for start, stop in parts for i in range(start, stop)]
    assert sorted(done) == list(range(count))


def test_no_work_is_one_empty_part() -> None:
    parts: list[tuple[int, int]] = []
    share(parts.append, 0, 4)
    assert parts == [(0, 0)]


def test_several_threads_work_and_are_kept() -> None:
    workers: set[int] = set()

    def work(_part: tuple[int, int]) -> None:
        workers.add(threading.get_ident())
        time.sleep(0.005)

    for _ in range(3):
        share(work, 100, 3)
    assert threading.get_ident() in workers
    assert len(workers) > 1
    assert len(threads._helpers) == len({helper.ident for helper in threads._helpers})
    assert all(helper.daemon for helper in threads._helpers)


@pytest.mark.parametrize("bad", [0, 17, 31])
def test_an_error_is_raised_once_all_have_ended(bad: int) -> None:
    done: list[int] = []

    def work(part: tuple[int, int]) -> None:
        if bad in range(*part):
            raise KeyError(bad)
        time.sleep(0.001)
        done.extend(range(*part))

    with pytest.raises(KeyError, match=str(bad)):
        share(work, 32, 4)
    share(done.append, 32, 4)  # type: ignore[arg-type]
    time.sleep(0)
    assert bad not in done


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own() -> None:
    share(lambda part: None, 8, 2)
    child = os.fork()
    if child == 0:  # pragma: no cover (in the child)
        parts: list[tuple[int, int]] = []
        share(parts.append, 8, 2)
        os._exit(0 if sum(stop - start for start, stop in parts) == 8 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
