"""Reproducibility: a planted share is found, by what it is shared; starts, floors, what lacks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from threetconv.schemas.truth import REPRODUCIBILITY
from threetconv.statistics.truth.exchanged import arrangements
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ...builders.truth_tables import LAYERS, WIDE, grid, moving, rows_of
from .test_agreement import one


def share(table: pd.DataFrame, measure: str, **values: object) -> pd.Series:
    values = {"scope": "model", "parameter": "all", "dataset": "all", "against": "zero"} | values
    return one(table, measure=measure, **values)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_a_planted_share_is_found_wherever_runs_start(spread: float) -> None:
    """Of 30 % common to a channel: 10 % whatever the data set, 20 % of each data set's own."""
    runs = grid(["resnet18", "googlenet"], each=3)
    parameters = moving(runs, by_channel=0.1, by_dataset=0.2, spread=spread)
    table = reproducibility_table(parameters, runs, seed=1)
    common, own = share(table, "icc", network="all"), share(table, "specific", network="all")
    assert common["estimate"] == pytest.approx(0.30, abs=0.03)
    assert own["estimate"] == pytest.approx(0.20, abs=0.03)
    for line in (common, own):
        assert line["ci_low"] < line["estimate"] < line["ci_high"]
        assert line["ci_high"] - line["ci_low"] < 0.15
    # ten partitions of six runs in each network
    assert (own["p_raw"], own["p_floor"]) == (pytest.approx(1 / 100), pytest.approx(1 / 100))
    assert (own["status"], own["n_runs"]) == ("ok", 12)
    alone = share(table, "specific", network="resnet18")
    assert (alone["status"], alone["p_floor"]) == ("untestable", pytest.approx(2 / 20))
    assert common["status"] == "descriptive"
    pa.Table.from_pandas(table, REPRODUCIBILITY)


def test_icc_is_that_of_one_way_analysis_of_variance() -> None:
    runs = grid(datasets=["scenes"], each=4)
    parameters = moving(runs, by_channel=0.4, layers=((2, 30),))
    table = reproducibility_table(parameters, runs, seed=1)
    z = -parameters["rotate"].to_numpy(np.float64).reshape(4, 30)
    k, n = z.shape
    between = k * z.mean(axis=0).var(ddof=1)
    within = z.var(axis=0, ddof=1).mean()
    line = one(table, scope="layer", parameter="r", dataset="scenes")
    assert line["estimate"] == pytest.approx((between - within) / (between + (k - 1) * within))
    assert (line["n_rows"], line["n_runs"]) == (n, k)


def test_specific_is_within_less_between_by_hand() -> None:
    runs = grid(each=2)
    parameters = moving(runs, by_dataset=0.5, layers=((2, 25),))
    table = reproducibility_table(parameters, runs, seed=1)
    z = np.cov(-parameters["rotate"].to_numpy(np.float64).reshape(4, 25))
    within = (z[0, 1] + z[2, 3]) / 2
    expected = (within - z[:2, 2:].mean()) / np.trace(z) * 4
    line = share(table, "specific", network="resnet18", parameter="r", scope="layer")
    assert line["estimate"] == pytest.approx(expected)
    cell = share(table, "icc", dataset="scenes")
    assert cell["ci_method"] == "none (too few runs to leave one out)"


def test_what_all_data_sets_share_is_common_but_not_specific() -> None:
    runs = grid(["resnet18", "googlenet"], each=3)
    table = reproducibility_table(moving(runs, by_channel=0.4), runs, seed=1)
    assert share(table, "icc", network="all")["estimate"] == pytest.approx(0.4, abs=0.03)
    own = share(table, "specific", network="all")
    assert own["estimate"] == pytest.approx(0, abs=0.03)
    assert own["p_raw"] > 0.02


def test_common_starts_are_no_reproducibility() -> None:
    """All runs of a network begin at the same place and then walk at random."""
    runs = grid(each=3)
    z = [np.random.default_rng(9).normal(0, 1, (4, d - 1, c)) for d, c in WIDE]
    rng = np.random.default_rng(1)
    parameters = pd.concat(
        [rows_of(i, [a + rng.normal(0, 0.05, a.shape) for a in z], start=z) for i in runs["run_id"]]
    )
    table = reproducibility_table(parameters, runs, seed=1)
    assert share(table, "icc", network="all")["estimate"] == pytest.approx(0, abs=0.03)


def test_under_the_null_hypothesis_p_is_no_smaller_than_it_may_be() -> None:
    runs = grid(each=3)
    found = [
        share(
            reproducibility_table(
                moving(runs, by_channel=0.2, layers=((2, 20),), seed=seed), runs, seed=1
            ),
            "specific",
            network="resnet18",
        )["p_raw"]
        for seed in range(40)
    ]
    # one of ten partitions is the most extreme one: 4 of 40 expected
    assert np.mean(np.array(found) <= 0.1) < 0.25


def test_controls_and_recipes_stand_apart_and_single_runs_have_no_share() -> None:
    runs = grid(recipes=["paper", "fast"], controls=["none", "static"], each=2)
    runs = runs[~((runs["control"] == "static") & (runs["replicate"] == 2))]
    parameters = moving(runs, by_dataset=0.6, layers=LAYERS)
    table = reproducibility_table(parameters, runs, seed=1)
    assert set(map(tuple, table[["recipe", "control"]].to_numpy())) == {
        (r, c) for r in ("paper", "fast") for c in ("none", "static")
    }
    lone = table[table["control"] == "static"]
    assert set(lone["status"]) == {"degenerate"}
    assert lone["estimate"].isna().all()
    assert "one run" in lone[lone["measure"] == "icc"]["reason"].iloc[0]
    for line in (
        table[table["control"] == "none"]
        .query("scope == 'model' and against == 'zero'")
        .itertuples()
    ):
        assert line.n_runs in {2, 4}
    beside = table[table["against"] == "static"]
    assert set(beside["status"]) == {"degenerate"}
    assert set(beside["recipe"]) == {"paper", "fast"}
    pa.Table.from_pandas(table, REPRODUCIBILITY)


def test_one_data_set_or_nothing_that_moves() -> None:
    runs = grid(datasets=["scenes"], each=3)
    table = reproducibility_table(moving(runs, layers=LAYERS), runs, seed=1)
    assert set(table["measure"]) == {"icc"}
    still = moving(runs, layers=LAYERS).assign(rotate=np.float32(0))
    line = share(reproducibility_table(still, runs, seed=1), "icc", dataset="scenes", parameter="r")
    assert (line["status"], line["reason"]) == ("degenerate", "nothing moved")
    assert reproducibility_table(still, runs[:0], seed=1).empty


def test_every_arrangement_once() -> None:
    found = arrangements([2, 1, 2])
    assert len(np.unique(found, axis=0)) == len(found) == 30
    assert (np.sort(found, axis=1) == [0, 0, 1, 2, 2]).all()
