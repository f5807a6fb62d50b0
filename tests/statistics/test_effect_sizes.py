"""Effect sizes and adjustments against known answers and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from threetconv.statistics.tests.adjust import benjamini_hochberg, holm
from threetconv.statistics.tests.effect_sizes import blocked, cliffs_delta, hedges_g, wasserstein

A, B = [1, 2, 3, 4], [3, 4, 5, 6]
FEW = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=8)


def test_known_answers():
    assert cliffs_delta(A, B) == 0.75
    assert wasserstein(A, B) == pytest.approx(2)
    assert hedges_g(A, B) == pytest.approx(1.3471246, abs=1e-7)


def test_exchanging_the_groups_flips_signs_only():
    assert cliffs_delta(B, A) == -cliffs_delta(A, B)
    assert hedges_g(B, A) == pytest.approx(-hedges_g(A, B))
    assert wasserstein(B, A) == wasserstein(A, B)


@given(a=FEW, b=FEW)
def test_cliffs_delta_is_a_rescaled_mann_whitney_u(a, b):
    u = stats.mannwhitneyu(b, a, method="asymptotic").statistic
    assert cliffs_delta(a, b) == pytest.approx(2 * u / (len(a) * len(b)) - 1)


def test_what_cannot_be_computed_is_nan():
    assert math.isnan(hedges_g([1], [2]))  # no degree of freedom
    assert math.isnan(hedges_g([1, 1], [2, 2]))  # nothing varies
    assert math.isnan(hedges_g([], [1, 2]))
    assert math.isnan(cliffs_delta([], [1, 2]))
    assert math.isnan(wasserstein([1, -math.inf], [1, 2]))


def test_blocks_do_not_mix_levels():
    """A shift between blocks is no spread within them."""
    far = [[x + 100 for x in A], [x + 100 for x in B]]
    found = blocked([(A, B), tuple(far)])
    assert found["cliffs_delta"] == 0.75
    assert found["wasserstein"] == pytest.approx(2)
    d = 2 / np.std(A, ddof=1)
    assert found["hedges_g"] == pytest.approx(d * (1 - 3 / (4 * 12 - 1)))
    assert blocked([(A, B)])["hedges_g"] == hedges_g(A, B)


def test_holm_and_benjamini_hochberg():
    np.testing.assert_allclose(holm([0.01, 0.02, 0.03, 0.04]), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(benjamini_hochberg([0.01, 0.02, 0.03, 0.04]), [0.04] * 4)
    assert holm([]).size == 0


@settings(max_examples=5, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels_holm(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-15)


def test_a_missing_p_keeps_its_place_in_the_family():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.02]), [0.03, np.nan, 0.04])


@settings(max_examples=30, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_never_fall_and_keep_their_order(p):
    for method in (holm, benjamini_hochberg):
        adjusted = method(p)
        assert (adjusted >= np.asarray(p) - 1e-12).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-12).all()
