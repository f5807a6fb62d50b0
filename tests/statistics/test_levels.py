"""Do the run-level tests keep their promises over many simulated studies? (Long.)

Run-level values are normal here; the same in the networks' own layouts is part of the calibration.
"""

from __future__ import annotations

import numpy as np
import pytest

from threetconv.statistics.tests.intervals import difference_interval
from threetconv.statistics.tests.permutation import permute_many

STUDIES = 1000


def studies(seed, k, *, shift=0.0, blocks=1, count=STUDIES):
    """Arms (k, count) of every block: a study per column, with levels of its own per block."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 3, (blocks, 1, count))
    return [
        (rng.normal(shift, 1, (k, count)) + own, rng.normal(0, 1, (k, count)) + own)
        for own in level
    ]


def rejected(blocks, alpha=0.05):
    return np.mean([result.p <= alpha for result in permute_many(blocks, seed=0)])


def covered(blocks, truth=0.0):
    inside = []
    for i in range(blocks[0][0].shape[1]):
        interval = difference_interval([(a[:, i], b[:, i]) for a, b in blocks])
        inside.append(interval.low <= truth <= interval.high)
    return np.mean(inside)


def test_the_permutation_of_five_runs_keeps_its_level():
    assert 0.029 <= rejected(studies(0, 5)) <= 0.074


@pytest.mark.parametrize("k", [1, 2, 3])
def test_three_runs_in_one_block_never_reject(k):
    assert rejected(studies(1, k)) == 0
    assert rejected(studies(1, k, shift=100.0)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 5])
def test_the_blocked_permutation_keeps_its_level(k):
    assert 0.029 <= rejected(studies(2, k, blocks=2)) <= 0.074


@pytest.mark.slow
def test_welch_keeps_its_level():
    """An interval that leaves out 0 is Welch's test rejecting."""
    assert 0.029 <= 1 - covered(studies(3, 5)) <= 0.074


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 5, 8])
def test_welch_covers(k):
    """At k = 3 it covers .966, too near the bound for 1,000 studies (their SD is .006)."""
    assert 0.926 <= covered(studies(4 + k, k, shift=2.0, count=10_000), truth=2.0) <= 0.971


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [1, 4])
def test_satterthwaite_over_blocks_covers(blocks):
    assert 0.926 <= covered(studies(20, 5, blocks=blocks)) <= 0.971


def test_power_for_a_large_effect():
    assert rejected(studies(6, 5, shift=3.0)) >= 0.95
