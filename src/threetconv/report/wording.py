"""Counts in words: plurals, lists, and "1 of 3" with its ends "none" and "all"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from threetconv.schemas.runs import CONVOLUTIONS

__all__ = ["convolutions", "count_word", "join_words", "of_all", "plural", "verb"]


def plural(count: int, singular: str, many: str | None = None) -> str:
    """1 run, 3 runs."""
    return f"{count:,} {singular if count == 1 else many or singular + 's'}"


def verb(count: int, one: str, many: str) -> str:
    """The verb that goes with `of_all` and `count_word`: none is, 1 is, 3 are."""
    # "None of the runs is", so 0 takes the singular, too.
    return one if count < 2 else many


def count_word(count: int) -> str:
    """None, 1, 2, 1,200."""
    return f"{count:,}" if count else "none"


def of_all(count: int, total: int, singular: str, many: str | None = None) -> str:
    """None of the 3 runs, 1 of 3 runs, all 3 runs; of a single one: the one run, no run.

    The verb is that of `verb(count, ...)`.
    """
    if total == 1:
        return f"{'the one' if count else 'no'} {singular}"
    if count == 0:
        return f"none of the {plural(total, singular, many)}"
    if count == total:
        return f"all {plural(total, singular, many)}"
    return f"{count:,} of {plural(total, singular, many)}"


def join_words(words: Sequence[str], *, last: str = "and") -> str:
    """a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def convolutions(names: Iterable[object]) -> str:
    """The kinds of convolution among `names`, in the order of reports: 3T and 3D."""
    present = sorted({str(name) for name in names}, key=lambda v: [*CONVOLUTIONS, v].index(v))
    return join_words([CONVOLUTIONS[n].label if n in CONVOLUTIONS else n for n in present])
