"""What networks need, with the training run as the unit: by cell, and against negative controls."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.schemas.need import NEED_RUNS, NEED_TESTS
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import BLANK
from threetconv.statistics.tests.families import REAL, with_recipe
from threetconv.statistics.tests.intervals import paired_interval
from threetconv.statistics.truth.over_runs import against_runs, one_test

__all__ = ["need_cells", "need_classes", "need_runs", "need_tests"]

VARIANT = ["network", "dataset", "init", "convolution", "recipe"]
CELL = [*VARIANT, "control"]
CONDITION = ["transforms", "batch_norm", "layer_index", "layer"]
TESTED = (("direction use", "intact", "trained"), ("drop", "all", "recomputed"))
"""What is compared with controls: measure, transforms, batch norm; of the whole network."""
CONDITION_OF_TEST = ("measure", "transforms", "batch_norm")
POOLED = {"network": "all", "init": "all"}
Arms = tuple[NDArray[np.float64], NDArray[np.float64]]  # a value of each run


def need_runs(counts: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """What the counts of clips say of each run.

    Args:
        counts: tables `NEED` of some runs.
        runs: run_id, network, dataset, init, convolution, control, replicate, num_classes, and
            recipe where there are several.

    Returns:
        Columns of `NEED_RUNS`, in per cent and percentage points, for every condition that was
        measured:

        - "accuracy", of every kind of clips;
        - "direction use": accuracy forwards minus backwards, over all classes;
        - "opposite": share of the backward clips of classes that have an opposite which are taken
          for it;
        - "drop": accuracy forwards with all transforms intact minus accuracy under the condition,
          the batch norms of both as trained, or of both computed anew.
    """
    keys = ["run_id", "clips", *CONDITION]
    sums = counts.groupby(keys, sort=False, observed=True)[["n", "n_correct"]].sum().reset_index()
    sums["value"] = 100 * sums["n_correct"] / sums["n"]
    accuracy = sums[[*keys, "value"]]
    forwards, backwards = (_of_clips(accuracy, name) for name in ("forwards", "backwards"))
    use = (forwards - backwards).dropna().reset_index()
    intact = forwards.xs("intact", level="transforms").droplevel(["layer_index", "layer"])
    ablated = forwards.drop("intact", level="transforms").reset_index()
    whole = intact.reindex(pd.MultiIndex.from_frame(ablated[["run_id", "batch_norm"]]))
    drop = ablated.assign(value=whole.to_numpy() - ablated["value"]).dropna(subset=["value"])
    paired = counts[(counts["opposite"] != "") & (counts["clips"] == "backwards")]
    taken = paired.groupby(keys, sort=False, observed=True)[["n", "n_opposite"]].sum()
    opposite = (100 * taken["n_opposite"] / taken["n"]).rename("value").reset_index()
    values = pd.concat(
        [
            accuracy.assign(measure="accuracy"),
            use.assign(measure="direction use", clips=""),
            opposite.assign(measure="opposite"),
            drop.assign(measure="drop", clips="forwards"),
        ],
        ignore_index=True,
    )
    # differences of equal shares must be equal: rounding errors are no spread between runs
    values["value"] = values["value"].round(9)
    # of the classes that the network tells apart; clips may have been drawn of fewer
    cells = with_recipe(runs).assign(chance=100 / runs["num_classes"])
    cells = cells[["run_id", *CELL, "replicate", "chance"]]
    return values.merge(cells, on="run_id")[NEED_RUNS.names]


def _of_clips(accuracy: pd.DataFrame, clips: str) -> pd.Series:
    table = accuracy[accuracy["clips"] == clips]
    values: pd.Series = table.set_index(["run_id", *CONDITION])["value"]
    return values


def need_cells(values: pd.DataFrame) -> pd.DataFrame:
    """Mean, range and t interval over the runs of every cell.

    Args:
        values: from `need_runs`.

    Returns:
        Columns of `NEED_CELLS`; no interval of one run, or of runs that are all alike.
    """
    keys = [*CELL, "measure", "clips", *CONDITION]
    table = _over_runs(values, keys)
    return table.assign(chance=values.groupby(keys, sort=False)["chance"].first().to_numpy())


def need_classes(counts: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Recall class by class, and direction use by pair of opposite classes; over runs.

    Args:
        counts, runs: as for `need_runs`; of the whole network, not layer by layer.

    Returns:
        Columns of `NEED_CLASSES`. Direction use of a pair is the share of the clips of both classes
        that are recognised forwards, less the share that are recognised backwards.
    """
    place = ["run_id", "transforms", "batch_norm"]
    whole = counts[counts["layer_index"] < 0]
    recall = whole.assign(
        measure="recall", classes=whole["label"], value=100 * whole["n_correct"] / whole["n"]
    )
    paired = whole[whole["opposite"] != ""]
    names = [
        " / ".join(sorted(pair)) for pair in zip(paired["label"], paired["opposite"], strict=True)
    ]
    keys = [*place, "clips", "classes"]
    sums = paired.assign(classes=names).groupby(keys, observed=True)[["n", "n_correct"]].sum()
    shares = (100 * sums["n_correct"] / sums["n"]).unstack("clips")  # noqa: PD010
    pairs = shares.reindex(columns=["forwards", "backwards"]).dropna().reset_index()
    use = pairs.assign(
        measure="direction use", clips="", value=pairs["forwards"] - pairs["backwards"]
    )
    values = pd.concat([recall, use], ignore_index=True)
    values["value"] = values["value"].round(9)
    values = values.merge(with_recipe(runs)[["run_id", *CELL]], on="run_id")
    keys = [*CELL, "measure", "classes", "clips", "transforms", "batch_norm"]
    return _over_runs(values, keys)


def _over_runs(values: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Number of runs, mean, range and t interval of each group."""
    lines = []
    for key, cell in values.groupby(keys, sort=False, observed=True):
        interval = paired_interval([cell["value"]])
        method = interval.method.replace("paired ", "").replace("pair in a block", "run")
        numbers = len(cell), *cell["value"].agg(["mean", "min", "max"])
        lines.append((*_tuple(key), *numbers, interval.low, interval.high, method))
    names = ["n_runs", "mean", "least", "most", "ci_low", "ci_high", "ci_method"]
    return pd.DataFrame(lines, columns=[*keys, *names])


def need_tests(values: pd.DataFrame, *, seed: int, alpha: float = 0.05) -> pd.DataFrame:
    """Direction use, and the drop by the identity, of real runs less those of each control.

    Args:
        values: from `need_runs`.
        seed: of draws, where not all relabellings are enumerated.
        alpha: level of a family; decides what is untestable.

    Returns:
        Columns of `NEED_TESTS`, a line per cell, control and measure of `TESTED`: Welch's t
        intervals; permutation of run labels; Holm over the lines of a cell and control. Where
        several cells of a data set, convolution and recipe have runs of both kinds, there is also
        a line over them, each a block (network and init are "all"): one test, not adjusted.
    """
    lines: list[dict[str, Any]] = []
    cells: dict[tuple[Any, ...], list[Arms]] = {}
    whole = values[values["layer_index"] < 0]
    for key, variant in whole.groupby(VARIANT, sort=False, observed=True):
        cell = dict(zip(VARIANT, _tuple(key), strict=True))
        for control in dict.fromkeys(variant["control"]):
            if control == REAL:
                continue
            family = []
            for measured in TESTED:
                what = dict(zip(CONDITION_OF_TEST, measured, strict=True))
                chosen = variant[(variant[list(what)] == pd.Series(what)).all(axis=1)]
                a, b = (
                    chosen.loc[chosen["control"] == arm, "value"].to_numpy(np.float64)
                    for arm in (REAL, control)
                )
                if min(a.size, b.size):
                    place = {"control": control, "clips": chosen["clips"].iloc[0], "layer": ""}
                    family.append(BLANK | cell | what | place | _numbers([(a, b)], seed))
                    pooled = tuple((cell | what | place | POOLED).items())
                    cells.setdefault(pooled, []).append((a, b))
            adjust(family, alpha, holm, "Holm", "measures")
            lines += family
    for about, blocks in cells.items():
        if len(blocks) > 1:
            line = BLANK | dict(about) | _numbers(blocks, seed)
            one_test(line, alpha)
            lines.append(line)
    return pd.DataFrame(lines, columns=NEED_TESTS.names)


def _numbers(blocks: list[Arms], seed: int) -> dict[str, Any]:
    """Difference, interval and p of two arms of runs in each block."""
    found = against_runs(blocks, seed=seed)
    return found | {"n_a": found["n_runs"], "n_b": found["n_other"]}


def _tuple(key: Hashable) -> tuple[Any, ...]:
    assert isinstance(key, tuple)
    return key
