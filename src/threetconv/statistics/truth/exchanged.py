"""Data sets exchanged between runs: how alike are runs within data sets, less than between?"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threetconv.statistics.tests.relabelled import choices

__all__ = ["Exchanged", "arrangements", "within_less_between"]

Array = NDArray[np.float64]


def within_less_between(labels: NDArray[Any], covariances: Array) -> Array:
    """Mean within less mean between, for each row of labels: (labelings, ...)."""
    k = labels.shape[1]
    same = labels[:, :, None] == labels[:, None, :]
    pairs = ~np.eye(k, dtype=bool)
    weights = np.zeros(same.shape)
    for sign, kind in ((1, same & pairs), (-1, ~same)):
        count = kind.sum(axis=(1, 2), keepdims=True)
        weights += sign * kind / np.where(count > 0, count, np.nan)
    return np.asarray(np.tensordot(weights, covariances, axes=([1, 2], [-2, -1])))


class Exchanged(NamedTuple):
    """Data sets exchanged between the runs of one network."""

    datasets: NDArray[np.int64]  # (K,)
    covariances: Array  # (m, K, K)

    @property
    def labelings(self) -> int:
        counts = np.bincount(self.datasets)
        return math.factorial(int(counts.sum())) // math.prod(math.factorial(c) for c in counts)

    @property
    def least(self) -> float:
        """The smallest p: data sets of equally many runs may exchange names without a change."""
        sizes = Counter(np.bincount(self.datasets).tolist())
        return math.prod(math.factorial(count) for count in sizes.values()) / self.labelings

    def every(self) -> Array:
        return within_less_between(arrangements(np.bincount(self.datasets)), self.covariances)

    def drawn(self, rng: np.random.Generator, rows: int) -> Array:
        labels = rng.permuted(np.tile(self.datasets, (rows, 1)), axis=1)
        return within_less_between(labels, self.covariances)


def arrangements(counts: ArrayLike) -> NDArray[np.int64]:
    """Every way to give so many runs each label: (ways, runs)."""
    found = np.zeros((1, int(np.sum(counts))), np.int64)
    for label, count in enumerate(np.asarray(counts)[1:], start=1):
        free = np.flatnonzero(found[0] == 0).size
        chosen = choices(free, int(count)).astype(bool)
        # among the places that are still of label 0, in each arrangement so far
        parts = []
        for arrangement in found:
            labels = np.tile(arrangement, (len(chosen), 1))
            at = np.flatnonzero(arrangement == 0)
            labels[:, at] = np.where(chosen, label, 0)
            parts.append(labels)
        found = np.concatenate(parts)
    return found
