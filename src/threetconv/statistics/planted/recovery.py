"""Planted motion: which parameter moved where one kind of motion alone told the classes apart?

The run is the unit. A displacement counts as real when it lies beyond the noise floor of its own
training and beyond each negative control of the same data set. Whether channels point the way they
prefer is in `threetconv.statistics.planted.alignment`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.statistics import PLANTED, PLANTED_LAYERS
from threetconv.statistics.planted.alignment import AXES
from threetconv.statistics.summaries.snapshot_choice import at_checkpoint
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.intervals import Interval, difference_interval, paired_interval
from threetconv.statistics.tests.permutation import DRAWS, permute_runs
from threetconv.support.levels import passes

__all__ = [
    "COLUMNS",
    "EXPECTED",
    "LAYER_COLUMNS",
    "planted_layers",
    "planted_table",
]

EXPECTED = {motion: tuple(axis.parameter for axis in axes) for motion, axes in AXES.items()}
"""Planted motion -> parameters that should move."""
FLOOR, STILL = "noise floor", "no motion"
CONTROLS = ("static", "frame-shuffled", "label-shuffled")
COLUMNS = PLANTED.names
LAYER_COLUMNS = PLANTED_LAYERS.names
CELL = ["network", "dataset", "init", "recipe"]
Arms = tuple[np.ndarray, np.ndarray]


def planted_table(
    summaries: pd.DataFrame,
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
        runs: run_id, network, dataset, init, convolution, control.
        motions: data set -> its planted motion, a key of `EXPECTED`; other data sets are left out.
        checkpoint: "matched": the largest noise budget that all these runs have a snapshot of; or
            "best".
        alpha: level of the tests of four parameters against one comparison.
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
          of run labels, Holm over the four parameters.

        `beyond`: "yes" where the displacement is larger than that of the comparison (interval above
        1 for the floor, estimate above 1 and p_adjusted <= alpha for the others), else "no", or
        "untestable". `recovered`, the same on every line of a parameter: "yes" when it lies beyond
        the floor and beyond all three controls, "no" when it fails at one, else "untestable"; and
        `beyond_controls`, the same without the floor. Where `expected` is false, "yes" means that
        a parameter moved which was not planted.
        `status`: "ok", "untestable" or "degenerate", with `reason`.

    Raises:
        InputError: an unknown motion, or runs without a common step.
    """
    table = _lines(summaries, runs, motions, checkpoint)
    if layer_index is None:
        table = table[(table["scope"] == "model") & (table["weighting"] == weighting)]
    else:
        table = table[(table["scope"] == "layer") & (table["layer_index"] == layer_index)]
    lines: list[dict[str, Any]] = []
    for cell, comparison, ours, theirs in _comparisons(table, motions):
        group = [
            cell
            | {"parameter": parameter, "comparison": comparison, "checkpoint": checkpoint}
            | _compare(*_values(ours, theirs, parameter), comparison, seed=seed, draws=draws)
            for parameter in PARAMETERS
        ]
        _beyond(group, alpha)
        lines += group
    if not lines:
        return pd.DataFrame(columns=COLUMNS)
    # -1 stands for the whole model
    where = np.int32(-1 if layer_index is None else layer_index)
    result = pd.DataFrame(lines).assign(rng_seed=seed, layer_index=where)
    result["expected"] = _expected(result)
    # "no motion" is shown as well and takes no part in either verdict
    for name, against in (("beyond_controls", CONTROLS), ("recovered", (FLOOR, *CONTROLS))):
        lines_of = result[result["comparison"].isin(against)]
        verdict = lines_of.groupby([*CELL, "parameter"], sort=False)["beyond"].agg(_verdict)
        result = result.merge(verdict.rename(name).reset_index(), on=[*CELL, "parameter"])
    return _sorted(result, ["parameter", "comparison"])[COLUMNS]


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
    for cell, comparison, ours, theirs in _comparisons(table, motions):
        for (index, layer), group in ours.groupby(["layer_index", "layer"], sort=True):
            other = None if theirs is None else theirs[theirs["layer_index"] == index]
            for parameter in PARAMETERS:
                arms = _values(group, other, parameter)
                line = _estimate(*arms, comparison)
                low = line["ci_low"]
                beyond = "untestable" if math.isnan(low) else "yes" if low > 1 else "no"
                place = {"layer_index": index, "layer": layer, "parameter": parameter}
                about = {"comparison": comparison, "checkpoint": checkpoint, "beyond": beyond}
                lines.append(cell | place | about | line)
    if not lines:
        return pd.DataFrame(columns=LAYER_COLUMNS)
    result = pd.DataFrame(lines)
    result["expected"] = _expected(result)
    result = _sorted(result, ["layer_index", "parameter", "comparison"])
    return result[LAYER_COLUMNS].astype({"layer_index": np.int32})


def _lines(
    summaries: pd.DataFrame, runs: pd.DataFrame, motions: Mapping[str, str], checkpoint: str
) -> pd.DataFrame:
    """Summaries of reachable rows of the study's 3T runs at the checkpoint, one line each."""
    for motion in motions.values():
        look_up(EXPECTED, motion, what="planted motion")
    wanted = runs[(runs["convolution"] == "3t") & runs["dataset"].isin(list(motions))]
    kept = summaries.drop(columns=["control"], errors="ignore")
    kept = with_recipe(kept[kept["rows"] == "reachable"]).merge(
        wanted[["run_id", "control"]], on="run_id"
    )
    # controls share the step with real runs: they are what the real runs are compared with
    chosen = at_checkpoint(kept, None, checkpoint, compared=set(kept["run_id"]))
    if chosen.reason and len(kept):
        raise InputError(
            "summaries table",
            found=chosen.reason,
            expected="snapshots on one grid of updates, of equal noise budgets",
            remedy="use checkpoint best, or train all runs with the same snapshot_every",
        )
    return chosen.lines


def _comparisons(
    table: pd.DataFrame, motions: Mapping[str, str]
) -> Iterator[tuple[dict[str, Any], str, pd.DataFrame, pd.DataFrame | None]]:
    """(cell, comparison, lines of its real runs, lines to compare them with) in a fixed order."""
    for key, cell in table.groupby(CELL, sort=True):
        where = {name: str(value) for name, value in zip(CELL, key, strict=True)}
        where["motion"] = motions[where["dataset"]]
        ours = cell[cell["control"] == "none"]
        if ours.empty:
            continue
        yield where, FLOOR, ours, None
        for control in CONTROLS:
            yield where, control, ours, cell[cell["control"] == control]
        # the data set without motion would be compared with itself
        if where["motion"] == "none":
            continue
        same = (
            table[["network", "init", "recipe"]]
            == [where[key] for key in ("network", "init", "recipe")]
        ).all(axis=1)
        still = table["dataset"].map(motions) == "none"
        yield where, STILL, ours, table[same & still & (table["control"] == "none")]


def _values(ours: pd.DataFrame, theirs: pd.DataFrame | None, parameter: str) -> Arms:
    """D of both arms, in the order of run ids; the second is ln floor of the same runs."""
    ours = ours[ours["parameter"] == parameter].sort_values("run_id")
    if theirs is None:
        # each run has the floor of its own learning rates and updates
        floors = ours["noise_floor"].to_numpy(np.float64)
        with np.errstate(divide="ignore"):
            return ours["log_mean_abs"].to_numpy(np.float64), np.log(floors)
    theirs = theirs[theirs["parameter"] == parameter].sort_values("run_id")
    return ours["log_mean_abs"].to_numpy(np.float64), theirs["log_mean_abs"].to_numpy(np.float64)


def _estimate(a: np.ndarray, b: np.ndarray, comparison: str) -> dict[str, Any]:
    """Ratio and interval; NaN where they do not exist."""
    empty = a.size == 0 or b.size == 0
    finite = not empty and bool(np.isfinite(a).all() and np.isfinite(b).all())
    interval, estimate = Interval(math.nan, math.nan, "none", math.nan), math.nan
    if finite:
        estimate = math.exp(a.mean() - b.mean())
        # D and the floor belong to the same run, so their differences are paired
        pairs = comparison == FLOOR
        interval = paired_interval([a - b]) if pairs else difference_interval([(a, b)])
    return {
        "n_a": a.size,
        "n_b": 0 if comparison == FLOOR else b.size,
        "estimate": estimate,
        "ci_low": math.exp(interval.low),
        "ci_high": math.exp(interval.high),
        "ci_method": interval.method,
    }


def _compare(
    a: np.ndarray, b: np.ndarray, comparison: str, *, seed: int, draws: int
) -> dict[str, Any]:
    """One line before adjustment."""
    line = _estimate(a, b, comparison) | {
        "p_raw": math.nan, "p_floor": math.nan, "exact": False, "n_permutations": 0,
        "p_adjusted": math.nan, "status": "ok", "reason": "",
    }  # fmt: skip
    if a.size == 0 or b.size == 0:
        return line | {"status": "untestable", "reason": f"no runs to compare with: {comparison}"}
    still = int(np.count_nonzero(~np.isfinite(a)) + np.count_nonzero(~np.isfinite(b)))
    if still:
        why = f"{still} runs without a displacement, or without a noise floor"
        return line | {"status": "degenerate", "reason": why}
    if comparison == FLOOR:
        if math.isnan(line["ci_low"]):
            return line | {"status": "untestable", "reason": "one run, or no spread: no interval"}
        return line | {"reason": "the floor is a number, not a sample: interval only"}
    result = permute_runs([(a, b)], seed=seed, draws=draws)
    return line | {
        "p_raw": result.p,
        "p_floor": result.floor,
        "exact": result.exact,
        "n_permutations": result.n_permutations,
    }


def _beyond(lines: list[dict[str, Any]], alpha: float) -> None:
    """Holm over the four parameters, `status` and `beyond`, in place."""
    against_floor = lines[0]["comparison"] == FLOOR
    if not against_floor:
        adjust(lines, alpha, holm, "Holm", "parameters")
    for line in lines:
        # the permutation test is two-sided: a small p with a ratio below 1 shows the opposite
        larger = line["ci_low"] > 1 if against_floor else line["estimate"] > 1
        shown = larger and (against_floor or passes(line["p_adjusted"], alpha))
        line["beyond"] = "untestable" if line["status"] != "ok" else "yes" if shown else "no"


def _verdict(beyond: pd.Series) -> str:
    """One failure settles it; otherwise one comparison that cannot be made leaves it open."""
    found = set(beyond)
    return "no" if "no" in found else "untestable" if "untestable" in found else "yes"


def _expected(table: pd.DataFrame) -> np.ndarray:
    pairs = zip(table["motion"], table["parameter"], strict=True)
    return np.array([parameter in EXPECTED[motion] for motion, parameter in pairs], dtype=bool)


def _sorted(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    orders = {"parameter": list(PARAMETERS), "comparison": [FLOOR, *CONTROLS, STILL]}
    return table.sort_values(
        [*CELL, *keys],
        key=lambda c: c.map(orders[str(c.name)].index) if c.name in orders else c,
        ignore_index=True,
    )
