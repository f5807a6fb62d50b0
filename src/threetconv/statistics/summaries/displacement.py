"""Tables 2 and 4: how far the temporal parameters moved, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from threetconv.records.paper_numbers import TABLES, paper_displacement
from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.statistics import DISPLACEMENT
from threetconv.statistics.summaries.accuracy import with_paper_dataset
from threetconv.statistics.tests.families import PAPER, select_runs, with_recipe

__all__ = ["COLUMNS", "displacement_table"]

CELL = ["network", "dataset", "init", "recipe"]
VALUES = [
    "n_rows", "identity_share", "mean", "mean_min", "mean_max", "sd", "sd_min", "sd_max",
    "noise_floor", "floor_ratio",
]  # fmt: skip
COLUMNS = DISPLACEMENT.names


def displacement_table(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    paper_dataset: Mapping[str, str] | None = None,
    *,
    tag: str = "best",
) -> pd.DataFrame:
    """The paper's statistic in every cell: mean and SD of each run, averaged, with their range.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        runs: run_id, convolution, control; 3D runs and negative controls are left out.
        paper_dataset: dataset of the study -> the paper's dataset it stands for ("jester",
            "ucf101").
        tag: the snapshot to use.

    Returns:
        Columns `COLUMNS`, a line per network x dataset x init x recipe x parameter, in the paper's
        order of parameters. `table`: 2 for pretrained, 4 for scratch, 0 otherwise. `mean`, `sd`
        (with _min and _max over runs) of |1 - |1/s||, |r|, |tx/2|, |ty/2|, and `noise_floor` (mean
        over runs): all x 1e-3. `floor_ratio`: mean over runs of mean |z| / floor. `n_rows` per run.
        Columns named _reachable are over reachable rows only (NaN where there are none), the others
        over all rows, as in the paper.
    """
    table = with_recipe(select_runs(summaries, runs))
    table = table[
        (table["tag"] == tag) & (table["scope"] == "model") & (table["weighting"] == "pooled")
    ]
    keys = [*CELL, "parameter"]
    # the paper pooled unreachable rows, which never move, with the others
    everything = _cells(table[table["rows"] == "all"], keys)
    reachable = _cells(table[table["rows"] == "reachable"], keys)
    result = everything.join(reachable[VALUES].add_suffix("_reachable")).reset_index()
    result["table"] = [TABLES.get(str(init), 0) for init in result["init"]]
    result = with_paper_dataset(result, paper_dataset)
    paper = paper_displacement().rename(
        columns={"dataset": "paper_dataset", "mean": "paper_mean", "sd": "paper_sd"}
    )
    on = ["paper_dataset", "network", "init", "parameter"]
    result = result.merge(paper.drop(columns="table"), on=on, how="left")
    result.loc[result["recipe"] != PAPER, ["paper_mean", "paper_sd"]] = np.nan
    order = {name: i for i, name in enumerate(PARAMETERS)}
    return result[COLUMNS].sort_values(
        ["table", *keys],
        key=lambda c: c.map(order) if c.name == "parameter" else c,
        ignore_index=True,
    )


def _cells(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Run-level values of one set of rows, aggregated over the runs of each cell."""
    table = table.assign(
        # the paper's tables are in units of 1e-3
        mean=1e3 * table["mu_paper"],
        sd=1e3 * table["sd_paper"],
        floor=1e3 * table["noise_floor"].astype(np.float64),
        share=table["n_identity"] / table["n"],
    )
    return table.groupby(keys, sort=True, observed=True).agg(
        n_runs=("run_id", "nunique"),
        n_rows=("n", "mean"),
        identity_share=("share", "mean"),
        mean=("mean", "mean"),
        mean_min=("mean", "min"),
        mean_max=("mean", "max"),
        sd=("sd", "mean"),
        sd_min=("sd", "min"),
        sd_max=("sd", "max"),
        noise_floor=("floor", "mean"),
        floor_ratio=("floor_ratio", "mean"),
    )
