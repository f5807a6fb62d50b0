"""Filters, tuning and runs whose share of 3T and whose direction are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.schemas.ruler import RULER
from threetconv.statistics.truth.ruler import ruler_cells, ruler_runs

from .truth_tables import grid


def ruled(
    runs: pd.DataFrame, *, beyond: float = 0.3, turned: float = 0.0, layers: int = 2
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Shares that are `beyond` their chance, and tuning that is turned from the path (radians)."""
    rng = np.random.default_rng(1)
    filters, tuning, n = [], [], 40
    for run_id in runs["run_id"]:
        for index in range(layers):
            path = rng.normal(0, 1, (2, n))
            chance = rng.uniform(0.2, 0.4, n)
            numbers = {"share": chance + beyond, "chance": chance, "change": 0.1, "log_zoom": 0.0,
                       "path_x": path[0], "path_y": path[1], "clockwise": 0.0}  # fmt: skip
            place = {"run_id": run_id, "layer_index": index, "layer": f"l{index}",
                     "channel": np.arange(n)}  # fmt: skip
            filters.append(pd.DataFrame(place | numbers)[RULER.names])
            # tuning is stronger here and weaker there, which must not change a direction
            angle, strength = np.arctan2(*path[::-1]) + turned, rng.uniform(0.1, 0.5, n)
            direction = {"direction_x": strength * np.cos(angle),
                         "direction_y": strength * np.sin(angle)}  # fmt: skip
            tuning.append(pd.DataFrame(place | direction))
    return pd.concat(filters, ignore_index=True), pd.concat(tuning, ignore_index=True)


def ruler_study(
    networks: int = 2, each: int = 3, *, beyond: float = 0.3, turned: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """By run and by cell."""
    runs = grid(["resnet18", "googlenet"][:networks], each=each)
    by_run = ruler_runs(*ruled(runs, beyond=beyond, turned=turned), runs)
    return by_run, ruler_cells(by_run, seed=1)
