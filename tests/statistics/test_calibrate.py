"""Does the run as unit keep its promise, and does the row as unit break it?

Small layouts and few studies here; the paper's layouts and 1,000 studies in the slow tests.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from threetconv.errors import InputError
from threetconv.statistics.calibration.calibrate import COLUMNS, calibrate, validity, wilson
from threetconv.statistics.calibration.network_layout import layout
from threetconv.statistics.calibration.row_level_tests import ks_distance, ks_limit
from threetconv.statistics.calibration.simulate import LayerLayout, NetworkLayout
from threetconv.statistics.tests.permutation import permute_runs

SMALL = NetworkLayout(
    "small",
    (
        LayerLayout("stem", 64, (True,) * 6),
        LayerLayout("one", 128, (True, True)),
        LayerLayout("two", 256, (True, False)),
    ),
)
N = 24  # studies of the fast tests
KEYS = ["test", "design", "runs_per_arm", "tau", "effect", "quantity"]


def pick(table: pd.DataFrame, test: str, **values: object) -> pd.DataFrame:
    """Lines of the tests whose name begins like that."""
    lines = table[table["test"].str.startswith(test)]
    for column, value in values.items():
        lines = lines[lines[column] == value]
    assert len(lines)
    return lines


@pytest.fixture(scope="module")
def table():
    return calibrate([SMALL], replicates=N, seed=0)


def test_columns_and_promises(table):
    assert list(table) == COLUMNS
    assert not table.duplicated(KEYS).any()
    assert set(table["truth"]) == {"null", "effect"}
    assert set(table["quantity"]) == {"type I error", "power", "coverage"}
    assert set(table["valid"]) <= {"valid", "liberal", "conservative", "untestable", ""}
    nominal = {"type I error": 0.05, "coverage": 0.95}
    assert table["nominal"].equals(table["quantity"].map(nominal).astype(np.float64))
    assert (table["ci_low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["ci_high"]).all()
    assert (table.loc[table["quantity"] == "power", "valid"] == "").all()


def test_naive_tests_come_first(table):
    by_rows = (table["unit"] == "row").to_numpy()
    assert by_rows[: by_rows.sum()].all()
    assert table.loc[by_rows, "test"].nunique() == 3


def test_every_test_has_its_lines(table):
    levels = table[table["quantity"] == "type I error"].groupby("test")["runs_per_arm"].unique()
    assert len(levels) == 17
    unequal = levels.index.str.startswith("permutation of unequal arms")
    assert {tuple(runs) for runs in levels[unequal]} == {(3,)}  # the smaller of 3 and 5
    assert all(set(runs) == {1, 3, 5} for runs in levels[~unequal])
    coverage = table[table["quantity"] == "coverage"].groupby("test")["runs_per_arm"].unique()
    assert {name: set(runs) for name, runs in coverage.items()} == {
        "Welch t interval": {3, 5, 8},
        "Satterthwaite t interval": {3, 5},
        "percentile bootstrap over runs": {3, 5, 8},
        "hierarchical bootstrap": {3, 5},
    }


def test_same_seed_same_table_whatever_the_workers(table):
    assert calibrate([SMALL], replicates=N, seed=0, workers=2).equals(table)
    first, again, other = (calibrate([SMALL], replicates=5, seed=seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_a_network_does_not_depend_on_its_neighbours():
    other = NetworkLayout("other", SMALL.layers)
    both = calibrate([other, SMALL], replicates=5, seed=0)
    assert list(both["network"].unique()) == ["other", "small"]
    alone = both[both["network"] == "small"].reset_index(drop=True)
    assert alone.equals(calibrate([SMALL], replicates=5, seed=0))
    rest = both[both["network"] == "other"].reset_index(drop=True)
    assert not rest["estimate"].equals(alone["estimate"])


def test_a_study_of_unequal_cells_is_simulated_with_its_own_numbers_of_runs(table):
    own = calibrate([SMALL], replicates=N, seed=0, cells=[(2, 4), (3, 5), (4, 4)])
    unequal = own[own["test"].str.startswith("permutation of unequal arms")]
    designs = [f"{b}, {n} runs" for b in ("1 block", "4 blocks") for n in ("2 and 4", "3 and 5")]
    assert set(unequal["design"]) == set(designs)
    kept = own[~own["design"].str.endswith("2 and 4 runs")].reset_index(drop=True)
    assert kept[["test", "design"]].equals(table[["test", "design"]])
    assert set(pick(own, "permutation of unequal arms, not")["quantity"]) == {"type I error"}


def test_progress_counts_every_study():
    seen = []
    calibrate([SMALL], replicates=21, seed=0, progress=lambda *step: seen.append(step))
    assert seen == [(20, 21), (21, 21)]


def test_rows_reject_a_true_null_hypothesis_and_runs_do_not(table):
    naive = pick(table, "Mann-Whitney", tau=0.1, effect=1.0)
    assert (naive["estimate"] > 0.3).all()
    assert (naive["valid"] == "liberal").all()
    limit = stats.binom.ppf(0.9995, 4 * N, 0.05) / (4 * N)
    for test in ("Welch t on D", "permutation of run labels", "MixedLM, t", "TOST"):
        assert (pick(table, test, quantity="type I error")["estimate"] <= limit).all()


def test_without_a_seed_effect_the_rows_would_do(table):
    """Rows that are independent of their run: the fault is the run's, not the test's."""
    limit = stats.binom.ppf(0.9995, N, 0.05) / N
    independent = table[(table["unit"] == "row") & (table["tau"] == 0)]
    assert len(independent) == 3
    assert (independent["estimate"] <= limit).all()


def test_untestable_designs_never_reject(table):
    untestable = table[table["valid"] == "untestable"]
    assert (untestable["estimate"] == 0).all()
    assert (untestable["n_untestable"] == untestable["n_replicates"]).all()
    assert (table.loc[table["valid"] != "untestable", "n_untestable"] == 0).all()
    found = set(zip(untestable["test"], untestable["design"], untestable["runs_per_arm"]))  # noqa: B905
    for expected in (
        ("permutation of run labels", "1 block", 1),
        ("permutation of run labels", "1 block", 3),
        ("permutation of run labels", "4 blocks", 1),
        ("permutation, Holm over 4 parameters", "1 block", 3),
        ("energy test on (px, py)", "1 block", 3),
        ("Welch t on D", "1 block", 1),
    ):
        assert expected in found
    assert not any(runs == 5 for _, _, runs in found)


def test_larger_effects_are_found_more_often(table):
    power = table[(table["quantity"] == "power") & table["effect"].isin([1.25, 1.5])]
    small, large = (
        power[power["effect"] == effect].set_index(["test", "design", "runs_per_arm"])["estimate"]
        for effect in (1.25, 1.5)
    )
    assert (large >= small).all()
    assert small["permutation of run labels", "4 blocks", 5] > 0.9


def test_costly_tests_say_how_many_studies(table):
    assert set(pick(table, "energy")["n_replicates"]) == {5}
    assert set(pick(table, "hierarchical")["n_replicates"]) == {4 * 3}
    assert set(pick(table, "Welch")["n_replicates"]) == {4 * N}
    assert set(pick(table, "Mann-Whitney")["n_replicates"]) == {N}
    assert set(pick(table, "permutation, Holm")["n_replicates"]) == {N}


def test_kolmogorov_smirnov_is_scipys():
    rng = np.random.default_rng(0)
    for shift in np.linspace(0, 0.3, 40):
        a, b = rng.normal(size=300).round(2), rng.normal(shift, size=200).round(2)
        test = stats.ks_2samp(a, b, method="asymp")
        assert ks_distance(a, b) == pytest.approx(test.statistic)
        assert (ks_distance(a, b) >= ks_limit(300, 200)) == (test.pvalue <= 0.05)


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (3, 20), (20, 20), (37, 1000)])
def test_wilson_is_statsmodels(hits, n):
    assert wilson(hits, n) == pytest.approx(proportion_confint(hits, n, method="wilson"))


def test_wilson_known_answer():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert all(math.isnan(bound) for bound in wilson(0, 0))


@pytest.mark.parametrize(
    ("quantity", "low", "high", "verdict"),
    [
        ("type I error", 0.04, 0.06, "valid"),
        ("type I error", 0.06, 0.08, "liberal"),
        ("type I error", 0.01, 0.04, "conservative"),
        ("coverage", 0.94, 0.96, "valid"),
        ("coverage", 0.80, 0.90, "liberal"),
        ("coverage", 0.96, 0.99, "conservative"),
    ],
)
def test_validity(quantity, low, high, verdict):
    nominal = 0.05 if quantity == "type I error" else 0.95
    assert validity(quantity, low, high, nominal, untestable=False) == verdict
    assert validity(quantity, low, high, nominal, untestable=True) == "untestable"
    assert validity("power", low, high, math.nan, untestable=False) == ""


@pytest.mark.parametrize(
    ("layouts", "settings", "message"),
    [
        ([], {}, "layouts to calibrate"),
        ([SMALL, SMALL], {}, "each with a name of its own"),
        ([SMALL], {"replicates": 0}, "replicates"),
        ([SMALL], {"workers": 0}, "workers"),
    ],
)
def test_nonsense_is_refused(layouts, settings, message):
    with pytest.raises(InputError, match=message):
        calibrate(layouts, **settings)


@pytest.fixture(scope="module")
def paper():
    """The paper's layouts, 1,000 studies each."""
    shapes = [layout(name) for name in ("resnet18", "googlenet")]
    return calibrate(shapes, replicates=1_000, seed=1, workers=2)


@pytest.mark.slow
def test_run_level_tests_keep_their_level(paper):
    for test in ("Welch t on D", "permutation of run labels"):
        lines = pick(paper, test, quantity="type I error", runs_per_arm=5)
        assert lines["estimate"].between(0.029, 0.074).all()
    few = pick(paper, "permutation of run labels", quantity="type I error", design="1 block")
    assert (few.loc[few["runs_per_arm"] <= 3, "estimate"] == 0).all()


@pytest.mark.slow
def test_naive_tests_have_no_level(paper):
    naive = pick(paper, "Kolmogorov-Smirnov", tau=0.1)
    assert (naive["estimate"] > 0.4).all()
    assert (paper.loc[(paper["unit"] == "row") & (paper["tau"] > 0), "valid"] == "liberal").all()
    independent = paper[(paper["unit"] == "row") & (paper["tau"] == 0)]
    assert independent["estimate"].between(0.029, 0.074).all()


@pytest.mark.slow
def test_intervals_cover(paper):
    welch = pick(paper, "Welch t interval")
    assert welch["estimate"].between(0.926, 0.971).all()
    bootstrap = pick(paper, "percentile bootstrap").groupby("runs_per_arm")["estimate"].mean()
    assert bootstrap.to_dict() == pytest.approx({3: 0.8, 5: 0.875, 8: 0.895}, abs=0.03)
    assert (pick(paper, "hierarchical", runs_per_arm=3)["valid"] == "liberal").all()


@pytest.mark.slow
def test_other_tests_keep_their_level(paper):
    """No more than 5 %, as far as 1,000 studies can tell; N(0, 1) for a mixed model does not."""
    limit = stats.binom.ppf(0.9995, 1_000, 0.05) / 1_000
    for test in (
        "permutation, Holm",
        "sign flips",
        "permutation of dataset x init",
        "layer-wise",
        "MixedLM, t",
    ):
        assert (pick(paper, test, quantity="type I error")["estimate"] <= limit).all()
    normal = pick(paper, "MixedLM, N", quantity="type I error", runs_per_arm=3)
    assert (normal["valid"] == "liberal").all()


@pytest.mark.slow
def test_power_for_a_large_effect():
    """k = 5, three standard deviations between the arms."""
    rng = np.random.default_rng(2)
    hits = sum(
        permute_runs([(rng.normal(3, 1, 5), rng.normal(0, 1, 5))], seed=0).p <= 0.05
        for _ in range(1_000)
    )
    assert hits >= 950
