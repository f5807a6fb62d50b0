"""The interaction: known answers, invariants, and how often it rejects a true null hypothesis."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.families import FAMILIES
from threetconv.statistics.tests.interaction import permute_interactions

NETWORK = ((3, 3), (3, 3))


def permute_interaction(networks, **how):
    """The test of one outcome."""
    columns = [[tuple(np.reshape(x, (-1, 1)) for x in arms) for arms in n] for n in networks]
    return permute_interactions(columns, **how)[0]


def draw(rng, sizes=NETWORK, networks=1, *, main=0.0, effect=0.0):
    """Cells ((a, b) at the first level, (a, b) at the second) of every network."""
    out = []
    for _ in range(networks):
        level = rng.normal(0, 2, 2)
        shifts = ((main + effect, 0.0), (main, 0.0))
        out.append(
            [
                tuple(rng.normal(0, 1, n) + shift + own for n, shift in zip(ns, both, strict=True))
                for ns, both, own in zip(sizes, shifts, level, strict=True)
            ]
        )
    return out


def brute_force(network):
    """T and p of one network by listing every labeling, written out for balanced cells."""
    (a, b), (c, d) = network
    t = (a.mean() - b.mean()) - (c.mean() - d.mean())
    k = a.size
    widen = np.sqrt((2 * k - 1.5) / (2 * k - 2))
    pools = []
    for sign, (x, y) in ((1, (a, b)), (-1, (c, d))):  # what is left of d is +T/2 and -T/2
        first = widen * (x - x.mean()) + sign * t / 4
        second = widen * (y - y.mean()) - sign * t / 4
        pools.append(np.concatenate([first, second]))
    found = []
    for one, two in product(combinations(range(2 * k), k), repeat=2):
        differences = []
        for pool, members in zip(pools, (one, two), strict=True):
            chosen = np.isin(np.arange(2 * k), members)
            differences.append(pool[chosen].mean() - pool[~chosen].mean())
        found.append(differences[0] - differences[1])
    return t, np.mean(np.abs(found) >= abs(t) - 1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_against_a_list_of_all_labelings(seed):
    (network,) = draw(np.random.default_rng(seed), effect=seed)
    result = permute_interaction([network], seed=0)
    t, p = brute_force(network)
    assert result.statistic == pytest.approx(t)
    assert result.p == pytest.approx(p)
    assert result.n_permutations == 400
    assert result.floor == pytest.approx(2 / 400)
    assert not result.exact


def test_two_networks_are_averaged():
    networks = draw(np.random.default_rng(1), networks=2, effect=1.0)
    each = [permute_interaction([network], seed=0).statistic for network in networks]
    both = permute_interaction(networks, seed=0)
    assert both.statistic == pytest.approx(np.mean(each))
    assert both.n_permutations == 400**2
    assert both.floor == pytest.approx(1.25e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), paired=st.booleans(), main=st.sampled_from([0.0, 3.0]))
def test_the_main_effect_is_without_consequence(seed, paired, main):
    plain = draw(np.random.default_rng(seed), networks=2)
    shifted = draw(np.random.default_rng(seed), networks=2, main=main)
    one = permute_interaction(plain, seed=1, paired=paired)
    other = permute_interaction(shifted, seed=1, paired=paired)
    assert other.statistic == pytest.approx(one.statistic, abs=1e-9)
    assert (other.p, other.floor) == (one.p, one.floor)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999),
    sizes=st.sampled_from([NETWORK, ((2, 3), (3, 2)), ((4, 2), (2, 2))]),
    limit=st.sampled_from([10, 200_000]),
)
def test_swapping_either_label_flips_the_sign_only(seed, sizes, limit):
    networks = draw(np.random.default_rng(seed), sizes, 2)
    how = {"seed": 3, "max_enumeration": limit, "draws": 200}
    one = permute_interaction(networks, **how)
    datasets = [[(b, a) for a, b in network] for network in networks]
    found = permute_interaction(datasets, **how)
    assert found.statistic == pytest.approx(-one.statistic)
    assert (found.p, found.floor) == (one.p, one.floor)
    inits = permute_interaction([network[::-1] for network in networks], **how)
    assert inits.statistic == pytest.approx(-one.statistic)
    if limit > 10:  # drawn labelings go to other blocks
        assert (inits.p, inits.floor) == (one.p, one.floor)


def test_one_run_a_cell_gives_no_p():
    (network,) = draw(np.random.default_rng(0), ((1, 1), (1, 1)))
    result = permute_interaction([network] * 8, seed=0)
    assert np.isfinite(result.statistic)
    assert np.isnan(result.p)
    assert result.floor == 1
    paired = permute_interaction(
        draw(np.random.default_rng(0), ((1, 1), (3, 3))), seed=0, paired=True
    )
    assert np.isnan(paired.p)


def level(k, networks, replicates, seed, *, paired=False, effect=0.0):
    """Rejections at .05 among simulated studies."""
    rng = np.random.default_rng(seed)
    cells = ((k, k), (k, k))
    studies = (draw(rng, cells, networks, main=1.0, effect=effect) for _ in range(replicates))
    return sum(
        permute_interaction(s, seed=i, paired=paired, max_enumeration=500, draws=999).p <= 0.05
        for i, s in enumerate(studies)
    )


@pytest.mark.parametrize(("k", "networks", "paired"), [(3, 1, False), (3, 2, False), (5, 1, True)])
def test_a_true_null_hypothesis_is_rejected_about_as_often_as_promised(k, networks, paired):
    assert 1 <= level(k, networks, 200, seed=1, paired=paired) <= stats.binom.ppf(0.9995, 200, 0.06)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "networks", "paired"),
    [(3, 1, False), (3, 2, False), (5, 1, False), (5, 2, False), (5, 2, True)],
)
def test_type_one_error_over_a_thousand_nulls(k, networks, paired):
    assert 0.029 <= level(k, networks, 1000, seed=2, paired=paired) / 1000 <= 0.074


def test_an_effect_is_found():
    assert level(5, 2, 40, seed=3, effect=3.0) >= 38


@pytest.fixture(scope="module")
def tables(make_summaries):
    """Gestures move 1.5 times as far from scratch only."""
    return make_summaries(
        shift=lambda **c: 0.4 * (c["dataset"] == "gestures" and c["init"] == "scratch")
    )


def values(summaries, parameter):
    keep = (summaries["scope"] == "model") & (summaries["rows"] == "reachable")
    keep &= (summaries["weighting"] == "pooled") & (summaries["tag"] == "best")
    table = summaries[keep & (summaries["parameter"] == parameter)]
    return {
        key: group["log_mean_abs"].to_numpy()
        for key, group in table.groupby(["network", "init", "dataset"])
    }


def test_the_lines_of_f3(tables):
    summaries, runs = tables
    tests = run_tests(summaries, runs, seed=1, families=("dataset x init",))
    assert tests["stratum"].unique().tolist() == ["all", "googlenet", "resnet18"]
    assert set(tests["contrast"]) == {"gestures / scenes, scratch / pretrained"}
    assert set(tests["status"]) == {"ok"}
    assert not tests["exact"].any()
    assert tests["method"].str.contains("approximate").all()
    assert tests["p_floor"].to_numpy() == pytest.approx([1.25e-5] * 4 + [0.005] * 8)
    assert (tests["p_adjusted"] < 0.05)[:4].all()
    assert tests[["cliffs_delta", "wasserstein"]].isna().all().all()
    assert set(tests["n_a"]) == {12, 6}
    assert ((tests["ci_low"] < tests["estimate"]) & (tests["estimate"] < tests["ci_high"])).all()


def test_estimate_interval_and_g_by_hand(tables):
    summaries, runs = tables
    line = run_tests(summaries, runs, seed=1, families=("dataset x init",)).iloc[2]
    assert line["parameter"] == "px"
    cells = values(summaries, "px")
    variances = [cell.var(ddof=1) for cell in cells.values()]
    t = np.mean(
        [
            cells[n, "scratch", "gestures"].mean() - cells[n, "scratch", "scenes"].mean()
            - cells[n, "pretrained", "gestures"].mean() + cells[n, "pretrained", "scenes"].mean()
            for n in ("googlenet", "resnet18")
        ]
    )  # fmt: skip
    assert line["estimate"] == pytest.approx(np.exp(t))
    error = np.sqrt(sum(v / 3 for v in variances)) / 2  # the mean of two networks
    df = sum(v / 3 for v in variances) ** 2 / sum((v / 3) ** 2 / 2 for v in variances)
    half = stats.t.ppf(0.975, df) * error
    assert np.log(line["ci_low"]) == pytest.approx(t - half)
    assert np.log(line["ci_high"]) == pytest.approx(t + half)
    assert line["hedges_g"] == pytest.approx(
        t / np.sqrt(np.mean(variances)) * (1 - 3 / (4 * 16 - 1))
    )


def test_swapped_datasets_flip_signs_only(tables):
    summaries, runs = tables
    one = run_tests(summaries, runs, seed=1, families=("dataset x init",))
    other = run_tests(
        summaries, runs, seed=1, families=("dataset x init",), datasets=["scenes", "gestures"]
    )
    np.testing.assert_allclose(other["estimate"], 1 / one["estimate"])
    np.testing.assert_allclose(other["ci_low"], 1 / one["ci_high"])
    np.testing.assert_allclose(other["hedges_g"], -one["hedges_g"])
    assert other["p_raw"].tolist() == one["p_raw"].tolist()


def test_a_missing_cell_is_untestable_with_its_reason(tables):
    summaries, runs = tables
    gone = (runs["dataset"] == "scenes") & (runs["init"] == "scratch")
    gone &= runs["network"] == "resnet18"
    some = run_tests(summaries, runs[~gone], seed=1, families=("dataset x init",))
    alone = some[some["stratum"] == "resnet18"]
    assert set(alone["status"]) == {"untestable"}
    assert alone["reason"].str.contains("each scratch and pretrained").all()
    whole = some[some["stratum"] == "all"]
    assert whole["reason"].str.contains("block resnet18 left out: a cell without runs").all()
    assert set(whole["n_permutations"]) == {400}


def test_one_run_a_cell_is_untestable_with_an_estimate(make_summaries):
    summaries, runs = make_summaries(k=1)
    tests = run_tests(summaries, runs, seed=1, families=("dataset x init",))
    assert set(tests["status"]) == {"untestable"}
    assert tests["reason"].str.contains("smallest attainable p is 1,").all()
    assert tests["estimate"].notna().all()
    assert tests[["p_raw", "p_adjusted", "ci_low"]].isna().all().all()


def test_pairs(tables):
    summaries, runs = tables
    tests = run_tests(summaries, runs, seed=1, families=("dataset x init",), paired=True)
    assert tests["p_floor"].to_numpy() == pytest.approx([2 / 2**12] * 4 + [2 / 2**6] * 8)
    assert tests["method"].str.contains("within pairs").all()
    assert FAMILIES["dataset x init"].moderator == "init"
