"""Reproducibility: does the same channel learn the same motion again?

Runs that start from the same 2D weights have channels that can be compared one by one. What is
compared is the signed displacement since the start of training, not the final value: runs of a
recipe with a spread start each from a spread of their own (its seed is the run's), which no two
runs share, and what they share at the identity is no finding. What training adds may still depend
on where it began, so with a spread the shares are lower than they would be from a common start.

Two shares of the variance of these displacements over the rows (channels and transitions) of a
layer:

- **icc**: what the runs of a cell have in common, the intraclass correlation ICC(1) of a one-way
  analysis of variance with rows as targets and runs as raters (Shrout and Fleiss 1979);
- **specific**: the covariance of runs of one data set less that of runs of different ones, each run
  centred on its layer's mean, over the mean variance of a run. It is above 0 if channels learn the
  data set's motion, and not only what their 2D weights suggest.

Of a network: the mean over its layers, weighted by rows. "all" parameters: the mean of the four.
Scratch runs have no channels in common and show what chance gives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.records.parameters import PARAMETERS, RAW, displacement_from_start
from threetconv.schemas.truth import REPRODUCIBILITY
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.intervals import paired_interval
from threetconv.statistics.tests.permutation import permute
from threetconv.statistics.tests.relabelled import Relabelling
from threetconv.statistics.truth.exchanged import Exchanged, within_less_between
from threetconv.statistics.truth.over_runs import BLANK, holm_over_cells

__all__ = ["icc", "reproducibility_table", "specific"]

BLOCK = ["init", "recipe", "control", "network"]
PLACE = ["layer_index", "layer", "transition", "channel"]
SHOWN = (*PARAMETERS, "all")
TIED = 1e-12  # two statistics closer than this are one: shares are of order 1
Array = NDArray[np.float64]


class _Runs(NamedTuple):
    """What is needed of the displacements of runs of one network, trained alike.

    Sums over the rows of each layer; axes are layers, parameters, runs.
    """

    datasets: NDArray[Any]  # (K,) of each run
    layers: list[tuple[int, str]]
    rows: Array  # (L,)
    sums: Array  # (L, 4, K)
    products: Array  # (L, 4, K, K)

    def of(self, keep: NDArray[Any]) -> _Runs:
        """Some of the runs."""
        return self._replace(
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


def icc(runs: _Runs) -> Array:
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


def specific(runs: _Runs) -> Array:
    """Within less between data sets, (L, 4); NaN without pairs of runs of both kinds."""
    return within_less_between(runs.datasets[None, :], runs.covariances)[0]


def reproducibility_table(
    parameters: pd.DataFrame, runs: pd.DataFrame, *, seed: int, alpha: float = 0.05
) -> pd.DataFrame:
    """Both shares of every cell, by layer and parameter.

    Args:
        parameters: parameter tables of the runs (`threetconv.records.parameters.SCHEMA`); the lines
            tagged "best" are read, of transitions that all runs of a network can reach.
        runs: run_id, network, dataset, init, recipe, control; runs without parameters are passed
            over.
        seed: of draws, where not all relabellings are tried.
        alpha: level of a family, decides what is untestable.

    Returns:
        Columns of `REPRODUCIBILITY`. Measure "icc": a line per cell; "specific": a line per network
        and start (`dataset` is "all"). Both also over all networks and data sets ("all": the mean).
        Intervals are jackknife t intervals over runs, where one can be left out. Only "specific"
        is tested: one-sided, data sets exchanged between the runs of a network, start and recipe;
        Holm over what stands beside: networks, and apart the single parameters. Layers are
        descriptive, as is "icc".
    """
    rows = parameters[(parameters["tag"] == "best") & parameters["reachable"].astype(bool)]
    moved = rows[["run_id", *PLACE]].assign(**{
        p: displacement_from_start(p, rows[raw], rows[f"{raw}_start"]) for p, raw in RAW.items()
    })  # fmt: skip
    cells = with_recipe(runs)
    cells = cells[cells["run_id"].isin(moved["run_id"])]
    lines: list[dict[str, Any]] = []
    for key, same in cells.groupby(BLOCK[:3], sort=True, observed=True):
        about = dict(zip(BLOCK[:3], key, strict=True))
        blocks = {
            str(network): _gather(moved, group)
            for network, group in same.groupby("network", sort=True, observed=True)
        }
        lines += _commons(blocks, about)
        if len(set(same["dataset"])) > 1:
            lines += _specifics(blocks, about, seed)
    families: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        if line["measure"] == "specific" and line["scope"] == "model":
            place = [line[name] for name in BLOCK[:3]]
            family = (*place, line["network"] == "all", line["parameter"] == "all")
            families.setdefault(family, []).append(line)
        elif line["status"] == "ok":
            line["status"] = "descriptive"
    for tests in families.values():
        holm_over_cells(tests, alpha)
    table = pd.DataFrame(lines, columns=REPRODUCIBILITY.names)
    return table.astype({"layer_index": "int32"}) if len(table) else table


def _gather(moved: pd.DataFrame, group: pd.DataFrame) -> _Runs:
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
    return _Runs(
        group.set_index("run_id")["dataset"].astype(str).loc[runs].to_numpy(),
        [places[i] for i in kept],
        np.array([len(parts[i]) for i in kept], np.float64),
        np.array([parts[i].sum(axis=0) for i in kept]).reshape(-1, 4, k),
        np.array([np.einsum("npk,npl->pkl", parts[i], parts[i]) for i in kept])
        .reshape(-1, 4, k, k),
    )  # fmt: skip


def _whole(shares: Array, rows: Array) -> Array:
    """(L, 4, ...) -> (1 + L, 5, ...): the network before its layers, "all" behind parameters."""
    weights = rows.reshape(-1, *[1] * (shares.ndim - 1)) * np.isfinite(shares)
    total = weights.sum(axis=0)
    model = (weights * np.nan_to_num(shares)).sum(axis=0) / np.where(total > 0, total, np.nan)
    table = np.concatenate([model[None], shares])
    known = np.isfinite(table)
    count = known.sum(axis=1, keepdims=True)
    mean = np.nan_to_num(table).sum(axis=1, keepdims=True) / np.where(count > 0, count, np.nan)
    return np.concatenate([table, mean], axis=1)


def _commons(blocks: dict[str, _Runs], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines of measure "icc"."""
    models: list[tuple[Array, Array, int, float]] = []
    for network, runs in blocks.items():
        for dataset in np.unique(runs.datasets):
            cell = runs.of(np.flatnonzero(runs.datasets == dataset))
            here = about | {"network": network, "dataset": dataset, "measure": "icc"}
            shares = _whole(icc(cell), cell.rows)
            pseudo = _jackknife(cell, icc, shares)
            size = len(cell.datasets)
            models.append((shares[0], pseudo[:, 0], size, cell.rows.sum()))
            why = "" if size > 1 else "one run: nothing to compare it with"
            for where, line in _lines(cell, here, shares, why):
                yield line | _interval([pseudo[:, *where]], shares[where])
    if len(models) > 1:
        yield from _pooled(models, about | {"measure": "icc"})


def _specifics(
    blocks: dict[str, _Runs], about: dict[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Lines of measure "specific"."""
    models, exchanged = [], []
    for network, runs in blocks.items():
        datasets = np.unique(runs.datasets, return_inverse=True)[1]
        here = about | {"network": network, "dataset": "all", "measure": "specific"}
        covariances = _whole(runs.covariances, runs.rows)
        shares = within_less_between(runs.datasets[None, :], covariances)[0]
        pseudo = _jackknife(runs, specific, shares)
        tests = [BLANK] * shares.size
        why = "no two runs of one data set, or no other data set"
        if np.isfinite(shares).any():
            why = ""
            known = np.isfinite(shares)
            relabelled = Exchanged(datasets, covariances[known])
            found = iter(_test([relabelled], shares[known], seed))
            tests = [next(found) if k else BLANK for k in known.ravel()]
            models.append((shares[0], pseudo[:, 0], len(runs.datasets), runs.rows.sum()))
            exchanged.append(Exchanged(datasets, covariances[0]))
        for (where, line), test in zip(_lines(runs, here, shares, why), tests, strict=True):
            yield (
                line
                | test
                | _interval([pseudo[:, *where]], shares[where])
                | {name: line[name] for name in ("n_runs", "estimate", "status", "reason")}
            )
    if len(models) > 1:
        lines = list(_pooled(models, about | {"measure": "specific"}))
        total = np.array([line["estimate"] for line in lines])
        known = np.isfinite(total)
        usable = [e._replace(covariances=e.covariances[known]) for e in exchanged]
        found = iter(_test(usable, total[known], seed))
        for line, there in zip(lines, known, strict=True):
            yield line | (next(found) if there else {})


def _test(blocks: list[Exchanged], observed: Array, seed: int) -> list[dict[str, Any]]:
    least = math.prod(block.least for block in blocks)
    blocks_as: list[Relabelling] = list(blocks)
    results = permute(
        blocks_as, observed, np.full(observed.size, TIED), least=least, two_sided=False, seed=seed
    )
    return [
        {
            "method": "data sets of runs, one-sided",
            "p_raw": result.p,
            "p_floor": result.floor,
            "exact": result.exact,
            "n_permutations": result.n_permutations,
            "rng_seed": seed,
        }
        for result in results
    ]


def _jackknife(runs: _Runs, share: Any, whole: Array) -> Array:
    """Pseudo-values of each run, (K, 1 + L, 5)."""
    k = len(runs.datasets)
    left_out = [np.delete(np.arange(k), i) for i in range(k)]
    parts = [_whole(share(runs.of(keep)), runs.rows) for keep in left_out]
    return np.asarray(k * whole - (k - 1) * np.stack(parts))


def _interval(pseudo: list[Array], estimate: float) -> dict[str, Any]:
    if not all(np.isfinite(values).all() for values in pseudo) or not np.isfinite(estimate):
        return {"ci_method": "none (too few runs to leave one out)"}
    interval = paired_interval(pseudo)
    # about the estimate: the mean of pseudo-values would take a bias away and add noise
    shift = float(estimate) - float(np.mean([values.mean() for values in pseudo]))
    method = interval.method.replace("paired ", "jackknife over runs, ")
    return {
        "ci_low": interval.low + shift,
        "ci_high": interval.high + shift,
        "ci_method": method.replace("pair ", "run "),
    }


def _lines(
    runs: _Runs, about: dict[str, Any], shares: Array, why: str
) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """A line per layer and parameter, the network first, with its place in `shares`."""
    sizes = [runs.rows.sum(), *runs.rows]
    for i, (index, name) in enumerate([(-1, ""), *runs.layers]):
        for j, parameter in enumerate(SHOWN):
            known = np.isfinite(shares[i, j])
            yield (i, j), BLANK | about | {
                "scope": "layer" if i else "model", "layer_index": index, "layer": name,
                "parameter": parameter, "n_runs": len(runs.datasets), "n_rows": int(sizes[i]),
                "estimate": shares[i, j], "status": "ok" if known else "degenerate",
                "reason": "" if known else why or "nothing moved",
            }  # fmt: skip


def _pooled(
    models: list[tuple[Array, Array, int, float]], about: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """The means over networks, and over data sets."""
    for j, parameter in enumerate(SHOWN):
        known = [m for m in models if np.isfinite(m[0][j])]
        estimate = float(np.mean([m[0][j] for m in known])) if known else math.nan
        line = BLANK | about | {
            "network": "all", "dataset": "all", "scope": "model", "layer_index": -1, "layer": "",
            "parameter": parameter, "n_runs": sum(m[2] for m in known),
            "n_rows": int(sum(m[3] for m in known)), "estimate": estimate,
            "status": "ok" if known else "degenerate", "reason": "" if known else "nothing moved",
        }  # fmt: skip
        yield line | (_interval([m[1][:, j] for m in known], estimate) if known else {})
