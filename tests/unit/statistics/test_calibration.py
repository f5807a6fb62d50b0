"""Does the run as unit keep its promise, and does the row as unit break it?

Small versions of the calibration: studies without an effect, in ResNet18's layout, with nested
log-SDs (seed tau, seed x layer .1, channel .4) and t4 noise.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from threetconv.statistics import difference_interval, permute_runs

RESNET18 = [(7, 64)] + [(3, 64)] * 4 + [(3, 128)] * 4 + [(3, 256)] * 4 + [(3, 512)] * 4
CHANNELS = np.array([c for _, c in RESNET18])
STEPS = np.array([d - 1 for d, _ in RESNET18])


def simulate(rng, tau, effect=0.0):
    """Displacements of one run."""
    layer = np.repeat(rng.normal(0, 0.1, len(RESNET18)), CHANNELS)
    channel = rng.normal(0, 0.4, CHANNELS.sum())
    log_sd = rng.normal(effect, tau) + layer + channel
    rows = np.repeat(log_sd, np.repeat(STEPS, CHANNELS))
    return rng.standard_t(4, rows.size) * np.exp(rows)


def displacements(rng, runs, tau=0.1, effect=0.0):
    """D of several runs."""
    return np.array([np.log(np.abs(simulate(rng, tau, effect)).mean()) for _ in range(runs)])


def bounds(trials, p=0.05):
    """Rejections that 99.9 % of binomial counts stay within."""
    return stats.binom.ppf([0.0005, 0.9995], trials, p)


def test_the_layout_is_the_papers():
    assert (CHANNELS * STEPS).sum() == 8064


def test_row_level_tests_reject_a_true_null_hypothesis():
    rng = np.random.default_rng(0)
    p = [stats.ks_2samp(simulate(rng, 0.1), simulate(rng, 0.1), method="asymp").pvalue
         for _ in range(120)]  # fmt: skip
    assert np.mean(np.asarray(p) <= 0.05) > 0.4


def test_without_a_seed_effect_the_rows_would_do():
    """Rows that are independent of their run: the fault is the run's, not the test's."""
    rng = np.random.default_rng(0)
    p = [stats.ks_2samp(rng.standard_t(4, 8064), rng.standard_t(4, 8064), method="asymp").pvalue
         for _ in range(120)]  # fmt: skip
    low, high = bounds(120)
    assert low <= np.count_nonzero(np.asarray(p) <= 0.05) <= high


@pytest.fixture(scope="module")
def nulls():
    """300 studies of 5 against 5 runs without an effect."""
    rng = np.random.default_rng(1)
    return [(displacements(rng, 5), displacements(rng, 5)) for _ in range(300)]


def test_run_level_permutation_keeps_its_level(nulls):
    low, high = bounds(len(nulls))
    assert low <= sum(permute_runs([pair], seed=0).p <= 0.05 for pair in nulls) <= high


def test_welch_interval_covers_one(nulls):
    low, high = bounds(len(nulls))
    intervals = [difference_interval([pair]) for pair in nulls]
    assert low <= sum(not i.low <= 0 <= i.high for i in intervals) <= high


def test_blocked_permutation_keeps_its_level():
    rng = np.random.default_rng(3)
    studies = [[(rng.normal(b, 1, 3), rng.normal(b, 1, 3)) for b in range(2)] for _ in range(400)]
    low, high = bounds(400)
    assert low <= sum(permute_runs(blocks, seed=0).p <= 0.05 for blocks in studies) <= high


@pytest.mark.parametrize("k", [1, 2, 3])
def test_three_runs_in_one_block_never_reject(nulls, k):
    assert all(permute_runs([(a[:k] + 9, b[:k])], seed=0).p > 0.05 for a, b in nulls)


def test_power_for_a_large_effect():
    """k = 5, three standard deviations between the arms: at least .95, by its binomial bound."""
    rng = np.random.default_rng(2)
    hits = sum(
        permute_runs([(rng.normal(3, 1, 5), rng.normal(0, 1, 5))], seed=0).p <= 0.05
        for _ in range(300)
    )
    assert hits >= stats.binom.ppf(0.0005, 300, 0.95)
