"""The permutation test against brute force, tabled floors, and its invariants."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.statistics.tests.permutation import attainable_floor, permute_many, permute_runs

VALUES = st.integers(-4, 4).map(float)  # ties wanted
BLOCK = st.tuples(
    st.lists(VALUES, min_size=1, max_size=3), st.lists(VALUES, min_size=1, max_size=2)
)


def brute_force(blocks):
    """p over every ordering of every block's runs (each labeling counted equally often)."""
    observed = np.mean([np.mean(a) - np.mean(b) for a, b in blocks])
    per_block = [
        [np.mean(order[: len(a)]) - np.mean(order[len(a) :]) for order in permutations(a + b)]
        for a, b in blocks
    ]
    all_of_them = np.abs([np.mean(choice) for choice in product(*per_block)])
    return np.mean(all_of_them >= abs(observed) - 1e-9)


@settings(max_examples=60, deadline=None)
@given(blocks=st.lists(BLOCK, min_size=1, max_size=2))
def test_enumeration_is_brute_force(blocks):
    result = permute_runs(blocks, seed=0)
    assert result.exact
    assert result.p == pytest.approx(brute_force(blocks))
    assert result.floor <= result.p + 1e-12


@pytest.mark.parametrize(
    ("runs", "blocks", "floor"),
    [
        (1, 1, 1.0), (3, 1, 0.1), (4, 1, 0.0286), (5, 1, 0.0079), (8, 1, 0.00016),
        (1, 4, 0.125), (3, 4, 1.25e-5), (4, 4, 2 / 70**4), (5, 4, 2 / 252**4),
    ],
)  # fmt: skip
def test_floors_of_independent_runs(runs, blocks, floor):
    assert attainable_floor([(runs, runs)] * blocks) == pytest.approx(floor, rel=0.03)


@pytest.mark.parametrize(("runs", "floor"), [(3, 0.25), (4, 0.125), (5, 0.0625), (8, 0.0078)])
def test_floors_of_paired_runs(runs, floor):
    """A pair is a block with one run per arm."""
    assert attainable_floor([(1, 1)] * runs) == pytest.approx(floor, rel=0.03)


@pytest.mark.parametrize(("runs", "blocks"), [(3, 1), (4, 1), (5, 1), (1, 4), (3, 4), (1, 8)])
def test_the_floor_is_attained_by_separated_arms(runs, blocks):
    a = [10 + 0.1 * i for i in range(runs)]
    b = [0.01 * i for i in range(runs)]
    result = permute_runs([(a, b)] * blocks, seed=0)
    assert result.exact
    assert result.p == pytest.approx(attainable_floor([(runs, runs)] * blocks))
    assert result.floor == pytest.approx(result.p)


def test_unbalanced_arms_have_no_mirror_image():
    result = permute_runs([([5.0, 6.0, 7.0], [0.0, 1.0])], seed=0)
    assert result.p == pytest.approx(attainable_floor([(3, 2)])) == pytest.approx(1 / 10)


def test_unbalanced_blocks_of_either_kind_keep_their_direction():
    """More runs in a here, in b there: two effects in the same direction add up."""
    same = permute_runs([([5.0, 6.0, 7.0], [0.0, 1.0]), ([5.0, 6.0], [0.0, 1.0, 2.0])], seed=0)
    assert same.p == pytest.approx(1 / 100)
    opposed = permute_runs([([5.0, 6.0, 7.0], [0.0, 1.0]), ([0.0, 1.0], [5.0, 6.0, 7.0])], seed=0)
    assert opposed.p > 0.5


def test_agrees_with_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 5), rng.normal(0, 1, 5)
    found = permute_runs([(a, b)], seed=0)
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="independent"
    )
    assert found.p == pytest.approx(expected.pvalue)
    assert found.statistic == pytest.approx(expected.statistic)


def test_monte_carlo_approaches_enumeration():
    rng = np.random.default_rng(1)
    blocks = [(rng.normal(0.4, 1, 4), rng.normal(0, 1, 4)) for _ in range(2)]
    exact = permute_runs(blocks, seed=0)
    drawn = permute_runs(blocks, seed=0, max_enumeration=10, draws=20_000)
    assert exact.n_permutations == 70**2
    assert not drawn.exact
    assert drawn.n_permutations == 20_000
    assert 0.05 < exact.p < 0.95
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p * (1 - exact.p) / 20_000))


def test_monte_carlo_never_gives_zero():
    blocks = [([10.0, 11.0, 12.0, 13.0], [0.0, 1.0, 2.0, 3.0])] * 4
    result = permute_runs(blocks, seed=0, draws=999)
    assert not result.exact  # 70^4 labelings
    assert result.p == result.floor == 1 / 1000


@settings(max_examples=25, deadline=None)
@given(
    blocks=st.lists(BLOCK, min_size=1, max_size=3),
    limit=st.sampled_from([1, 200_000]),
    seed=st.integers(0, 99),
)
def test_swapping_labels_flips_the_sign_only(blocks, limit, seed):
    one = permute_runs(blocks, seed=seed, max_enumeration=limit, draws=500)
    other = permute_runs([(b, a) for a, b in blocks], seed=seed, max_enumeration=limit, draws=500)
    assert other.statistic == pytest.approx(-one.statistic)
    assert (other.p, other.floor, other.exact) == (one.p, one.floor, one.exact)


@settings(max_examples=25, deadline=None)
@given(blocks=st.lists(BLOCK, min_size=1, max_size=3), limit=st.sampled_from([1, 200_000]))
def test_the_order_of_runs_does_not_matter(blocks, limit):
    turned = [(a[::-1], b[::-1]) for a, b in blocks]
    assert permute_runs(blocks, seed=5, max_enumeration=limit, draws=200) == permute_runs(
        turned, seed=5, max_enumeration=limit, draws=200
    )


def test_without_spread_p_and_floor_are_one():
    blocks = [([-4.1, -4.1, -4.1], [-4.1] * 4)]
    assert permute_runs(blocks, seed=0)[1:3] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("level", "values", "p"),
    [
        (1e7, [-0.2, 0.2, 0.1, 0.3, 0.0, 0.1], 0.7),
        (1e8, [-0.3, -0.1, 0.0, -0.1, -0.1, -0.3], 1.0),
        (1e8, [0.2, -0.1, 0.0, 0.3, 0.2, 0.3], 0.2),
    ],
)
def test_a_high_level_does_not_break_ties(level, values, p):
    """Beside 1e8 the last bit is 1.5e-8, more than the share of the spread that makes a tie."""
    assert permute_runs([(values[:3], values[3:])], seed=0).p == pytest.approx(p)
    high = level + np.array(values)
    assert permute_runs([(high[:3], high[3:])], seed=0).p == pytest.approx(p)


def test_a_fixed_seed_fixes_the_result_and_another_changes_it():
    rng = np.random.default_rng(2)
    blocks = [(rng.normal(0.3, 1, 6), rng.normal(0, 1, 6)) for _ in range(2)]
    found = [permute_runs(blocks, seed=s, max_enumeration=1, draws=2000) for s in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0].p != found[2].p


@pytest.mark.parametrize("blocks", [[], [([1.0], [])], [([1.0], [-np.inf])]])
def test_refuses_what_it_cannot_permute(blocks):
    with pytest.raises(ValueError, match="arm"):
        permute_runs(blocks, seed=0)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=3),
    limit=st.sampled_from([1, 200_000]),
    seed=st.integers(0, 99),
)
def test_many_outcomes_at_once_are_each_of_them_alone(sizes, limit, seed):
    rng = np.random.default_rng(seed)
    blocks = [(rng.integers(-3, 4, (a, 5)) / 8, rng.normal(0, 1, (b, 5))) for a, b in sizes]
    together = permute_many(blocks, seed=seed, max_enumeration=limit, draws=300)
    for i, result in enumerate(together):
        alone = [(a[:, i], b[:, i]) for a, b in blocks]
        assert result == permute_runs(alone, seed=seed, max_enumeration=limit, draws=300)


def test_many_outcomes_do_not_all_fit_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    blocks = [(rng.normal(0, 1, (3, 7)), rng.normal(0, 1, (3, 7))) for _ in range(2)]
    whole = permute_many(blocks, seed=0)
    monkeypatch.setattr(
        "threetconv.statistics.tests.permutation.LARGEST", 900
    )  # two of 400 labelings
    assert permute_many(blocks, seed=0) == whole


def test_results_of_a_fixed_seed_stay():
    """Recorded once; a change of the draws would change published p-values."""
    blocks = [([0.3, 1.1, 0.2, 0.9], [0.1, 0.4, -0.5, 0.6]), ([1.0, 1.2], [0.7, 0.2, 0.8])]
    drawn = permute_runs(blocks, seed=11, max_enumeration=1, draws=999)
    assert (drawn.p, drawn.floor, drawn.n_permutations) == (0.037, 1 / 700, 999)
