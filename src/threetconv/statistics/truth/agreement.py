"""Agreement: do channels answer to the motion that their parameters describe?

A 4 x 4 matrix for each run and layer: Spearman's correlation over channels between what a filter
does from its first slice to its last (`threetconv.statistics.truth.net_motion`) and what the
channel answers to (`threetconv.tuning.tune`). Growth belongs to the zoom index, turning to the turn
index, right and up to the two coordinates of the preferred direction; signs are such that the
diagonal should be positive. The claim is one number a run, the **contrast**: the mean of the
diagonal less the mean size of the other twelve. Exchanged at random, channels make it negative,
since a size is never below 0 (`null`).

Deeper layers answer to motion that is already in their input. The first layer is therefore taken
with its whole tuning, all layers with their own contribution to it. Runs are the unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.truth import AGREEMENT, AGREEMENT_RUNS, INDEX_OF
from threetconv.statistics.analysis_plan import AGAINST
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.truth.net_motion import net_motion
from threetconv.statistics.truth.over_runs import (
    CELL,
    against_runs,
    against_zero,
    holm_over_cells,
)

__all__ = ["CONTRAST", "agreement_by_run", "agreement_table"]

CONTRAST = ("diagonal", "off-diagonal")  # parameter and index of the lines with the contrast
FEWEST = 4  # channels of a correlation
KEYS = ["scope", "tuning", "layer_index", "layer", "parameter", "index"]
DIAGONAL = np.eye(4, dtype=bool)
Array = NDArray[Any]
Rows = NDArray[np.int64]


class _Matrix(NamedTuple):
    """The correlations of one layer, and those with exchanged channels behind them."""

    entries: Array  # (1 + draws, 4, 4): parameter, index
    channels: NDArray[np.int64]  # (4,) that have each index
    reasons: list[list[str]]  # why there is none, 4 x 4

    @property
    def contrasts(self) -> Array:
        """(1 + draws,): of those entries that there are."""
        return _mean(self.entries[:, DIAGONAL]) - _mean(np.abs(self.entries[:, ~DIAGONAL]))


def agreement_by_run(
    parameters: pd.DataFrame,
    tuning: pd.DataFrame,
    runs: pd.DataFrame,
    *,
    seed: int,
    draws: int = 200,
) -> pd.DataFrame:
    """The matrix and the contrast of every run that has both tables.

    Args:
        parameters: parameter tables (`threetconv.schemas.runs.PARAMETERS`); the lines tagged
            "best" are read.
        tuning: tables of `threetconv.schemas.tuning.TUNING`, of some or all of these runs.
        runs: run_id, network, dataset, init, recipe, control.
        seed: of the exchanges.
        draws: how often the channels of a layer exchange their tuning, all four indices together.

    Returns:
        Columns of `AGREEMENT_RUNS`. Scope "first" is the layer of index 0 with total tuning,
        "layer" each layer with its own contribution, "model" their mean, weighted by channels.
        Channels without an index are left out of its correlations; an index or a parameter that
        does not vary, or that fewer than four channels have, has none, and `reason` says why. The
        contrast is over the entries that there are.
    """
    rng = np.random.default_rng(seed)
    motion = net_motion(parameters[parameters["tag"] == "best"])
    both = motion.merge(tuning, on=["run_id", "layer_index", "layer", "channel"])
    lines: list[dict[str, Any]] = []
    cells = with_recipe(runs).set_index("run_id")[CELL]
    for run_id, run in both.groupby("run_id", sort=True, observed=True):
        about: dict[str, Any] = {"run_id": run_id} | dict(
            zip(CELL, cells.loc[[run_id]].to_numpy()[0], strict=True)
        )
        found: list[_Matrix] = []
        for (index, name), layer in run.groupby(["layer_index", "layer"], sort=True):
            place: dict[str, Any] = {"layer_index": index, "layer": name}
            if index == 0:
                matrix = _correlations(layer, "", rng, draws)
                lines += _lines(matrix, about | place | {"scope": "first", "tuning": "total"})
            found.append(_correlations(layer, "own_", rng, draws))
            lines += _lines(found[-1], about | place | {"scope": "layer", "tuning": "own"})
        place = {"layer_index": -1, "layer": "", "scope": "model", "tuning": "own"}
        lines += _lines(_over_layers(found), about | place)
    return pd.DataFrame(lines, columns=AGREEMENT_RUNS.names)


def agreement_table(by_run: pd.DataFrame, *, seed: int, alpha: float = 0.05) -> pd.DataFrame:
    """The matrices and contrasts over runs, by cell and pooled over cells.

    Args:
        by_run: from `agreement_by_run`.
        seed: of draws, where not all signs or relabellings are tried.
        alpha: level of a family, decides what is untestable.

    Returns:
        Columns of `AGREEMENT`. Means over runs with t intervals, and sign flips over runs:
        one-sided on the diagonal and for the contrast, which should be positive. Contrasts of the
        first layer and of the model are tested: by cell (Holm over the cells of a recipe), pooled
        over cells (network, dataset and init are "all"; the mean of the cells' means, each cell a
        block), and both once more as the difference from runs of each control of `AGAINST` in the
        same cells. All other lines are descriptive; the 16 entries of the first layer and of the
        model are there by cell and pooled, those of single layers by cell.
    """
    by_run = by_run.reset_index(drop=True)
    columns = {
        name: by_run[name].to_numpy() for name in ("correlation", "null", "null_sd", "reason")
    }
    lines: list[dict[str, Any]] = []
    for key, group in by_run.groupby([*CELL, *KEYS], sort=False, observed=True):
        about = dict(zip([*CELL, *KEYS], key, strict=True))
        lines.append(about | _against_zero(columns, [group.index.to_numpy()], about, seed))
    # the first layer has another name in each network
    whole = by_run[by_run["scope"] != "layer"].assign(layer="")
    contrasts = whole[whole["parameter"] == CONTRAST[0]]
    names = ["recipe", "control", *KEYS]
    for key, group in whole.groupby(names, sort=False, observed=True):
        about = dict(zip(names, key, strict=True)) | dict.fromkeys(CELL[:3], "all")
        cells = {
            cell: group.index[rows].to_numpy()
            for cell, rows in group.groupby(CELL, sort=False, observed=True).indices.items()
        }
        if len(cells) > 1:
            lines.append(about | _against_zero(columns, list(cells.values()), about, seed))
        if about["control"] == "none" and about["parameter"] == CONTRAST[0]:
            for control in AGAINST:
                lines += _against_control(contrasts, control, about, cells, seed)
    for family in _families(lines):
        holm_over_cells(family, alpha)
    table = pd.DataFrame(lines, columns=AGREEMENT.names)
    return table.astype({"layer_index": "int32"}) if len(table) else table


def _families(lines: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Lines that are tested together; the others are made descriptive."""
    families: dict[Any, list[dict[str, Any]]] = {}
    for line in lines:
        if line["parameter"] == CONTRAST[0] and line["scope"] != "layer":
            key = [line[name] for name in ("recipe", "control", "scope", "against")]
            families.setdefault((*key, line["network"] == "all"), []).append(line)
        elif line["status"] == "ok":
            line["status"] = "descriptive"
    yield from families.values()


def _against_zero(
    columns: dict[str, Array], cells: list[Rows], about: dict[str, Any], seed: int
) -> dict[str, Any]:
    parameter, index = about["parameter"], about["index"]
    expected = parameter == CONTRAST[0] or INDEX_OF[parameter] == index
    values = [columns["correlation"][rows] for rows in cells]
    line = against_zero(values, two_sided=not expected, seed=seed)
    null = float(_mean(np.array([_mean(columns["null"][rows]) for rows in cells])))
    everywhere = np.concatenate(cells)
    spreads = [columns["null_sd"][rows] for rows in cells]
    # of a cell's mean over runs; cells count alike, however many runs they have
    variances = [(s[np.isfinite(s)] ** 2).sum() / np.isfinite(s).sum() ** 2 for s in spreads
                 if np.isfinite(s).any()]  # fmt: skip
    reasons = dict.fromkeys([line["reason"], *columns["reason"][everywhere]])
    return line | {
        "against": "zero",
        "reason": "; ".join(filter(None, reasons)),
        "null": null,
        "null_high": null + 1.96 * math.sqrt(sum(variances)) / max(len(variances), 1),
    }


def _against_control(
    by_run: pd.DataFrame,
    control: str,
    about: dict[str, Any],
    cells: dict[Any, Rows],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Each cell with runs of a control against them, and all such cells."""
    same = (by_run["control"] == control) & (by_run["recipe"] == about["recipe"])
    others = by_run[same & (by_run["scope"] == about["scope"])]
    blocks: list[tuple[Array, Array]] = []
    unknown = {"against": control, "null": math.nan, "null_high": math.nan}
    for cell, rows in cells.items():
        here = others[(others[CELL[:3]] == list(cell[:3])).all(axis=1)]
        if len(here):
            blocks.append((by_run.loc[rows, "correlation"].to_numpy(),
                           here["correlation"].to_numpy()))  # fmt: skip
            found = against_runs(blocks[-1:], seed=seed)
            yield about | dict(zip(CELL, cell, strict=True)) | found | unknown
    if len(blocks) > 1:
        yield about | against_runs(blocks, seed=seed) | unknown


def _lines(matrix: _Matrix, about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line per entry, and one with the contrast."""
    entries = [
        (p, index, matrix.entries[:, i, j], int(matrix.channels[j]), matrix.reasons[i][j])
        for i, p in enumerate(PARAMETERS)
        for j, index in enumerate(INDEX_OF.values())
    ]
    lacking = [p for i, p in enumerate(PARAMETERS) if not np.isfinite(matrix.entries[0, i, i])]
    reason = f"without {', '.join(lacking)}" if lacking else ""
    entries.append((*CONTRAST, matrix.contrasts, int(matrix.channels.max()), reason))
    for parameter, index, values, channels, why in entries:
        known = np.isfinite(values[0])
        yield about | {
            "parameter": parameter,
            "index": index,
            "n_channels": channels,
            "correlation": values[0],
            "null": values[1:].mean() if known else np.nan,
            "null_sd": values[1:].std() if known else np.nan,
            "reason": why,
        }


def _correlations(
    layer: pd.DataFrame, prefix: str, rng: np.random.Generator, draws: int
) -> _Matrix:
    values = layer[list(PARAMETERS)].to_numpy(np.float64)
    answers = layer[[prefix + name for name in INDEX_OF.values()]].to_numpy(np.float64)
    there = np.isfinite(answers)
    keys = rng.random((draws, len(layer)))
    found = np.full((1 + draws, 4, 4), np.nan)
    reasons = [[""] * 4 for _ in PARAMETERS]
    for j, name in enumerate(INDEX_OF.values()):
        rows = there[:, j]
        if (n := int(rows.sum())) < FEWEST:
            for reason in reasons:
                reason[j] = f"fewer than {FEWEST} channels have {name}"
            continue
        x, y = _scores(values[rows]), _scores(answers[rows, j])
        found[0, :, j] = x.T @ y / n
        # the same keys for all indices: channels exchange their whole tuning
        found[1:, :, j] = y @ x[keys[:, rows].argsort(axis=1)] / n
        for i, parameter in enumerate(PARAMETERS):
            same = [what for what, s in ((parameter, x[:, i]), (name, y)) if np.isnan(s).any()]
            reasons[i][j] = f"{' and '.join(same)} does not vary" if same else ""
    return _Matrix(found, there.sum(axis=0), reasons)


def _over_layers(layers: list[_Matrix]) -> _Matrix:
    """The mean of the layers' correlations, weighted by the channels that each is over."""
    values = np.stack([layer.entries for layer in layers])
    weights = np.stack([layer.channels for layer in layers])[:, None, None, :]
    weights = np.where(np.isfinite(values), weights, 0)
    total = weights.sum(axis=0)
    sums = (weights * np.nan_to_num(values)).sum(axis=0)
    mean = np.divide(sums, total, out=np.full_like(sums, np.nan), where=total > 0)
    reasons = [
        ["" if np.isfinite(mean[0, i, j]) else layers[0].reasons[i][j] for j in range(4)]
        for i in range(4)
    ]
    return _Matrix(mean, np.sum([layer.channels for layer in layers], axis=0), reasons)


def _scores(values: Array) -> Array:
    """Ranks with mean 0 and variance 1, column by column; NaN where nothing varies."""
    from scipy.stats import rankdata  # a second to import

    ranks = rankdata(values, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return np.asarray(ranks / np.where(spread > 0, spread, np.nan))


def _mean(values: Array) -> Array:
    """Over the last axis, of what is finite; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    sums = np.where(known, values, 0).sum(axis=-1)
    return np.asarray(np.where(count > 0, sums / np.maximum(count, 1), np.nan))
