"""The one error of bad input."""

from __future__ import annotations

import pickle

import pytest

from threetconv.errors import InputError, look_up, nearest

ERROR = InputError("a/file", found="this", expected="that", remedy="do so")


def test_the_message_has_four_parts() -> None:
    assert str(ERROR).splitlines() == [
        "a/file",
        "  found:    this",
        "  expected: that",
        "  remedy:   do so",
    ]


def test_it_survives_the_way_out_of_a_worker() -> None:
    twin = pickle.loads(pickle.dumps(ERROR))
    assert (twin.where, twin.found, twin.expected, twin.remedy) == (
        "a/file",
        "this",
        "that",
        "do so",
    )
    assert str(twin) == str(ERROR)


def test_look_up() -> None:
    registry = {"jester": 1, "ucf101": 2}
    assert look_up(registry, "jester", what="adapter") == 1
    with pytest.raises(InputError) as caught:
        look_up(registry, "jestre", what="adapter")
    assert caught.value.expected == "one of jester, ucf101"
    assert caught.value.remedy == "did you mean 'jester'?"
    with pytest.raises(InputError, match="register a new adapter"):
        look_up(registry, "zzz", what="adapter")


def test_nearest() -> None:
    assert nearest("epoch", ["epochs", "seed"]) == "did you mean 'epochs'?"
    assert nearest("zzz", ["epochs", "seed"]) == ""
    assert nearest("zzz", []) == ""
