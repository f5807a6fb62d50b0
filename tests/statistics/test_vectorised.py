"""The tests of many studies at once are the tests that the study uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from threetconv.statistics.calibration import vectorised
from threetconv.statistics.tests.energy import permute_energy
from threetconv.statistics.tests.equivalence import tost
from threetconv.statistics.tests.interaction import permute_interactions
from threetconv.statistics.tests.intervals import difference_interval
from threetconv.statistics.tests.mixed import fit_mixed
from threetconv.statistics.tests.permutation import permute_jointly, permute_runs


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def blocks_of(study):
    return [(block[0], block[1]) for block in study]


@pytest.mark.parametrize(("blocks", "runs"), [(1, 1), (1, 3), (1, 5), (2, 3), (3, 2)])
def test_permutation_of_all_labelings(rng, blocks, runs):
    values = rng.normal(size=(12, blocks, 2, runs))
    labels = vectorised.label_runs(blocks, runs, rng=rng)
    results = [permute_runs(blocks_of(study), seed=0) for study in values]
    assert labels.exact
    assert vectorised.permutation_p(values, labels) == pytest.approx([r.p for r in results])
    assert {labels.floor} == {r.floor for r in results}


def test_drawn_labelings_agree_with_the_complete_test(rng):
    values = rng.normal(size=(40, 2, 2, 3)) + np.array([0.8, 0.0])[:, None]
    drawn = vectorised.label_runs(2, 3, rng=rng, max_enumeration=10, draws=20_000)
    p = vectorised.permutation_p(values, drawn)
    exact = [permute_runs(blocks_of(study), seed=0).p for study in values]
    assert not drawn.exact
    assert p == pytest.approx(exact, abs=0.015)
    assert p.min() >= 1 / 20_001


def test_effects_are_added_to_arm_a(rng):
    values = rng.normal(size=(9, 2, 2, 3))
    labels = vectorised.label_runs(2, 3, rng=rng)
    effects = [0.0, 1.0, -2.0]
    together = vectorised.permutation_p(values, labels, effects)
    moved = [values + np.array([effect, 0.0])[:, None] for effect in effects]
    apart = np.stack([vectorised.permutation_p(m, labels) for m in moved], axis=1)
    assert together == pytest.approx(apart)


@pytest.mark.parametrize(("blocks", "runs"), [(1, 3), (2, 3), (1, 5)])
def test_the_joint_test(rng, blocks, runs):
    values = rng.normal(size=(9, 4, blocks, 2, runs)) - 5
    labels = vectorised.label_runs(blocks, runs, rng=rng)
    effects = [0.0, 0.7]
    p = vectorised.joint_p(values, labels, effects)
    for j, effect in enumerate(effects):
        for study, found in zip(values, p[:, j], strict=True):
            arms = [(study[:, b, 0].T + effect, study[:, b, 1].T) for b in range(blocks)]
            assert found == pytest.approx(permute_jointly(arms, seed=0).p)


@pytest.mark.parametrize(("sizes", "blocks"), [((3, 5), 1), ((4, 2), 1), ((2, 3), 2)])
def test_unequal_arms(rng, sizes, blocks):
    first = sizes[0]
    values = rng.normal(size=(20, blocks, sum(sizes))) + 3
    p = vectorised.unequal_p(values, first, rng=rng, studentised=True, draws=999)
    arms = ([(block[:first], block[first:]) for block in study] for study in values)
    assert p == pytest.approx([permute_runs(study, seed=0).p for study in arms])
    plain = vectorised.unequal_p(values, first, rng=rng, studentised=False, draws=999)
    if blocks == 1:
        expected = stats.permutation_test(
            (values[0, 0, :first], values[0, 0, first:]),
            lambda a, b, axis: np.abs(a.mean(axis) - b.mean(axis)),
            alternative="greater", vectorized=True, n_resamples=np.inf,
        ).pvalue  # fmt: skip
        assert plain[0] == pytest.approx(expected)
    drawn = vectorised.unequal_p(values, first, rng=rng, studentised=True, draws=5)
    assert set(np.round(drawn * 6, 9)) <= set(range(1, 7))


def test_swapping_the_arms_changes_no_p(rng):
    values = rng.normal(size=(9, 2, 2, 3))
    labels = vectorised.label_runs(2, 3, rng=rng)
    swapped = vectorised.permutation_p(values[:, :, ::-1], labels)
    assert swapped == pytest.approx(vectorised.permutation_p(values, labels))


def test_sign_flips(rng):
    values = rng.normal(size=(12, 2, 2, 3))
    labels = vectorised.sign_flips(2, 3, rng=rng)
    for study, p in zip(values, vectorised.permutation_p(values, labels), strict=True):
        pairs = [(a[i : i + 1], b[i : i + 1]) for a, b in study for i in range(3)]
        result = permute_runs(pairs, seed=0)
        assert p == pytest.approx(result.p)
        assert labels.floor == result.floor == 2 / 2**6


@pytest.mark.parametrize(("networks", "runs"), [(1, 2), (1, 3), (2, 2)])
def test_interaction(rng, networks, runs):
    values = rng.normal(size=(8, 2 * networks, 2, runs))
    values[:, ::2, 0] += 1.5
    signs = np.array([1.0, -1.0] * networks) / networks
    labels = vectorised.label_runs(2 * networks, runs, rng=rng, weights=signs)
    p = vectorised.permutation_p(vectorised.interaction_residuals(values), labels)
    pairs = [blocks_of(study) for study in values]
    split = [[blocks[i : i + 2] for i in range(0, 2 * networks, 2)] for blocks in pairs]
    columns = [[[(a[:, None], b[:, None]) for a, b in n] for n in study] for study in split]
    assert p == pytest.approx([permute_interactions(study, seed=0)[0].p for study in columns])


def test_interaction_ignores_main_effects(rng):
    values = rng.normal(size=(8, 4, 2, 3))
    moved = values + np.array([3.0, 0.0])[:, None] + np.array([0.0, 5, 1, 2])[:, None, None]
    assert vectorised.interaction_residuals(moved) == pytest.approx(
        vectorised.interaction_residuals(values)
    )


@pytest.mark.parametrize("blocks", [1, 3])
def test_mean_difference(rng, blocks):
    values = rng.normal(size=(10, blocks, 2, 4)) * np.array([1.0, 3.0])[:, None]
    difference = vectorised.mean_difference(values)
    for i, study in enumerate(values):
        interval = difference_interval(blocks_of(study))
        assert difference.df[i] == pytest.approx(interval.df)
        for truth in (interval.low + 1e-6, interval.high - 1e-6, 0.0):
            inside = interval.low <= truth <= interval.high
            assert difference.covers(truth)[i] == inside
        assert not difference.covers(interval.high + 1e-6)[i]
    if blocks == 1:
        welch = stats.ttest_ind(values[:, 0, 0], values[:, 0, 1], axis=1, equal_var=False)
        assert difference.p() == pytest.approx(welch.pvalue)


@pytest.mark.parametrize("blocks", [1, 2])
def test_equivalence(rng, blocks):
    values = 0.2 * rng.normal(size=(10, blocks, 2, 4))
    p = vectorised.equivalence_p(values, math.log(1.25))
    expected = [tost(blocks_of(study), math.log(1.25)).p for study in values]
    assert p == pytest.approx(expected)


def test_energy(rng):
    distances = np.abs(rng.normal(size=(6, 6)))
    distances = distances + distances.T
    labels = vectorised.label_runs(1, 3, rng=rng)
    mask = np.array([True] * 3 + [False] * 3)
    mean = distances - (np.diag(distances)[:, None] + np.diag(distances)) / 2
    for matrix in (distances, mean):  # what belongs to one run alone cancels
        p = permute_energy([(mean, mask)], seed=0).p
        assert vectorised.energy_p(matrix, labels) == pytest.approx(p)


@pytest.mark.parametrize("spread", [0.0, 1.0])  # the variance between runs is zero, or is not
def test_mixed_model(rng, spread):
    values = rng.normal(size=(4, 2, 3, 5)) + spread * rng.normal(size=(4, 2, 3, 1))
    values += np.arange(5)  # layers differ
    for study, t in zip(values, vectorised.mixed_model_t(values), strict=True):
        fit = fit_mixed(study[0], study[1])
        assert not fit.problem
        assert t == pytest.approx(fit.estimate / fit.error)
