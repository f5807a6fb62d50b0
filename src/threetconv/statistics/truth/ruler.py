"""How much of 3D filters the nearest 3T filters explain, with the training run as the unit.

Of each run and layer two numbers, and what chance gives of each:

- "share": of the change over time that the nearest 3T filter explains, mean over channels; chance:
  the same of twins whose change has lost its pattern (`threetconv.layer.nearest_3t.sign_twins`);
- "cosine", of the network's first layer alone, since only there is a filter's motion one in the
  clip: between the path p of the fit and the measured preferred direction d, weighted by the length
  of both, sum p.d / sum |p| |d|; chance: the same if channels exchange their tuning.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.schemas.truth import RULER_CELLS, RULER_RUNS
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.intervals import paired_interval
from threetconv.statistics.truth.over_runs import CELL, against_zero, holm_over_cells

__all__ = ["ruler_cells", "ruler_runs"]


def ruler_runs(filters: pd.DataFrame, tuning: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Share and cosine of every run.

    Args:
        filters: tables `threetconv.schemas.ruler.RULER` of some runs.
        tuning: tables `threetconv.schemas.tuning.TUNING`; runs that are not there have no cosine.
        runs: run_id, network, dataset, init, control, and recipe where there are several.

    Returns:
        Columns of `RULER_RUNS`. Filters without any change over time are left out of the share, and
        channels without a path or a direction out of the cosine.
    """
    keys = ["run_id", "layer_index", "channel"]
    directions = tuning[[*keys, "direction_x", "direction_y"]]
    first = filters.groupby("run_id")["layer_index"].min().to_dict()
    lines: list[dict[str, Any]] = []
    for (run_id, index, layer), rows in filters.groupby(
        ["run_id", "layer_index", "layer"], sort=False, observed=True
    ):
        place = {"run_id": run_id, "layer_index": index, "layer": layer}
        place["scope"] = "first" if index == first[run_id] else "deeper"
        changed = rows[["share", "chance"]].dropna()
        means = changed.mean()
        numbers = {"value": means["share"], "chance": means["chance"], "n_channels": len(changed)}
        lines.append(place | {"measure": "share"} | numbers)
        if index == 0:
            tuned = rows.merge(directions, on=keys)
            lines.append(place | {"measure": "cosine"} | _cosine(tuned))
    cells = with_recipe(runs)[["run_id", *CELL]]
    table = pd.DataFrame(lines, columns=[n for n in RULER_RUNS.names if n not in CELL])
    return table.merge(cells, on="run_id")[RULER_RUNS.names]


def _cosine(tuned: pd.DataFrame) -> dict[str, Any]:
    names = ["path_x", "path_y", "direction_x", "direction_y"]
    known = tuned[names].to_numpy(np.float64)
    known = known[np.isfinite(known).all(axis=1)]
    path, direction = known[:, :2], known[:, 2:]
    lengths, strengths = (np.hypot(*vectors.T) for vectors in (path, direction))
    value = chance = math.nan
    if (lengths * strengths).any():
        value = float((path * direction).sum() / (lengths * strengths).sum())
        # the mean over all exchanges, of both sums
        means = path.mean(axis=0) @ direction.mean(axis=0)
        chance = float(means / (lengths.mean() * strengths.mean()))
    return {"value": value, "chance": chance, "n_channels": len(known)}


def ruler_cells(by_run: pd.DataFrame, *, seed: int, alpha: float = 0.05) -> pd.DataFrame:
    """Share and cosine over the runs of each cell, and of all cells.

    Args:
        by_run: from `ruler_runs`.
        seed: of draws, where not all signs are tried.
        alpha: level of a family, decides what is untestable.

    Returns:
        Columns of `RULER_CELLS`: mean over runs with t interval, the same of chance, and their
        difference with a sign-flip test, one-sided. Holm over the first layers of the cells of a
        measure, recipe and control, and over deeper layers apart; first layers pooled ("all", each
        cell a block) apart as well.
    """
    lines: list[dict[str, Any]] = []
    keys = ["recipe", "control", "measure", "scope"]
    for family, group in by_run.groupby(keys, sort=True, observed=True):
        about = dict(zip(keys, family, strict=True))
        place = ["network", "dataset", "init", "layer_index", "layer"]
        parts = group.groupby(place, sort=True, observed=True)
        alone = [about | dict(zip(place, key, strict=True)) | _over_runs([cell], seed)
                 for key, cell in parts]  # fmt: skip
        holm_over_cells(alone, alpha)
        lines += alone
        if len(alone) > 1 and about["scope"] == "first":
            everywhere = dict.fromkeys(place[:3], "all") | {"layer_index": -1, "layer": ""}
            pooled = about | everywhere | _over_runs([cell for _, cell in parts], seed)
            holm_over_cells([pooled], alpha)
            lines.append(pooled)
    return pd.DataFrame(lines, columns=RULER_CELLS.names)


def _over_runs(cells: list[pd.DataFrame], seed: int) -> dict[str, Any]:
    known = [cell[["value", "chance"]].dropna().to_numpy(np.float64) for cell in cells]
    known = [values for values in known if len(values)]
    line = against_zero([fit - chance for fit, chance in map(np.transpose, known)],
                        two_sided=False, seed=seed)  # fmt: skip
    for column, name in enumerate(("mean", "chance")):
        line |= _interval([values[:, column] for values in known], name)
    return line


def _interval(blocks: list[NDArray[np.float64]], name: str) -> dict[str, float]:
    """Mean over blocks and its t interval, under a name."""
    if not blocks:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    interval = paired_interval(blocks)
    mean = float(np.mean([block.mean() for block in blocks]))
    return {name: mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
