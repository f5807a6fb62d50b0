"""One number per training run: how far its temporal parameters moved from their start.

The unit of replication is the run, so everything that is tested later is a row of this table.
The central quantity is D = ln mean |z| (`log_mean_abs`), with the displacements z that training
made (`threetconv.records.parameters.displacement_from_start`): z_s = -ln|s|, z_r = -r, z_x = -tx/2
and z_y = ty/2, less their values before training, which are 0 where a run starts at the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.layer.units import IDENTITY
from threetconv.records.noise_floor import WALK_SHARE, noise_floor
from threetconv.records.parameters import PARAMETERS, RAW, columns_of, read_columns
from threetconv.schemas.statistics import SUMMARIES
from threetconv.statistics.summaries.moments import (
    Layout,
    Table,
    equal_weight,
    joined,
    layouts,
    statistics,
)
from threetconv.statistics.tests.families import with_recipe
from threetconv.support.processes import pool

__all__ = ["COLUMNS", "DISPLACEMENTS", "summarise", "summarise_files"]

DISPLACEMENTS = {"s": "z_s", "r": "z_r", "px": "z_x", "py": "z_y"}
RUN = ["network", "dataset", "init", "recipe", "control", "replicate"]
SNAPSHOT = ["run_id", "step", "tag"]
LAYER = ["layer_index", "layer"]
KEYS = [*SNAPSHOT, *LAYER, "reachable"]
COLUMNS = SUMMARIES.names

Read = Callable[[str], np.ndarray]


def summarise(
    parameters: pd.DataFrame, runs: pd.DataFrame, snapshots: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Summarise every snapshot of every run, by layer and for the whole model.

    Args:
        parameters: the parameter table of one run or of many
            (`threetconv.schemas.runs.PARAMETERS`).
        runs: run_id, network, dataset, init, replicate and, where there are controls, control.
        snapshots: run_id, step, sum_lr2 (the sum of squared learning rates of the updates so
            far), from which the noise floor follows where the table has no walks.

    Returns:
        Columns `COLUMNS`, for every run x step x tag x scope {model, layer} x parameter {s, r,
        px, py} x rows {all, reachable}; a set without rows has no line. Model lines come twice:
        weighting "pooled" (all rows alike, as in the paper) and "layer" (the unweighted mean of
        the layers' statistics; for D that is the mean of their log-means); layer lines are
        "pooled". `control`: "none" for a run that is no control. `mu_paper`, `sd_paper`: mean and
        SD (ddof 0) of |1 - |1/s||, |r|, |tx/2|, |ty/2|; `sd`: SD (ddof 0) of z; `sd_abs`,
        quantiles: of |z|; `kurtosis`: excess, of z, NaN if constant; `n_identity`: rows that are
        exactly where they started; `log_mean_abs_identity`: D from the identity instead of from
        the start; `noise_floor`: see `threetconv.records.noise_floor`; `floor_ratio` = exp(D) /
        noise_floor, NaN at step 0; `sum_lr2`: of the snapshot, NaN without `snapshots`. If no row
        has moved D = -inf. The order of the rows does not matter.

    Raises:
        InputError: for a run that `runs` does not have, a snapshot that `snapshots` does not have,
            or a parameter that is not finite.
    """
    known = _known(runs)
    _refuse_missing(parameters, known, ["run_id"], "runs table")
    lines = _lines(
        parameters[KEYS], lambda name: parameters[name].to_numpy(), set(parameters.columns)
    )
    return _finish([lines], known, snapshots)


def summarise_files(
    files: Sequence[str | Path],
    runs: pd.DataFrame,
    snapshots: pd.DataFrame | None = None,
    *,
    workers: int = 1,
) -> pd.DataFrame:
    """`summarise` of many runs' parameter tables, one file in memory at a time.

    Args:
        files: Parquet files (`threetconv.schemas.runs.PARAMETERS`), real runs and controls alike,
            in any order. All rows of a run are in one file.
        runs, snapshots: as for `summarise`.
        workers: processes; each holds one file. The result does not depend on their number.

    Returns:
        The table that `summarise` makes of all the files' rows.

    Raises:
        InputError: as `summarise`, and for a run that is in two files or a file that is no
            parameter table.
    """
    known = _known(runs)
    if workers > 1 and len(files) > 1:
        with pool(min(workers, len(files))) as processes:
            futures = [processes.submit(_lines_of_file, file) for file in files]
            parts = [future.result() for future in futures]
    else:
        parts = [_lines_of_file(file) for file in files]
    owner: dict[str, str | Path] = {}
    for file, part in zip(files, parts, strict=True):
        for run_id in part["run_id"].unique() if len(part) else ():
            if run_id in owner:
                raise InputError(
                    str(file),
                    found=f"run {run_id}, which {owner[run_id]} has as well",
                    expected="all rows of a run in one file",
                    remedy="list each run's file once",
                )
            owner[run_id] = file
    return _finish(parts, known, snapshots)


def _lines_of_file(file: str | Path) -> pd.DataFrame:
    """The lines of one file; beside its keys, one column of values is in memory at a time."""
    return _lines(
        read_columns(file, KEYS),
        lambda name: read_columns(file, [name])[name].to_numpy(),
        columns_of(file),
    )


def _lines(keys: pd.DataFrame, read: Read, columns: set[str]) -> pd.DataFrame:
    """All lines of a table, without what the runs and snapshots tables add.

    A table without starts is of runs from the identity; one without walks has none that are known.
    """
    found = layouts(keys, SNAPSHOT, LAYER)
    numbers: dict[str, list[Table]] = {rows: [] for rows in found}
    same = "reachable" in found and found["reachable"].covers(len(keys))
    for name in PARAMETERS if found else ():
        each = [read(RAW[name])]
        for what, otherwise in (("_start", IDENTITY[RAW[name]]), ("_walk", np.nan)):
            column = f"{RAW[name]}{what}"
            known = column in columns
            each.append(read(column) if known else np.full(len(keys), otherwise, np.float32))
        for rows, layout in found.items():
            if rows == "reachable" and same:
                numbers[rows].append(numbers["all"][-1])  # no row is unreachable
                continue
            raw, start, walk = (
                values if layout.index is None else values[layout.index] for values in each
            )
            _refuse_meaningless(raw, name, layout)
            by_layer, pooled = statistics(name, raw, start, walk, layout)
            equal = equal_weight(by_layer, layout.layers)
            # in the order of `_names`
            numbers[rows].append(joined([pooled, equal, by_layer]))
    tables = []
    for rows, layout in found.items():
        named = _names(layout)
        names = named.iloc[np.tile(np.arange(len(named)), len(PARAMETERS))].reset_index(drop=True)
        names["parameter"] = np.repeat(PARAMETERS, len(named))
        names["rows"] = rows
        tables.append(pd.concat([names, pd.DataFrame(joined(numbers[rows]))], axis=1))
    return _tidy(pd.concat(tables, ignore_index=True)) if tables else pd.DataFrame()


def _names(layout: Layout) -> pd.DataFrame:
    """What the lines of a parameter are about: snapshots pooled, equal-weight, and layers."""
    # -1 and "" stand for the whole model
    snapshots = layout.snapshots[SNAPSHOT].assign(layer_index=-1, layer="", scope="model")
    return pd.concat(
        [
            snapshots.assign(weighting="pooled"),
            snapshots.assign(weighting="layer"),
            layout.keys.assign(scope="layer", weighting="pooled"),
        ],
        ignore_index=True,
    )


def _known(runs: pd.DataFrame) -> pd.DataFrame:
    """What is told of each run; without a column `control` no run is one."""
    runs = with_recipe(runs if "control" in runs else runs.assign(control="none"))
    return runs.drop_duplicates("run_id")[["run_id", *RUN]]


def _finish(
    parts: list[pd.DataFrame], known: pd.DataFrame, snapshots: pd.DataFrame | None
) -> pd.DataFrame:
    """The parts of all runs as one table."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(parts, ignore_index=True)
    if len(parts) > 1:  # each is in order
        table = table.sort_values("run_id", kind="stable", ignore_index=True)
    _refuse_missing(table, known, ["run_id"], "runs table")
    table = table.merge(known, on="run_id", how="left", validate="many_to_one")
    return _with_noise_floor(table, snapshots)[COLUMNS]


def _with_noise_floor(table: pd.DataFrame, snapshots: pd.DataFrame | None) -> pd.DataFrame:
    # px and py are half of a raw parameter, so they walk half as far
    share = table["parameter"].map(WALK_SHARE).astype(np.float64)
    floor: pd.Series = noise_floor(table.pop("walk_sd") ** 2, share)
    if snapshots is not None:
        _refuse_missing(table, snapshots, ["run_id", "step"], "snapshots table")
        walked = snapshots.drop_duplicates(["run_id", "step"])[["run_id", "step", "sum_lr2"]]
        table = table.merge(walked, on=["run_id", "step"], how="left", validate="many_to_one")
        # of fetched runs no walks are known, and the learning rates at best
        floor = floor.fillna(noise_floor(table["sum_lr2"].astype(np.float64), share))
    else:
        table = table.assign(sum_lr2=np.nan)
    # no update, no floor: NaN instead of a division by zero at step 0
    ratio = np.exp(table["log_mean_abs"]) / floor.where(floor > 0)
    return table.assign(noise_floor=floor, floor_ratio=ratio)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Columns, types and row order of the finished table."""
    integers = {"step": np.int64, "n": np.int64, "n_identity": np.int64, "layer_index": np.int32}
    order = {name: i for i, name in enumerate(PARAMETERS)}
    table = table.astype(integers)
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


def _refuse_meaningless(raw: np.ndarray, parameter: str, layout: Layout) -> None:
    """InputError for a value that is not finite, or a scale of zero, with its place."""
    bad = ~np.isfinite(raw)
    if parameter == "s":
        bad |= raw == 0
    if bad.any():
        layer = int(np.searchsorted(np.cumsum(layout.counts), np.argmax(bad), side="right"))
        at = layout.keys.iloc[layer]
        raise InputError(
            f"run {at['run_id']}, step {at['step']}, layer {at['layer']}",
            found=f"{int(bad.sum())} displacements of {parameter} that are not finite",
            expected="finite parameters and scales other than zero",
            remedy="the run has diverged: lower its learning rate and train it again",
        )
