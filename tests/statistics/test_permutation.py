"""The permutation test against brute force, tabled floors, and its invariants."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.statistics.tests.permutation import (
    attainable_floor,
    permute_jointly,
    permute_many,
    permute_runs,
)

VALUES = st.integers(-4, 4).map(float)  # ties wanted
BLOCK = st.tuples(
    st.lists(VALUES, min_size=1, max_size=3), st.lists(VALUES, min_size=1, max_size=2)
)
LEVEL = 0.05


def brute_force(blocks):
    """p over every ordering of every block's runs (each labeling counted equally often)."""
    per_block = [
        [(order[: len(a)], order[len(a) :]) for order in permutations(a + b)] for a, b in blocks
    ]
    of_all = np.array([statistic(choice) for choice in product(*per_block)])
    return np.mean(of_all >= statistic(blocks) - 1e-9)


def statistic(blocks):
    """|mean difference|; in designs with unequal arms t^2 / (t^2 + df), with Welch's variance."""
    sizes = [(len(a), len(b)) for a, b in blocks]
    difference = sum(np.mean(a) - np.mean(b) for a, b in blocks)
    if all(a == b for a, b in sizes) or min(map(min, sizes)) < 2:
        return abs(difference) / len(blocks)
    welch = sum(np.var(arm, ddof=1) / len(arm) for block in blocks for arm in block)
    whole = difference**2 + welch * sum(a + b - 2 for a, b in sizes)
    return difference**2 / whole if whole > 1e-12 else 0.0


@settings(max_examples=60, deadline=None)
@given(blocks=st.lists(BLOCK, min_size=1, max_size=2))
def test_enumeration_is_brute_force(blocks):
    result = permute_runs(blocks, seed=0)
    assert result.exact
    assert result.p == pytest.approx(brute_force(blocks))
    assert result.floor <= result.p + 1e-12


@settings(max_examples=60, deadline=None)
@given(blocks=st.lists(BLOCK, min_size=1, max_size=2))
def test_one_sided_enumeration_is_brute_force(blocks):
    """The same statistic with the sign of the difference; only large ones count."""

    def signed(choice):
        difference = sum(np.mean(a) - np.mean(b) for a, b in choice)
        return np.copysign(statistic(choice), difference) if abs(difference) > 1e-12 else 0.0

    per_block = [
        [(order[: len(a)], order[len(a) :]) for order in permutations(a + b)] for a, b in blocks
    ]
    of_all = np.array([signed(choice) for choice in product(*per_block)])
    result = permute_runs(blocks, seed=0, two_sided=False)
    assert result.p == pytest.approx(np.mean(of_all >= signed(blocks) - 1e-9))
    assert result.floor <= result.p + 1e-12
    drawn = permute_runs(blocks, seed=0, two_sided=False, max_enumeration=0, draws=4000)
    assert drawn.p == pytest.approx(result.p, abs=0.04)


@pytest.mark.parametrize("sizes", [(5, 5), (4, 6), (6, 4)])
def test_one_sided_tests_of_either_direction(sizes):
    low, high = np.arange(sizes[0]) * 0.01, 5 + np.arange(sizes[1]) * 0.01
    up = permute_runs([(high, low)], seed=0, two_sided=False)
    assert up.p == up.floor == pytest.approx(1 / 210 if sizes[0] != sizes[1] else 1 / 252)
    assert permute_runs([(low, high)], seed=0, two_sided=False).p == 1


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


def test_ties_between_runs_do_not_raise_the_floor_of_the_design():
    blocks = [([-4.1, -4.1, -4.1], [-4.1] * 4)]
    assert permute_runs(blocks, seed=0)[1:3] == (1.0, pytest.approx(1 / 35))
    # four of the 20 labelings separate as well as the best one
    tied = permute_runs([([1.0, 1.0, 0.0], [0.0, 0.0, 0.0])], seed=0)
    assert (tied.p, tied.floor) == (pytest.approx(8 / 20), pytest.approx(2 / 20))


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


@pytest.mark.parametrize("blocks", [1, 4])
def test_unequal_cells_keep_their_level(blocks):
    """Three runs against nine, the larger spread in the smaller arm: no difference is there."""
    rng = np.random.default_rng(blocks)
    arms = [(3 * rng.normal(0, 1, (3, 400)), rng.normal(0, 1, (9, 400))) for _ in range(blocks)]
    found = permute_many(arms, seed=1, max_enumeration=1_000, draws=999)
    rejected = np.mean([result.p <= LEVEL for result in found])
    plain = [np.concatenate(pair) for pair in arms]
    unstudentised = np.mean(
        [plain_p(values, rng) <= LEVEL for values in zip(*(v.T for v in plain), strict=True)]
    )
    assert unstudentised > 0.17
    # with 2 degrees of freedom in an arm studentising mends most of it, over blocks nearly all
    assert rejected < (0.14 if blocks == 1 else 0.10)


def plain_p(values, rng):
    """p of the difference of means without studentising; 3 runs against the rest of each block."""
    differences = np.zeros(500)
    for block in values:
        chosen = np.argsort(rng.random((500, len(block))), axis=1) < 3
        chosen[0] = np.arange(len(block)) < 3
        means = [(block * part).sum(axis=1) / part.sum(axis=1) for part in (chosen, ~chosen)]
        differences += means[0] - means[1]
    return np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9)


def test_studentised_tests_are_exact_where_labels_are_exchangeable_and_find_effects():
    rng = np.random.default_rng(0)
    arms = [(rng.normal(0, 1, (3, 600)), rng.normal(0, 1, (5, 600))) for _ in range(2)]
    null = np.array([r.p for r in permute_many(arms, seed=1)])
    for level in (0.01, 0.05, 0.2):
        assert np.mean(null <= level) == pytest.approx(level, abs=3 * np.sqrt(level / 600))
    moved = [(a + 2, b) for a, b in arms]
    assert np.mean([r.p <= LEVEL for r in permute_many(moved, seed=1)]) > 0.9


def test_the_mean_difference_is_told_of_studentised_tests_too():
    result = permute_runs([([5.0, 6.0, 7.0], [0.0, 1.0])], seed=0)
    assert result.statistic == pytest.approx(5.5)


def test_one_outcome_alone_is_the_joint_test_of_it():
    rng = np.random.default_rng(2)
    for sizes in ([(4, 4)], [(3, 5)], [(3, 5), (2, 3)], [(3, 3), (3, 3)]):
        blocks = [(rng.normal(1, 1, (a, 1)), rng.normal(0, 1, (b, 1))) for a, b in sizes]
        alone, joint = permute_many(blocks, seed=0)[0], permute_jointly(blocks, seed=0)
        twice = permute_jointly([(a.repeat(2, 1), b.repeat(2, 1)) for a, b in blocks], seed=0)
        assert joint.p == alone.p == twice.p
        assert (joint.floor, joint.n_permutations) == (alone.floor, alone.n_permutations)
        assert joint.statistic == pytest.approx(twice.statistic)
    # R squared by hand: sums of squares 4 between arms, 8 in all
    ((a, b),) = [(np.array([[3.0], [5.0]]), np.array([[1.0], [3.0]]))]
    assert permute_jointly([(a, b)], seed=0).statistic == pytest.approx(4 / 8)


@pytest.mark.parametrize("sizes", [[(2, 2), (2, 2)], [(2, 3)], [(3, 2), (2, 2)]])
def test_the_joint_test_is_brute_force(sizes):
    rng = np.random.default_rng(3)
    blocks = [(rng.normal(0.5, 1, (a, 3)), rng.normal(0, 1, (b, 3))) for a, b in sizes]
    spread = sum(((v - v.mean(0)) ** 2).sum(0) for v in map(np.concatenate, blocks))

    def share(chosen):
        if all(a == b for a, b in sizes):
            difference = np.sum([a.mean(0) - b.mean(0) for a, b in chosen], axis=0)
            return (difference**2 / spread).sum()
        return sum(statistic([(a[:, j], b[:, j]) for a, b in chosen]) for j in range(3))

    per_block = []
    for a, b in blocks:
        runs = np.concatenate([a, b])
        orders = (list(order) for order in permutations(range(len(runs))))
        per_block.append([(runs[o[: len(a)]], runs[o[len(a) :]]) for o in orders])
    of_all = np.array([share(choice) for choice in product(*per_block)])
    result = permute_jointly(blocks, seed=0)
    assert result.exact
    assert result.p == pytest.approx(np.mean(of_all >= share(blocks) - 1e-9))


@pytest.mark.parametrize("limit", [1, 200_000])
def test_neither_the_order_of_runs_nor_the_names_of_arms_change_the_joint_test(limit):
    rng = np.random.default_rng(4)
    blocks = [(rng.normal(0.3, 1, (3, 4)), rng.normal(0, 1, (n, 4))) for n in (5, 3)]
    how = {"seed": 5, "max_enumeration": limit, "draws": 400}
    result = permute_jointly(blocks, **how)
    for other in ([(a[::-1], b[::-1]) for a, b in blocks], [(b, a) for a, b in blocks]):
        again = permute_jointly(other, **how)
        assert again.p == result.p
        assert again.statistic == pytest.approx(result.statistic)


def test_the_joint_test_of_correlated_outcomes_keeps_its_level_and_adds_up_small_effects():
    rng = np.random.default_rng(6)
    mix = np.linalg.cholesky([[1, 0.96], [0.96, 1]])
    p, alone = {0.0: [], 1.3: []}, []
    for _ in range(300):
        arms = [rng.normal(0, 1, (5, 4)) for _ in "ab"]
        for values in arms:
            values[:, 2:] = values[:, 2:] @ mix.T
        for shift, found in p.items():
            found.append(permute_jointly([(arms[0] + shift, arms[1])], seed=0).p)
        alone.append(permute_runs([(arms[0][:, 0] + 1.3, arms[1][:, 0])], seed=0).p * 4)
    assert np.mean(np.array(p[0.0]) <= LEVEL) == pytest.approx(LEVEL, abs=0.035)
    # one of four after Bonferroni, against all four together
    assert np.mean(np.array(p[1.3]) <= LEVEL) > np.mean(np.array(alone) <= LEVEL) + 0.2


def test_results_of_a_fixed_seed_stay():
    """Recorded once; a change of the draws would change published p-values."""
    block = ([0.3, 1.1, 0.2, 0.9], [0.1, 0.4, -0.5, 0.6])
    equal, unequal = (
        [block, ([1.0, 1.2, 0.9], [0.7, 0.2, 0.8])],
        [block, ([1.0, 1.2], [0.7, 0.2, 0.8])],
    )
    for blocks, p in ((equal, 0.026), (unequal, 0.014)):
        drawn = permute_runs(blocks, seed=11, max_enumeration=1, draws=999)
        assert (drawn.p, drawn.floor, drawn.n_permutations) == (p, 1 / 700, 999)
