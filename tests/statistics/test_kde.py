"""Densities against known distributions, and the shared axes of the figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.statistics.densities.bandwidth import (
    SMALLEST,
    bandwidth,
    improved_sheather_jones,
    silverman,
)
from threetconv.statistics.densities.histograms import histograms, joint_histogram
from threetconv.statistics.densities.joint import RadialKDE, joint_density
from threetconv.statistics.densities.kde import AsinhKDE, densities


def mixture(n, seed):
    """70 % t3 x 1e-3 + 30 % t2 x 2e-2, with its density."""
    rng = np.random.default_rng(seed)
    narrow, wide = stats.t(3, scale=1e-3), stats.t(2, scale=2e-2)
    x = np.where(
        rng.random(n) < 0.7,
        narrow.rvs(n, random_state=rng),
        wide.rvs(n, random_state=rng),
    )
    return x, lambda at: 0.7 * narrow.pdf(at) + 0.3 * wide.pdf(at)


def relative_ise(found, truth, support):
    return np.trapezoid((found - truth) ** 2, support) / np.trapezoid(truth**2, support)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recovers_the_mixture_where_scipy_blurs_it(seed):
    x, truth = mixture(8064, seed)
    support, density, _ = AsinhKDE(c=float(np.median(np.abs(x))), points=2048)(x)
    peak = truth(0.0)
    assert 0.9 <= density.max() / peak <= 1.08
    assert relative_ise(density, truth(support), support) <= 0.003
    blurred = stats.gaussian_kde(x)(support)
    assert blurred.max() / peak < 0.3
    assert relative_ise(blurred, truth(support), support) > 0.1


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n=st.integers(1, 400),
    scale=st.floats(1e-5, 1.0),
    df=st.sampled_from([1.5, 3, 30]),
)
def test_integrates_to_one(seed, n, scale, df):
    x = np.random.default_rng(seed).standard_t(df, n) * scale
    support, density, _ = AsinhKDE(c=float(np.median(np.abs(x))), points=4096)(x)
    assert (density >= 0).all()
    assert (np.diff(support) > 0).all()
    assert np.trapezoid(density, support) == pytest.approx(1, abs=5e-3)


def test_inside_limits_it_integrates_to_the_share_inside():
    x = np.random.default_rng(0).normal(size=20_000)
    support, density, _ = AsinhKDE(c=0.7)(x, (-1.0, 0.5))
    assert (support[0], support[-1]) == pytest.approx((-1, 0.5))
    inside = stats.norm.cdf(0.5) - stats.norm.cdf(-1)
    assert np.trapezoid(density, support) == pytest.approx(inside, abs=0.01)


def test_the_unit_of_x_does_not_matter():
    x = np.random.default_rng(0).standard_t(3, 500)
    one, small = AsinhKDE(c=0.7)(x), AsinhKDE(c=0.7e-3)(x * 1e-3)
    np.testing.assert_allclose(small.support, one.support * 1e-3)
    np.testing.assert_allclose(small.density, one.density * 1e3, rtol=1e-6)


def test_a_coarse_support_does_not_change_the_density():
    x = np.random.default_rng(0).normal(size=50_000)
    fine, coarse = AsinhKDE(c=0.7, points=1601)(x), AsinhKDE(c=0.7, points=17)(x)
    np.testing.assert_allclose(coarse.density, fine.density[::100], atol=2e-3)


@pytest.mark.parametrize("n", [500, 2000, 8000, 100_000])
def test_improved_sheather_jones_finds_the_normal_optimum(n):
    x = np.random.default_rng(1).normal(size=n)
    optimum = (4 / 3) ** 0.2 * n**-0.2
    assert improved_sheather_jones(x) == pytest.approx(optimum, rel=0.25)
    assert improved_sheather_jones(7 * x + 3) == pytest.approx(7 * improved_sheather_jones(x))


def test_improved_sheather_jones_sees_two_peaks():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(-10, 1, 2000), rng.normal(10, 1, 2000)])
    assert improved_sheather_jones(x) == pytest.approx((4 / 3) ** 0.2 * 2000**-0.2, rel=0.25)
    assert silverman(x) > 4 * improved_sheather_jones(x)


def test_bandwidth_falls_back():
    assert bandwidth(np.array([2.0])) == bandwidth(np.full(300, 2.0)) == SMALLEST
    tied = np.repeat(np.arange(60.0), 20)
    assert bandwidth(tied) == silverman(tied)
    few = np.arange(10.0)
    assert bandwidth(few) == silverman(few)
    assert silverman(np.r_[np.zeros(90), np.arange(10.0)]) > 0  # no spread between quartiles


def test_densities_share_support_and_constant(study):
    table = densities(study.parameters, points=200)
    assert len(table) == 8 * 2 * 200
    for parameter, group in table.groupby("parameter"):
        assert set(group["c"]) == {group["c"].iloc[0]}
        curves = [
            g.sort_values("support") for _, g in group.groupby(["network", "dataset", "init"])
        ]
        for curve in curves:
            np.testing.assert_array_equal(curve["support"], curves[0]["support"])
            area = np.trapezoid(curve["density"], curve["support"])
            assert area == pytest.approx(1 - curve["clipped_share"].iloc[0], abs=0.03)
        moved = study.parameters[study.parameters["reachable"]]
        z = -np.log(moved["scale"]) if parameter == "s" else -moved["rotate"]
        z = z.to_numpy(np.float64)
        assert group["c"].iloc[0] == pytest.approx(np.median(np.abs(z)), rel=1e-3)
        assert group["support"].min() == pytest.approx(np.quantile(z, 0.001), rel=1e-3)
        assert group["support"].max() == pytest.approx(np.quantile(z, 0.999), rel=1e-3)


def test_the_identity_is_taken_out_and_its_share_reported(study):
    table = densities(study.parameters)
    share = 20 / (6 * 8 + 2 * 12 + 2 * 20)
    np.testing.assert_allclose(table["identity_share"], share)
    assert set(table["count"]) == {3 * (6 * 8 + 2 * 12 + 2 * 20)}
    reachable = densities(study.parameters, rows="reachable")
    assert (reachable["identity_share"] == 0).all()
    np.testing.assert_array_equal(reachable["density"], table["density"])


def test_a_cell_at_the_identity_has_no_density(make_study):
    study = make_study(k=1, still=("scenes",))
    still = densities(study.parameters).query("dataset == 'scenes'")
    assert (still["density"] == 0).all()
    assert (still["identity_share"] == 1).all()
    joint = joint_density(study.parameters, points=21).query("dataset == 'scenes'")
    assert (joint["density"] == 0).all()
    assert joint["hdr50"].isna().all()
    assert set(joint["region"]) == {100}


def test_everything_at_the_identity(make_study):
    study = make_study(k=1, still=("scenes", "gestures"))
    for table in (densities(study.parameters), joint_density(study.parameters, points=11)):
        assert (table["density"] == 0).all()
        assert np.isfinite(table["c"]).all()
    counts = histograms(study.parameters, bins=10)
    assert set(counts.groupby(["network", "dataset", "init", "parameter"])["count"].sum()) == {112}


def test_other_snapshots_do_not_enter(make_study):
    best, snapshot = make_study(k=1, seed=1), make_study(k=1, seed=2, tag="snapshot")
    both = pd.concat([best.parameters, snapshot.parameters])
    pd.testing.assert_frame_equal(densities(both), densities(best.parameters))
    pd.testing.assert_frame_equal(
        densities(both, tag="snapshot"), densities(snapshot.parameters, tag="snapshot")
    )
    with pytest.raises(ValueError, match="no all rows with tag 'last'"):
        densities(both, tag="last")


def test_joint_density_of_a_round_normal():
    """80 % of a round normal lies within sqrt(-2 ln .2) standard deviations."""
    points = np.random.default_rng(0).normal(size=(20_000, 2)) * 0.01
    estimate = RadialKDE(points, c=0.0067)
    axis = np.linspace(-0.05, 0.05, 401)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    density = estimate(grid)
    cell = (axis[1] - axis[0]) ** 2
    assert density.sum() * cell == pytest.approx(1, abs=5e-3)
    truth = stats.multivariate_normal([0, 0], 1e-4 * np.eye(2)).pdf(grid)
    assert relative_ise(density, truth, np.arange(len(grid))) < 0.01
    threshold = np.quantile(estimate(points), 0.2)
    area = np.count_nonzero(density >= threshold) * cell
    assert area == pytest.approx(np.pi * 1e-4 * -2 * np.log(0.2), rel=0.06)


def test_joint_density_table(study):
    table = joint_density(study.parameters, points=61)
    assert len(table) == 8 * 61**2
    assert 0.0 in set(table["x"])
    assert table["x"].max() == pytest.approx(-table["y"].min())
    for _, cell in table.groupby(["network", "dataset", "init"]):
        first = cell.iloc[0]
        assert first["hdr50"] > first["hdr80"] > first["hdr95"] > 0
        assert set(cell.loc[cell["density"] >= first["hdr50"], "region"]) == {50}
        assert (cell.loc[cell["density"] < first["hdr95"], "region"] == 100).all()
        grid = cell.pivot_table(index="x", columns="y", values="density")
        volume = np.trapezoid(np.trapezoid(grid.to_numpy(), grid.columns), grid.index)
        assert volume == pytest.approx(1 - first["clipped_share"], abs=0.05)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_joint_density_of_very_few_points(n):
    points = np.random.default_rng(0).normal(size=(n, 2)) * 0.01
    assert np.isfinite(RadialKDE(points, c=0.01)(points)).all()


def test_histograms_share_edges_and_count_every_row(study):
    table = histograms(study.parameters, bins=50)
    rows = len(study.parameters) // 8
    for parameter, group in table.groupby("parameter"):
        assert group["left"].nunique() == 50
        sums = group.groupby(["network", "dataset", "init"])["count"].sum()
        assert set(sums) == {rows}
        if parameter == "s":  # the paper's s' = 1 / s
            assert group["left"].min() == pytest.approx((1 / study.parameters["scale"]).min())
            assert group["right"].max() == pytest.approx((1 / study.parameters["scale"]).max())


def test_joint_histogram_against_a_count_by_hand(study):
    table = joint_histogram(study.parameters, bins=7)
    cell = ["resnet18", "scenes", "scratch"]
    one = table[(table[["network", "dataset", "init"]] == cell).all(axis=1)]
    rows = study.parameters[(study.parameters[["network", "dataset", "init"]] == cell).all(axis=1)]
    x, y = -0.5 * rows["translate_x"].to_numpy(float), 0.5 * rows["translate_y"].to_numpy(float)
    assert one["count"].sum() == len(rows)
    busiest = one.loc[one["count"].idxmax()]
    inside = (x >= busiest["x_left"]) & (x < busiest["x_right"])
    inside &= (y >= busiest["y_left"]) & (y < busiest["y_right"])
    assert inside.sum() == busiest["count"]


def test_partition_columns_may_be_categories(study):
    """Hive partitions often come back as categories."""
    hive = study.parameters.astype(dict.fromkeys(("network", "dataset", "init"), "category"))
    for function in (densities, joint_density, histograms):
        pd.testing.assert_frame_equal(
            function(hive), function(study.parameters), check_dtype=False, check_categorical=False
        )
