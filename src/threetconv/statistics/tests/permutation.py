"""Permutation of the labels of training runs within blocks, for any statistic.

Under the null hypothesis a run's label says nothing about its value, so within a block every
assignment of the labels is equally likely. A block is a cell of the design in which only the
factor of interest differs (network x init for the dataset), or a pair of runs that share an
initialisation: exchanging the labels within pairs is the sign-flip test.

`permute` is the one engine. What it permutes is a `Relabelling`: the statistic of one block under
other labels of its runs (here a difference of arm means; an energy distance and a sum of signs
elsewhere). The statistic of a test is the mean over its blocks.

Where the arms of a block differ in size, exchanged labels also exchange how precisely each arm is
known: with the larger spread in the smaller arm the difference of means rejects a true null
hypothesis far too often. There the statistic is studentised: the sum over blocks of the difference,
over the root of the sum of its Welch variances (Janssen 1997; Chung & Romano 2013). It stays exact
where labels are exchangeable. In blocks of equal arms the plain difference keeps its level, and in
one such block both are the same test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from threetconv.statistics.tests.relabelled import (
    Relabelling,
    StudentisedDifference,
    mean_difference,
)

__all__ = [
    "PermutationResult",
    "attainable_floor",
    "labelings",
    "permute",
    "permute_jointly",
    "permute_many",
    "permute_runs",
    "studentises",
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
    floor: float  # the smallest p that so many runs can give, from the design alone
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


def studentises(sizes: Sequence[tuple[int, int]]) -> bool:
    """Whether a design has arms of different size, and runs enough for the variance of each."""
    return any(a != b for a, b in sizes) and all(min(size) > 1 for size in sizes)


def permute(
    blocks: Sequence[Relabelling],
    observed: np.ndarray,
    slack: np.ndarray,
    *,
    least: float,
    two_sided: bool,
    seed: int,
    combine: Callable[[np.ndarray], np.ndarray] | None = None,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> list[PermutationResult]:
    """The blocked permutation test of m statistics at once, by enumeration or by draws.

    Args:
        blocks: what the labels of each block do to the statistics.
        observed: (m,) the statistics with the runs' own labels: the mean over blocks, or what
            `combine` makes of their sum.
        slack: (m,) values closer than this count as equal: sums of the same numbers in another
            order differ in their last bits, and a labeling must tie with itself.
        least: the smallest p of the complete test that the design allows.
        two_sided: whether large negative values count as well.
        seed: of the draws; not used when all labelings are enumerated.
        combine: (labelings, anything) sums over blocks -> (labelings, m) statistics; their mean
            over blocks without it.
        max_enumeration: enumerate up to this many labelings.
        draws: Monte Carlo draws B beyond that; then p = (b + 1) / (B + 1) (Phipson & Smyth 2010).
    """
    size = np.abs if two_sided else np.asarray
    reach = size(observed) - slack
    finish = combine or (lambda totals: totals / len(blocks))
    count = math.prod(block.labelings for block in blocks)
    if count <= max_enumeration:
        totals = blocks[0].every()
        for block in blocks[1:]:
            # every labeling of the blocks so far with every one of this block
            totals = (totals[:, None] + block.every()[None, :]).reshape(-1, totals.shape[1])
        totals = size(finish(totals))
        hits = np.count_nonzero(totals >= reach, axis=0)
        # not the floor of these values: ties between runs are no want of runs
        return [
            PermutationResult(float(t), int(h) / count, least, True, count)
            for t, h in zip(observed, hits, strict=True)
        ]
    rng = np.random.default_rng(seed)
    hits = np.zeros(observed.size, dtype=np.int64)
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        totals = blocks[0].drawn(rng, rows)
        for block in blocks[1:]:
            totals = totals + block.drawn(rng, rows)
        hits += np.count_nonzero(size(finish(totals)) >= reach, axis=0)
    floor = max(1 / (draws + 1), least)
    return [
        PermutationResult(float(t), (int(h) + 1) / (draws + 1), floor, False, draws)
        for t, h in zip(observed, hits, strict=True)
    ]


def permute_runs(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    seed: int,
    two_sided: bool = True,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> PermutationResult:
    """Permutation test of the mean over blocks of the difference of arm means.

    It is studentised where `studentises` says so; the statistic that is returned is the mean
    difference all the same.

    Args:
        blocks: (values of arm a, values of arm b) per block, one value per run; finite, neither
            empty.
        seed, max_enumeration, draws: see `permute`.
        two_sided: whether arm b may lie above arm a as well; without it small p mean a above b.

    Returns:
        The result. Neither the order of the runs, nor that of the blocks within rounding changes
        p; which arm is called a changes the sign of the statistic, and p only if one-sided.

    Raises:
        ValueError: for an empty arm or a value that is not finite.
    """
    columns = [(np.reshape(a, (-1, 1)), np.reshape(b, (-1, 1))) for a, b in blocks]
    return permute_many(
        columns, seed=seed, two_sided=two_sided, max_enumeration=max_enumeration, draws=draws
    )[0]


def permute_many(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    seed: int,
    two_sided: bool = True,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> list[PermutationResult]:
    """`permute_runs` for many outcomes of the same runs at once.

    Args:
        blocks: (arm a, arm b) per block, arrays (runs, outcomes).
        seed, two_sided, max_enumeration, draws: as for `permute_runs`. Every outcome gets the
            labelings that it would get alone.

    Returns:
        A result per outcome.

    Raises:
        ValueError: for an empty arm or a value that is not finite.
    """
    arms = [(np.sort(a, axis=0), np.sort(b, axis=0)) for a, b in _checked(blocks)]
    count = labelings([(a.shape[0], b.shape[0]) for a, b in arms])
    outcomes = arms[0][0].shape[1]
    at_once = max(1, LARGEST // (count if count <= max_enumeration else CHUNK))
    results: list[PermutationResult] = []
    for start in range(0, outcomes, at_once):
        some = [(a[:, start : start + at_once], b[:, start : start + at_once]) for a, b in arms]
        results += _permute_means(some, seed, max_enumeration, draws, two_sided=two_sided)
    return results


def permute_jointly(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
    *,
    seed: int,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> PermutationResult:
    """One permutation test of several outcomes together: do the arms differ in any of them?

    Args:
        blocks: (arm a, arm b) per block, arrays (runs, outcomes).
        seed, max_enumeration, draws: as for `permute_runs`.

    Returns:
        The result. `statistic` is the mean over outcomes of the share of variance that the labels
        explain, 0 to 1 (in one block of equal arms R squared): each outcome is standardised by its
        own spread, and runs are relabelled with all their outcomes, so that correlated outcomes do
        not change the level. Directions do not count.

    Raises:
        ValueError: for an empty arm or a value that is not finite.
    """
    return _permute_shares(_checked(blocks), seed, max_enumeration, draws, joint=True)[0]


def _permute_means(
    arms: list[tuple[np.ndarray, np.ndarray]],
    seed: int,
    max_enumeration: int,
    draws: int,
    *,
    two_sided: bool,
) -> list[PermutationResult]:
    statistics = np.mean([a.mean(axis=0) - b.mean(axis=0) for a, b in arms], axis=0)
    spread = np.mean([np.ptp(np.concatenate(pair), axis=0) for pair in arms], axis=0)
    largest = np.max([np.abs(np.concatenate(pair)).max(axis=0) for pair in arms], axis=0)
    sizes = [(a.shape[0], b.shape[0]) for a, b in arms]
    if studentises(sizes):
        found = _permute_shares(
            arms, seed, max_enumeration, draws, joint=False, two_sided=two_sided
        )
        return [r._replace(statistic=float(t)) for r, t in zip(found, statistics, strict=True)]
    # one-sided, a labeling's difference is that of a less b, whichever is larger
    reference = statistics if two_sided else np.ones_like(statistics)
    return permute(
        [mean_difference(a, b, reference) for a, b in arms],
        statistics,
        TOLERANCE * spread + ROUNDING * largest,
        least=_least(sizes, two_sided=two_sided),
        two_sided=two_sided,
        seed=seed,
        max_enumeration=max_enumeration,
        draws=draws,
    )


def _permute_shares(
    arms: list[tuple[np.ndarray, np.ndarray]],
    seed: int,
    max_enumeration: int,
    draws: int,
    *,
    joint: bool,
    two_sided: bool = True,
) -> list[PermutationResult]:
    """Tests of the share of variance that the labels explain: t^2 / (t^2 + degrees of freedom).

    It grows with t, and stays finite where an arm has no spread; one-sided it has the sign of t.
    Without `studentises` the variance is that of all runs of a block, which no relabelling changes.
    """
    sizes = [(a.shape[0], b.shape[0]) for a, b in arms]
    studentised, outcomes = studentises(sizes), arms[0][0].shape[1]
    df = sum(a + b - 2 for a, b in sizes)
    differences = np.sum([a.mean(axis=0) - b.mean(axis=0) for a, b in arms], axis=0)
    # jointly, a labeling must be the same one for every outcome
    reference = np.full(outcomes, differences.sum()) if joint else differences
    reference = reference if two_sided else np.ones(outcomes)
    blocks = [mean_difference(a, b, reference, joint=joint) for a, b in arms]
    variance = sum((block.values**2).sum(axis=0) for block in blocks)
    variance = variance * sum(1 / a + 1 / b for a, b in sizes)
    own = differences
    if studentised:
        blocks = [StudentisedDifference(*block) for block in blocks]
        welch = [a.var(axis=0, ddof=1) / len(a) + b.var(axis=0, ddof=1) / len(b) for a, b in arms]
        own = np.concatenate([differences, np.sum(welch, axis=0)])

    def shares(totals: np.ndarray) -> np.ndarray:
        explained = totals[:, :outcomes] ** 2
        whole = explained + df * totals[:, outcomes:] if studentised else variance + 0 * explained
        found = np.divide(explained, whole, out=np.zeros_like(explained), where=whole > 0)
        if not two_sided:
            found = np.copysign(found, totals[:, :outcomes])
        return found.mean(axis=1, keepdims=True) if joint else found

    spread = np.mean([np.ptp(block.values, axis=0) for block in blocks], axis=0)
    largest = np.max([np.abs(np.concatenate(pair)).max(axis=0) for pair in arms], axis=0)
    slack = TOLERANCE + ROUNDING * largest / np.where(spread > 0, spread, np.inf)
    return permute(
        blocks,
        shares(own[None])[0],
        slack.max(keepdims=True) if joint else slack,
        least=_least(sizes, two_sided=two_sided),
        two_sided=False,
        seed=seed,
        combine=shares,
        max_enumeration=max_enumeration,
        draws=draws,
    )


def _least(sizes: Sequence[tuple[int, int]], *, two_sided: bool) -> float:
    return attainable_floor(sizes) if two_sided else 1 / labelings(sizes)


def _checked(
    blocks: Sequence[tuple[npt.ArrayLike, npt.ArrayLike]],
) -> list[tuple[np.ndarray, np.ndarray]]:
    arms = [(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)) for a, b in blocks]
    if not arms:
        raise ValueError("no block holds runs of both arms")
    for values in (values for pair in arms for values in pair):
        if values.size == 0 or not np.isfinite(values).all():
            raise ValueError("every block needs at least one finite value in each arm")
    return arms
