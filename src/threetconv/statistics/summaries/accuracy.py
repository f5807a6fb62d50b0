"""Tables 1 and 3: accuracy and size of every variant, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.records.paper_numbers import paper_accuracy, paper_parameter_counts
from threetconv.schemas.statistics import ACCURACY
from threetconv.statistics.tests.families import PAPER, with_recipe

__all__ = ["COLUMNS", "accuracy_table", "percent_correct"]

VARIANT = ["network", "dataset", "convolution", "init", "recipe", "control"]
COLUMNS = ACCURACY.names


def accuracy_table(
    metrics: pd.DataFrame,
    runs: pd.DataFrame,
    paper_dataset: Mapping[str, str] | None = None,
    *,
    controls: bool = False,
) -> pd.DataFrame:
    """Accuracy of the best epoch's networks, mean and range over the runs of each variant.

    Args:
        metrics: run_id, epoch, split, metric, value (share of 1), n.
        runs: run_id, network, dataset, init, convolution, control, best_epoch, num_classes,
            n_parameters, n_temporal.
        paper_dataset: dataset of the study -> the paper's dataset it stands for ("jester",
            "ucf101").
        controls: whether lines of negative controls are among them.

    Returns:
        Columns `COLUMNS`, a line per network x dataset x convolution x init x recipe x control.
        Accuracies and chance in per cent. accuracy_* and n_clips are of the validation split, which
        chose the epoch; test_* and n_test_clips of the test split, NaN without one. The paper's
        figures are NaN where it has none; its counts hold for the full width, 27 or 101 classes and
        its own clip shapes.

    Raises:
        InputError: for a run without validation accuracy at its best epoch.
    """
    runs = with_recipe(runs)
    if not controls:
        runs = runs[runs["control"] == "none"]
    table = percent_correct(metrics, runs)
    table = table.assign(chance=100 / table["num_classes"])  # a uniform guess
    result = (
        table.groupby(VARIANT, sort=True, observed=True)
        .agg(
            n_runs=("run_id", "nunique"),
            accuracy_mean=("percent", "mean"),
            accuracy_min=("percent", "min"),
            accuracy_max=("percent", "max"),
            chance=("chance", "first"),
            n_clips=("n", "max"),
            test_mean=("test_percent", "mean"),
            test_min=("test_percent", "min"),
            test_max=("test_percent", "max"),
            n_test_clips=("n_test", "max"),
            n_parameters=("n_parameters", "first"),
            n_temporal=("n_temporal", "first"),
        )
        .reset_index()
    )
    return beside_paper(result, paper_dataset)[COLUMNS]


def percent_correct(metrics: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with percent and n (validation), test_percent and n_test, at their best epochs.

    Raises:
        InputError: for a run without validation accuracy at its best epoch.
    """
    table = runs
    for split, value, n in (("val", "percent", "n"), ("test", "test_percent", "n_test")):
        measured = metrics[(metrics["split"] == split) & (metrics["metric"] == "accuracy")]
        measured = measured[["run_id", "epoch", "value", "n"]].drop_duplicates(["run_id", "epoch"])
        measured = measured.assign(value=100 * measured["value"]).rename(
            columns={"epoch": "best_epoch", "value": value, "n": n}
        )
        table = table.drop(columns=[n], errors="ignore").merge(
            measured, on=["run_id", "best_epoch"], how="left"
        )
    # only the validation split is required: sets without a test list have NaN there
    missing = table[table["percent"].isna()]
    if not missing.empty:
        raise InputError(
            "metrics table",
            found=f"no validation accuracy of {missing.iloc[0]['run_id']} at its best epoch",
            expected="one for every run",
            remedy="delete the run's folder and train it again",
        )
    return table


def beside_paper(table: pd.DataFrame, paper_dataset: Mapping[str, str] | None) -> pd.DataFrame:
    """Add the paper's accuracy and parameter count to lines that have a counterpart there."""
    table = with_paper_dataset(table, paper_dataset)
    accuracy = paper_accuracy().rename(
        columns={"dataset": "paper_dataset", "accuracy": "paper_accuracy"}
    )
    counts = paper_parameter_counts().rename(
        columns={"dataset": "paper_dataset", "n_parameters": "paper_n_parameters"}
    )
    table = table.merge(
        accuracy, on=["paper_dataset", "network", "convolution", "init"], how="left"
    ).merge(counts, on=["paper_dataset", "network", "convolution"], how="left")
    # the paper trained no controls, and knew one recipe; the merge gave all of them its figures
    foreign = (table["control"] != "none") | (table["recipe"] != PAPER)
    table.loc[foreign, ["paper_accuracy", "paper_n_parameters"]] = np.nan
    return table.astype({"paper_accuracy": np.float64, "paper_n_parameters": np.float64})


def with_paper_dataset(
    table: pd.DataFrame, paper_dataset: Mapping[str, str] | None
) -> pd.DataFrame:
    """Add the paper's dataset that each line's dataset stands for, "" for none."""
    mapping = dict(paper_dataset or {})
    stands_for = [mapping.get(str(name), "") for name in table["dataset"]]
    return table.assign(paper_dataset=pd.Series(stands_for, index=table.index, dtype="str"))
