"""Sensitivity: other run-level numbers through the same tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.statistics.tests.adjust import holm
from threetconv.statistics.tests.comparisons import COLUMNS
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.outcomes import OUTCOMES, sensitivity_tests


@pytest.fixture(scope="module")
def tables(make_summaries):
    """Gestures move further, less so over all rows, and still less with layers weighted alike."""
    summaries, runs = make_summaries(shift=lambda **c: 0.5 * (c["dataset"] == "gestures"))
    less = 0.1 * (summaries["rows"] == "all") + 0.05 * (summaries["weighting"] == "layer")
    less *= summaries["dataset"] == "gestures"
    for column in ("sd", "median_abs", "mu_paper"):
        summaries[column] *= np.exp(-less)
    return summaries.assign(log_mean_abs=summaries["log_mean_abs"] - less), runs


@pytest.fixture(scope="module")
def table(tables):
    return sensitivity_tests(*tables, seed=1)


def test_a_line_per_outcome_family_checkpoint_and_parameter(table):
    assert table.columns.tolist() == ["outcome", *COLUMNS]
    assert len(table) == 5 * 3 * 2 * 4
    assert table["outcome"].unique().tolist() == list(OUTCOMES)
    assert set(table["stratum"]) == {"all"}
    assert set(table["checkpoint"]) == {"best", "matched"}
    assert set(table["status"]) == {"ok"}
    for _, group in table.groupby(["outcome", "family", "checkpoint"]):
        np.testing.assert_allclose(group["p_adjusted"], holm(group["p_raw"]))


@pytest.mark.parametrize(
    ("outcome", "rows", "weighting"),
    [("D, all rows", "all", "pooled"), ("D, layers weighted equally", "reachable", "layer")],
)
def test_other_rows_and_weights_are_run_tests_own(tables, table, outcome, rows, weighting):
    expected = run_tests(
        *tables, seed=1, families=("dataset", "init", "dataset x init"),
        checkpoint=("best", "matched"), rows=rows, weighting=weighting,
    )  # fmt: skip
    expected = expected[expected["stratum"] == "all"].reset_index(drop=True)
    found = table[table["outcome"] == outcome].drop(columns="outcome").reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="method"), expected.drop(columns="method"))


@pytest.mark.parametrize(
    ("outcome", "column", "rows"),
    [("ln SD", "sd", "reachable"), ("ln median |z|", "median_abs", "reachable"),
     ("ln paper's mean", "mu_paper", "all")],
)  # fmt: skip
def test_ratios_of_other_columns(tables, table, outcome, column, rows):
    summaries, runs = tables
    lines = summaries[
        (summaries["scope"] == "model") & (summaries["rows"] == rows)
        & (summaries["weighting"] == "pooled") & (summaries["tag"] == "best")
        & (summaries["parameter"] == "r")
    ]  # fmt: skip
    logs = np.log(lines[column])
    means = logs.groupby([lines["network"], lines["init"], lines["dataset"]]).mean()
    expected = np.exp((means[:, :, "gestures"] - means[:, :, "scenes"]).mean())
    line = table[(table["outcome"] == outcome) & (table["family"] == "dataset")].iloc[1]
    assert line["parameter"] == "r"
    assert line["estimate"] == pytest.approx(expected)
    doubled = summaries.assign(**{column: summaries[column] ** 2})
    squared = sensitivity_tests(doubled, runs, seed=1, outcomes=(outcome,))
    assert squared["statistic"].iloc[1] == pytest.approx(2 * line["statistic"])


def test_a_median_of_zero_is_degenerate_and_says_why(tables):
    summaries, runs = tables
    zero = summaries["median_abs"].where(summaries["run_id"] != runs["run_id"][0], 0.0)
    found = sensitivity_tests(summaries.assign(median_abs=zero), runs, seed=1)
    median = found[found["outcome"] == "ln median |z|"]
    assert set(median["status"]) == {"degenerate"}
    assert median["reason"].str.startswith("1 of 12 + 12 runs have no finite ln median |z|").all()
    assert set(found.loc[found["outcome"] == "ln SD", "status"]) == {"ok"}


def test_one_dataset_leaves_f2(tables):
    summaries, runs = tables
    found = sensitivity_tests(summaries, runs[runs["dataset"] == "scenes"], seed=1)
    assert set(found["family"]) == {"init"}
    nothing = sensitivity_tests(summaries, runs.iloc[:0], seed=1)
    assert nothing.columns.tolist() == ["outcome", *COLUMNS]


def test_mistakes_are_named(tables):
    summaries, runs = tables
    with pytest.raises(InputError, match="no column 'sd'"):
        sensitivity_tests(summaries.drop(columns="sd"), runs, seed=1)
    with pytest.raises(InputError, match="no outcome of that name"):
        sensitivity_tests(summaries, runs, seed=1, outcomes=("ln sd",))
