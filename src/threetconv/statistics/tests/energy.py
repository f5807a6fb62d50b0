"""Do the arms differ in the joint distribution of (px, py)? A permutation test on energy distances.

The energy distance of two samples is 2 E|X - Y| - E|X - X'| - E|Y - Y'| (Szekely & Rizzo 2013).
It is zero when their distributions agree, and sensitive to shape as well as to location. It is
formed between every two runs of a block; the statistic is the mean over pairs of runs from
different arms minus half the mean over pairs inside arm a and half that inside arm b (a run with
itself counts as 0), averaged over blocks. With equally many rows per run that is the energy
distance of the pooled arms. Labels of runs are permuted, never those of rows.

Distances are taken on the values as they are, divided by one c (the median |z| of the union), so
that the statistic has no unit. Displacements are heavy-tailed and the energy distance is linear in
distance, so rows far out weigh more than their share.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.layer.units import right, up
from threetconv.statistics.summaries.best_rows import CELL, read_best
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import as_table, two_armed
from threetconv.statistics.tests.families import TWO_ARMED
from threetconv.statistics.tests.permutation import (
    DRAWS,
    MAX_ENUMERATION,
    PermutationResult,
    labelings,
    permute,
)
from threetconv.statistics.tests.relabelled import choices

__all__ = ["energy_floor", "energy_tests", "joint_energy", "permute_energy", "translation_sample"]

TRANSLATIONS = ("translate_x", "translate_y")
MAX_ROWS = 10_000  # more than the paper's networks have
CEILING = 20_000  # time grows with its square: two such runs take some two seconds
AT_ONCE = 1_000  # rows whose distances are held at once
PARAMETER = "px, py"
TOLERANCE = 1e-9  # statistics closer than this share of the largest distance are tied
Pair = tuple[str, str]


def energy_tests(
    files: Sequence[str | Path],
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    max_rows: int = MAX_ROWS,
    alpha: float = 0.05,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Test every contrast of the families on the joint distribution of (px, py).

    Args:
        files: parameter files of the runs, read one at a time; see `best_rows.read_best`.
        runs: run_id, convolution, control; 3D runs and controls are left out.
        seed: of the rows drawn from each run (together with its id, so that a run's sample does
            not depend on the others) and of Monte Carlo labelings.
        families, datasets: see `threetconv.statistics.tests.comparisons.comparisons`.
        max_rows: a run with more reachable rows is represented by so many drawn ones; at most
            `CEILING`.
        alpha: level; decides what is untestable.
        max_enumeration, draws: as in `threetconv.statistics.tests.permutation.permute_runs`.

    Returns:
        `outcome` ("joint distribution") and `COLUMNS` of the tests table, a line per family,
        contrast and stratum ("all" or a block), with parameter "px, py". `statistic` and
        `estimate`: mean over blocks of the energy distance in units of c; no interval. `p_raw`:
        share of labelings with a statistic at least as large. One test per stratum, so
        `p_adjusted` is `p_raw` where the status is "ok".

    Raises:
        InputError: for `max_rows` outside 1 .. `CEILING`.
    """
    if not 1 <= max_rows <= CEILING:
        raise InputError(
            "rows per run of the energy test",
            found=f"{max_rows}",
            expected=f"1 to {CEILING:,}; time grows with its square",
            remedy="draw fewer rows from a run",
        )
    cells, samples, available = [], {}, []
    for run in read_best(files, runs, TRANSLATIONS):
        cells.append(run.cell)
        samples[run.run_id] = translation_sample(run.frame, run.run_id, seed, max_rows)
        available.append(len(run.frame))
    c = _scale(samples.values())
    distances: dict[Pair, float] = {}
    method = (
        f"energy test of (px, py) / c, c = {c:.6g}, run labels permuted within blocks, "
        f"{_rows(available, max_rows)}"
    )
    how = {"seed": seed, "max_enumeration": max_enumeration, "draws": draws}
    lines = []
    for comparison in two_armed(pd.DataFrame(cells, columns=CELL), families, datasets):
        for stratum, blocks in comparison.strata:
            whole, notes = comparison.complete(blocks)
            line = comparison.line(
                stratum, PARAMETER, whole, method=method, rng_seed=seed,
                ci_method="none (a distance)",
            )  # fmt: skip
            lines.append(line)
            if not whole:
                line |= {"status": "untestable", "reason": comparison.nothing}
                continue
            arms = [comparison.arms(block) for block in whole]
            result = permute_energy(
                [_block_distances(*pair, samples, c, distances) for pair in arms], **how
            )
            line |= {
                "statistic": result.statistic, "estimate": result.statistic, "p_raw": result.p,
                "p_floor": result.floor, "exact": result.exact,
                "n_permutations": result.n_permutations, "reason": "; ".join(notes),
            }  # fmt: skip
            if not any(samples[name].any() for pair in arms for arm in pair for name in arm):
                still = "; ".join(["no run left the identity", *notes])
                line |= {"status": "degenerate", "reason": still}
            adjust([line], alpha, holm, "Holm", "tests")
            line["adjustment"] = "none (one test per stratum)"
    return as_table(lines, "scipy", outcome="joint distribution")


def translation_sample(frame: pd.DataFrame, run_id: str, seed: int, max_rows: int) -> np.ndarray:
    """Rows of (px, py) drawn without replacement from one run.

    Args:
        frame: `translate_x`, `translate_y` (half-extents) of the run's reachable rows, any order.
        run_id: enters the seed together with `seed`.
        max_rows: rows to draw; all rows where there are no more.

    Returns:
        (n, 2) array, px to the right and py upwards (fractions of the kernel's extent).
    """
    x, y = (frame[name].to_numpy(np.float64) for name in TRANSLATIONS)
    points = np.stack([right(x), up(y)], axis=1)
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    if len(points) <= max_rows:
        return points
    digest = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8], "big")
    rng = np.random.default_rng([seed, digest])
    return points[np.sort(rng.choice(len(points), max_rows, replace=False))]


def _rows(available: Sequence[int], max_rows: int) -> str:
    """How many rows of a run are used, in words."""
    least, most = min(available, default=0), max(available, default=0)
    if most > max_rows:
        return f"{max_rows:,} reachable rows drawn from a run that has more (up to {most:,})"
    return f"all reachable rows ({f'{least:,} to ' * (least < most)}{most:,} per run)"


def _scale(samples: Iterable[np.ndarray]) -> float:
    """Median |z| of the union without exact zeros; 1 when nothing moved."""
    moved = np.abs(np.concatenate([np.empty((0, 2)), *samples]).ravel())
    moved = moved[moved > 0]
    return float(np.median(moved)) if moved.size else 1.0


def _block_distances(
    a: Sequence[str],
    b: Sequence[str],
    samples: Mapping[str, np.ndarray],
    c: float,
    known: dict[Pair, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Energy distances of a block's runs, in the order of their ids, and which are of arm a.

    `known` keeps the mean distance of every pair of runs, for the blocks of other contrasts.
    """
    names = sorted([*a, *b])

    def mean(first: str, second: str) -> float:
        if (first, second) not in known:
            known[first, second] = mean_distance(samples[first] / c, samples[second] / c)
        return known[first, second]

    matrix = np.zeros((len(names), len(names)))
    for (i, first), (j, second) in combinations(enumerate(names), 2):
        distance = 2 * mean(first, second) - mean(first, first) - mean(second, second)
        matrix[i, j] = matrix[j, i] = max(0.0, distance)  # below zero by rounding only
    return matrix, np.isin(names, a)


def mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean Euclidean distance between (n, d) and (m, d) points."""
    from scipy.spatial.distance import cdist  # scipy only when it is needed

    sums = [cdist(a[i : i + AT_ONCE], b).sum() for i in range(0, len(a), AT_ONCE)]
    return float(sum(sums) / (len(a) * len(b)))


def joint_energy(a: np.ndarray, b: np.ndarray) -> float:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| of (n, d) and (m, d) points.

    The same number as `dcor.energy_distance` in a tenth of its time; scipy's one-dimensional
    `energy_distance` is its square root.
    """
    return max(0.0, 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b))


def energy_floor(sizes: Sequence[tuple[int, int]]) -> float:
    """The smallest p of the complete test, from the design alone.

    Exchanging the arms of a balanced block leaves its distance as it is, in each block for itself,
    so a labeling ties with 2^(balanced blocks) - 1 others.

    Args:
        sizes: (runs of arm a, runs of arm b) for every block.
    """
    return min(1.0, 2 ** sum(a == b for a, b in sizes) / labelings(sizes))


def permute_energy(
    blocks: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    seed: int,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> PermutationResult:
    """One-sided permutation test of the mean over blocks of the arms' energy distance.

    Args:
        blocks: for every block the (n, n) energy distances of its runs and an (n,) mask of arm a,
            neither arm empty.
        seed, max_enumeration, draws: see `threetconv.statistics.tests.permutation.permute`.

    Returns:
        The result; `p` is the share of labelings whose statistic is at least as large.
    """
    sizes = [(int(mask.sum()), int((~mask).sum())) for _, mask in blocks]
    observed = np.mean([_statistic(e, mask[None, :]) for e, mask in blocks], axis=0)
    largest = max(float(np.abs(e).max()) for e, _ in blocks)
    # the smaller arm is chosen: which arm is called a must not matter
    relabelled = [_Energy(e, min(size)) for (e, _), size in zip(blocks, sizes, strict=True)]
    return permute(
        relabelled, observed, np.array([TOLERANCE * largest]), least=energy_floor(sizes),
        two_sided=False, seed=seed, max_enumeration=max_enumeration, draws=draws,
    )[0]  # fmt: skip


class _Energy(NamedTuple):
    """The energy distance of the arms of one block."""

    matrix: np.ndarray  # (n, n) energy distances of its runs
    chosen: int  # runs of one arm

    @property
    def labelings(self) -> int:
        return math.comb(len(self.matrix), self.chosen)

    def every(self) -> np.ndarray:
        return _statistic(self.matrix, choices(len(self.matrix), self.chosen))[:, None]

    def drawn(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        ordered = np.arange(len(self.matrix)) < self.chosen
        return _statistic(self.matrix, rng.permuted(np.tile(ordered, (rows, 1)), axis=1))[:, None]


def _statistic(matrix: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(m,) between-arm mean minus half of both within-arm means, for (m, n) masks of one arm."""
    first = masks.astype(np.float64)
    second = 1.0 - first
    to_first = first @ matrix
    n_1, n_2 = first.sum(axis=1), second.sum(axis=1)
    between = (to_first * second).sum(axis=1) / (n_1 * n_2)
    # a run with itself counts (as 0), hence n^2 and not n (n - 1): the energy distance of the
    # pooled arms (V-statistic)
    inside_1 = (to_first * first).sum(axis=1) / n_1**2
    inside_2 = ((second @ matrix) * second).sum(axis=1) / n_2**2
    return between - inside_1 / 2 - inside_2 / 2
