"""Reproducibility of real runs against that of negative controls.

The share "specific" (within a data set less than between) of real runs less that of controls' runs
of the same network, start and recipe. Under the null hypothesis real and control runs of one data
set may exchange their labels; both shares are then made anew.

Real runs and controls move differently far. Unscaled, arms of exchanged labels mix large and small
displacements and their shares vary less than those of the true arms do, so that a true null
hypothesis would be rejected too often (about .10 at three times as far, with three runs against
three of two data sets). Runs are therefore scaled by the mean variance of their arm before labels
are exchanged; the statistic of the true labels is the difference of the shares as they are.

What is tested is that labels may be exchanged. Arms whose shares are equal and not zero, each with
a pattern of its own, differ in more than their labels; p = .05 is then reached in about 11 % of
studies of three runs against three.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.statistics.analysis_plan import AGAINST
from threetconv.statistics.tests.families import REAL
from threetconv.statistics.tests.permutation import attainable_floor, labelings, permute
from threetconv.statistics.tests.relabelled import Relabelling, choices
from threetconv.statistics.truth.over_runs import BLANK
from threetconv.statistics.truth.shares import (
    SHOWN,
    TIED,
    gather,
    jackknife_interval,
    over_layers,
    pseudo_values,
    specific,
)

__all__ = ["ExchangedArms", "against_controls"]

Array = NDArray[np.float64]


class ExchangedArms(NamedTuple):
    """Labels of two arms exchanged between runs of one data set, of one network and start.

    The statistic is the share "specific" of the first arm less that of the second, over layers.
    """

    datasets: NDArray[Any]  # (K,) of each run
    first: NDArray[np.bool_]  # (K,) runs of the first arm
    covariances: Array  # (L, 4, K, K) of runs over rows
    rows: Array  # (L,)
    shown: tuple[int, ...] = tuple(range(len(SHOWN)))  # which of `SHOWN`

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Runs of both arms in each data set."""
        return [
            (int(self.first[at].sum()), int((~self.first[at]).sum())) for at in self._by_dataset()
        ]

    @property
    def labelings(self) -> int:
        return labelings(self.sizes)

    def every(self) -> Array:
        masks = np.zeros((1, self.first.size))
        for at, (size, _) in zip(self._by_dataset(), self.sizes, strict=True):
            ways = choices(at.size, size)
            before = len(masks)
            masks = np.repeat(masks, len(ways), axis=0)
            masks[:, at] = np.tile(ways, (before, 1))
        return self.of(masks)

    def drawn(self, rng: np.random.Generator, rows: int) -> Array:
        if self.labelings <= rows:  # cheaper than as many draws
            return self.every()[rng.integers(self.labelings, size=rows)]
        masks = np.tile(self.first.astype(np.float64), (rows, 1))
        for at in self._by_dataset():
            masks[:, at] = rng.permuted(masks[:, at], axis=1)
        return self.of(masks)

    def scaled(self) -> ExchangedArms:
        """Every run by the mean variance of its arm."""
        variances = np.diagonal(self.covariances, axis1=2, axis2=3)
        mean = np.empty_like(variances)
        for arm in (self.first, ~self.first):
            mean[..., arm] = variances[..., arm].mean(axis=-1, keepdims=True)
        scale = np.sqrt(np.where(mean > 0, mean, np.inf))
        by = scale[..., :, None] * scale[..., None, :]
        return self._replace(covariances=np.nan_to_num(self.covariances / by))

    def _by_dataset(self) -> list[NDArray[np.intp]]:
        return [np.flatnonzero(self.datasets == name) for name in np.unique(self.datasets)]

    def of(self, masks: Array) -> Array:
        """(labelings, m) for masks (labelings, K) that are 1 for runs of the first arm."""
        total = np.zeros((len(SHOWN), len(masks)))
        same = self.datasets[:, None] == self.datasets[None, :]
        for sign, arm, sizes in (
            (1, masks, [a for a, _ in self.sizes]),
            (-1, 1 - masks, [b for _, b in self.sizes]),
        ):
            n, squares = sum(sizes), sum(size**2 for size in sizes)
            # ordered pairs of two runs; none of a kind makes the share unknown
            within, between = (
                count if count else math.nan for count in (squares - n, n**2 - squares)
            )
            weights = np.where(same, 1 / within, -1 / between)
            np.fill_diagonal(weights, 0)
            above = ((arm @ (self.covariances * weights)) * arm).sum(axis=-1)
            below = np.diagonal(self.covariances, axis1=2, axis2=3) @ arm.T / n
            shares = above / np.where(below > 0, below, np.nan)
            total += sign * over_layers(shares, self.rows)[0]
        # an arm in which nothing moved has nothing in common
        return np.asarray(np.nan_to_num(total[list(self.shown)].T))


class _Beside(NamedTuple):
    """Real runs and controls of one network and start."""

    difference: Array  # (5,)
    pseudo: tuple[Array, Array]  # (K, 5) of each arm
    n_runs: tuple[int, int]
    n_rows: int
    exchanged: ExchangedArms


def against_controls(
    moved: pd.DataFrame, cells: pd.DataFrame, seed: int
) -> Iterator[dict[str, Any]]:
    """Lines of `REPRODUCIBILITY`, p not yet adjusted.

    Args:
        moved: run_id, `PLACE`, and the signed displacements s, r, px, py.
        cells: runs: run_id, network, dataset, init, recipe, control.
        seed: of draws, where not all relabellings are tried.

    Yields:
        A line per parameter for each recipe, control of `AGAINST`, start and network that has runs
        of the control; and over the networks of a start (network is "all"), where there are
        several. Data sets without runs of both arms are left out.
    """
    for (recipe, init), same in cells.groupby(["recipe", "init"], sort=True, observed=True):
        for control in AGAINST:
            about = {"recipe": recipe, "control": REAL, "init": init, "dataset": "all",
                     "against": control}  # fmt: skip
            found: list[_Beside] = []
            for network, group in same.groupby("network", sort=True, observed=True):
                here = about | {"network": network}
                block, why = _block(moved, group, control)
                if block:
                    found.append(block)
                    yield from _lines([block], here, seed)
                elif why:
                    yield from _unknown(here, why)
            if len(found) > 1:
                yield from _lines(found, about | {"network": "all"}, seed)


def _block(moved: pd.DataFrame, group: pd.DataFrame, control: str) -> tuple[_Beside | None, str]:
    """The runs that are compared, or why there are none; no reason without any control."""
    arms = group[group["control"].isin([REAL, control])]
    both = arms.groupby("dataset", observed=True)["control"].nunique()
    if set(arms["control"]) != {REAL, control}:
        return None, ""
    arms = arms[arms["dataset"].isin(both.index[both == 2])]
    if arms["dataset"].nunique() < 2:
        return None, "no two data sets have runs of both"
    runs = gather(moved, arms)
    of = arms.set_index("run_id")["control"].astype(str).loc[runs.run_ids].to_numpy()
    parts = [runs.of(np.flatnonzero(of == arm)) for arm in (REAL, control)]
    shares = [over_layers(specific(part), part.rows) for part in parts]
    difference = (shares[0] - shares[1])[0]
    if not np.isfinite(difference).any():
        return None, "no two runs of one data set, or nothing moved"
    first, second = (
        pseudo_values(part, specific, share)[:, 0]
        for part, share in zip(parts, shares, strict=True)
    )
    sizes = (len(parts[0].run_ids), len(parts[1].run_ids))
    exchanged = ExchangedArms(runs.datasets, of == REAL, runs.covariances, runs.rows)
    return (
        _Beside(difference, (first, second), sizes, int(runs.rows.sum()), exchanged.scaled()),
        "",
    )


def _lines(blocks: list[_Beside], about: dict[str, Any], seed: int) -> Iterator[dict[str, Any]]:
    """A line per parameter, over blocks in which it is known everywhere."""
    total = np.mean([block.difference for block in blocks], axis=0)
    known = np.flatnonzero(np.isfinite(total))
    exchanged: list[Relabelling] = [
        block.exchanged._replace(shown=tuple(known)) for block in blocks
    ]
    results = permute(
        exchanged,
        total[known],
        np.full(known.size, TIED),
        least=attainable_floor([size for block in blocks for size in block.exchanged.sizes]),
        two_sided=True,
        seed=seed,
    )
    found = dict(zip(known.tolist(), results, strict=True))
    for j, parameter in enumerate(SHOWN):
        if j not in found:
            yield from _unknown(about, "nothing moved", [parameter])
            continue
        line = _blank(about, parameter) | {
            "n_runs": sum(block.n_runs[0] for block in blocks),
            "n_other": sum(block.n_runs[1] for block in blocks),
            "n_rows": sum(block.n_rows for block in blocks),
            "estimate": float(total[j]),
            "method": "labels of runs within data sets, two-sided",
            "p_raw": found[j].p,
            "p_floor": found[j].floor,
            "exact": found[j].exact,
            "n_permutations": found[j].n_permutations,
            "rng_seed": seed,
        }
        arms = [(block.pseudo[0][:, j], block.pseudo[1][:, j]) for block in blocks]
        yield line | jackknife_interval(arms, float(total[j]))


def _blank(about: dict[str, Any], parameter: str) -> dict[str, Any]:
    place = {"measure": "specific", "scope": "model", "layer_index": -1, "layer": "", "n_rows": 0}
    return BLANK | about | place | {"parameter": parameter}


def _unknown(
    about: dict[str, Any], why: str, parameters: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    for parameter in parameters or SHOWN:
        yield _blank(about, parameter) | {"status": "degenerate", "reason": why}
