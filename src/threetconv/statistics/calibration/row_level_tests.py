"""Calibration of what is computed from rows: naive tests, energy test, hierarchical bootstrap.

Each function takes the draw of one study, a draw of independent rows and the number of the study,
and yields answers. A new one is one function and one entry of `ROW_LEVEL_TESTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.calibration import vectorised
from threetconv.statistics.calibration.scenarios import (
    ALPHA,
    EFFECTS,
    LEVEL,
    NULL,
    RUNS,
    TAU,
    Answers,
    Scenario,
    levels,
    untestable,
)
from threetconv.statistics.calibration.simulate import Draw
from threetconv.statistics.summaries.bootstrap import ChannelSums, resample_cell

__all__ = ["ENERGY", "HIERARCHICAL", "ROW_LEVEL_TESTS", "ks_distance", "ks_limit"]

RowLevelTest = Callable[[Draw, Draw, int], Iterator[Answers]]
ROW_SETTINGS = ((1, 0.05), (1, 0.1), (3, 0.1), (5, 0.1), (5, 0.2))  # runs per arm, tau
ENERGY = "energy test on (px, py)"
HIERARCHICAL = "hierarchical bootstrap"
ENERGY_ROWS, ENERGY_EVERY = 200, 5
RESAMPLES, RESAMPLE_EVERY = 300, 10


def rows_test(draw: Draw, independent: Draw, _study: int) -> Iterator[Answers]:
    """The naive tests: rows of the runs of each arm, as if they were independent."""
    rows = independent.rows[0, 0]
    yield from _row_tests(
        rows[0].ravel(), rows[1].ravel(), 1, 0.0, "rows without seed, layer or channel effects"
    )
    for runs, tau in ROW_SETTINGS:
        scale = np.exp(tau * draw.seeds[0, 0, :, :runs], dtype=np.float32)
        rows = draw.rows[0, 0, :, :runs] * scale[..., None]
        note = "rows of one run each" if runs == 1 else "rows pooled over runs"
        yield from _row_tests(rows[0].ravel(), rows[1].ravel(), runs, tau, note)


def _row_tests(a: np.ndarray, b: np.ndarray, runs: int, tau: float, note: str) -> Iterator[Answers]:
    from scipy import stats  # a second to import

    first, second = a.astype(np.float64), b.astype(np.float64)
    rank = stats.mannwhitneyu(np.abs(first), np.abs(second), method="asymptotic")
    rejected = {
        "Kolmogorov-Smirnov on z": ks_distance(a, b) >= ks_limit(a.size, b.size),
        "Mann-Whitney on |z|": rank.pvalue <= ALPHA,
        "Brown-Forsythe on z": stats.levene(first, second, center="median").pvalue <= ALPHA,
    }
    for test, hit in rejected.items():
        scenario = Scenario(NULL, test, "row", "1 block", runs, tau, 1.0, "type I error", note)
        yield Answers(scenario, np.array([hit]))


def ks_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Kolmogorov-Smirnov's D, the largest distance of two empirical distributions."""
    first, second = np.sort(a), np.sort(b)
    distances = []
    for x, y in ((first, second), (second, first)):
        own = np.searchsorted(x, x, side="right") / x.size
        distances.append(np.abs(own - np.searchsorted(y, x, side="right") / y.size).max())
    return float(max(distances))


@lru_cache
def ks_limit(n: int, m: int) -> float:
    """D from which `scipy.stats.ks_2samp(method="asymp")` rejects; its p takes 20 ms a call."""
    from scipy.stats import kstwo  # a second to import

    # scipy's asymptotic p is kstwo.sf(D, round(n m / (n + m))); this is its inverse
    return float(kstwo.isf(ALPHA, round(n * m / (n + m))))


def energy_test(draw: Draw, _independent: Draw, study: int) -> Iterator[Answers]:
    """Bivariate energy test on (px, py), by permuting run labels; on every fifth study."""
    from scipy.spatial.distance import cdist  # slow to import

    if study % ENERGY_EVERY:
        return
    rng = np.random.default_rng(study)  # of no labelings: up to 5 runs per arm all are listed
    total = draw.rows.shape[-1]
    chosen = np.linspace(0, total - 1, min(ENERGY_ROWS, total)).round().astype(int)
    note = f"{chosen.size} rows per run"
    for j, ratio in enumerate((1.0, *EFFECTS)):
        shift = TAU * draw.seeds[-2:, 0] + np.log([ratio, 1.0])[:, None]  # px, py; arms; runs
        rows = draw.rows[-2:, 0][..., chosen] * np.exp(shift)[..., None]
        for runs in RUNS:
            points = np.moveaxis(rows[:, :, :runs], 0, -1).reshape(-1, 2)
            scenario = list(levels(ENERGY, "1 block", runs, note=note))[j][1]
            labels = vectorised.label_runs(1, runs, rng=rng)
            if labels.floor > ALPHA:
                yield untestable(scenario, 1)
                continue
            distances = cdist(points, points)
            between_runs = distances.reshape(2 * runs, chosen.size, 2 * runs, chosen.size)
            p = vectorised.energy_p(between_runs.mean(axis=(1, 3)), labels)
            yield Answers(scenario, np.array([p <= ALPHA]))


def bootstrap_test(draw: Draw, _independent: Draw, study: int) -> Iterator[Answers]:
    """Interval of the hierarchical bootstrap, for each parameter; on every tenth study."""
    if study % RESAMPLE_EVERY or draw.log_means.shape[0] != len(PARAMETERS):
        return
    rng = np.random.default_rng(study)
    shift = np.exp(TAU * draw.seeds[:, 0])
    ends = np.cumsum([layer.reachable_rows for layer in draw.shape.moving])
    runs_layers: list[list[list[ChannelSums]]] = [[], []]
    for arm, cell in enumerate(runs_layers):
        for run in range(draw.seeds.shape[-1]):
            z = np.abs(draw.rows[:, 0, arm, run]) * shift[:, arm, run, None]
            parts = np.split(z, ends[:-1], axis=1)
            cell.append(
                [
                    ChannelSums(
                        # (parameters, transitions, channels), as `_channel_of_row` lays rows out
                        part.reshape(len(z), -1, layer.channels).sum(axis=1).T.astype(np.float64),
                        np.full(layer.channels, sum(layer.reachable)),
                    )
                    for layer, part in zip(draw.shape.moving, parts, strict=True)
                ]
            )
    for runs in RUNS[1:]:
        a, b = (resample_cell(cell[:runs], RESAMPLES, rng)[1] for cell in runs_layers)
        low, high = np.quantile(a - b, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=0)
        scenario = Scenario(
            NULL, HIERARCHICAL, "run", "1 block", runs, TAU, 1.0, "coverage",
            f"descriptive; {RESAMPLES} resamples; four parameters of each study",
        )  # fmt: skip
        yield Answers(scenario, (low <= 0) & (high >= 0))


ROW_LEVEL_TESTS: tuple[RowLevelTest, ...] = (rows_test, energy_test, bootstrap_test)
