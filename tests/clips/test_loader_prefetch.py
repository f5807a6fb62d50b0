"""Items made ahead: the same ones, in order, with their errors, and nothing left running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threetconv.clips.loader import prefetch


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "prefetch"]


@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_the_items_in_their_order(items: list[int], ahead: int) -> None:
    assert list(prefetch(items, ahead=ahead)) == items
    assert not threads()


def test_so_many_are_made_ahead_and_no_more() -> None:
    made: list[int] = []
    enough = threading.Event()

    def source() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            if i == 3:  # one taken, two ready, one under way
                enough.set()
            yield i

    items = prefetch(source(), ahead=2)
    assert next(items) == 0
    assert enough.wait(10)
    assert not threading.Event().wait(0.2)
    assert made == [0, 1, 2, 3]
    assert list(items) == list(range(1, 10))


def test_an_error_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("a clip")

    items = prefetch(source())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="a clip"):
        next(items)
    assert not threads()
    assert list(items) == []


@pytest.mark.parametrize("taken", [0, 1])
def test_closed_early_it_closes_its_source(taken: int) -> None:
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    items = prefetch(source(), ahead=1)
    for _ in range(taken):
        next(items)
    items.close()
    assert closed == ["prefetch"] * taken  # what was never asked for has not begun
    assert not threads()


def test_nothing_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        prefetch([1], ahead=0)
