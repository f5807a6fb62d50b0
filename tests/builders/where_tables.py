"""What a planted cell needs, made by hand: the tables that tell where its motion is lost."""

from __future__ import annotations

from typing import Any

import pandas as pd

from threetconv.schemas.need import NEED_RUNS

CELL = {"network": "resnet18", "dataset": "turning", "init": "scratch", "recipe": "paper"}


def planted_lines(
    beyond: str = "yes", direction: str = "yes", recovered: str = "yes", **more: Any
) -> pd.DataFrame:
    """The lines of the planted rotation: r, and s that was not planted, in model and first layer.

    Only what the where-table reads.
    """
    line = CELL | {"motion": "rotation", "parameter": "r", "expected": True, "layer_index": -1}
    line |= {"beyond_controls": beyond, "in_direction": direction, "recovered": recovered} | more
    other = line | {"parameter": "s", "expected": False, "in_direction": "", "recovered": "no"}
    first = line | {"layer_index": 0, "recovered": "no", "beyond_controls": "no"}
    return pd.DataFrame([line, line, other, first])


def need_lines(
    use: tuple[float, ...] = (70, 80, 90, 75, 85),
    shuffled: tuple[float, ...] = (0, 5, -5, 2, 1),
    drops: dict[str, float] | None = None,
    layers: dict[str, float] | None = None,
) -> pd.DataFrame:
    """Accuracy forwards, direction use and drops; shuffled runs lose a tenth of what real ones do.

    The drops with batch norms as trained are ten times as large, and not the ones to be read.
    """
    drops = {"all": 60, "rotation": 50, "scale": 5, "translation": 10} if drops is None else drops
    rows = []
    for control, values in (("none", use), ("label-shuffled", shuffled), ("static", (0.0,))):
        factor = 1 if control == "none" else 0.1
        for replicate, value in enumerate(values, start=1):
            run = CELL | {"run_id": f"{control}-{replicate}", "convolution": "3t",
                          "control": control, "replicate": replicate, "chance": 100 / 3,
                          "layer_index": -1, "layer": "", "transforms": "intact",
                          "batch_norm": "trained"}  # fmt: skip
            right = {"measure": "accuracy", "clips": "forwards", "value": 50 + 0.5 * value}
            rows += [run | right, run | right | {"batch_norm": "recomputed", "value": 1.0},
                     run | {"measure": "direction use", "clips": "", "value": value}]  # fmt: skip
            lost = run | {"measure": "drop", "clips": "forwards", "batch_norm": "recomputed"}
            for transforms, drop in drops.items():
                # runs differ by a point around the mean
                line = lost | {"transforms": transforms, "value": factor * drop + replicate - 3}
                rows += [line, line | {"batch_norm": "trained", "value": 10 * drop}]
            for index, (layer, drop) in enumerate((layers or {}).items()):
                place = {"layer": layer, "layer_index": index, "transforms": "all"}
                rows.append(lost | place | {"value": factor * drop + replicate - 3})
    return pd.DataFrame(rows, columns=NEED_RUNS.names)


def tuned_lines(verdict: str = "yes") -> pd.DataFrame:
    """Whether the first layer answers to turning beyond the controls; the model does otherwise."""
    first = CELL | {"parameter": "turn_index", "layer_index": 0, "beyond_controls": verdict}
    model = first | {"layer_index": -1, "beyond_controls": "untestable"}
    return pd.DataFrame([first, model, first | {"parameter": "zoom_index"}])
