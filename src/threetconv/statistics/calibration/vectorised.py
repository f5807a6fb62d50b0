"""Run-level tests of many studies at once: the same p-values and intervals, without the loop.

Calibration and planning need the same test for thousands of studies of one design. `values` is
always (studies, blocks, 2, runs), D of every run with arm a first. The formulas are those of
`permutation`, `intervals`, `equivalence` and `mixed`; tests hold them together.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from threetconv.statistics.tests.permutation import attainable_floor, labelings

__all__ = [
    "Labelings",
    "MeanDifferences",
    "energy_p",
    "equivalence_p",
    "interaction_residuals",
    "joint_p",
    "label_runs",
    "mean_difference",
    "mixed_model_t",
    "permutation_p",
    "sign_flips",
    "unequal_p",
]

MAX_ENUMERATION = 20_000
DRAWS = 9_999
TOLERANCE = 1e-9  # statistics closer than this share of the largest value are tied
_AT_ONCE = 4_000_000  # statistics held in memory


class Labelings(NamedTuple):
    """Coefficients that turn the values of a study into the statistic of each labeling."""

    coefficients: np.ndarray  # (labelings, blocks, 2, runs)
    observed: np.ndarray  # (blocks, 2, runs), of the labels as they are
    exact: bool  # all labelings are here; otherwise they were drawn
    floor: float  # smallest attainable two-sided p of the complete test


def label_runs(
    blocks: int,
    runs: int,
    *,
    rng: np.random.Generator,
    weights: npt.ArrayLike | None = None,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> Labelings:
    """Labelings of `runs` + `runs` runs in each block, all of them or `draws` random ones.

    Args:
        blocks, runs: the design; every block has `runs` runs in each arm.
        rng: of the draws.
        weights: (blocks,) of the blocks' differences in the statistic; 1 / blocks each without it;
            those of an interaction are +1 and -1, over the number of networks.
        max_enumeration: list all labelings up to this many.
        draws: random labelings beyond.
    """
    weight = np.full(blocks, 1 / blocks) if weights is None else np.asarray(weights, np.float64)
    count = labelings([(runs, runs)] * blocks)
    exact = count <= max_enumeration
    if exact:
        members = np.array(list(combinations(range(2 * runs), runs)))
        signs = np.full((len(members), 2 * runs), -1.0)
        np.put_along_axis(signs, members, 1.0, axis=1)
        index = np.indices((len(members),) * blocks).reshape(blocks, -1).T
        chosen = signs[index]
    else:
        in_a = np.argsort(rng.random((draws, blocks, 2 * runs)), axis=-1) < runs
        chosen = np.where(in_a, 1.0, -1.0)
    scale = weight[:, None, None] / runs
    observed = np.stack([np.ones((blocks, runs)), -np.ones((blocks, runs))], axis=1) * scale
    floor = attainable_floor([(runs, runs)] * blocks)
    return Labelings(chosen.reshape(-1, blocks, 2, runs) * scale, observed, exact, floor)


def sign_flips(
    blocks: int,
    runs: int,
    *,
    rng: np.random.Generator,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> Labelings:
    """Labelings that exchange the arms only within pairs (run i of a with run i of b)."""
    pairs = blocks * runs
    exact = 2**pairs <= max_enumeration
    if exact:
        signs = np.array([1.0, -1.0])[np.indices((2,) * pairs).reshape(pairs, -1).T]
    else:
        signs = rng.choice([1.0, -1.0], size=(draws, pairs))
    arms = np.stack([signs, -signs], axis=-1).reshape(-1, blocks, runs, 2)
    observed = np.stack([np.ones((blocks, runs)), -np.ones((blocks, runs))], axis=1) / pairs
    floor = attainable_floor([(1, 1)] * pairs)
    return Labelings(np.swapaxes(arms, 2, 3) / pairs, observed, exact, floor)


def permutation_p(values: np.ndarray, labels: Labelings, shifts: npt.ArrayLike = 0.0) -> np.ndarray:
    """Two-sided permutation p of every study, for one or several effects added to arm a.

    Args:
        values: (studies, blocks, 2, runs).
        labels: of the same design.
        shifts: log ratios to add to arm a of every block; (effects,) or one.

    Returns:
        (studies, effects), or (studies,) for a single shift: hits / labelings when all are listed,
        else (hits + 1) / (draws + 1).
    """
    studies = len(values)
    flat = values.reshape(studies, -1)
    matrix = labels.coefficients.reshape(len(labels.coefficients), -1).T
    arm = np.zeros(values.shape[1:])
    arm[:, 0] = 1.0
    added = np.atleast_1d(np.asarray(shifts, np.float64))
    observed = flat @ labels.observed.ravel()
    gain, gains = float((arm * labels.observed).sum()), arm.ravel() @ matrix
    largest = np.abs(flat).max(axis=1, initial=0.0)
    hits = np.empty((studies, added.size), np.int64)
    step = max(1, _AT_ONCE // matrix.shape[1])
    for start in range(0, studies, step):
        part = slice(start, start + step)
        base = flat[part] @ matrix
        for j, shift in enumerate(added):
            reach = np.abs(observed[part] + shift * gain)
            reach -= TOLERANCE * (largest[part] + abs(shift))
            totals = np.abs(base + shift * gains)
            hits[part, j] = np.count_nonzero(totals >= reach[:, None], axis=1)
    count = matrix.shape[1]
    p = hits / count if labels.exact else (hits + 1) / (count + 1)
    return p if np.ndim(shifts) else p[:, 0]


def joint_p(values: np.ndarray, labels: Labelings, shifts: npt.ArrayLike) -> np.ndarray:
    """p of `permutation.permute_jointly` for every study, arms of equal size.

    Args:
        values: (studies, parameters, blocks, 2, runs).
        labels: of the same design.
        shifts: (effects,) log ratios to add to arm a of every block and parameter.

    Returns:
        (studies, effects).
    """
    matrix = labels.coefficients.reshape(len(labels.coefficients), -1).T
    studies, parameters = values.shape[:2]
    step = max(1, _AT_ONCE // (parameters * matrix.shape[1]))
    added = np.atleast_1d(np.asarray(shifts, np.float64))
    hits = np.empty((studies, added.size), np.int64)
    for start in range(0, studies, step):
        part = slice(start, start + step)
        for j, shift in enumerate(added):
            moved = values[part] + np.array([shift, 0.0])[:, None]
            moved = moved - moved.mean(axis=(-2, -1), keepdims=True)
            flat = moved.reshape(*moved.shape[:2], -1)
            weights = 1 / (flat**2).sum(axis=-1)
            # one product per study: weights (1, parameters) by squares (parameters, labelings)
            shares = (weights[:, None] @ (flat @ matrix) ** 2)[:, 0]
            own = ((flat @ labels.observed.ravel()) ** 2 * weights).sum(axis=1)
            hits[part, j] = np.count_nonzero(shares >= own[:, None] * (1 - TOLERANCE), axis=1)
    count = matrix.shape[1]
    return hits / count if labels.exact else (hits + 1) / (count + 1)


def unequal_p(
    values: np.ndarray, first: int, *, rng: np.random.Generator, studentised: bool, draws: int
) -> np.ndarray:
    """p of `permutation.permute_runs` for every study, arms of unequal size.

    Args:
        values: (studies, blocks, runs), the `first` runs of each block being arm a.
        first: runs of arm a, at least two as are those of arm b where `studentised`.
        rng: of the labelings.
        studentised: as the tests do it, or the plain difference of means.
        draws: random labelings; all of them where there are no more than that.

    Returns:
        (studies,).
    """
    blocks, runs = values.shape[1:]
    second = runs - first
    exact = labelings([(first, second)] * blocks) <= draws
    if exact:
        members = np.zeros((math.comb(runs, first), runs))
        places = np.array(list(combinations(range(runs), first)))
        np.put_along_axis(members, places, 1.0, axis=1)
        index = np.indices((len(members),) * blocks).reshape(blocks, -1)
        chosen = members[index]  # (blocks, labelings, runs)
    else:
        chosen = (np.argsort(rng.random((blocks, draws, runs)), axis=-1) < first).astype(float)
    own = (np.arange(runs) < first).astype(float)
    chosen = np.concatenate([np.broadcast_to(own, (blocks, 1, runs)), chosen], axis=1)
    difference = np.zeros((len(values), chosen.shape[1]))
    variance = np.zeros_like(difference)
    for block, labels in enumerate(chosen):
        centred = values[:, block] - values[:, block].mean(axis=1, keepdims=True)
        sums = centred @ labels.T
        difference = difference + sums * (1 / first + 1 / second)
        if studentised:
            squares = centred**2 @ labels.T
            rest = (centred**2).sum(axis=1, keepdims=True) - squares
            variance = variance + (squares - sums**2 / first) / (first * (first - 1))
            variance = variance + (rest - sums**2 / second) / (second * (second - 1))
    statistics = difference**2 / variance if studentised else difference**2
    hits = np.count_nonzero(statistics[:, 1:] >= statistics[:, :1] * (1 - TOLERANCE), axis=1)
    count = chosen.shape[1] - 1
    return np.asarray(hits / count if exact else (hits + 1) / (count + 1))


def interaction_residuals(values: np.ndarray) -> np.ndarray:
    """The values without the factor's main effect in each network (see `interaction`).

    Args:
        values: (studies, 2 x networks, 2, runs), at least two runs; blocks 2 i and 2 i + 1 are
            the two initialisations of network i, the arms are the data sets.

    Returns:
        The same shape, block means zero. Deviations from the cell's mean are widened so that a
        block's variance is what it would be with the main effect known.
    """
    runs = values.shape[-1]
    means = values.mean(axis=-1)
    difference = means[:, :, 0] - means[:, :, 1]
    main = difference.reshape(len(values), -1, 2).mean(axis=-1).repeat(2, axis=1)
    half = (difference - main)[:, :, None] / 2
    df = 2 * runs - 2
    factor = np.sqrt((df + 0.5) / df)
    centres = np.concatenate([half, -half], axis=2)
    return np.asarray(centres[..., None] + factor * (values - means[..., None]))


class MeanDifferences(NamedTuple):
    """Mean over blocks of the difference of arm means, with what t inference needs."""

    estimate: np.ndarray  # (studies,)
    error: np.ndarray  # (studies,) standard error, unequal variances
    df: np.ndarray  # (studies,) Welch and Satterthwaite

    def p(self) -> np.ndarray:
        """Two-sided p of no difference."""
        from scipy.stats import t  # a second to import

        return np.asarray(2 * t.sf(np.abs(self.estimate) / self.error, self.df))

    def covers(self, truth: float, level: float = 0.95) -> np.ndarray:
        """Whether the t interval holds `truth`."""
        from scipy.stats import t  # a second to import

        half = t.ppf(0.5 + level / 2, self.df) * self.error
        return np.asarray(np.abs(self.estimate - truth) <= half)


def mean_difference(values: np.ndarray) -> MeanDifferences:
    """`intervals.difference_interval` for many studies; at least two runs per arm."""
    runs = values.shape[-1]
    parts = values.var(axis=-1, ddof=1) / runs  # (studies, blocks, 2)
    total = parts.sum(axis=(1, 2))
    df = total**2 / (parts**2 / (runs - 1)).sum(axis=(1, 2))
    means = values.mean(axis=-1)
    blocks = values.shape[1]
    return MeanDifferences(
        (means[:, :, 0] - means[:, :, 1]).mean(axis=1), np.sqrt(total) / blocks, df
    )


def equivalence_p(values: np.ndarray, margin: float) -> np.ndarray:
    """TOST: p of the hypothesis that the arms differ by at least `margin` (log units)."""
    from scipy.stats import t  # a second to import

    difference = mean_difference(values)
    above = t.sf((difference.estimate + margin) / difference.error, difference.df)
    below = t.cdf((difference.estimate - margin) / difference.error, difference.df)
    return np.asarray(np.maximum(above, below))


def energy_p(distances: np.ndarray, labels: Labelings) -> float:
    """p of the energy statistic 2 between - within a - within b under permuted run labels.

    Args:
        distances: (2 k, 2 k) mean distance of the rows of run i to those of run j, arm a first.
        labels: of one block with k runs in each arm.
    """
    signs = labels.coefficients.reshape(len(labels.coefficients), -1)
    statistics = -np.einsum("ni,ij,nj->n", signs, distances, signs, optimize=True)
    own = labels.observed.ravel()
    reach = -float(own @ distances @ own) - TOLERANCE * float(distances.max())
    hits, count = int(np.count_nonzero(statistics >= reach)), len(signs)
    return hits / count if labels.exact else (hits + 1) / (count + 1)


def mixed_model_t(values: np.ndarray) -> np.ndarray:
    """Arm / its standard error in the model y ~ layer * arm + (1 | run), fitted by REML.

    Without missing layers REML has a closed form: the arm's standard error comes from the mean
    square between runs, or, where the variance between runs is estimated as zero, from the mean
    square of everything within arm and layer.

    Args:
        values: (studies, 2, runs, layers), log-means by layer; arm a first.

    Returns:
        (studies,) statistic, positive when a is larger.
    """
    _, _, runs, layers = values.shape
    means = values.mean(axis=-1)  # (studies, 2, runs)
    arms = means.mean(axis=-1)
    between = layers * ((means - arms[..., None]) ** 2).sum(axis=(1, 2))
    by_layer = values.mean(axis=2, keepdims=True)
    residual = values - by_layer - means[..., None] + arms[..., None, None]
    within = (residual**2).sum(axis=(1, 2, 3))
    df_between, df_within = 2 * (runs - 1), 2 * (runs - 1) * (layers - 1)
    pooled = (between + within) / (df_between + df_within)
    square = np.where(between / df_between > within / df_within, between / df_between, pooled)
    return np.asarray((arms[:, 0] - arms[:, 1]) / np.sqrt(2 * square / (runs * layers)))
