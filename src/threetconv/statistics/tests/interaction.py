"""Family "dataset x init": does the effect of the dataset depend on the initialisation?

In every network there are four cells: arms a and b (data sets) at the first and the second level
of the moderator (initialisation). The statistic is the mean over networks of

    T = [D(a, first) - D(b, first)] - [D(a, second) - D(b, second)],

and exp(T) is a ratio of ratios. There is no exact permutation test of an interaction while the
main effect is unknown (Edgington & Onghena 2007; Anderson & ter Braak 2003). Here the main effect
of the dataset, estimated in each network, is taken out, and the labels of the dataset are permuted
within blocks network x moderator. Taking out an estimate in place of the true effect also takes out
some of the variance between runs, so deviations of runs from their cell's mean are widened until
the variance of a block is what it would be with the main effect known. The test is approximate: at
3 runs per cell it rejects a true null hypothesis in about 5 % of studies (without the widening in
about 7 %).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from threetconv.statistics.tests.permutation import (
    DRAWS,
    MAX_ENUMERATION,
    PermutationResult,
    permute_many,
)

__all__ = ["oriented", "permute_interactions"]

Arms = tuple[np.ndarray, np.ndarray]  # values of arms a and b: (n_a, outcomes), (n_b, outcomes)
Network = Sequence[Arms]  # at the first and at the second level of the moderator
WITHOUT = PermutationResult(np.nan, np.nan, 1.0, False, 0)


def oriented(networks: Sequence[Network]) -> list[Arms]:
    """All blocks, arms exchanged at the second level: the mean of their differences is T / 2."""
    return [arms for (first, second) in networks for arms in (first, (second[1], second[0]))]


def permute_interactions(
    networks: Sequence[Network],
    *,
    seed: int,
    paired: bool = False,
    test: Callable[..., list[PermutationResult]] = permute_many,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> list[PermutationResult]:
    """Two-sided approximate permutation test of the interaction, for many outcomes at once.

    Args:
        networks: for every network ((a, b) at the first level, (a, b) at the second), each
            (runs, outcomes); finite, none empty.
        seed: of the Monte Carlo draws.
        paired: a and b hold the same replicates in the same order; exchange labels within pairs.
        test: what permutes the units; of a joint test, which gives one result for all outcomes, the
            statistic is its own.
        max_enumeration, draws: see `threetconv.statistics.tests.permutation.permute`.

    Returns:
        For every outcome: `statistic` is T; `exact` is False, because the test is approximate,
        also where all labelings were enumerated. A block without spread to permute (one run per
        cell, or one pair) gives no p (NaN) and floor 1.
    """
    difference = np.mean([a.mean(axis=0) - b.mean(axis=0) for a, b in oriented(networks)], axis=0)
    statistics = 2 * difference
    blocks = [arms for network in networks for arms in network]
    # no degree of freedom within a block, so no spread to permute or to widen
    if any((a.shape[0] if paired else a.shape[0] + b.shape[0] - 1) < 2 for a, b in blocks):
        return [WITHOUT._replace(statistic=float(t)) for t in statistics]
    units = oriented([_without_main_effect(network, paired=paired) for network in networks])
    if paired:
        units = [(a[i : i + 1], b[i : i + 1]) for a, b in units for i in range(a.shape[0])]
    results = test(units, seed=seed, max_enumeration=max_enumeration, draws=draws)
    if len(results) < len(statistics):
        return [result._replace(exact=False) for result in results]
    return [
        result._replace(statistic=float(t), exact=False)
        for result, t in zip(results, statistics, strict=True)
    ]


def _without_main_effect(network: Network, *, paired: bool) -> list[Arms]:
    """Both blocks of a network, without the dataset's main effect and their own means.

    With h = n_a n_b / (n_a + n_b), a block's difference d has variance s^2 / h, and its sum of
    squares about the block's mean is within + h d^2, of expectation (N - 2) s^2 + s^2. Without the
    mean of both blocks' d, h d^2 keeps only the share q = h (1 / h_1 + 1 / h_2) / 4 of s^2, so the
    deviations from the cell's mean are multiplied by sqrt((N - 1 - q) / (N - 2)). Pairs: n, n - 1
    and h = n in place of N - 1, N - 2 and h.
    """
    differences = [a.mean(axis=0) - b.mean(axis=0) for a, b in network]
    main = np.mean(differences, axis=0)
    sizes = [(a.shape[0], b.shape[0]) for a, b in network]
    weights = np.array([n if paired else n * m / (n + m) for n, m in sizes])
    shares = weights * (1 / weights).sum() / 4
    blocks = []
    for (a, b), d, (n, m), share in zip(network, differences, sizes, shares, strict=True):
        within = n - 1 if paired else n + m - 2
        factor = np.sqrt(max(within + 1 - share, 0) / within)
        # what is left of the block's difference once the main effect is out
        half = (d - main) / 2
        if paired:
            # half of a pair's difference to each of its runs
            pair = (a - b - d) * factor / 2
            blocks.append((half + pair, -half - pair))
        else:
            blocks.append(
                (half + factor * (a - a.mean(axis=0)), -half + factor * (b - b.mean(axis=0)))
            )
    return blocks
