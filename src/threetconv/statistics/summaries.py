"""One number per training run: how far its temporal parameters moved from the identity.

The unit of replication is the run, so everything that is tested later is a row of this table.
The central quantity is D = ln mean |z| (`log_mean_abs`), with the displacements z of
`threetconv.parameters.derive`: z_s = -ln|s|, z_r = -r, z_x = -tx/2, z_y = ty/2.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.parameters import PARAMETERS, derive

__all__ = ["COLUMNS", "DISPLACEMENTS", "summarise"]

DISPLACEMENTS = {"s": "z_s", "r": "z_r", "px": "z_x", "py": "z_y"}
NOISE_FACTOR = {"s": 1.0, "r": 1.0, "px": 0.5, "py": 0.5}  # z of a translation is half of t
RUN = ["network", "dataset", "init", "replicate"]
SNAPSHOT = ["run_id", "step", "tag"]
LAYER = ["layer_index", "layer"]
QUANTILES = {"q05": 0.05, "q25": 0.25, "median_abs": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = [
    "run_id", *RUN, "step", "tag", "scope", "layer_index", "layer", "parameter", "rows", "n",
    "n_identity", "mu_paper", "sd_paper", "log_mean_abs", "sd_abs", "median_abs", "q05", "q25",
    "q75", "q95", "kurtosis", "noise_floor", "floor_ratio", "weighting",
]  # fmt: skip
STATISTICS = [
    "mu_paper", "sd_paper", "log_mean_abs", "sd_abs", "median_abs", "q05", "q25", "q75", "q95",
    "kurtosis",
]  # fmt: skip


def summarise(
    parameters: pd.DataFrame, runs: pd.DataFrame, snapshots: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Summarise every snapshot of every run, by layer and for the whole model.

    Args:
        parameters: the parameter table of one run or of many (`threetconv.parameters.SCHEMA`).
        runs: run_id, network, dataset, init, replicate.
        snapshots: run_id, step, sum_lr2 (the sum of squared learning rates of the updates so
            far); without it `noise_floor` and `floor_ratio` are NaN.

    Returns:
        Columns `COLUMNS`, for every run x step x tag x scope {model, layer} x parameter {s, r,
        px, py} x rows {all, reachable}; a set without rows has no line. Model lines come twice:
        weighting "pooled" (all rows alike, as in the paper) and "layer" (the unweighted mean of
        the layers' statistics; for D that is the mean of their log-means); layer lines are
        "pooled". `mu_paper`, `sd_paper`: mean and SD (ddof 0) of |1 - |1/s||, |r|, |tx/2|,
        |ty/2|; `sd_abs`, quantiles: of |z|; `kurtosis`: excess, of z, NaN if constant;
        `n_identity`: rows exactly at the identity; `noise_floor` = sqrt(2/pi sum_lr2), half for
        px and py; `floor_ratio` = exp(D) / noise_floor, NaN at step 0. If all rows are at the
        identity D = -inf.

    Raises:
        InputError: for a run that `runs` does not have, a snapshot that `snapshots` does not have,
            or a parameter that is not finite.
    """
    known = runs.drop_duplicates("run_id")[["run_id", *RUN]]
    _refuse_missing(parameters, known, ["run_id"], "runs table")
    scale = parameters["scale"].to_numpy(np.float64)
    _refuse_infinite(parameters, np.where(scale == 0, np.nan, scale), "s")
    derived = derive(
        parameters[
            [*SNAPSHOT, *LAYER, "reachable", "scale", "rotate", "translate_x", "translate_y"]
        ]
    )
    tables = []
    for rows, frame in (("all", derived), ("reachable", derived[derived["reachable"].to_numpy()])):
        if frame.empty:
            continue
        model_key, models = _key(frame, SNAPSHOT)
        layer_key, layers = _key(frame, [*SNAPSHOT, *LAYER])
        for parameter in PARAMETERS:
            z = frame[DISPLACEMENTS[parameter]].to_numpy(np.float64)
            paper = frame[f"paper_{parameter}"].to_numpy(np.float64)
            _refuse_infinite(frame, z, parameter)
            pooled = models.join(_statistics(z, paper, model_key))
            by_layer = layers.join(_statistics(z, paper, layer_key))
            equal = _equal_weight(by_layer)
            for table, scope, weighting in (
                (pooled, "model", "pooled"),
                (equal, "model", "layer"),
                (by_layer, "layer", "pooled"),
            ):
                tables.append(
                    table.assign(scope=scope, weighting=weighting, parameter=parameter, rows=rows)
                )
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat([_with_layer(t) for t in tables], ignore_index=True)
    table = table.merge(known, on="run_id", how="left", validate="many_to_one")
    table = _with_noise_floor(table, snapshots)
    return _tidy(table)


def _key(frame: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Integer group of every row, and the groups' own values indexed by it."""
    grouped = frame.groupby(columns, sort=True, observed=True)
    codes = grouped.ngroup().to_numpy()
    groups = frame[columns].assign(group=codes).drop_duplicates("group").set_index("group")
    return codes, groups.sort_index()


def _statistics(z: np.ndarray, paper: np.ndarray, key: np.ndarray) -> pd.DataFrame:
    """Every statistic of one parameter, indexed by group."""
    columns = pd.DataFrame({"z": z, "abs": np.abs(z), "paper": paper})
    grouped = columns.groupby(key, sort=True)
    mean_abs = grouped["abs"].mean()
    with np.errstate(divide="ignore"):
        log_mean_abs = np.log(mean_abs)
    square = (columns["z"] - grouped["z"].transform("mean")).pow(2)
    moments = pd.DataFrame({"two": square, "four": square * square}).groupby(key, sort=True).mean()
    variance = moments["two"].where(moments["two"] > 0)
    quantiles = pd.DataFrame(  # the list of quantiles varies fastest
        grouped["abs"].quantile(np.array(list(QUANTILES.values()))).to_numpy().reshape(-1, 5),
        index=mean_abs.index,
        columns=list(QUANTILES),
    )
    return pd.DataFrame(
        {
            "n": grouped.size(),
            "n_identity": (columns["z"] == 0).groupby(key, sort=True).sum(),
            "mu_paper": grouped["paper"].mean(),
            "sd_paper": grouped["paper"].std(ddof=0),
            "log_mean_abs": log_mean_abs,
            "sd_abs": grouped["abs"].std(ddof=0),
            "kurtosis": moments["four"] / variance**2 - 3,
        }
    ).join(quantiles)


def _equal_weight(by_layer: pd.DataFrame) -> pd.DataFrame:
    """The model as the unweighted mean of its layers; counts are summed."""
    grouped = by_layer.groupby(SNAPSHOT, sort=True, observed=True)
    return grouped[["n", "n_identity"]].sum().join(grouped[STATISTICS].mean()).reset_index()


def _with_layer(table: pd.DataFrame) -> pd.DataFrame:
    return table if "layer" in table else table.assign(layer_index=-1, layer="")


def _with_noise_floor(table: pd.DataFrame, snapshots: pd.DataFrame | None) -> pd.DataFrame:
    if snapshots is None:
        return table.assign(noise_floor=np.nan, floor_ratio=np.nan)
    _refuse_missing(table, snapshots, ["run_id", "step"], "snapshots table")
    walked = snapshots.drop_duplicates(["run_id", "step"])[["run_id", "step", "sum_lr2"]]
    table = table.merge(walked, on=["run_id", "step"], how="left", validate="many_to_one")
    factor = table["parameter"].map(NOISE_FACTOR).astype(np.float64)
    floor: pd.Series = factor * np.sqrt(2 / np.pi * table["sum_lr2"].astype(np.float64))
    ratio = np.exp(table["log_mean_abs"]) / floor.where(floor > 0)
    return table.assign(noise_floor=floor, floor_ratio=ratio)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Columns, types and row order of the finished table."""
    integers = {"step": np.int64, "n": np.int64, "n_identity": np.int64, "layer_index": np.int32}
    order = {name: i for i, name in enumerate(PARAMETERS)}
    table = table[COLUMNS].astype(integers)
    return table.sort_values(
        ["run_id", "step", "tag", "scope", "layer_index", "parameter", "rows", "weighting"],
        key=lambda c: c.map(order) if c.name == "parameter" else c,
        ignore_index=True,
    )


def _refuse_missing(frame: pd.DataFrame, other: pd.DataFrame, keys: list[str], what: str) -> None:
    """InputError for the first key of `frame` that `other` lacks."""
    wanted = frame[keys].drop_duplicates()
    merged = wanted.merge(other[keys].drop_duplicates(), on=keys, how="left", indicator=True)
    lacking = merged[merged["_merge"] == "left_only"]
    if not lacking.empty:
        first = ", ".join(f"{name} {lacking.iloc[0][name]}" for name in keys)
        raise InputError(
            what,
            found=f"no line for {first} ({len(lacking)} missing in all)",
            expected="a line for every run and snapshot of the parameter table",
            remedy="make both tables from the same runs",
        )


def _refuse_infinite(frame: pd.DataFrame, z: np.ndarray, parameter: str) -> None:
    bad = ~np.isfinite(z)
    if bad.any():
        row = frame.iloc[int(np.argmax(bad))]
        raise InputError(
            f"run {row['run_id']}, step {row['step']}, layer {row['layer']}",
            found=f"{int(bad.sum())} displacements of {parameter} that are not finite",
            expected="finite parameters and scales other than zero",
            remedy="the run has diverged: lower its learning rate and train it again",
        )
