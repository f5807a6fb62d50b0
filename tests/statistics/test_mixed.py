"""The mixed model against closed forms of the balanced design, and its level."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from threetconv.statistics.summaries.summarise import summarise
from threetconv.statistics.tests.adjust import holm
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.mixed import fit_mixed, mixed_tests


def log_means(rng, k, layers, *, effect=0.0, tau=0.1, noise=0.1):
    """(runs, layers): layer means, a run effect, noise."""
    level = np.linspace(-6, -3, layers) + effect
    return level + rng.normal(0, tau, (k, 1)) + rng.normal(0, noise, (k, layers))


@pytest.mark.parametrize(("k_a", "k_b"), [(3, 3), (5, 5), (4, 2)])
def test_with_spread_between_runs_it_is_the_t_test_of_run_means(k_a, k_b):
    """Balanced over layers: the variance of a run mean is all that counts."""
    rng = np.random.default_rng(0)
    a, b = log_means(rng, k_a, 6, effect=0.3, tau=0.3), log_means(rng, k_b, 6, tau=0.3)
    fit = fit_mixed(a, b)
    expected = stats.ttest_ind(a.mean(axis=1), b.mean(axis=1))
    assert fit.problem == fit.note == ""
    assert fit.estimate == pytest.approx(a.mean() - b.mean())
    assert fit.df == k_a + k_b - 2
    assert fit.p == pytest.approx(expected.pvalue)
    assert fit.error == pytest.approx((a.mean() - b.mean()) / expected.statistic)


def test_the_effect_is_averaged_over_layers_with_equal_weight():
    rng = np.random.default_rng(1)
    a, b = log_means(rng, 4, 5, tau=0.2), log_means(rng, 4, 5, tau=0.2)
    a += np.array([1.0, 0, 0, 0, 0])  # one layer moves further: a fifth of that on average
    plain = fit_mixed(a - np.array([1.0, 0, 0, 0, 0]), b)
    assert fit_mixed(a, b).estimate == pytest.approx(plain.estimate + 0.2)


def test_without_spread_between_runs_it_is_least_squares():
    """Run means equal inside each arm: REML puts their variance at zero."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 0.1, (3, 4)), rng.normal(0, 0.1, (3, 4))
    a, b = (arm - arm.mean(axis=1, keepdims=True) for arm in (a, b))
    fit = fit_mixed(a + 0.5, b)
    rest = sum(((arm - arm.mean(axis=0)) ** 2).sum() for arm in (a, b))
    assert fit.estimate == pytest.approx(0.5)
    assert fit.error == pytest.approx(np.sqrt(rest / (2 * 2 * 4) * (2 / 12)))
    assert fit.note == "variance between runs estimated as zero"
    assert fit.p == pytest.approx(2 * stats.t.sf(0.5 / fit.error, 4))


def reml(a, b):
    """Estimate, error and variance of runs, by an optimiser of the restricted likelihood."""
    (k_a, layers), k_b = a.shape, len(b)
    runs = k_a + k_b
    y = np.concatenate([a, b]).ravel()
    arm = np.repeat([0.5, -0.5], [k_a * layers, k_b * layers])
    layer = np.tile(np.eye(layers), (runs, 1))
    layer = layer[:, :-1] - layer[:, -1:]  # sum coding
    main = np.column_stack([np.ones(y.size), layer])
    design = np.column_stack([arm, main, arm[:, None] * layer])
    same = np.kron(np.eye(runs), np.ones((layers, layers)))
    free = y.size - design.shape[1]

    def parts(ratio):
        inverse = np.linalg.inv(np.eye(y.size) + ratio * same)
        information = design.T @ inverse @ design
        beta = np.linalg.solve(information, design.T @ inverse @ y)
        rest = y - design @ beta
        return inverse, information, beta, rest @ inverse @ rest / free

    def deviance(log_ratio):
        inverse, information, _, square = parts(np.exp(log_ratio))
        return (
            free * np.log(square)
            - np.linalg.slogdet(inverse)[1]
            + np.linalg.slogdet(information)[1]
        )

    found = optimize.minimize_scalar(
        deviance, bounds=(-25, 10), method="bounded", options={"xatol": 1e-10}
    )
    ratio = np.exp(found.x)
    _, information, beta, square = parts(ratio)
    return beta[0], np.sqrt(square * np.linalg.inv(information)[0, 0]), ratio * square


@pytest.mark.parametrize(("k_a", "k_b"), [(3, 3), (5, 2)])
@pytest.mark.parametrize("tau", [0.0, 0.1, 1.0])
def test_it_is_restricted_maximum_likelihood(k_a, k_b, tau):
    seen = []
    for seed in range(6):
        rng = np.random.default_rng([seed, k_a])
        a, b = log_means(rng, k_a, 5, effect=0.2, tau=tau), log_means(rng, k_b, 5, tau=tau)
        fit = fit_mixed(a, b)
        estimate, error, variance = reml(a, b)
        assert fit.estimate == pytest.approx(estimate)
        assert fit.error == pytest.approx(error, rel=1e-4)
        assert fit.variance == pytest.approx(variance, rel=1e-3, abs=1e-8)
        seen.append(fit.variance == 0)
    assert any(seen) if tau == 0 else not all(seen)


def test_swapping_arms_flips_the_sign_only():
    rng = np.random.default_rng(3)
    a, b = log_means(rng, 3, 5), log_means(rng, 3, 5)
    one, other = fit_mixed(a, b), fit_mixed(b, a)
    assert one.estimate == pytest.approx(-other.estimate)
    assert one.p == pytest.approx(other.p)


def test_runs_that_are_all_alike_have_no_fit():
    a = np.tile(np.linspace(-5, -3, 4), (3, 1))
    assert fit_mixed(a, a).problem == "no spread between runs"


@pytest.fixture(scope="module")
def planted(make_study):
    """Three runs per cell; gestures move 1.8 times as far."""
    study = make_study(k=3, ratio=1.8, seed=4)
    summaries = summarise(*study)
    return summaries, study.runs, mixed_tests(summaries, study.runs)


def test_a_planted_effect_is_recovered(planted):
    _, _, table = planted
    assert table.columns.tolist() == ["outcome", *COLUMNS]
    assert len(table) == 2 * 4 * 4
    first = table[table["family"] == "dataset"]
    assert set(first["status"]) == {"ok"}
    assert first["estimate"].between(1.3, 2.4).all()
    assert (first["ci_low"] < first["estimate"]).all()
    assert ((first["ci_low"] < 1.8) & (first["ci_high"] > 1.8)).mean() > 0.85
    assert (first["p_adjusted"] < 0.05).mean() > 0.7
    second = table[table["family"] == "init"]
    assert second["estimate"].between(0.6, 1.6).all()
    assert (second["p_adjusted"] > 0.05).mean() > 0.85


def test_units_and_adjustment(planted):
    _, _, table = planted
    assert set(table["unit"]) == {"run x layer"}
    assert set(table["outcome"]) == {"D by layer"}
    assert set(table["n_a"]) == {9}  # 3 runs x 3 layers
    assert set(table["ci_method"]) == {"t with 4 degrees of freedom"}
    for _, group in table.groupby(["family", "stratum"]):
        assert group["p_adjusted"].to_numpy() == pytest.approx(holm(group["p_raw"].to_numpy()))


def test_the_estimate_is_the_difference_of_layer_averages(planted):
    summaries, _, table = planted
    model = summaries[
        (summaries["scope"] == "model") & (summaries["weighting"] == "layer")
        & (summaries["rows"] == "reachable") & (summaries["network"] == "googlenet")
        & (summaries["init"] == "scratch") & (summaries["parameter"] == "px")
    ].groupby("dataset")["log_mean_abs"].mean()  # fmt: skip
    found = table[
        (table["stratum"] == "googlenet, scratch") & (table["parameter"] == "px")
    ].iloc[0]  # fmt: skip
    assert found["statistic"] == pytest.approx(model["gestures"] - model["scenes"])


def test_row_order_does_not_matter(planted):
    summaries, runs, table = planted
    shuffled = summaries.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(mixed_tests(shuffled, runs.iloc[::-1]), table)


def test_a_still_layer_is_left_out_and_named(planted):
    summaries, runs, _ = planted
    still = (summaries["scope"] == "layer") & (summaries["layer_index"] == 1)
    still &= summaries["run_id"] == "googlenet-scenes-scratch-3t-r2"
    changed = summaries.assign(log_mean_abs=summaries["log_mean_abs"].mask(still, -np.inf))
    table = mixed_tests(changed, runs, families=("dataset",))
    hit = table["stratum"] == "googlenet, scratch"
    assert (table.loc[hit, "reason"].str.contains("a run never moved: layer1")).all()
    assert set(table.loc[hit, "n_a"]) == {6}
    assert not table.loc[~hit, "reason"].str.contains("layer1").any()


def test_what_cannot_be_fitted(make_study):
    study = make_study(k=1)
    table = mixed_tests(summarise(*study), study.runs)
    assert set(table["status"]) == {"untestable"}
    assert set(table["reason"]) == {"one run in an arm"}
    assert table["estimate"].gt(0).all()
    study = make_study(k=2, layers=((5, 6),))
    table = mixed_tests(summarise(*study), study.runs)
    assert set(table["reason"]) == {"fewer than two layers"}
    study = make_study(k=2, still=("gestures",))
    table = mixed_tests(summarise(*study), study.runs, families=("dataset",))
    assert set(table["status"]) == {"degenerate"}
    assert table["estimate"].isna().all()
    only = study.runs[study.runs["dataset"] == "scenes"]
    table = mixed_tests(summarise(*study), only, families=("dataset", "init"))
    assert set(table["family"]) == {"init"}


def test_a_block_with_one_arm_is_untestable(planted):
    summaries, runs, _ = planted
    lacking = runs[~runs["run_id"].str.startswith("resnet18-scenes-scratch")]
    table = mixed_tests(summaries, lacking, families=("dataset",))
    alone = table[table["stratum"] == "resnet18, scratch"]
    assert set(alone["status"]) == {"untestable"}
    assert set(alone["reason"]) == {"the block has runs of one arm only"}


@pytest.mark.slow
@pytest.mark.parametrize("k", [3, 5])
def test_level_of_t_and_of_the_normal_distribution(k):
    """Referred to t(2k - 2) a true null hypothesis is rejected in 5 %, to N(0, 1) in more."""
    rng = np.random.default_rng(k)
    fits = [fit_mixed(log_means(rng, k, 5), log_means(rng, k, 5)) for _ in range(400)]
    assert not any(fit.problem for fit in fits)
    by_t = np.mean([fit.p <= 0.05 for fit in fits])
    by_z = np.mean([abs(fit.estimate / fit.error) >= stats.norm.ppf(0.975) for fit in fits])
    low, high = stats.binom.ppf([0.0005, 0.9995], 400, 0.05) / 400
    assert low <= by_t <= high
    assert by_z > by_t + 0.015
    assert by_z > (0.085 if k == 3 else 0.06)
