"""Equivalence of two arms within a margin: two one-sided t tests on the run-level D (TOST).

A large p-value of a test for a difference is no evidence of equality. The null hypothesis of TOST
is that mean displacements differ by at least the margin, so a small p says that they differ by less
(Schuirmann 1987). The test is parametric: it takes D of the runs as normal within an arm.

Means may be equal because differences cancel. Where blocks, or layers of a network, differ beyond
the margin in opposite directions, a line is "heterogeneous" and equivalence is not claimed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.tests import effect_sizes
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import Comparison, as_table, two_armed
from threetconv.statistics.tests.families import TWO_ARMED, Block, select_runs
from threetconv.statistics.tests.intervals import Interval, difference_interval

__all__ = ["equivalence_tests", "tost"]

MARGIN = 1.25
FEW = 3  # runs per arm up to which a missing verdict says little
Values = Sequence[tuple[np.ndarray, np.ndarray]]


def equivalence_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    checkpoints: Sequence[str] = ("best", "matched"),
    margin: float = MARGIN,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Test whether the ratio of mean displacements lies between 1 / margin and margin.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`; the model's pooled D
            over reachable rows is used.
        runs: run_id, convolution, control; 3D runs and controls are left out.
        families, datasets: see `threetconv.statistics.tests.comparisons.comparisons`.
        checkpoints: "best" (each run at its best validation epoch), "matched" (the largest
            noise budget at which every run of the contrast has a snapshot).
        margin: largest ratio that counts as equal, above 1.
        alpha: level; the interval is the one that belongs to TOST, at 1 - 2 alpha.

    Returns:
        `outcome` ("D") and `COLUMNS` of the tests table, a line per family, contrast, checkpoint,
        stratum ("all" or a block) and parameter. `statistic`: mean over blocks of the difference
        of arm means of D; `estimate`: its exponential; `p_raw`: the larger of the two one-sided p
        (Welch inside a block, Satterthwaite over several); `p_floor` = 0, because a t test has no
        smallest attainable p; `p_adjusted`: Holm over the four parameters, at most alpha when
        equivalence is shown; `status` {"ok", "heterogeneous", "untestable", "degenerate"} with
        `reason`.

    Raises:
        InputError: for a margin that is not above 1.
    """
    if not margin > 1:
        raise InputError(
            "equivalence margin",
            found=f"{margin:g}",
            expected="a ratio above 1, such as 1.25",
            remedy="give the largest ratio of mean displacements that counts as equal",
        )
    table = select_runs(summaries, runs)
    table = table[(table["rows"] == "reachable") & (table["weighting"] == "pooled")]
    lines: list[dict[str, object]] = []
    for comparison in two_armed(table, families, datasets):
        for checkpoint in checkpoints:
            compared = comparison.at(checkpoint)
            method = (
                f"TOST on D = ln mean |z|, reachable rows, pooled{compared.chosen.text}; equal "
                f"means a ratio between 1/{margin:g} and {margin:g}"
            )
            # layer -1 is the model
            values = compared.values(["parameter", "layer_index"], "log_mean_abs")
            values = values.reindex(columns=sorted({*values, *((p, -1) for p in PARAMETERS)}))
            for stratum, blocks in compared.strata:
                group = []
                for parameter in PARAMETERS:
                    model = values[parameter, -1].to_numpy(float)
                    line = _test(compared, blocks, model, margin, alpha)
                    if line.get("status", "ok") == "ok":
                        line |= _opposed(compared, blocks, pd.DataFrame(values[parameter]), margin)
                    group.append(compared.line(stratum, parameter, method=method) | line)
                adjust(group, alpha, holm, "Holm", "parameters of the stratum")
                lines += group
    return as_table(lines, "scipy", "statsmodels", outcome="D")


class Tost(NamedTuple):
    """Outcome of one equivalence test."""

    p: float  # the larger of the two one-sided p
    interval: Interval  # at level 1 - 2 alpha


def tost(arms: Values, margin: float, alpha: float = 0.05) -> Tost:
    """Two one-sided t tests of the mean over blocks of (mean of arm a - mean of arm b).

    One block: statsmodels' `ttost_ind` with unequal variances. Several: the same with the variance
    and Satterthwaite's degrees of freedom of `intervals.difference_interval`, t1 = (d + m) / se and
    t2 = (d - m) / se.

    Args:
        arms: (D of arm a, D of arm b) for every block.
        margin: half-width m of the region of equivalence, on the scale of D.
        alpha: level of each one-sided test.

    Returns:
        p and the interval; NaN, with the reason as the interval's method, when an arm has one run
        only or nothing varies.
    """
    from scipy.stats import t as student  # a second to import

    interval = difference_interval(arms, level=1 - 2 * alpha)
    if not math.isfinite(interval.low):
        return Tost(math.nan, interval)
    interval = interval._replace(method=f"{interval.method}, {100 * (1 - 2 * alpha):g} % (TOST)")
    if len(arms) == 1:
        from statsmodels.stats.weightstats import ttost_ind  # slow to import

        a, b = arms[0]
        return Tost(float(ttost_ind(a, b, -margin, margin, usevar="unequal")[0]), interval)
    # the half-width at level 1 - 2 alpha is the (1 - alpha) quantile times the standard error
    half, centre = (interval.high - interval.low) / 2, (interval.high + interval.low) / 2
    error = half / float(student.ppf(1 - alpha, interval.df))
    above = float(student.sf((centre + margin) / error, interval.df))
    below = float(student.cdf((centre - margin) / error, interval.df))
    return Tost(max(above, below), interval)


def _opposed(
    compared: Comparison, blocks: Sequence[Block], values: pd.DataFrame, margin: float
) -> dict[str, object]:
    """Status and reason where blocks or layers differ beyond the margin in opposite directions.

    Args:
        values: D by run and layer, layer -1 for the model.
    """
    network = compared.family.blocks.index("network")
    whole: dict[str, pd.Series] = {}
    found: dict[str, list[pd.Series]] = {}
    for block in blocks:
        if block.complete:
            ((a, b),) = block.arms
            whole[block.name] = values.iloc[a].mean() - values.iloc[b].mean()
            found.setdefault(block.key[network], []).append(whole[block.name])
    kinds = {"blocks": {name: each.get(-1, math.nan) for name, each in whole.items()}}
    for name, each in found.items():
        # a layer of one block is known from few runs: its mean over the blocks of its network
        layers = pd.concat(each, axis=1).mean(axis=1).drop(-1, errors="ignore")
        kinds[f"layers of {name}"] = {f"layer {i}": value for i, value in layers.items()}
    for kind, differences in kinds.items():
        known = {name: value for name, value in differences.items() if math.isfinite(value)}
        if not known:
            continue
        most, least = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
        if known[most] > math.log(margin) and known[least] < -math.log(margin):
            ratios = ", ".join(f"{name} {math.exp(known[name]):.3g}" for name in (most, least))
            why = f"{kind} differ beyond the margin in opposite directions ({ratios})"
            return {"status": "heterogeneous", "reason": why}
    return {}


def _test(
    compared: Comparison, blocks: Sequence[Block], values: np.ndarray, margin: float, alpha: float
) -> dict[str, object]:
    """What a line of the table says, before adjustment; `values` has D of every run, or NaN."""
    if compared.chosen.reason:
        return {"status": "untestable", "reason": compared.chosen.reason}
    whole, notes = compared.complete(blocks)
    present = ~np.isnan(values)
    lacking = sorted(
        compared.runs["run_id"][row] for block in whole for row in block.rows if not present[row]
    )
    if lacking:
        notes.append(f"runs left out, without this checkpoint: {', '.join(lacking)}")
        whole, more = compared.complete([block.kept(present) for block in whole])
        notes += more
    if not whole:
        return {"status": "untestable", "reason": compared.nothing}
    arms = [(values[a], values[b]) for block in whole for a, b in block.arms]
    line: dict[str, object] = {
        "n_a": sum(a.size for a, _ in arms), "n_b": sum(b.size for _, b in arms)
    }  # fmt: skip
    still = sum(int(np.count_nonzero(~np.isfinite(v))) for arm in arms for v in arm)
    if still:
        why = f"{still} of {line['n_a']} + {line['n_b']} runs never left the start (D = -inf)"
        return line | {"status": "degenerate", "reason": "; ".join([why, *notes])}
    statistic = float(np.mean([a.mean() - b.mean() for a, b in arms]))
    result = tost(arms, math.log(margin), alpha)
    line |= {
        "statistic": statistic, "estimate": math.exp(statistic), "p_raw": result.p,
        "ci_low": math.exp(result.interval.low), "ci_high": math.exp(result.interval.high),
        "ci_method": result.interval.method, **effect_sizes.blocked([(b, a) for a, b in arms]),
    }  # fmt: skip
    fewest = min(min(a.size, b.size) for a, b in arms)
    if not math.isfinite(result.p):
        status = "untestable" if fewest < 2 else "degenerate"
        why = result.interval.method.removeprefix("none (").rstrip(")")
        return line | {"status": status, "reason": "; ".join([why, *notes])}
    words = ["parametric: no smallest attainable p"]
    if fewest <= FEW:
        words.append(f"low power: {fewest} runs in the smallest arm")
    return line | {"p_floor": 0.0, "reason": "; ".join([*words, *notes])}
