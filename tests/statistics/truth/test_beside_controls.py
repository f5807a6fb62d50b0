"""Reproducibility against controls: by hand, at its level under null hypotheses, and its power."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from threetconv.schemas.truth import REPRODUCIBILITY
from threetconv.statistics.tests.permutation import attainable_floor, permute
from threetconv.statistics.truth.beside_controls import ExchangedArms
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ...builders.truth_tables import grid, moving
from .test_reproducibility import share

ALL = 4  # place of "all" behind the four parameters


def within_less_between(z: np.ndarray, datasets: list[str]) -> float:
    """The share "specific" of runs (K, n), pair by pair."""
    c = np.cov(z)
    pairs = {True: [], False: []}  # type: dict[bool, list[float]]
    for i, j in combinations(range(len(z)), 2):
        pairs[datasets[i] == datasets[j]].append(c[i, j])
    return float((np.mean(pairs[True]) - np.mean(pairs[False])) / np.diag(c).mean())


def test_difference_and_p_by_hand() -> None:
    """One layer, one parameter, two runs of each kind in each of two data sets."""
    runs = grid(controls=["none", "static"], each=2).sort_values("run_id", ignore_index=True)
    real = runs["control"] == "none"
    parts = [moving(runs[real], by_dataset=0.4, layers=((2, 25),))]
    parts.append(moving(runs[~real], by_dataset=0.1, layers=((2, 25),), seed=5))
    parameters = pd.concat(parts)
    table = reproducibility_table(parameters, runs, seed=1)
    line = share(table, "specific", network="resnet18", parameter="r", against="static")
    z = np.stack([-parameters.loc[parameters["run_id"] == i, "rotate"].to_numpy(np.float64)
                  for i in runs["run_id"]])  # fmt: skip
    datasets = runs["dataset"].tolist()

    def difference(z: np.ndarray, first: np.ndarray) -> float:
        arms = [within_less_between(z[arm], [d for d, k in zip(datasets, arm, strict=True) if k])
                for arm in (first, ~first)]  # fmt: skip
        return arms[0] - arms[1]

    first = real.to_numpy()
    observed = difference(z, first)
    assert line["estimate"] == pytest.approx(observed)
    for arm in (first, ~first):
        z[arm] /= np.sqrt(z[arm].var(axis=1, ddof=1).mean())
    found = []
    places = [np.flatnonzero(runs["dataset"] == name) for name in ("gestures", "scenes")]
    for a, b in product(*(combinations(place, 2) for place in places)):
        mask = np.zeros(8, dtype=bool)
        mask[[*a, *b]] = True
        found.append(abs(difference(z, mask)))
    p = np.mean(np.array(found) >= abs(observed) - 1e-12)
    assert len(found) == line["n_permutations"] == 36
    assert (line["p_raw"], line["p_floor"]) == (pytest.approx(p), pytest.approx(2 / 36))
    assert (line["n_runs"], line["n_other"], line["exact"]) == (4, 4, True)
    pa.Table.from_pandas(table, REPRODUCIBILITY)


def test_the_interval_is_welchs_of_both_arms_pseudo_values() -> None:
    """Pseudo-values by leaving runs out of the table itself; about the estimate."""
    runs = grid(controls=["none", "static"], each=3)
    parameters = moving(runs, by_channel=0.2, by_dataset=0.3, layers=((2, 40),))
    line = share(reproducibility_table(parameters, runs, seed=1), "specific", against="static")
    arms = []
    for _, arm in runs.groupby("control", sort=True):
        whole = share(reproducibility_table(parameters, arm, seed=1), "specific")["estimate"]
        left = [share(reproducibility_table(parameters, arm[arm["run_id"] != run], seed=1),
                      "specific")["estimate"] for run in arm["run_id"]]  # fmt: skip
        arms.append(6 * whole - 5 * np.array(left))
    interval = stats.ttest_ind(*arms, equal_var=False).confidence_interval()
    shift = line["estimate"] - (arms[0].mean() - arms[1].mean())
    assert (line["ci_low"], line["ci_high"]) == pytest.approx(
        (interval.low + shift, interval.high + shift)
    )
    assert line["ci_method"] == "jackknife over runs, Welch t"


def test_pooled_over_networks_and_not_over_starts() -> None:
    names = ["none", "label-shuffled", "static"]
    runs = grid(["resnet18", "googlenet"], inits=["pretrained", "scratch"], controls=names)
    runs = runs[~((runs["control"] == "static") & (runs["init"] == "scratch"))]
    real = runs["control"] == "none"
    parameters = pd.concat([moving(runs[real], by_dataset=0.2), moving(runs[~real], seed=5)])
    table = reproducibility_table(parameters, runs, seed=1)
    specific = table[(table["measure"] == "specific") & (table["parameter"] == "all")]
    specific = specific[(specific["scope"] == "model") & (specific["control"] == "none")]
    assert set(table["init"]) == {"pretrained", "scratch"}
    for (against, _), here in specific.groupby(["against", "init"]):
        cells = here[here["network"] != "all"]
        widest = here.iloc[-1]
        assert len(cells) == 2
        assert widest["estimate"] == pytest.approx(cells["estimate"].mean())
        assert widest["estimate"] == pytest.approx(0.2, abs=0.04)
        assert widest["ci_low"] < 0.2 < widest["ci_high"]
        assert widest["n_runs"] == 12
        assert (widest["status"], widest["p_adjusted"]) == ("ok", widest["p_raw"])
        # ten partitions of six runs, or 20 x 20 relabellings, in each of two blocks
        p = 1 / 100 if against == "zero" else 2 / 400**2
        assert widest["p_raw"] == pytest.approx(p)
    assert (specific["against"] == "static").sum() == 3
    assert set(table.loc[table["control"] != "none", "against"]) == {"zero"}


def test_data_sets_of_one_arm_are_left_out() -> None:
    runs = grid(datasets=["gestures", "scenes", "more"], controls=["none", "static"], each=2)
    runs = runs[~((runs["control"] == "static") & (runs["dataset"] == "more"))]
    parameters = moving(runs, by_dataset=0.3, layers=((2, 20),))
    line = share(reproducibility_table(parameters, runs, seed=1), "specific", against="static")
    assert (line["n_runs"], line["n_other"]) == (4, 4)
    few = runs[~((runs["control"] == "static") & (runs["dataset"] == "scenes"))]
    line = share(reproducibility_table(parameters, few, seed=1), "specific", against="static")
    assert (line["status"], line["reason"]) == ("degenerate", "no two data sets have runs of both")


def p_of(
    rng: np.random.Generator,
    *,
    blocks: int,
    own: float = 0.0,
    common: float = 0.0,
    further: float = 1.0,
    rows: int = 40,
) -> float:
    """p of three real runs and three controls in each of two data sets.

    Args:
        rng: of the runs.
        blocks: networks and starts.
        own: share of the variance of real runs that is their data set's.
        common: share of it that is of the channel, whatever the data set.
        further: how much further real runs move than controls.
        rows: channels and transitions of the one layer.
    """
    datasets = np.repeat([0, 1], 6)
    first = np.tile([True] * 3 + [False] * 3, 2)
    exchanged, observed = [], 0.0
    for _ in range(blocks):
        z = rng.normal(0, 1, (12, 4, rows))
        shared = rng.normal(0, 1, (4, rows)), rng.normal(0, 1, (2, 4, rows))
        z[first] *= np.sqrt(1 - own - common)
        z[first] += np.sqrt(common) * shared[0] + np.sqrt(own) * shared[1][datasets[first]]
        z[first] *= further
        z -= z.mean(axis=2, keepdims=True)
        covariances = np.einsum("kpn,lpn->pkl", z, z)[None] / (rows - 1)
        block = ExchangedArms(datasets, first, covariances, np.array([rows]), (ALL,)).scaled()
        exchanged.append(block)
        observed += block.of(first[None].astype(float))[0, 0] / blocks
    (result,) = permute(
        exchanged, np.array([observed]), np.array([1e-12]), seed=1, two_sided=True, draws=999,
        least=attainable_floor([(3, 3)] * 2 * blocks), max_enumeration=400,
    )  # fmt: skip
    return result.p


@pytest.mark.parametrize("blocks", [2, 4])
@pytest.mark.parametrize(
    "nulls", [{}, {"further": 3.0}, {"common": 0.4}, {"common": 0.4, "further": 3.0}]
)
def test_a_true_null_hypothesis_is_rejected_as_often_as_said(
    blocks: int, nulls: dict[str, float]
) -> None:
    rng = np.random.default_rng(7)
    found = [p_of(rng, blocks=blocks, **nulls) for _ in range(400)]
    # 95 % of 400 studies at .05 give .030 to .072; two intervals' worth is allowed
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.085


def test_runs_that_share_what_is_of_their_data_set_are_told_from_controls() -> None:
    rng = np.random.default_rng(7)
    power = [
        np.mean([p_of(rng, blocks=2, own=own, common=0.2) <= 0.05 for _ in range(60)])
        for own in (0.03, 0.2)
    ]
    assert power[0] < power[1]
    assert power[1] > 0.95
