"""Shares of the variance of displacements that runs have in common, channel by channel.

`icc` is what the runs of a cell have in common, `specific` what they have in common within a data
set less than between (definitions: `threetconv.statistics.truth.reproducibility`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.tests.intervals import difference_interval, paired_interval
from threetconv.statistics.truth.exchanged import within_less_between

__all__ = [
    "PLACE",
    "SHOWN",
    "TIED",
    "ComparedRuns",
    "gather",
    "icc",
    "jackknife_interval",
    "over_layers",
    "pseudo_values",
    "specific",
]

PLACE = ["layer_index", "layer", "transition", "channel"]
SHOWN = (*PARAMETERS, "all")
TIED = 1e-12  # two statistics closer than this are one: shares are of order 1
Array = NDArray[np.float64]


class ComparedRuns(NamedTuple):
    """What is needed of the displacements of runs of one network, trained alike.

    Sums over the rows of each layer; axes are layers, parameters, runs.
    """

    run_ids: NDArray[Any]  # (K,)
    datasets: NDArray[Any]  # (K,) of each run
    layers: list[tuple[int, str]]
    rows: Array  # (L,)
    sums: Array  # (L, 4, K)
    products: Array  # (L, 4, K, K)

    def of(self, keep: NDArray[Any]) -> ComparedRuns:
        """Some of the runs."""
        return self._replace(
            run_ids=self.run_ids[keep],
            datasets=self.datasets[keep],
            sums=self.sums[..., keep],
            products=self.products[..., keep, :][..., keep],
        )

    @property
    def covariances(self) -> Array:
        """(L, 4, K, K) of runs over rows, by the mean variance of a run; NaN where none moved."""
        n = self.rows[:, None, None, None]
        centred = self.products - self.sums[..., :, None] * self.sums[..., None, :] / n
        total = np.trace(centred, axis1=2, axis2=3) / len(self.datasets)
        return np.asarray(centred / np.where(total > 0, total, np.nan)[..., None, None])


def icc(runs: ComparedRuns) -> Array:
    """ICC(1) of each layer and parameter, (L, 4); NaN where nothing moved, or with one run."""
    n, k = runs.rows[:, None], len(runs.datasets)
    if k < 2:
        return np.full(runs.sums.shape[:2], np.nan)
    mean = runs.sums.sum(axis=-1) / (n * k)
    # sums of squares about the common mean, from sums of products about 0
    total = np.trace(runs.products, axis1=2, axis2=3) - n * k * mean**2
    between = runs.products.sum(axis=(2, 3)) / k - n * k * mean**2
    between, within = between / (n - 1), (total - between) / (n * (k - 1))
    below = between + (k - 1) * within
    return np.asarray((between - within) / np.where(below > 0, below, np.nan))


def specific(runs: ComparedRuns) -> Array:
    """Within less between data sets, (L, 4); NaN without pairs of runs of both kinds."""
    return within_less_between(runs.datasets[None, :], runs.covariances)[0]


def gather(moved: pd.DataFrame, group: pd.DataFrame) -> ComparedRuns:
    """The sums of a network's runs."""
    of = moved[moved["run_id"].isin(group["run_id"])]
    # pivot_table averages duplicates silently
    wide = of.pivot(index=PLACE, columns="run_id", values=list(PARAMETERS))  # noqa: PD010
    wide = wide.dropna().sort_index()
    runs = wide.columns.get_level_values("run_id")[: len(group)]
    values = wide.to_numpy(np.float64).reshape(len(wide), len(PARAMETERS), len(runs))
    at = wide.index.to_frame(index=False)
    places = list(dict.fromkeys(zip(at["layer_index"], at["layer"], strict=True)))
    parts = [values[at["layer_index"].to_numpy() == index] for index, _ in places]
    kept = [i for i, part in enumerate(parts) if len(part) > 1]
    k = len(runs)
    return ComparedRuns(
        runs.to_numpy(str),
        group.set_index("run_id")["dataset"].astype(str).loc[runs].to_numpy(),
        [places[i] for i in kept],
        np.array([len(parts[i]) for i in kept], np.float64),
        np.array([parts[i].sum(axis=0) for i in kept]).reshape(-1, 4, k),
        np.array([np.einsum("npk,npl->pkl", parts[i], parts[i]) for i in kept])
        .reshape(-1, 4, k, k),
    )  # fmt: skip


def over_layers(shares: Array, rows: Array) -> Array:
    """(L, 4, ...) -> (1 + L, 5, ...): the network before its layers, "all" behind parameters."""
    weights = rows.reshape(-1, *[1] * (shares.ndim - 1)) * np.isfinite(shares)
    total = weights.sum(axis=0)
    model = (weights * np.nan_to_num(shares)).sum(axis=0) / np.where(total > 0, total, np.nan)
    table = np.concatenate([model[None], shares])
    known = np.isfinite(table)
    count = known.sum(axis=1, keepdims=True)
    mean = np.nan_to_num(table).sum(axis=1, keepdims=True) / np.where(count > 0, count, np.nan)
    return np.concatenate([table, mean], axis=1)


def pseudo_values(
    runs: ComparedRuns, share: Callable[[ComparedRuns], Array], whole: Array
) -> Array:
    """Pseudo-values of each run, (K, 1 + L, 5)."""
    k = len(runs.datasets)
    left_out = [np.delete(np.arange(k), i) for i in range(k)]
    parts = [over_layers(share(runs.of(keep)), runs.rows) for keep in left_out]
    return np.asarray(k * whole - (k - 1) * np.stack(parts))


def jackknife_interval(blocks: Sequence[tuple[Array, ...]], estimate: float) -> dict[str, Any]:
    """Interval of a share from the pseudo-values of its runs, or of a difference of two shares.

    Args:
        blocks: for each block the pseudo-values of its runs, or those of both arms.
        estimate: the share, or the first arm's less the second's; mean over blocks.
    """
    finite = all(np.isfinite(arm).all() for arms in blocks for arm in arms)
    if not finite or not math.isfinite(estimate):
        return {"ci_method": "none (too few runs to leave one out)"}
    means = [[arm.mean() for arm in arms] for arms in blocks]
    if len(blocks[0]) == 1:
        interval = paired_interval([arm for (arm,) in blocks])
        centre = float(np.mean(means))
        method = interval.method.replace("paired ", "jackknife over runs, ")
    else:
        interval = difference_interval([(a, b) for a, b in blocks])
        centre = float(np.mean([a - b for a, b in means]))
        method = interval.method
        if not method.startswith("none"):
            method = f"jackknife over runs, {method}"
    # about the estimate: the mean of pseudo-values would take a bias away and add noise
    shift = float(estimate) - centre
    return {
        "ci_low": interval.low + shift,
        "ci_high": interval.high + shift,
        "ci_method": method.replace("pair ", "run "),
    }
