"""The runs of one block under other labels: what each relabelling does to a statistic."""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple, Protocol

import numpy as np

__all__ = [
    "MeanDifference",
    "Relabelling",
    "StudentisedDifference",
    "choices",
    "mean_difference",
]


class Relabelling(Protocol):
    """One block under other labels of its runs: (labelings, m) values of m statistics."""

    @property
    def labelings(self) -> int:
        """How many there are."""

    def every(self) -> np.ndarray:
        """The statistics of every labeling, (labelings, m)."""

    def drawn(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """The statistics of random labelings, (rows, m)."""


class MeanDifference(NamedTuple):
    """Mean of the first arm minus that of the second, in one block."""

    values: np.ndarray  # (n, m) of both arms, every outcome sorted and centred on zero
    chosen: int  # size of the arm whose members are chosen; the others are the rest
    sign: np.ndarray  # (m,) +1 where the chosen arm is the first, -1 where it is the second

    @property
    def labelings(self) -> int:
        return math.comb(self.values.shape[0], self.chosen)

    def every(self) -> np.ndarray:
        return self._of(choices(self.values.shape[0], self.chosen))

    def drawn(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        n = self.values.shape[0]
        shuffled = rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)
        return self._of(_members(shuffled[:, : self.chosen], n))

    def _of(self, members: np.ndarray) -> np.ndarray:
        """For each row of `members` (0 or 1)."""
        rest = self.values.shape[0] - self.chosen
        # values are centred: the rest sums to minus the sum S of the chosen, so the means differ by
        # S / chosen + S / rest
        return np.asarray((members @ self.values) * (self.sign * (1 / self.chosen + 1 / rest)))


class StudentisedDifference(MeanDifference):
    """The same, and beside it the Welch variance of the difference: (labelings, 2 m)."""

    def _of(self, members: np.ndarray) -> np.ndarray:
        n, m = self.chosen, self.values.shape[0] - self.chosen
        total, square = (members @ self.values) ** 2, members @ self.values**2
        rest = (self.values**2).sum(axis=0) - square
        variance = (square - total / n) / (n * (n - 1)) + (rest - total / m) / (m * (m - 1))
        return np.concatenate([super()._of(members), np.maximum(variance, 0)], axis=1)


def choices(n: int, chosen: int) -> np.ndarray:
    """Every choice of so many of n runs: (C(n, chosen), n) of 0 and 1."""
    return _members(np.array(list(combinations(range(n), chosen)), dtype=np.intp), n)


def _members(places: np.ndarray, n: int) -> np.ndarray:
    members = np.zeros((places.shape[0], n))
    np.put_along_axis(members, places, 1.0, axis=1)
    return members


def mean_difference(
    a: np.ndarray, b: np.ndarray, statistics: np.ndarray, *, joint: bool = False
) -> MeanDifference:
    """Both arms of a block together; the members of the smaller one are to be chosen.

    Draws must not depend on which arm is called a, so the one that is larger over all blocks comes
    first. Nor on the order of the runs, so they are sorted: jointly as they are, else every outcome
    for itself.
    """
    values = np.concatenate([a, b])
    values = values[np.lexsort(values.T)] if joint else np.sort(values, axis=0)
    smaller = a.shape[0] <= b.shape[0], b.shape[0] <= a.shape[0]
    sign = np.where(statistics > 0, 1 if smaller[0] else -1, 1 if smaller[1] else -1)
    return MeanDifference(values - values.mean(axis=0), min(a.shape[0], b.shape[0]), sign)
