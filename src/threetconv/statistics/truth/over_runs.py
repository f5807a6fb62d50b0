"""From one number a run to estimate, interval and p of a cell, or of several cells as blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threetconv.statistics.planted.alignment import Signs
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.intervals import difference_interval, paired_interval
from threetconv.statistics.tests.permutation import permute, permute_runs

__all__ = ["BLANK", "CELL", "against_runs", "against_zero", "holm_over_cells", "one_test"]

CELL = ["network", "dataset", "init", "recipe", "control"]
BLANK: dict[str, Any] = {
    "n_runs": 0, "n_other": 0, "estimate": math.nan, "ci_low": math.nan, "ci_high": math.nan,
    "ci_method": "none", "method": "none", "p_raw": math.nan, "p_floor": math.nan,
    "p_adjusted": math.nan, "exact": False, "n_permutations": 0, "adjustment": "none",
    "status": "ok", "reason": "", "rng_seed": -1,
}  # fmt: skip
"""A line before anything is known."""
ROUNDING = 1e-12  # sums closer than this share of the sum of |values| are tied
Array = NDArray[np.float64]


def against_zero(blocks: Sequence[Array], *, two_sided: bool, seed: int) -> dict[str, Any]:
    """The mean over blocks of the mean over runs, and a sign-flip test that it is 0.

    Args:
        blocks: a number for each run, by cell; what is not finite is left out.
        two_sided: whether values below 0 count as well.
        seed: of draws, where there are too many signs to try them all.
    """
    blocks = _finite(blocks)
    if not blocks:
        return _nothing()
    parts = [np.sort(block) / block.size for block in blocks]
    total = np.mean([part.sum() for part in parts], keepdims=True)
    runs = sum(part.size for part in parts)
    result = permute(
        [Signs(part) for part in parts], total,
        ROUNDING * np.mean([np.abs(part).sum() for part in parts], keepdims=True),
        least=min(1.0, (1 + two_sided) * 0.5**runs), two_sided=two_sided, seed=seed,
    )[0]  # fmt: skip
    interval = paired_interval(blocks)
    return BLANK | {
        "n_runs": runs,
        "estimate": float(total[0]),
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_method": interval.method.replace("paired ", "").replace("pair", "run"),
        "method": f"signs of runs, {'two' if two_sided else 'one'}-sided",
        "p_raw": result.p,
        "p_floor": result.floor,
        "exact": result.exact,
        "n_permutations": result.n_permutations,
        "rng_seed": seed,
    }


def against_runs(blocks: Sequence[tuple[Array, Array]], *, seed: int) -> dict[str, Any]:
    """The mean over blocks of the difference of two arms of runs, and a test by relabelling."""
    pairs = [(a[np.isfinite(a)], b[np.isfinite(b)]) for a, b in blocks]
    pairs = [(a, b) for a, b in pairs if a.size and b.size]
    if not pairs:
        return _nothing()
    interval, result = difference_interval(pairs), permute_runs(pairs, seed=seed)
    return BLANK | {
        "n_runs": sum(a.size for a, _ in pairs),
        "n_other": sum(b.size for _, b in pairs),
        "estimate": result.statistic,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "ci_method": interval.method,
        "method": "labels of runs, two-sided",
        "p_raw": result.p,
        "p_floor": result.floor,
        "exact": result.exact,
        "n_permutations": result.n_permutations,
        "rng_seed": seed,
    }


def holm_over_cells(lines: Iterable[dict[str, Any]], alpha: float) -> None:
    """Adjust p of one family in place, and call untestable what could never pass."""
    adjust(list(lines), alpha, holm, "Holm", "tests", needed="more runs")


def one_test(line: dict[str, Any], alpha: float) -> None:
    """A family of its own: p is not adjusted; called untestable where it could never pass."""
    adjust([line], alpha, holm, "Holm", "test", needed="more runs")
    line["adjustment"] = "none (one test)"


def _finite(blocks: Sequence[Array]) -> list[Array]:
    kept = [block[np.isfinite(block)] for block in blocks]
    return [block for block in kept if block.size]


def _nothing() -> dict[str, Any]:
    return BLANK | {"status": "degenerate", "reason": "no run has a value"}
