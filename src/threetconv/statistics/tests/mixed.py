"""A mixed model on run x layer log-means: a sensitivity check of the run-level comparison.

Model, inside one block and for one parameter: y = ln mean |z| of a layer in a run,
y ~ C(layer, Sum) * arm + (1 | run), with arm = +1/2 (a) and -1/2 (b). Layers are sum-coded, so
the coefficient of arm is the difference a - b averaged over layers. Raw rows are never fitted:
channels of one run are no replicates. With a few runs, z does not follow N(0, 1) (referred to it
a true null hypothesis is rejected in 12, 9 and 7 % of cases at 3, 5 and 8 runs per arm); it is
referred to Student's t with runs - 2 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.tests import effect_sizes
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import Comparison, as_table, two_armed
from threetconv.statistics.tests.families import TWO_ARMED, Block, select_runs

__all__ = ["MixedFit", "fit_mixed", "mixed_tests"]

FORMULA = "y ~ C(layer, Sum) * arm"
METHOD = f"mixed model {FORMULA} + (1 | run), REML, z referred to t (y = ln mean |z| of a layer)"
UNIT = "run x layer"


class MixedFit(NamedTuple):
    """The arm's effect in one block; NaN where there is none, with the reason in `problem`."""

    estimate: float  # mean over layers of arm a - arm b, log units
    error: float  # its standard error (REML)
    df: int  # runs - 2
    p: float  # two-sided, Student's t
    variance: float  # between runs
    note: str  # where the variance between runs is zero
    problem: str


def mixed_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Fit the mixed model in every block of every contrast, at the best checkpoint.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`; layer lines over
            reachable rows are used.
        runs: run_id, convolution, control; 3D runs and controls are left out.
        families, datasets: see `threetconv.statistics.tests.comparisons.comparisons`.
        level: of the interval.

    Returns:
        `outcome` ("D by layer") and `COLUMNS` of the tests table, a line per family, contrast,
        block and parameter. `unit` "run x layer", and `n_a`, `n_b` count those; `statistic`: the
        arm's coefficient, `estimate` and the t interval: exponentiated; `p_floor` = 0, because a
        t test has no smallest attainable p; `p_adjusted`: Holm over the four parameters of the
        block; effect sizes: on the runs' means over layers. `status` "untestable" for an arm with
        one run or fewer than two layers, "degenerate" where nothing varies.
        Layers in which a run never left the start are left out and named in `reason`.
    """
    table = select_runs(summaries, runs)
    table = table[(table["scope"] == "layer") & (table["rows"] == "reachable")]
    lines: list[dict[str, object]] = []
    for comparison in two_armed(table, families, datasets):
        compared = comparison.at("best")
        for block in compared.blocks:
            group = [
                compared.line(block.name, parameter, unit=UNIT)
                | _test(compared, block, parameter, level)
                for parameter in PARAMETERS
            ]
            adjust(group, 1 - level, holm, "Holm", "parameters of the stratum")
            lines += group
    return as_table(lines, "scipy", outcome="D by layer")


def _test(compared: Comparison, block: Block, parameter: str, level: float) -> dict[str, object]:
    """What a line of the table says, before adjustment."""
    from scipy.stats import t as student  # a second to import

    lines = compared.chosen.lines
    arms = compared.arms(block)
    lines = lines[(lines["parameter"] == parameter) & lines["run_id"].isin([*arms[0], *arms[1]])]
    y = lines.pivot(index="run_id", columns="layer_index", values="log_mean_abs")  # noqa: PD010
    names = lines.drop_duplicates("layer_index").set_index("layer_index")["layer"]
    moved = np.isfinite(y.to_numpy(np.float64)).all(axis=0)
    still = [str(names[index]) for index in y.columns[~moved]]
    notes = [f"layers left out, where a run never moved: {', '.join(still)}"] if still else []
    y = y.loc[:, moved]
    a, b = (y.loc[list(arm)].to_numpy(np.float64) for arm in arms)
    line: dict[str, object] = {"n_a": a.size, "n_b": b.size, "method": METHOD}
    if not (len(a) and len(b)):
        return line | {"status": "untestable", "reason": "the block has runs of one arm only"}
    if not y.shape[1]:
        return line | {"status": "degenerate", "reason": "; ".join(notes)}
    means = a.mean(axis=1), b.mean(axis=1)
    difference = float(means[0].mean() - means[1].mean())
    line |= {
        "statistic": difference,
        "estimate": math.exp(difference),
        **effect_sizes.blocked([(means[1], means[0])]),
    }
    if min(len(a), len(b)) < 2 or y.shape[1] < 2:
        why = "one run in an arm" if min(len(a), len(b)) < 2 else "fewer than two layers"
        return line | {"status": "untestable", "reason": "; ".join([why, *notes])}
    fit = fit_mixed(a, b)
    if fit.problem:
        return line | {"status": "degenerate", "reason": "; ".join([fit.problem, *notes])}
    half = float(student.ppf(0.5 + level / 2, fit.df)) * fit.error
    words = ["parametric: no smallest attainable p", fit.note, *notes]
    return line | {
        "statistic": fit.estimate, "estimate": math.exp(fit.estimate), "p_raw": fit.p,
        "ci_low": math.exp(fit.estimate - half), "ci_high": math.exp(fit.estimate + half),
        "ci_method": f"t with {fit.df} degrees of freedom", "p_floor": 0.0,
        "reason": "; ".join(word for word in words if word),
    }  # fmt: skip


def fit_mixed(a: np.ndarray, b: np.ndarray) -> MixedFit:
    """Fit the model of one block.

    Every run has every layer, so REML has a closed form (Searle, Casella and McCulloch 1992, 4.2)
    and nothing is left to an optimiser: statsmodels' stopped with standard errors up to a tenth
    off, and said that it had converged. The variance between runs is (mean square of runs less that
    of run x layer) / layers, and zero where that is negative: then both squares are pooled, which
    is least squares.

    Args:
        a: (runs of arm a, layers) log-means, finite; at least two runs and two layers.
        b: (runs of arm b, layers), the same layers.

    Returns:
        The fit; `problem` where nothing varies.
    """
    from scipy.stats import t as student  # slow to import

    layers, df = a.shape[1], len(a) + len(b) - 2
    between, rest = _mean_squares(a, b)
    largest = max(float(np.abs(a).max()), float(np.abs(b).max()), 1.0)
    if not between + rest > 1e-20 * largest**2:
        nan = math.nan
        return MixedFit(nan, nan, df, nan, nan, "", "no spread between runs")
    note = "" if between > rest else "variance between runs estimated as zero"
    square = between if between > rest else (between + (layers - 1) * rest) / layers
    estimate = float(a.mean() - b.mean())
    error = math.sqrt(square / layers * (1 / len(a) + 1 / len(b)))
    p = 2 * float(student.sf(abs(estimate / error), df))
    return MixedFit(estimate, error, df, p, max(between - rest, 0.0) / layers, note, "")


def _mean_squares(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Mean squares of runs within arms and of run x layer within arms; the design is balanced.

    The REML variance between runs is above zero exactly where the first exceeds the second.
    """
    between = rest = 0.0
    for arm in (a, b):
        centred = arm - arm.mean(axis=0)
        run = centred.mean(axis=1, keepdims=True)
        between += arm.shape[1] * float((run**2).sum())
        rest += float(((centred - run) ** 2).sum())
    df = len(a) + len(b) - 2
    return between / df, rest / (df * (a.shape[1] - 1))
