"""Summaries by plain pandas: derive every column, group, aggregate. What ours are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS, RAW, derive, read_parameters
from threetconv.statistics.summaries.moments import QUANTILES, STATISTICS
from threetconv.statistics.summaries.summarise import DISPLACEMENTS

SNAPSHOT = ["run_id", "step", "tag"]
LAYER = [*SNAPSHOT, "layer_index", "layer"]


def plain_summaries(files: Sequence[Path]) -> pd.DataFrame:
    """The statistics of `summarise_files`, without its lines' order."""
    tables = []
    for file in files:
        everything = derive(read_parameters([file]))
        for rows, frame in (
            ("all", everything),
            ("reachable", everything[everything["reachable"]]),
        ):
            for parameter in PARAMETERS:
                layers = group(frame, LAYER, parameter)
                grouped = layers.groupby(SNAPSHOT)
                equal = grouped[list(STATISTICS)].mean().join(grouped[["n", "n_identity"]].sum())
                for table, scope, weighting in (
                    (group(frame, SNAPSHOT, parameter), "model", "pooled"),
                    (equal, "model", "layer"),
                    (layers, "layer", "pooled"),
                ):
                    tables.append(
                        table.reset_index().assign(
                            scope=scope, weighting=weighting, parameter=parameter, rows=rows
                        )
                    )
    table = pd.concat(tables, ignore_index=True)
    return table.fillna({"layer_index": -1, "layer": ""})


def group(frame: pd.DataFrame, keys: list[str], parameter: str) -> pd.DataFrame:
    """One parameter's statistics for every group."""
    z = frame[DISPLACEMENTS[parameter]]
    columns = frame[keys].assign(z=z, abs=z.abs(), paper=frame[f"paper_{parameter}"], still=z == 0)
    columns["identity"] = frame[DISPLACEMENTS[parameter].replace("moved", "z")].abs()
    columns["walk"] = np.sqrt(frame[f"{RAW[parameter]}_walk"].astype(float))
    columns["two"] = (z - columns.groupby(keys)["z"].transform("mean")) ** 2
    columns["four"] = columns["two"] ** 2
    grouped = columns.groupby(keys)
    means = grouped[["abs", "paper", "two", "four", "identity", "walk"]].mean()
    quantiles = grouped["abs"].quantile(list(QUANTILES.values())).unstack()  # noqa: PD010
    quantiles.columns = list(QUANTILES)
    with np.errstate(divide="ignore", invalid="ignore"):
        return quantiles.assign(
            n=grouped.size(),
            n_identity=grouped["still"].sum(),
            mu_paper=means["paper"],
            sd_paper=grouped["paper"].std(ddof=0),
            log_mean_abs=np.log(means["abs"]),
            sd_abs=grouped["abs"].std(ddof=0),
            sd=np.sqrt(means["two"]),
            kurtosis=means["four"] / means["two"] ** 2 - 3,
            log_mean_abs_identity=np.log(means["identity"]),
            walk_sd=means["walk"],
        )
