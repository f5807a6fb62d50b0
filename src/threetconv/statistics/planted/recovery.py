"""Planted motion: which parameter moved where one kind of motion alone told the classes apart?

The run is the unit. A planted parameter is recovered when it moved further than in each negative
control of the same data set, and when the channels of the first layer point the way they prefer
(`threetconv.statistics.planted.alignment`). The noise floor is printed beside: it says how far
gradients of pure noise would have taken a parameter, which one that its gradient holds in place
need not exceed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.statistics import PLANTED, PLANTED_LAYERS
from threetconv.statistics.planted.against_controls import (
    CELL,
    COMPARISONS,
    against_controls,
    comparisons,
    estimate,
    one_verdict,
    paired_values,
)
from threetconv.statistics.planted.alignment import AXES
from threetconv.statistics.summaries.snapshot_choice import at_checkpoint
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.permutation import DRAWS
from threetconv.support.levels import passes

__all__ = ["COLUMNS", "EXPECTED", "LAYER_COLUMNS", "planted_layers", "planted_table"]

EXPECTED = {motion: tuple(axis.parameter for axis in axes) for motion, axes in AXES.items()}
"""Planted motion -> parameters that should move."""
COLUMNS = PLANTED.names
LAYER_COLUMNS = PLANTED_LAYERS.names


def planted_table(
    summaries: pd.DataFrame,
    alignment: pd.DataFrame,
    runs: pd.DataFrame,
    motions: Mapping[str, str],
    *,
    checkpoint: str = "matched",
    alpha: float = 0.05,
    weighting: str = "pooled",
    layer_index: int | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """The table motion x parameter: what moved, against what, and whether that was planted.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`, of real runs and
            controls.
        alignment: from `threetconv.statistics.planted.alignment.alignment_table`, of the same.
        runs: run_id, network, dataset, init, convolution, control.
        motions: data set -> its planted motion, a key of `EXPECTED`; other data sets are left out.
        checkpoint: "matched": the largest noise budget that all these runs have a snapshot of; or
            "best".
        alpha: level of the tests.
        weighting: of the summaries, "pooled" or "layer".
        layer_index: look at this layer alone (0: the one whose input is the clip); at the whole
            model without it.
        seed, draws: of Monte Carlo draws, see
            `threetconv.statistics.tests.permutation.permute_runs`.

    Returns:
        Columns `COLUMNS`; a line per network, data set, init, parameter and `comparison`:

        - "noise floor": `estimate` = exp(mean over runs of D - ln floor), with a t interval. The
          floor is a number and no sample, so nothing is permuted and the p-values are NaN.
        - "static", "frame-shuffled", "label-shuffled": ratio of mean displacements, real runs
          (`n_a`) / control (`n_b`) of the same cell; and "no motion": real runs / real runs of the
          data set of the same network and init in which nothing moves. Welch interval, permutation
          of run labels: of planted parameters one-sided, since they should move further, with Holm
          over the planted ones; of the others two-sided, with Holm over these. Nothing is adjusted
          for the number of controls, since a verdict asks for all of them.

        `beyond`: "yes" where the displacement is larger than that of the comparison (interval above
        1 for the floor, estimate above 1 and p_adjusted <= alpha for the others), else "no", or
        "untestable". The same on every line of a parameter: `beyond_controls`, "yes" when it lies
        beyond all three controls, "no" when it fails at one, else "untestable"; `in_direction` of a
        planted parameter, whether channels of the first layer of real runs point the way they
        prefer (p_adjusted <= alpha, correlation above 0), "" of others; `recovered`: of a planted
        parameter "yes" when both are, "no" when one is "no"; of others `beyond_controls`, so that
        "yes" means that a parameter moved which was not planted. The floor and "no motion" take no
        part in it. `status`: "ok", "untestable" or "degenerate", with `reason`.

    Raises:
        InputError: an unknown motion, or runs without a common step.
    """
    table = _lines(summaries, runs, motions, checkpoint)
    if layer_index is None:
        table = table[(table["scope"] == "model") & (table["weighting"] == weighting)]
    else:
        table = table[(table["scope"] == "layer") & (table["layer_index"] == layer_index)]
    result = against_controls(
        table, motions, EXPECTED, PARAMETERS, alpha=alpha, seed=seed, draws=draws
    )
    if result.empty:
        return pd.DataFrame(columns=COLUMNS)
    # -1 stands for the whole model
    where = np.int32(-1 if layer_index is None else layer_index)
    result = result.assign(checkpoint=checkpoint, layer_index=where, rng_seed=seed)
    found = _directions(alignment, alpha)
    keys = result[[*CELL, "parameter"]].itertuples(index=False, name=None)
    result["in_direction"] = [
        found.get(key, "untestable") if planted else ""
        for key, planted in zip(keys, result["expected"], strict=True)
    ]
    both = zip(result["beyond_controls"], result["in_direction"], strict=True)
    result["recovered"] = [one_verdict([part for part in pair if part]) for pair in both]
    return result[COLUMNS]


def _directions(alignment: pd.DataFrame, alpha: float) -> dict[tuple[str, ...], str]:
    """(*cell, parameter) -> whether first-layer channels of real runs point as they prefer."""
    if alignment.empty:
        return {}
    first = with_recipe(alignment)
    first = first[(first["scope"] == "first") & (first["control"] == "none")]
    shown = passes(first["p_adjusted"], alpha) & (first["correlation"] > 0)
    verdicts = np.where(first["status"] != "ok", "untestable", np.where(shown, "yes", "no"))
    keys = first[[*CELL, "parameter"]].astype(str).itertuples(index=False, name=None)
    return dict(zip(keys, map(str, verdicts), strict=True))


def planted_layers(
    summaries: pd.DataFrame,
    runs: pd.DataFrame,
    motions: Mapping[str, str],
    *,
    checkpoint: str = "matched",
) -> pd.DataFrame:
    """The same ratios layer by layer: in which layers did the planted motion leave its mark?

    Estimates and intervals only: with few runs, no p-value survives the number of layers.

    Returns:
        Columns `LAYER_COLUMNS`; `beyond` is "yes" where the interval lies above 1, "no" where it
        does not, "untestable" where there is none. The intervals are not adjusted for the number
        of layers. Arguments and errors as for `planted_table`.
    """
    table = _lines(summaries, runs, motions, checkpoint)
    table = table[table["scope"] == "layer"]
    lines: list[dict[str, Any]] = []
    for cell, comparison, ours, theirs in comparisons(table, motions):
        for (index, layer), group in ours.groupby(["layer_index", "layer"], sort=True):
            other = None if theirs is None else theirs[theirs["layer_index"] == index]
            for parameter in PARAMETERS:
                line = estimate(*paired_values(group, other, parameter), comparison)
                low = line["ci_low"]
                about = {
                    "layer_index": index, "layer": layer, "parameter": parameter,
                    "comparison": comparison, "checkpoint": checkpoint,
                    "expected": parameter in EXPECTED[cell["motion"]],
                    "beyond": "untestable" if math.isnan(low) else "yes" if low > 1 else "no",
                }  # fmt: skip
                lines.append(cell | about | line)
    if not lines:
        return pd.DataFrame(columns=LAYER_COLUMNS)
    orders = {"parameter": list(PARAMETERS), "comparison": list(COMPARISONS)}
    result = pd.DataFrame(lines).sort_values(
        [*CELL, "layer_index", *orders],
        key=lambda c: c.map(orders[str(c.name)].index) if c.name in orders else c,
        ignore_index=True,
    )
    return result[LAYER_COLUMNS].astype({"layer_index": np.int32})


def _lines(
    summaries: pd.DataFrame, runs: pd.DataFrame, motions: Mapping[str, str], checkpoint: str
) -> pd.DataFrame:
    """Summaries of reachable rows of the study's 3T runs at the checkpoint: value (D) and floor."""
    for motion in motions.values():
        look_up(EXPECTED, motion, what="planted motion")
    wanted = runs[(runs["convolution"] == "3t") & runs["dataset"].isin(list(motions))]
    kept = summaries.drop(columns=["control"], errors="ignore")
    kept = with_recipe(kept[kept["rows"] == "reachable"]).merge(
        wanted[["run_id", "control"]], on="run_id"
    )
    # controls share the step with real runs: they are what the real runs are compared with; runs of
    # another network or recipe are not
    alike = [set(ids) for _, ids in kept.groupby(["network", "recipe"])["run_id"]]
    compared = set(kept["run_id"])
    chosen = at_checkpoint(kept, None, checkpoint, compared=compared, blocks=alike)
    if chosen.reason and len(kept):
        raise InputError(
            "summaries table",
            found=chosen.reason,
            expected="snapshots on one grid of updates, of equal noise budgets",
            remedy="use checkpoint best, or train all runs with the same snapshot_every",
        )
    with np.errstate(divide="ignore"):
        floor = np.log(chosen.lines["noise_floor"].to_numpy(np.float64))
    return chosen.lines.assign(value=chosen.lines["log_mean_abs"], floor=floor)
