"""Planted motion: do channels answer more to it than channels of the negative controls do?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from threetconv.schemas.statistics import PLANTED
from threetconv.schemas.truth import INDEX_OF
from threetconv.statistics.planted.against_controls import CELL, against_controls
from threetconv.statistics.planted.recovery import EXPECTED
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.permutation import DRAWS

__all__ = ["ANSWERS", "planted_tuning"]

ANSWERS = {motion: tuple(INDEX_OF[p] for p in planted) for motion, planted in EXPECTED.items()}
"""Planted motion -> indices of tuning that should grow with it."""
INDICES = list(INDEX_OF.values())


def planted_tuning(
    tuning: pd.DataFrame,
    runs: pd.DataFrame,
    motions: Mapping[str, str],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """The table motion x tuning: which answers are larger, against what, and whether planted.

    Args:
        tuning: tables of `threetconv.schemas.tuning.TUNING`, of some or all of these runs.
        runs: run_id, network, dataset, init, convolution, control.
        motions: data set -> its planted motion, a key of `ANSWERS`; other data sets are left out.
        alpha, seed, draws: as for `threetconv.statistics.planted.recovery.planted_table`.

    Returns:
        Columns of `PLANTED`, where `parameter` is an index of tuning. The outcome of a run is the
        logarithm of the mean size of the index over channels that have it: layer_index 0, the
        first layer with its total tuning; -1, all layers, weighted by channels, with the own
        contribution of their transforms (deeper layers answer to motion in their input). It is
        compared with negative controls as displacements are, one-sided for the planted indices; it
        has no noise floor, and there is no `in_direction`, so `recovered` is `beyond_controls`.
    """
    wanted = runs[(runs["convolution"] == "3t") & runs["dataset"].isin(list(motions))]
    cells = with_recipe(wanted)[["run_id", *CELL, "control"]]
    first = tuning["layer_index"] == 0
    parts = []
    for index, lines, prefix in ((-1, tuning, "own_"), (0, tuning[first], "")):
        columns = [prefix + name for name in INDICES]
        sizes = lines[columns].abs().groupby(lines["run_id"]).mean().set_axis(INDICES, axis=1)
        values = sizes.reset_index().melt("run_id", var_name="parameter")
        with np.errstate(divide="ignore"):
            values["value"] = np.log(values["value"].to_numpy(np.float64))
        table = against_controls(
            values.merge(cells, on="run_id"), motions, ANSWERS, INDICES,
            alpha=alpha, seed=seed, draws=draws,
        )  # fmt: skip
        parts.append(table.assign(layer_index=np.int32(index)))
    found = pd.concat(parts, ignore_index=True)
    if found.empty:
        return pd.DataFrame(columns=PLANTED.names)
    # tuning is measured with the weights of the best epoch
    found = found.assign(checkpoint="best", in_direction="", rng_seed=seed)
    return found.assign(recovered=found["beyond_controls"])[PLANTED.names]
