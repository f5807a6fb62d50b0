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

from threetconv.records.parameters import RAW, displacement_from_start
from threetconv.schemas.truth import REPRODUCIBILITY
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.permutation import permute
from threetconv.statistics.tests.relabelled import Relabelling
from threetconv.statistics.truth.beside_controls import against_controls
from threetconv.statistics.truth.exchanged import Exchanged, within_less_between
from threetconv.statistics.truth.over_runs import BLANK, holm_over_cells
from threetconv.statistics.truth.shares import (
    PLACE,
    SHOWN,
    TIED,
    ComparedRuns,
    gather,
    icc,
    jackknife_interval,
    over_layers,
    pseudo_values,
    specific,
)

__all__ = ["reproducibility_table"]

BLOCK = ["init", "recipe", "control", "network"]
Array = NDArray[np.float64]


class _Model(NamedTuple):
    """The shares of a network, which are pooled with others."""

    shares: Array  # (5,)
    pseudo: Array  # (K, 5)
    n_runs: int
    n_rows: float
    exchanged: Exchanged | None = None


def reproducibility_table(
    parameters: pd.DataFrame, runs: pd.DataFrame, *, seed: int, alpha: float = 0.05
) -> pd.DataFrame:
    """Both shares of every cell, by layer and parameter.

    Args:
        parameters: parameter tables of the runs (`threetconv.schemas.runs.PARAMETERS`); the lines
            tagged "best" are read, of transitions that all runs of a network can reach.
        runs: run_id, network, dataset, init, recipe, control; runs without parameters are passed
            over.
        seed: of draws, where not all relabellings are tried.
        alpha: level of a family, decides what is untestable.

    Returns:
        Columns of `REPRODUCIBILITY`. Measure "icc": a line per cell; "specific": a line per network
        and start (`dataset` is "all"). Both also over all networks and data sets of a start ("all":
        the mean, each network a block), but not over starts, since scratch runs have no channels in
        common. Intervals are jackknife t intervals over runs, where one can be left out. Only
        "specific" is tested: one-sided against zero, data sets exchanged between the runs of a
        network, start and recipe; and real runs against those of each control
        (`threetconv.statistics.truth.beside_controls`). Holm over what stands beside: networks, and
        apart the single parameters. Layers are descriptive, as is "icc".
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
            str(network): gather(moved, group)
            for network, group in same.groupby("network", sort=True, observed=True)
        }
        lines += _commons(blocks, about)
        if len(set(same["dataset"])) > 1:
            lines += _specifics(blocks, about, seed)
    lines += against_controls(moved, cells, seed)
    families: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        if line["measure"] == "specific" and line["scope"] == "model":
            place = [line[name] for name in BLOCK[:3]]
            place.append(line["against"])
            family = (*place, line["network"] == "all", line["parameter"] == "all")
            families.setdefault(family, []).append(line)
        elif line["status"] == "ok":
            line["status"] = "descriptive"
    for tests in families.values():
        holm_over_cells(tests, alpha)
    table = pd.DataFrame(lines, columns=REPRODUCIBILITY.names)
    return table.astype({"layer_index": "int32"}) if len(table) else table


def _commons(blocks: dict[str, ComparedRuns], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines of measure "icc"."""
    models: list[_Model] = []
    for network, runs in blocks.items():
        for dataset in np.unique(runs.datasets):
            cell = runs.of(np.flatnonzero(runs.datasets == dataset))
            here = about | {"network": network, "dataset": dataset, "measure": "icc"}
            shares = over_layers(icc(cell), cell.rows)
            pseudo = pseudo_values(cell, icc, shares)
            size = len(cell.datasets)
            models.append(_Model(shares[0], pseudo[:, 0], size, cell.rows.sum()))
            why = "" if size > 1 else "one run: nothing to compare it with"
            for where, line in _lines(cell, here, shares, why):
                yield line | jackknife_interval([(pseudo[:, *where],)], shares[where])
    if len(models) > 1:
        yield from _pooled(models, about | {"measure": "icc"})


def _specifics(
    blocks: dict[str, ComparedRuns], about: dict[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Lines of measure "specific"."""
    models: list[_Model] = []
    for network, runs in blocks.items():
        datasets = np.unique(runs.datasets, return_inverse=True)[1]
        here = about | {"network": network, "dataset": "all", "measure": "specific"}
        covariances = over_layers(runs.covariances, runs.rows)
        shares = within_less_between(runs.datasets[None, :], covariances)[0]
        pseudo = pseudo_values(runs, specific, shares)
        tests = [BLANK] * shares.size
        why = "no two runs of one data set, or no other data set"
        if np.isfinite(shares).any():
            why = ""
            known = np.isfinite(shares)
            relabelled = Exchanged(datasets, covariances[known])
            found = iter(_test([relabelled], shares[known], seed))
            tests = [next(found) if k else BLANK for k in known.ravel()]
            whole = Exchanged(datasets, covariances[0])
            size = len(runs.datasets)
            models.append(_Model(shares[0], pseudo[:, 0], size, runs.rows.sum(), whole))
        for (where, line), test in zip(_lines(runs, here, shares, why), tests, strict=True):
            yield (
                line
                | test
                | jackknife_interval([(pseudo[:, *where],)], shares[where])
                | {name: line[name] for name in ("n_runs", "estimate", "status", "reason")}
            )
    if len(models) > 1:
        yield from _specific_over(models, about, seed)


def _specific_over(
    models: list[_Model], about: dict[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Lines of measure "specific" over networks."""
    lines = list(_pooled(models, about | {"measure": "specific"}))
    total = np.array([line["estimate"] for line in lines])
    known = np.isfinite(total)
    exchanged = [m.exchanged for m in models if m.exchanged is not None]
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


def _lines(
    runs: ComparedRuns, about: dict[str, Any], shares: Array, why: str
) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """A line per layer and parameter, the network first, with its place in `shares`."""
    sizes = [runs.rows.sum(), *runs.rows]
    for i, (index, name) in enumerate([(-1, ""), *runs.layers]):
        for j, parameter in enumerate(SHOWN):
            known = np.isfinite(shares[i, j])
            yield (i, j), BLANK | about | {
                "scope": "layer" if i else "model", "layer_index": index, "layer": name,
                "against": "zero",
                "parameter": parameter, "n_runs": len(runs.datasets), "n_rows": int(sizes[i]),
                "estimate": shares[i, j], "status": "ok" if known else "degenerate",
                "reason": "" if known else why or "nothing moved",
            }  # fmt: skip


def _pooled(models: list[_Model], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The means over networks, and over data sets."""
    for j, parameter in enumerate(SHOWN):
        known = [m for m in models if np.isfinite(m.shares[j])]
        estimate = float(np.mean([m.shares[j] for m in known])) if known else math.nan
        line = BLANK | about | {
            "network": "all", "dataset": "all", "scope": "model", "layer_index": -1, "layer": "",
            "parameter": parameter, "n_runs": sum(m.n_runs for m in known),
            "n_rows": int(sum(m.n_rows for m in known)), "estimate": estimate, "against": "zero",
            "status": "ok" if known else "degenerate", "reason": "" if known else "nothing moved",
        }  # fmt: skip
        pseudo = [(m.pseudo[:, j],) for m in known]
        yield line | (jackknife_interval(pseudo, estimate) if known else {})
