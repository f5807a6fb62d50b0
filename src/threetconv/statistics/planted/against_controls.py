"""Real runs against the negative controls of their cell: is an outcome larger than in each of them?

An outcome is one number a run, a logarithm, so that differences are ratios: of displacements
(`threetconv.statistics.planted.recovery`) or of tuning (`threetconv.statistics.planted.tuned`). The
run is the unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from threetconv.schemas.runs import CONTROLS
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.intervals import Interval, difference_interval, paired_interval
from threetconv.statistics.tests.permutation import permute_runs
from threetconv.support.levels import passes

__all__ = [
    "CELL",
    "COMPARISONS",
    "FLOOR",
    "against_controls",
    "comparisons",
    "estimate",
    "one_verdict",
    "paired_values",
]

FLOOR, STILL = "noise floor", "no motion"
COMPARISONS = (FLOOR, *CONTROLS, STILL)
CELL = ["network", "dataset", "init", "recipe"]
Arms = tuple[np.ndarray, np.ndarray]


def against_controls(
    values: pd.DataFrame,
    motions: Mapping[str, str],
    planted: Mapping[str, Sequence[str]],
    outcomes: Sequence[str],
    *,
    alpha: float,
    seed: int,
    draws: int,
) -> pd.DataFrame:
    """A line for every cell, outcome and comparison.

    Args:
        values: run_id, network, dataset, init, recipe, control, parameter (which outcome), value
            (of the run, a logarithm) and, where there is such, floor (logarithm of its noise
            floor): a line per run and outcome.
        motions: data set -> its planted motion.
        planted: motion -> the outcomes in which it should show.
        outcomes: all of them, in the order of the table.
        alpha: level of a family.
        seed, draws: of Monte Carlo draws, as for `permute_runs`.

    Returns:
        Columns of `threetconv.schemas.statistics.PLANTED` but checkpoint, layer_index,
        in_direction, recovered and rng_seed. See `planted_table` for what is compared, and how.
    """
    lines: list[dict[str, Any]] = []
    for cell, comparison, ours, theirs in comparisons(values, motions):
        expected = planted[cell["motion"]]
        group = [
            cell
            | {"parameter": name, "comparison": comparison, "expected": name in expected}
            | _compared(
                *paired_values(ours, theirs, name), comparison,
                two_sided=name not in expected, seed=seed, draws=draws,
            )
            for name in outcomes
        ]  # fmt: skip
        # what was planted is one question, what else may have moved is another
        for family in (True, False):
            _beyond([line for line in group if line["expected"] == family], alpha)
        lines += group
    if not lines:
        return pd.DataFrame()
    table = pd.DataFrame(lines)
    # the floor and "no motion" are shown beside and take no part in the verdict
    counted = table[table["comparison"].isin(CONTROLS)]
    verdict = counted.groupby([*CELL, "parameter"], sort=False)["beyond"].agg(one_verdict)
    table = table.merge(verdict.rename("beyond_controls").reset_index(), on=[*CELL, "parameter"])
    orders = {"parameter": list(outcomes), "comparison": list(COMPARISONS)}
    return table.sort_values(
        [*CELL, *orders],
        key=lambda c: c.map(orders[str(c.name)].index) if c.name in orders else c,
        ignore_index=True,
    )


def one_verdict(verdicts: Sequence[str] | pd.Series) -> str:
    """One "no" settles it; otherwise one "untestable" leaves it open."""
    found = set(verdicts)
    return "no" if "no" in found else "untestable" if "untestable" in found else "yes"


def comparisons(
    table: pd.DataFrame, motions: Mapping[str, str]
) -> Iterator[tuple[dict[str, Any], str, pd.DataFrame, pd.DataFrame | None]]:
    """(cell, comparison, lines of its real runs, lines to compare them with) in a fixed order."""
    for key, cell in table.groupby(CELL, sort=True):
        where = {name: str(value) for name, value in zip(CELL, key, strict=True)}
        where["motion"] = motions[where["dataset"]]
        ours = cell[cell["control"] == "none"]
        if ours.empty:
            continue
        if "floor" in table:
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


def paired_values(ours: pd.DataFrame, theirs: pd.DataFrame | None, name: str) -> Arms:
    """Values of both arms, in the order of run ids; without `theirs` the floors of the same."""
    ours = ours[ours["parameter"] == name].sort_values("run_id")
    a = ours["value"].to_numpy(np.float64)
    if theirs is None:
        # each run has the floor of its own learning rates and updates
        return a, ours["floor"].to_numpy(np.float64)
    theirs = theirs[theirs["parameter"] == name].sort_values("run_id")
    return a, theirs["value"].to_numpy(np.float64)


def estimate(a: np.ndarray, b: np.ndarray, comparison: str) -> dict[str, Any]:
    """Ratio and interval; NaN where they do not exist."""
    empty = a.size == 0 or b.size == 0
    finite = not empty and bool(np.isfinite(a).all() and np.isfinite(b).all())
    interval, ratio = Interval(math.nan, math.nan, "none", math.nan), math.nan
    if finite:
        ratio = math.exp(a.mean() - b.mean())
        # a value and the floor belong to the same run, so their differences are paired
        pairs = comparison == FLOOR
        interval = paired_interval([a - b]) if pairs else difference_interval([(a, b)])
    return {
        "n_a": a.size,
        "n_b": 0 if comparison == FLOOR else b.size,
        "estimate": ratio,
        "ci_low": math.exp(interval.low),
        "ci_high": math.exp(interval.high),
        "ci_method": interval.method,
    }


def _compared(
    a: np.ndarray, b: np.ndarray, comparison: str, *, two_sided: bool, seed: int, draws: int
) -> dict[str, Any]:
    """One line before adjustment."""
    line = estimate(a, b, comparison) | {
        "alternative": "two-sided" if two_sided else "larger", "p_raw": math.nan,
        "p_floor": math.nan, "exact": False, "n_permutations": 0, "p_adjusted": math.nan,
        "adjustment": "none", "status": "ok", "reason": "",
    }  # fmt: skip
    if comparison == FLOOR:
        line["alternative"] = "none"
    if a.size == 0 or b.size == 0:
        return line | {"status": "untestable", "reason": f"no runs to compare with: {comparison}"}
    still = int(np.count_nonzero(~np.isfinite(a)) + np.count_nonzero(~np.isfinite(b)))
    if still:
        return line | {"status": "degenerate", "reason": f"{still} runs without a value"}
    if comparison == FLOOR:
        if math.isnan(line["ci_low"]):
            return line | {"status": "untestable", "reason": "one run, or no spread: no interval"}
        return line | {"reason": "the floor is a number, not a sample: interval only"}
    result = permute_runs([(a, b)], two_sided=two_sided, seed=seed, draws=draws)
    return line | {
        "p_raw": result.p,
        "p_floor": result.floor,
        "exact": result.exact,
        "n_permutations": result.n_permutations,
    }


def _beyond(lines: list[dict[str, Any]], alpha: float) -> None:
    """Holm over the lines, `status` and `beyond`, in place."""
    if not lines:
        return
    against_floor = lines[0]["comparison"] == FLOOR
    if not against_floor:
        adjust(lines, alpha, holm, "Holm", "planted" if lines[0]["expected"] else "not planted")
    for line in lines:
        # two-sided, a small p with a ratio below 1 shows the opposite
        larger = line["ci_low"] > 1 if against_floor else line["estimate"] > 1
        shown = larger and (against_floor or passes(line["p_adjusted"], alpha))
        line["beyond"] = "untestable" if line["status"] != "ok" else "yes" if shown else "no"
