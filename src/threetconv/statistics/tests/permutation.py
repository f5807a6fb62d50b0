"""Permutation of the labels of training runs within blocks.

Under the null hypothesis a run's label says nothing about its value, so within a block every
assignment of the labels is equally likely. A block is a cell of the design in which only the
factor of interest differs (network x init for the dataset), or a pair of runs that share an
initialisation: exchanging the labels within pairs is the sign-flip test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["PermutationResult", "attainable_floor", "labelings", "permute_many", "permute_runs"]

MAX_ENUMERATION = 200_000
DRAWS = 99_999
CHUNK = 10_000  # draws at a time
LARGEST = 4_000_000  # labelings x outcomes held at once
TOLERANCE = 1e-9  # two statistics closer than this share of the values' spread are tied
ROUNDING = 1e-13  # and so are two closer than this share of the largest value


class PermutationResult(NamedTuple):
    """Outcome of one test."""

    statistic: float  # mean over blocks of (mean of arm a - mean of arm b)
    p: float  # two-sided
    floor: float  # the smallest two-sided p that these runs could have given
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
        seed: of the Monte Carlo draws; not used when all labelings are enumerated.
        max_enumeration: enumerate up to this many labelings.
        draws: Monte Carlo draws B beyond that; then p = (b + 1) / (B + 1) (Phipson & Smyth 2010).

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
    sizes = [(a.shape[0], b.shape[0]) for a, b in arms]
    count = labelings(sizes)
    exact = count <= max_enumeration
    outcomes = arms[0][0].shape[1]
    at_once = max(1, LARGEST // (count if exact else CHUNK))
    results: list[PermutationResult] = []
    for start in range(0, outcomes, at_once):
        some = [(a[:, start : start + at_once], b[:, start : start + at_once]) for a, b in arms]
        results += _permute(some, sizes, exact=exact, draws=draws, seed=seed)
    return results


def _permute(
    arms: list[tuple[np.ndarray, np.ndarray]],
    sizes: list[tuple[int, int]],
    *,
    exact: bool,
    draws: int,
    seed: int,
) -> list[PermutationResult]:
    statistics = np.mean([a.mean(axis=0) - b.mean(axis=0) for a, b in arms], axis=0)
    spread = np.mean([np.ptp(np.concatenate(pair), axis=0) for pair in arms], axis=0)
    largest = np.max([np.abs(np.concatenate(pair)).max(axis=0) for pair in arms], axis=0)
    thresholds = np.abs(statistics) - (TOLERANCE * spread + ROUNDING * largest)
    pools = [_pool(a, b, statistics) for a, b in arms]
    least = attainable_floor(sizes)
    if exact:
        count = labelings(sizes)
        absolute = np.abs(_enumerate(pools)) / len(arms)
        hits = np.count_nonzero(absolute >= thresholds, axis=0)
        top = absolute.max(axis=0) - (np.abs(statistics) - thresholds)
        extreme = np.count_nonzero(absolute >= top, axis=0)
        return [
            PermutationResult(float(t), int(h) / count, max(int(e) / count, least), True, count)
            for t, h, e in zip(statistics, hits, extreme, strict=True)
        ]
    reached = _draw(pools, thresholds, draws, seed)
    floor = max(1 / (draws + 1), least)
    return [
        PermutationResult(float(t), (int(h) + 1) / (draws + 1), floor, False, draws)
        for t, h in zip(statistics, reached, strict=True)
    ]


class _Pool(NamedTuple):
    values: np.ndarray  # (n, m) of both arms, every outcome sorted and centred on zero
    chosen: int  # size of the arm whose members are chosen; the others are the rest
    sign: np.ndarray  # (m,) +1 where the chosen arm is the first, -1 where it is the second

    def difference(self, members: np.ndarray) -> np.ndarray:
        """Mean of the first arm minus that of the second, for each row of `members` (0 or 1)."""
        rest = self.values.shape[0] - self.chosen
        return (members @ self.values) * (self.sign * (1 / self.chosen + 1 / rest))


def _column(values: npt.ArrayLike) -> np.ndarray:
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def _sorted_arms(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = (np.sort(np.asarray(v, dtype=np.float64), axis=0) for v in (a, b))
    for values in (first, second):
        if values.size == 0 or not np.isfinite(values).all():
            raise ValueError("every block needs at least one finite value in each arm")
    return first, second


def _pool(a: np.ndarray, b: np.ndarray, statistics: np.ndarray) -> _Pool:
    """Both arms of a block together; the members of the smaller one are to be chosen.

    Draws must not depend on which arm is called a, so the one that is larger over all blocks comes
    first.
    """
    values = np.sort(np.concatenate([a, b]), axis=0)
    smaller = a.shape[0] <= b.shape[0], b.shape[0] <= a.shape[0]
    sign = np.where(statistics > 0, 1 if smaller[0] else -1, 1 if smaller[1] else -1)
    return _Pool(values - values.mean(axis=0), min(a.shape[0], b.shape[0]), sign)


def _enumerate(pools: list[_Pool]) -> np.ndarray:
    """Sum over blocks of the difference of arm means, for every labeling: (labelings, m)."""
    totals = np.zeros((1, pools[0].values.shape[1]))
    for pool in pools:
        n = pool.values.shape[0]
        places = np.array(list(combinations(range(n), pool.chosen)))
        members = np.zeros((places.shape[0], n))
        np.put_along_axis(members, places, 1.0, axis=1)
        block = pool.difference(members)
        totals = (totals[:, None] + block[None, :]).reshape(-1, totals.shape[1])
    return totals


def _draw(pools: list[_Pool], thresholds: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How many of `draws` random labelings reach the thresholds; some thousands at a time."""
    rng = np.random.default_rng(seed)
    hits = np.zeros(thresholds.size, dtype=np.int64)
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        totals = np.zeros((rows, thresholds.size))
        for pool in pools:
            n = pool.values.shape[0]
            shuffled = rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)
            members = np.zeros((rows, n))
            np.put_along_axis(members, shuffled[:, : pool.chosen], 1.0, axis=1)
            totals += pool.difference(members)
        hits += np.count_nonzero(np.abs(totals) / len(pools) >= thresholds, axis=0)
    return hits
