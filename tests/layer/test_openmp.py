"""Sharing an order among threads: every piece once, by whichever threads there are."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import time
from collections.abc import Callable

import pytest
import torch

from threetconv.layer.cpu import openmp
from threetconv.layer.cpu.openmp import ARGUMENTS, DONE, NEXT, PIECES, carry_out, make_order

Body = Callable[[int], None]
FUNCTION = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_int64))


@pytest.fixture(params=["torch's threads", "threads of our own"])
def team(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "threads of our own":
        monkeypatch.setattr(openmp, "_openmp", lambda: None)
    elif openmp._openmp() is None:
        pytest.skip("torch does not run on an OpenMP library that is known")
    return str(request.param)


def perform(body: Body, count: int, number: int, arguments: tuple[int, ...] = ()) -> list[int]:
    """Carry out an order in Python: `body` is called with each piece; what the order holds then."""
    taking = itertools.count()

    @FUNCTION
    def function(order) -> None:  # type: ignore[no-untyped-def]
        while (piece := next(taking)) < order[PIECES]:
            body(piece)
            with lock:
                order[DONE] += 1

    lock, order = threading.Lock(), make_order(arguments)
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address
    carry_out(address, order, count, number)
    return list(order)


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("number", [1, 2, 3, 8])
def test_every_piece_is_done_once(team: str, count: int, number: int) -> None:
    done: list[int] = []
    order = perform(done.append, count, number)
    assert sorted(done) == list(range(order[PIECES]))
    assert order[PIECES] == order[DONE] <= count
    assert order[PIECES] == 1 or number <= order[PIECES] or order[PIECES] == count


def test_an_order_is_counts_and_arguments(team: str) -> None:
    order = perform(lambda piece: None, 1, 1, (7, True, -1))
    assert order[ARGUMENTS:] == [7, 1, -1]
    assert order[NEXT] == 0  # Python counted for itself


def test_several_threads_work(team: str) -> None:
    workers: set[int] = set()

    def work(_piece: int) -> None:
        workers.add(threading.get_native_id())
        time.sleep(0.005)

    for _ in range(3):
        perform(work, 100, 3)
    assert threading.get_native_id() in workers
    assert len(workers) == 3 if team == "torch's threads" else len(workers) > 1


def test_helpers_are_kept_and_end_with_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "_openmp", lambda: None)
    for _ in range(3):
        perform(lambda piece: None, 10, 3)
    before = list(openmp._helpers)
    perform(lambda piece: None, 10, 2)
    assert openmp._helpers == before
    assert len(before) >= 2
    assert all(helper.daemon and helper.is_alive() for helper in before)


def test_pieces_that_were_not_done_are_an_error(team: str) -> None:
    """A compiled function that gets no memory ends without having done its piece."""

    @FUNCTION
    def function(order) -> None:  # type: ignore[no-untyped-def]
        pass

    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address
    with pytest.raises(MemoryError, match="0 of 8 pieces"):
        carry_out(address, make_order(()), 100, 2)


def test_several_callers_at_once(team: str) -> None:
    """Each has its own order."""
    found: dict[int, list[int]] = {caller: [] for caller in range(4)}

    def call(caller: int) -> None:
        for _ in range(20):
            perform(found[caller].append, 8, 2)

    callers = [threading.Thread(target=call, args=(caller,)) for caller in found]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert all(sorted(done) == sorted([*range(8)] * 20) for done in found.values())


def test_torch_on_linux_lends_its_threads() -> None:
    """Its wheels run on GNU's OpenMP; without it filters are built by threads that compete."""
    if not torch.__config__.parallel_info().count("ATen parallel backend: OpenMP"):
        pytest.skip("torch without OpenMP")
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("not Linux")
    assert openmp._openmp() is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_its_own(team: str) -> None:
    """It has none of its parent's threads; OpenMP would wait for them forever."""
    perform(lambda piece: None, 8, 2)
    child = os.fork()
    if child == 0:  # pragma: no cover (in the child)
        done: list[int] = []
        perform(done.append, 8, 2)
        os._exit(0 if sorted(done) == [*range(8)] else 1)
    for _ in range(3000):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        pytest.fail("the child waits for threads that it does not have")
    assert os.waitstatus_to_exitcode(status) == 0
