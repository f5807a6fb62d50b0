"""Planted motion x tuning: by hand, and who takes part."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from threetconv.schemas.runs import CONTROLS
from threetconv.schemas.statistics import PLANTED
from threetconv.schemas.truth import INDEX_OF
from threetconv.statistics.planted.tuned import ANSWERS, planted_tuning

SETS = {"slides": "translation", "spins": "rotation", "rests": "none"}
INDICES = list(INDEX_OF.values())


def study(each: int = 5, *, larger: float = 2.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tuning and runs: real runs answer `larger` times as much to their motion, first layer only.

    Layer 0 has two channels, layer 1 three; signs of indices alternate.
    """
    rng = np.random.default_rng(0)
    runs, tuning = [], []
    for dataset, motion in SETS.items():
        for control in ("none", *CONTROLS):
            for replicate in range(each):
                run_id = f"{dataset}-{control}-{replicate}"
                runs.append((run_id, "resnet18", dataset, "scratch", "3t", control))
                layer, channel = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 0, 1, 2])
                table = {"run_id": run_id, "layer_index": layer, "channel": channel}
                for name in INDICES:
                    planted = control == "none" and name in ANSWERS[motion]
                    size = np.where(layer == 0, larger if planted else 1, 1)
                    noise = np.exp(0.05 * rng.standard_normal(5))
                    table[name] = 0.1 * size * noise * np.array([1, -1, 1, -1, 1])
                    table[f"own_{name}"] = 0.01 * table[name]
                tuning.append(pd.DataFrame(table))
    names = ["run_id", "network", "dataset", "init", "convolution", "control"]
    return pd.concat(tuning, ignore_index=True), pd.DataFrame(runs, columns=names)


def verdicts(table: pd.DataFrame, layer_index: int) -> dict[tuple[str, str], str]:
    lines = table[table["layer_index"] == layer_index].drop_duplicates(["motion", "parameter"])
    return {(m, p): v for m, p, v in lines[["motion", "parameter", "recovered"]].to_numpy()}


def test_planted_answers_are_larger_and_no_others() -> None:
    table = planted_tuning(*study(), SETS)
    assert pa.Table.from_pandas(table, PLANTED, preserve_index=False).num_rows == len(table)
    assert len(table) == 2 * 4 * (4 + 4 + 3)  # no line for a floor, none of rests to itself
    for (motion, index), verdict in verdicts(table, 0).items():
        assert verdict == ("yes" if index in ANSWERS[motion] else "no"), (motion, index)
    assert set(table["in_direction"]) == {""}
    assert ANSWERS["translation"] == ("direction_x", "direction_y")
    expected = table[table["expected"]]
    assert set(expected["alternative"]) == {"larger"}
    assert set(table.loc[~table["expected"], "alternative"]) == {"two-sided"}


def test_a_run_is_the_mean_size_over_channels() -> None:
    tuning, runs = study()
    tuning.loc[1, "own_turn_index"] = np.nan  # a channel without the index does not count
    table = planted_tuning(tuning, runs, SETS).set_index(
        ["dataset", "parameter", "comparison", "layer_index"]
    )
    for place, prefix in ((0, ""), (-1, "own_")):
        means = {"none": [], "static": []}
        for control, found in means.items():
            for replicate in range(5):
                run = tuning[tuning["run_id"] == f"slides-{control}-{replicate}"]
                run = run[run["layer_index"] == 0] if place == 0 else run
                found.append(np.log(np.nanmean(np.abs(run[f"{prefix}turn_index"]))))
        ratio = math.exp(np.mean(means["none"]) - np.mean(means["static"]))
        line = table.loc[("slides", "turn_index", "static", place)]
        assert line["estimate"] == pytest.approx(ratio)


def test_runs_that_answer_to_nothing_and_runs_that_were_not_tuned() -> None:
    tuning, runs = study()
    still = tuning["run_id"].str.startswith("spins-static")
    quiet = tuning.assign(turn_index=tuning["turn_index"].where(~still, 0.0))
    table = planted_tuning(quiet, runs, SETS)
    assert verdicts(table, 0)["rotation", "turn_index"] == "untestable"
    few = tuning[tuning["run_id"].str.endswith("-0")]
    lines = planted_tuning(few, runs, SETS)
    assert set(lines["status"]) == {"untestable"}
    assert set(lines["n_a"]) == {1}
    assert planted_tuning(tuning.head(0), runs, SETS).empty
    others = runs.assign(convolution="3d")
    assert list(planted_tuning(tuning, others, SETS).columns) == PLANTED.names
