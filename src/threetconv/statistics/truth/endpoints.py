"""The primary endpoints of the analysis plan, each against zero and against its controls.

The numbers are those of `agreement`, `reproducibility` and `need`, over all cells as blocks, or of
the one cell that a study has. What the plan names and the study lacks has a line that says so.
Each endpoint is one test; p is not adjusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from threetconv.schemas.endpoints import ENDPOINTS, UNITS
from threetconv.statistics.analysis_plan import AGAINST, PRIMARY
from threetconv.statistics.tests.families import REAL
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
        order_leak: from `threetconv.networks.order_leak.leak_table`; direction use of data sets in
            which a network has a leak is not tested, since the plan excludes such networks.
        seed: of draws in tests of direction use against zero.
        alpha: level of each test; decides what is untestable.

    Returns:
        Columns of `ENDPOINTS`. Agreement is that of the first layer. Status "missing" stands for
        what the study does not have.
    """
    found = {
        AGREES: _chosen(
            agreement, against="against", parameter=CONTRAST[0], scope="first", control=REAL
        ),
        AGAIN: _chosen(
            reproducibility,
            against="against",
            measure="specific",
            scope="model",
            parameter="all",
            control=REAL,
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
        place = {"network": "all", "init": "all"}
        return BLANK | about | place | {"status": "missing", "reason": f"no {what} with a value"}
    line = BLANK | found | about
    if line["status"] in ("ok", "untestable"):
        # what Holm's adjustment made of it among other lines does not hold for one test
        kept = [r for r in str(line["reason"]).split("; ") if not r.startswith("the smallest")]
        line |= {"status": "ok", "reason": "; ".join(kept), "p_adjusted": math.nan}
        one_test(line, alpha)
    return line


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
    """Of 3T networks with transforms intact, by data set."""
    found: Lines = {}
    if values is None or values.empty:
        return found
    keys = ["recipe", "dataset"]
    real = _intact(values)
    for key, lines in real[real["control"] == REAL].groupby(keys, observed=True):
        recipe, dataset = map(str, key)
        cells = [
            (cell, rows["value"].to_numpy(np.float64))
            for cell, rows in lines.groupby(["network", "init"], observed=True)
        ]
        place = cells[0][0] if len(cells) == 1 else ("all", "all")
        line = against_zero([rows for _, rows in cells], two_sided=False, seed=seed)
        line |= dict(zip(("network", "init"), place, strict=True))
        found[recipe, dataset] = {"zero": line}
    if tests is not None and len(tests):
        of_use = _intact(tests)
        for key, lines in of_use.groupby([*keys, "control"], observed=True):
            recipe, dataset, control = map(str, key)
            line = _widest(lines.to_dict("records"))
            found[recipe, dataset][control] = line | {
                "n_runs": line["n_a"], "n_other": line["n_b"],
                "method": "labels of runs, two-sided",
            }  # fmt: skip
    for (_, dataset), comparisons in found.items():
        leaking = ", ".join(_leaking(order_leak, dataset))
        if leaking:
            why = f"{leaking} can tell order without motion"
            for line in comparisons.values():
                line |= {"status": "descriptive", "reason": why, "p_adjusted": math.nan}
    return found


def _intact(table: pd.DataFrame) -> pd.DataFrame:
    """Lines on direction use of whole 3T networks."""
    keep = (table["measure"] == DIRECTION) & (table["convolution"] == "3t")
    return table[keep & (table["transforms"] == "intact") & (table["batch_norm"] == "trained")]


def _leaking(order_leak: pd.DataFrame | None, dataset: str) -> Iterator[str]:
    """3T networks that tell a clip of this data set from its reverse without motion."""
    if order_leak is not None and len(order_leak):
        whole = order_leak[(order_leak["kind"] == "network") & order_leak["leaks"].astype(bool)]
        whole = whole[(whole["convolution"] == "3t") & (whole["dataset"] == dataset)]
        yield from sorted(set(whole["network"].astype(str)))
