"""The primary endpoints of the analysis plan, each against zero and against its controls.

The numbers are those of `agreement`, `reproducibility` and `need`, over all cells as blocks, or of
the one cell that a study has: reproducibility over the networks of pretrained runs, since scratch
runs have no channels in common, and direction use over the networks of a data set that have no
order leak. What the plan names and the study lacks has a line that says so. Each line is one test;
p is not adjusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from threetconv.schemas.endpoints import ENDPOINTS, UNITS
from threetconv.statistics.analysis_plan import AGAINST, PRIMARY
from threetconv.statistics.tests.families import REAL
from threetconv.statistics.truth import need
from threetconv.statistics.truth.agreement import CONTRAST
from threetconv.statistics.truth.over_runs import BLANK, against_zero, one_test

__all__ = ["endpoints_table"]

COMPARISONS = ["zero", *AGAINST]
AGREES, AGAIN, DIRECTION = PRIMARY
Lines = dict[tuple[str, str], dict[str, dict[str, Any]]]  # recipe, data set -> comparison -> line


def endpoints_table(
    agreement: pd.DataFrame,
    reproducibility: pd.DataFrame,
    need_runs: pd.DataFrame | None = None,
    need_tests: pd.DataFrame | None = None,
    order_leak: pd.DataFrame | None = None,
    *,
    seed: int,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """A line for every recipe, primary endpoint (direction use: and data set) and comparison.

    Args:
        agreement: from `threetconv.statistics.truth.agreement.agreement_table`.
        reproducibility: from
            `threetconv.statistics.truth.reproducibility.reproducibility_table`.
        need_runs, need_tests: from `threetconv.statistics.truth.need`, where it was measured.
        order_leak: from `threetconv.networks.order_leak.leak_table`; networks that have a leak on
            a data set are left out of its direction use, as the plan says, and named in `reason`.
        seed: of draws in tests of direction use against zero.
        alpha: level of each test; decides what is untestable.

    Returns:
        Columns of `ENDPOINTS`. Agreement is that of the first layer, reproducibility that of
        pretrained runs. Status "missing" stands for what the study does not have.
    """
    found = {
        AGREES: _chosen(
            agreement, against="against", parameter=CONTRAST[0], scope="first", control=REAL
        ),
        AGAIN: _only_scratch(reproducibility)
        | _chosen(
            reproducibility,
            against="against",
            measure="specific",
            scope="model",
            parameter="all",
            control=REAL,
            init="pretrained",
        ),
        DIRECTION: _direction_use(need_runs, need_tests, order_leak, seed),
    }
    recipes = sorted({recipe for lines in found.values() for recipe, _ in lines})
    table = []
    for recipe in recipes:
        for endpoint, lines in found.items():
            datasets = [d for r, d in lines if r == recipe] or ["all"]
            for dataset in datasets:
                here = lines.get((recipe, dataset), {})
                about = {"recipe": recipe, "endpoint": endpoint, "dataset": dataset}
                table += [_line(about | {"comparison": c}, here.get(c), alpha) for c in COMPARISONS]
    return pd.DataFrame(table, columns=ENDPOINTS.names)


def _line(about: dict[str, Any], found: dict[str, Any] | None, alpha: float) -> dict[str, Any]:
    about = about | {"unit": UNITS[about["endpoint"]]}
    if found is None:
        what = "runs" if about["comparison"] == "zero" else f"{about['comparison']} runs beside it"
        return _missing(f"no {what} with a value") | about
    line = BLANK | found | about
    if line["status"] in ("ok", "untestable"):
        # what Holm's adjustment made of it among other lines does not hold for one test
        kept = [r for r in str(line["reason"]).split("; ") if not r.startswith("the smallest")]
        line |= {"status": "ok", "reason": "; ".join(kept), "p_adjusted": math.nan}
        one_test(line, alpha)
    return line


def _missing(reason: str) -> dict[str, Any]:
    return BLANK | {"network": "all", "init": "all", "status": "missing", "reason": reason}


def _only_scratch(reproducibility: pd.DataFrame) -> Lines:
    """Recipes of which no run is pretrained."""
    real = reproducibility[reproducibility["control"] == REAL].astype({"recipe": str})
    without = set(real["recipe"]) - set(real.loc[real["init"] == "pretrained", "recipe"])
    line = _missing("no pretrained runs, and channels of scratch runs have nothing in common")
    return {(recipe, "all"): dict.fromkeys(COMPARISONS, line) for recipe in without}


def _chosen(table: pd.DataFrame, *, against: str, **values: str) -> Lines:
    """The widest line of each recipe and comparison: over all cells, or of the one cell."""
    if table.empty:
        return {}
    keep = np.all([table[name].astype(str) == value for name, value in values.items()], axis=0)
    found: Lines = {}
    for (recipe, comparison), lines in table[keep].groupby(["recipe", against], observed=True):
        widest = _widest(lines.to_dict("records"))
        found.setdefault((str(recipe), "all"), {})[str(comparison)] = widest
    return found


def _widest(lines: Iterable[Any]) -> dict[str, Any]:
    def order(line: Any) -> tuple[bool, int]:
        return math.isfinite(line["estimate"]), (line["network"], line["init"]).count("all")

    return dict(max(lines, key=order))


def _direction_use(
    values: pd.DataFrame | None,
    tests: pd.DataFrame | None,
    order_leak: pd.DataFrame | None,
    seed: int,
) -> Lines:
    """Of 3T networks with transforms intact and no order leak, by data set."""
    found: Lines = {}
    if values is None or values.empty:
        return found
    leaking = _leaking(order_leak)
    keys = ["recipe", "dataset"]
    for key, group in _intact(values).groupby(keys, observed=True):
        recipe, dataset = map(str, key)
        leaks = group["network"].isin([network for network, at in leaking if at == dataset])
        names = ", ".join(sorted(set(group.loc[leaks, "network"].astype(str))))
        lines = group[~leaks]
        real = lines[lines["control"] == REAL]
        if real.empty:
            if names:
                why = f"{names} can tell order without motion, and there is no other network"
                found[recipe, dataset] = dict.fromkeys(COMPARISONS, _missing(why))
            continue
        cells = [
            (cell, rows["value"].to_numpy(np.float64))
            for cell, rows in real.groupby(["network", "init"], observed=True)
        ]
        place = cells[0][0] if len(cells) == 1 else ("all", "all")
        line = against_zero([rows for _, rows in cells], two_sided=False, seed=seed)
        here = {"zero": line | dict(zip(("network", "init"), place, strict=True))}
        if tests is not None and len(tests):
            beside = tests[(tests[keys] == [recipe, dataset]).all(axis=1)]
            if names:  # lines over cells hold the networks that are left out
                beside = need.need_tests(lines, seed=int(tests["rng_seed"].max()))
            for control, of in _intact(beside).groupby("control", observed=True):
                line = _widest(of.to_dict("records"))
                here[str(control)] = line | {
                    "n_runs": line["n_a"], "n_other": line["n_b"],
                    "method": "labels of runs, two-sided",
                }  # fmt: skip
        if names:
            why = f"without {names}, which can tell order without motion"
            here = {
                name: line | {"reason": "; ".join(filter(None, (line["reason"], why)))}
                for name, line in here.items()
            }
        found[recipe, dataset] = here
    return found


def _intact(table: pd.DataFrame) -> pd.DataFrame:
    """Lines on direction use of whole 3T networks."""
    keep = (table["measure"] == DIRECTION) & (table["convolution"] == "3t")
    return table[keep & (table["transforms"] == "intact") & (table["batch_norm"] == "trained")]


def _leaking(order_leak: pd.DataFrame | None) -> set[tuple[str, str]]:
    """(3T network, data set) that tells a clip from its reverse without motion."""
    if order_leak is None or order_leak.empty:
        return set()
    whole = order_leak[(order_leak["kind"] == "network") & order_leak["leaks"].astype(bool)]
    whole = whole[whole["convolution"] == "3t"]
    return set(zip(whole["network"].astype(str), whole["dataset"].astype(str), strict=True))
