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

__all__ = ["PermutationResult", "attainable_floor", "labelings", "permute_runs"]

MAX_ENUMERATION = 200_000
DRAWS = 99_999
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
    arms = [_sorted_arms(a, b) for a, b in blocks]
    if not arms:
        raise ValueError("no block holds runs of both arms")
    statistic = float(np.mean([a.mean() - b.mean() for a, b in arms]))
    sizes = [(a.size, b.size) for a, b in arms]
    count = labelings(sizes)
    exact = count <= max_enumeration
    spread = float(np.mean([np.ptp(np.concatenate(pair)) for pair in arms]))
    largest = max(float(np.abs(np.concatenate(pair)).max()) for pair in arms)
    tolerance = TOLERANCE * spread + ROUNDING * largest
    # draws must not depend on which arm is called a: take the one whose mean is larger first
    pools = [_pool(a, b) if statistic > 0 else _pool(b, a) for a, b in arms]
    if exact:
        absolute = np.abs(_enumerate(pools)) / len(arms)
        hits = np.count_nonzero(absolute >= abs(statistic) - tolerance)
        extreme = np.count_nonzero(absolute >= absolute.max() - tolerance)
        p, floor = hits / count, max(extreme / count, attainable_floor(sizes))
        return PermutationResult(statistic, p, floor, True, count)
    reached = _draw(pools, abs(statistic) - tolerance, draws, seed)
    floor = max(1 / (draws + 1), attainable_floor(sizes))
    return PermutationResult(statistic, (reached + 1) / (draws + 1), floor, False, draws)


class _Pool(NamedTuple):
    values: np.ndarray  # (n,) of both arms, sorted, centred on zero
    chosen: int  # size of the arm whose members are chosen; the others are the rest
    sign: int  # +1 when the chosen arm is the first, -1 when it is the second

    def difference(self, sums: np.ndarray) -> np.ndarray:
        """Mean of the first arm minus that of the second, if the chosen values sum to `sums`."""
        rest = self.values.size - self.chosen
        return self.sign * sums * (1 / self.chosen + 1 / rest)


def _sorted_arms(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = (np.sort(np.asarray(v, dtype=np.float64).ravel()) for v in (a, b))
    for values in (first, second):
        if values.size == 0 or not np.isfinite(values).all():
            raise ValueError("every block needs at least one finite value in each arm")
    return first, second


def _pool(a: np.ndarray, b: np.ndarray) -> _Pool:
    """Both arms of a block together; the members of the smaller one are to be chosen."""
    values = np.sort(np.concatenate([a, b]))
    return _Pool(values - values.mean(), min(a.size, b.size), 1 if a.size <= b.size else -1)


def _enumerate(pools: list[_Pool]) -> np.ndarray:
    """Sum over blocks of the difference of arm means, for every labeling."""
    totals = np.zeros(1)
    for pool in pools:
        members = np.array(list(combinations(range(pool.values.size), pool.chosen)))
        block = pool.difference(pool.values[members].sum(axis=1))
        totals = (totals[:, None] + block[None, :]).ravel()
    return totals


def _draw(pools: list[_Pool], threshold: float, draws: int, seed: int) -> int:
    """How many of `draws` random labelings reach the threshold; 10,000 at a time."""
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, draws, 10_000):
        rows = min(10_000, draws - start)
        totals = np.zeros(rows)
        for pool in pools:
            shuffled = rng.permuted(np.tile(pool.values, (rows, 1)), axis=1)
            totals += pool.difference(shuffled[:, : pool.chosen].sum(axis=1))
        hits += int(np.count_nonzero(np.abs(totals) / len(pools) >= threshold))
    return hits
