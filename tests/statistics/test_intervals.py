"""Welch and Satterthwaite intervals against scipy and by coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from threetconv.statistics.tests.intervals import difference_interval, paired_interval


def test_one_block_is_welch():
    a, b = [1.0, 2.5, 2.0, 4.0], [0.5, 0.1, 0.7]
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    found = difference_interval([(a, b)])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.method == "Welch t"
    assert found.df == pytest.approx(stats.ttest_ind(a, b, equal_var=False).df)


def test_pairs_of_one_block_are_the_paired_t():
    a, b = np.array([1.0, 2.5, 2.0, 4.0]), np.array([0.5, 0.1, 0.7, 2.0])
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    found = paired_interval([a - b])
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_exchanging_the_arms_mirrors_the_interval():
    blocks = [([1.0, 2.0, 4.0], [0.0, 1.0]), ([2.0, 2.5], [1.0, 3.0, 3.5])]
    one = difference_interval(blocks)
    other = difference_interval([(b, a) for a, b in blocks])
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))


def test_blocks_that_are_copies_shrink_the_interval_as_more_runs_would():
    block = ([1.0, 2.0, 4.0], [0.0, 1.0, 1.5])
    one, four = difference_interval([block]), difference_interval([block] * 4)
    assert four.df == pytest.approx(4 * one.df)
    width = (four.high - four.low) / (one.high - one.low)
    assert width == pytest.approx(0.5 * stats.t.ppf(0.975, four.df) / stats.t.ppf(0.975, one.df))


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([([1.0], [2.0, 3.0])], "one run in an arm"),
        ([([1.0, 1.0], [2.0, 2.0])], "no spread between runs"),
    ],
)
def test_no_interval_without_spread(blocks, reason):
    found = difference_interval(blocks)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert reason in found.method


@pytest.mark.parametrize("blocks", [1, 4])
def test_coverage(blocks):
    """3 against 3 runs with unlike spreads; bounds are three binomial standard errors of .95."""
    rng = np.random.default_rng(11)
    trials = 400
    hits = 0
    for _ in range(trials):
        data = [(rng.normal(0.5, 1, 3), rng.normal(0, 1.5, 3)) for _ in range(blocks)]
        found = difference_interval(data)
        hits += found.low <= 0.5 <= found.high
    error = math.sqrt(0.95 * 0.05 / trials)
    assert 0.95 - 3 * error <= hits / trials <= 0.98 + 3 * error
