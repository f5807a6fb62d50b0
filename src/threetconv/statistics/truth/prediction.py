"""Prediction: do the parameters of the first layer tell which of two opposite classes is preferred?

From what a channel's filter does over time (`threetconv.statistics.truth.net_motion`: s, r, px, py,
in SDs of the run) a logistic regression predicts which of two opposite classes the channel answers
to more. It is fitted to the channels of all other runs of a cell and tried on those of the run that
was left out; runs are the unit. Channels that exchange their preferences show what comes out right
by chance, about one half. In the first layer alone, since only there is a filter's motion one in
the clip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.truth import PREDICTION, PREDICTION_RUNS
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.truth.net_motion import net_motion
from threetconv.statistics.truth.over_runs import CELL, against_zero, holm_over_cells

__all__ = ["prediction_by_run", "prediction_table"]

RIDGE = 1.0  # keeps weights finite where the classes can be told apart without an error
FEWEST = 2  # runs: one to learn from, one to try
Array = NDArray[np.float64]
Pairs = Mapping[str, Sequence[tuple[str, str]]]


def prediction_by_run(
    parameters: pd.DataFrame,
    preferences: pd.DataFrame,
    runs: pd.DataFrame,
    opposites: Pairs,
    *,
    seed: int,
    draws: int = 100,
) -> pd.DataFrame:
    """Share of channels whose preference was predicted, of every run and pair of classes.

    Args:
        parameters: parameter tables (`threetconv.schemas.runs.PARAMETERS`); the lines tagged
            "best" are read.
        preferences: from `threetconv.explain.class_preferences.class_preferences`, of some or all
            of these runs.
        runs: run_id, network, dataset, init, recipe, control.
        opposites: data set -> pairs of opposite classes.
        seed: of the exchanges.
        draws: how often the channels of each run exchange their preferences, for `null`.

    Returns:
        Columns of `PREDICTION_RUNS`. Channels that prefer neither class are left out. Without a
        second run with preferences in its cell, or where all channels that are learned from prefer
        one class, a run has no accuracy, and `reason` says why.
    """
    rng = np.random.default_rng(seed)
    first = parameters[(parameters["tag"] == "best") & (parameters["layer_index"] == 0)]
    keys = ["run_id", "layer_index", "channel"]
    liked = preferences.set_index([*keys, "label"])["preference"]
    scores = liked.unstack("label").reset_index()  # noqa: PD010 (pivot_table averages duplicates)
    channels = net_motion(first).merge(scores, on=keys)
    cells = with_recipe(runs)
    cells = cells[cells["dataset"].isin(list(opposites))]
    lines: list[dict[str, Any]] = []
    for cell, members in cells.groupby(CELL, sort=True, observed=True):
        about = dict(zip(CELL, cell, strict=True))
        of = channels[channels["run_id"].isin(members["run_id"])]
        for towards, away in opposites[str(about["dataset"])]:
            if towards not in of or away not in of:
                continue
            known: dict[str, tuple[Array, NDArray[np.bool_]]] = {}
            for run_id, run in of.groupby("run_id", sort=True, observed=True):
                more = run[towards].to_numpy(np.float64) - run[away].to_numpy(np.float64)
                prefers = np.isfinite(more) & (more != 0)
                x = _standardised(run[list(PARAMETERS)].to_numpy(np.float64)[prefers])
                known[str(run_id)] = (x, more[prefers] > 0)
            for run_id, found in _left_out(known, rng, draws).items():
                pair = {"run_id": run_id, "towards": towards, "away": away}
                lines.append(about | pair | found)
    return pd.DataFrame(lines, columns=PREDICTION_RUNS.names)


def prediction_table(by_run: pd.DataFrame, *, seed: int, alpha: float = 0.05) -> pd.DataFrame:
    """Accuracies over runs, by cell and pooled over cells.

    Args:
        by_run: from `prediction_by_run`.
        seed: of draws, where not all signs are tried.
        alpha: level of a family, decides what is untestable.

    Returns:
        Columns of `PREDICTION`. A run's number is its accuracy, mean over pairs, less what its
        channels give that exchange their preferences (one half, or more where most channels prefer
        one class and most filters move one way): t intervals over runs; sign flips, one-sided. Holm
        over the cells of a recipe and control; pooled ("all", each cell a block) apart.
    """
    lines: list[dict[str, Any]] = []
    for (recipe, control), group in by_run.groupby(["recipe", "control"], sort=True, observed=True):
        cells = [cell for _, cell in group.groupby(CELL, sort=True, observed=True)]
        alone = [cell.iloc[0][CELL].to_dict() | _over_runs([cell], seed) for cell in cells]
        pooled = dict.fromkeys(CELL[:3], "all") | {"recipe": recipe, "control": control}
        families = [alone, [pooled | _over_runs(cells, seed)] if len(cells) > 1 else []]
        for family in families:
            holm_over_cells(family, alpha)
            lines += family
    return pd.DataFrame(lines, columns=PREDICTION.names)


def _over_runs(cells: list[pd.DataFrame], seed: int) -> dict[str, Any]:
    names = ["accuracy", "null"]
    means = [cell.groupby("run_id", sort=True)[names].mean() for cell in cells]
    blocks = [(mean["accuracy"] - mean["null"]).to_numpy(np.float64) for mean in means]
    line = against_zero(blocks, two_sided=False, seed=seed)
    whole = pd.concat(cells)
    # each cell counts alike, as in the test
    levels = pd.DataFrame([mean.mean() for mean in means]).mean()
    return line | {
        **{name: float(levels[name]) for name in names},
        "n_pairs": len(whole[["towards", "away"]].drop_duplicates()),
        "reason": "; ".join(filter(None, dict.fromkeys([line["reason"], *whole["reason"]]))),
    }


def _left_out(
    runs: Mapping[str, tuple[Array, NDArray[np.bool_]]], rng: np.random.Generator, draws: int
) -> dict[str, dict[str, Any]]:
    """Run -> accuracy of weights that the other runs have taught."""
    found = {}
    for run_id, (x, y) in runs.items():
        line: dict[str, Any] = {
            "n_channels": len(y), "accuracy": math.nan, "null": math.nan, "reason": "",
        }  # fmt: skip
        others = [other for name, other in runs.items() if name != run_id]
        taught = np.concatenate([y for _, y in others]) if others else y[:0]
        if len(runs) < FEWEST:
            line["reason"] = "fewer than two runs have preferences"
        elif not len(y):
            line["reason"] = "no channel prefers either class"
        elif taught.all() or not taught.any():
            line["reason"] = "all channels of the other runs prefer one class"
        else:
            features = np.concatenate([x for x, _ in others])
            line["accuracy"] = float((_predicts(_fit(features, taught), x) == y).mean())
            nulls = []
            for _ in range(draws):
                exchanged = np.concatenate([rng.permutation(y) for _, y in others])
                right = _predicts(_fit(features, exchanged), x) == rng.permutation(y)
                nulls.append(right.mean())
            line["null"] = float(np.mean(nulls))
        found[run_id] = line
    return found


def _standardised(x: Array) -> Array:
    """In SDs about 0: the sign of a motion means something, so the mean stays."""
    size = np.sqrt((x**2).mean(axis=0)) if len(x) else np.ones(x.shape[1])
    return x / np.where(size > 0, size, 1)


def _predicts(weights: Array, x: Array) -> NDArray[np.bool_]:
    return np.asarray(x @ weights > 0)


def _fit(x: Array, y: NDArray[np.bool_], steps: int = 25) -> Array:
    """Logistic regression through the origin by Newton's method, with a ridge of one channel.

    Without a constant: which class most channels prefer is nothing that parameters tell.
    """
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (p - y) + RIDGE * weights
        curvature = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights
