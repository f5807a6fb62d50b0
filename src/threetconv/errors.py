"""The one error that user input raises: where, what was found, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

__all__ = ["InputError", "look_up", "nearest", "printable"]

T = TypeVar("T")


class InputError(ValueError):
    """Bad input from outside the program: a file, a folder, a table or a setting.

    Args:
        where: the file, folder or configuration key at fault.
        found: what is there.
        expected: what should be there.
        remedy: what the user can do about it.
    """

    def __init__(self, where: str | Path, *, found: str, expected: str, remedy: str) -> None:
        parts = map(printable, (str(where), found, expected, remedy))
        self.where, self.found, self.expected, self.remedy = parts
        super().__init__(
            f"{self.where}\n  found:    {self.found}\n  expected: {self.expected}\n"
            f"  remedy:   {self.remedy}"
        )

    def __reduce__(self) -> tuple[object, ...]:  # survives the trip out of a worker process
        return _rebuild, (self.where, self.found, self.expected, self.remedy)


def _rebuild(where: str, found: str, expected: str, remedy: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy=remedy)


def printable(text: str) -> str:
    """The text with bytes that are not UTF-8, which file names may hold, as ``\\xe9``."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, as JSON may spell it
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def nearest(name: str, options: list[str]) -> str:
    """'did you mean ...?' for a mistyped name, or an empty string when nothing is close."""
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""


def look_up(registry: Mapping[str, T], name: str, *, what: str) -> T:
    """``registry[name]``, or an `InputError` that names every allowed value.

    Args:
        registry: name -> thing.
        name: the name asked for.
        what: what kind of thing it is, for the message ("network", "adapter").
    """
    if name in registry:
        return registry[name]
    options = sorted(registry)
    raise InputError(
        f"{what} {name!r}",
        found=f"no {what} of that name",
        expected=f"one of {', '.join(options)}",
        remedy=nearest(name, options) or f"use one of the names above, or register a new {what}",
    )
