"""Permutation of the labels of training runs within blocks, for any statistic.

Under the null hypothesis a run's label says nothing about its value, so within a block every
assignment of the labels is equally likely. A block is a cell of the design in which only the
factor of interest differs (network x init for the dataset), or a pair of runs that share an
initialisation: exchanging the labels within pairs is the sign-flip test.

`permute` is the one engine. What it permutes is a `Relabelling`: the statistic of one block under
other labels of its runs (here a difference of arm means; an energy distance and a sum of signs
elsewhere). The statistic of a test is the mean over its blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "PermutationResult",
    "Relabelling",
    "attainable_floor",
    "choices",
    "labelings",
    "permute",
    "permute_many",
    "permute_runs",
]

MAX_ENUMERATION = 200_000
DRAWS = 99_999
CHUNK = 10_000  # draws at a time
LARGEST = 4_000_000  # labelings x outcomes held at once
TOLERANCE = 1e-9  # two statistics closer than this share of the values' spread are tied
ROUNDING = 1e-13  # and so are two closer than this share of the largest value


class PermutationResult(NamedTuple):
    """What one test found."""

    statistic: float  # mean over blocks
    p: float
    floor: float  # the smallest p that these runs could have given
    exact: bool  # all labelings enumerated
    n_permutations: int  # labelings enumerated, or drawn


def labelings(sizes: Sequence[tuple[int, int]]) -> int:
    """Number of ways to label the runs: the product over blocks of C(n_a + n_b, n_a)."""
    return math.prod(math.comb(a + b, a) for a, b in sizes)


def attainable_floor(sizes: Sequence[tuple[int, int]]) -> float:
    """The smallest two-sided p of the complete permutation test, from the design alone.

    Args:
        sizes: (runs of arm a, runs of arm b) for every block.

    Returns:
        2 / labelings when all blocks are balanced (a labeling and its mirror image tie), else
        1 / labelings; 1.0 when there is nothing to permute.
    """
    count = labelings(sizes)
    mirrored = all(a == b for a, b in sizes)
    return min(1.0, (2 if mirrored else 1) / count)


class Relabelling(Protocol):
    """One block under other labels of its runs: (labelings, m) values of m statistics."""

    @property
    def labelings(self) -> int:
        """How many there are."""

    def every(self) -> np.ndarray:
        """The statistics of every labeling, (labelings, m)."""

    def drawn(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """The statistics of random labelings, (rows, m)."""


def permute(
    blocks: Sequence[Relabelling],
    observed: np.ndarray,
    slack: np.ndarray,
    *,
    least: float,
    two_sided: bool,
    seed: int,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> list[PermutationResult]:
    """The blocked permutation test of m statistics at once, by enumeration or by draws.

    Args:
        blocks: what the labels of each block do to the statistics.
        observed: (m,) the mean over blocks with the runs' own labels.
        slack: (m,) values closer than this count as equal: sums of the same numbers in another
            order differ in their last bits, and a labeling must tie with itself.
        least: the smallest p of the complete test that the design allows.
        two_sided: whether large negative values count as well.
        seed: of the draws; not used when all labelings are enumerated.
        max_enumeration: enumerate up to this many labelings.
        draws: Monte Carlo draws B beyond that; then p = (b + 1) / (B + 1) (Phipson & Smyth 2010).
    """
    size = np.abs if two_sided else np.asarray
    reach = size(observed) - slack
    count = math.prod(block.labelings for block in blocks)
    if count <= max_enumeration:
        totals = np.zeros((1, observed.size))
        for block in blocks:
            # every labeling of the blocks so far with every one of this block
            totals = (totals[:, None] + block.every()[None, :]).reshape(-1, observed.size)
        totals = size(totals) / len(blocks)
        hits = np.count_nonzero(totals >= reach, axis=0)
        # labelings that tie with the most extreme one: with these values p cannot be smaller
        extreme = np.count_nonzero(totals >= totals.max(axis=0) - slack, axis=0)
        return [
            PermutationResult(float(t), int(h) / count, max(int(e) / count, least), True, count)
            for t, h, e in zip(observed, hits, extreme, strict=True)
        ]
    rng = np.random.default_rng(seed)
    hits = np.zeros(observed.size, dtype=np.int64)
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        totals = np.zeros((rows, observed.size))
        for block in blocks:
            totals += block.drawn(rng, rows)
        hits += np.count_nonzero(size(totals) / len(blocks) >= reach, axis=0)
    floor = max(1 / (draws + 1), least)
    return [
        PermutationResult(float(t), (int(h) + 1) / (draws + 1), floor, False, draws)
        for t, h in zip(observed, hits, strict=True)
    ]


def permute_runs(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    seed: int,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> PermutationResult:
    """Two-sided permutation test of the mean over blocks of the difference of arm means.

    Args:
        blocks: (values of arm a, values of arm b) per block, one value per run; finite, neither
            empty.
        seed, max_enumeration, draws: see `permute`.

    Returns:
        The result. Neither the order of the runs, nor that of the blocks within rounding, nor
        which arm is called a changes p; the last flips the sign of the statistic.

    Raises:
        ValueError: for an empty arm or a value that is not finite.
    """
    columns = [(_column(a), _column(b)) for a, b in blocks]
    return permute_many(columns, seed=seed, max_enumeration=max_enumeration, draws=draws)[0]


def permute_many(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    seed: int,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> list[PermutationResult]:
    """`permute_runs` for many outcomes of the same runs at once.

    Args:
        blocks: (arm a, arm b) per block, arrays (runs, outcomes).
        seed, max_enumeration, draws: as for `permute_runs`. Every outcome gets the labelings that
            it would get alone.

    Returns:
        A result per outcome.

    Raises:
        ValueError: for an empty arm or a value that is not finite.
    """
    arms = [_sorted_arms(a, b) for a, b in blocks]
    if not arms:
        raise ValueError("no block holds runs of both arms")
    count = labelings([(a.shape[0], b.shape[0]) for a, b in arms])
    outcomes = arms[0][0].shape[1]
    at_once = max(1, LARGEST // (count if count <= max_enumeration else CHUNK))
    results: list[PermutationResult] = []
    for start in range(0, outcomes, at_once):
        some = [(a[:, start : start + at_once], b[:, start : start + at_once]) for a, b in arms]
        results += _permute_means(some, seed, max_enumeration, draws)
    return results


def _permute_means(
    arms: list[tuple[np.ndarray, np.ndarray]], seed: int, max_enumeration: int, draws: int
) -> list[PermutationResult]:
    statistics = np.mean([a.mean(axis=0) - b.mean(axis=0) for a, b in arms], axis=0)
    spread = np.mean([np.ptp(np.concatenate(pair), axis=0) for pair in arms], axis=0)
    largest = np.max([np.abs(np.concatenate(pair)).max(axis=0) for pair in arms], axis=0)
    return permute(
        [_mean_difference(a, b, statistics) for a, b in arms],
        statistics,
        TOLERANCE * spread + ROUNDING * largest,
        least=attainable_floor([(a.shape[0], b.shape[0]) for a, b in arms]),
        two_sided=True,
        seed=seed,
        max_enumeration=max_enumeration,
        draws=draws,
    )


class _MeanDifference(NamedTuple):
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


def choices(n: int, chosen: int) -> np.ndarray:
    """Every choice of so many of n runs: (C(n, chosen), n) of 0 and 1."""
    return _members(np.array(list(combinations(range(n), chosen)), dtype=np.intp), n)


def _members(places: np.ndarray, n: int) -> np.ndarray:
    members = np.zeros((places.shape[0], n))
    np.put_along_axis(members, places, 1.0, axis=1)
    return members


def _column(values: npt.ArrayLike) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def _sorted_arms(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = (np.sort(np.asarray(v, dtype=np.float64), axis=0) for v in (a, b))
    for values in (first, second):
        if values.size == 0 or not np.isfinite(values).all():
            raise ValueError("every block needs at least one finite value in each arm")
    return first, second


def _mean_difference(a: np.ndarray, b: np.ndarray, statistics: np.ndarray) -> _MeanDifference:
    """Both arms of a block together; the members of the smaller one are to be chosen.

    Draws must not depend on which arm is called a, so the one that is larger over all blocks comes
    first.
    """
    values = np.sort(np.concatenate([a, b]), axis=0)
    smaller = a.shape[0] <= b.shape[0], b.shape[0] <= a.shape[0]
    sign = np.where(statistics > 0, 1 if smaller[0] else -1, 1 if smaller[1] else -1)
    return _MeanDifference(values - values.mean(axis=0), min(a.shape[0], b.shape[0]), sign)
