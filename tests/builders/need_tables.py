"""Counts of clips in what networks need: three real runs, three static ones and a 3D run."""

from __future__ import annotations

import pandas as pd

from threetconv.schemas.need import NEED
from threetconv.statistics.truth.need import need_cells, need_classes, need_runs, need_tests

Correct = dict[tuple[str, str, str], tuple[int, int]]  # condition -> n_correct of both classes


def counts_of(run_id: str, correct: Correct, layer: str = "") -> pd.DataFrame:
    """Two opposite classes of 10 clips; whatever is wrong is taken for the other class."""
    lines = [
        (run_id, clips, transforms, norm, 0 if layer else -1, layer, label, other, 10, n, 10 - n)
        for (clips, transforms, norm), both in correct.items()
        for label, other, n in zip(("left", "right"), ("right", "left"), both, strict=True)
    ]
    return pd.DataFrame(lines, columns=NEED.names)


def need_study() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three real runs and three static ones, and a 3D run that knows no ablation."""
    counts, runs = [], []
    for control, rights in (("none", (10, 9, 8)), ("static", (5, 5, 6))):
        for replicate, right in enumerate(rights, start=1):
            run_id = f"{control}-r{replicate}"
            runs.append((run_id, "3t", "fast", control, replicate))
            wrong = 10 - right if control == "none" else right
            correct: Correct = {
                ("forwards", "intact", "trained"): (right, right),
                ("backwards", "intact", "trained"): (wrong, wrong),
                ("frozen", "intact", "trained"): (5, 5),
                ("forwards", "intact", "recomputed"): (right, right - 1),
                ("forwards", "all", "trained"): (0, 10),
                ("forwards", "all", "recomputed"): (4, 6),
                ("backwards", "all", "recomputed"): (4, 6),
            }
            counts.append(counts_of(run_id, correct))
            of_layer: Correct = {("forwards", "all", "recomputed"): (right - 1, right - 2)}
            counts.append(counts_of(run_id, of_layer, layer="conv1"))
    counts.append(counts_of("3d-r1", {("forwards", "intact", "trained"): (10, 8)}))
    runs.append(("3d-r1", "3d", "paper", "none", 1))
    table = pd.DataFrame(runs, columns=["run_id", "convolution", "recipe", "control", "replicate"])
    cell = {"network": "resnet18", "dataset": "gestures", "init": "scratch", "num_classes": 2}
    return pd.concat(counts, ignore_index=True), table.assign(**cell)


def need_arguments() -> dict[str, pd.DataFrame]:
    """What `build_document` is given of these."""
    values = need_runs(*need_study())
    return {
        "need_cells": need_cells(values),
        "need_classes": need_classes(*need_study()),
        "need_tests": need_tests(values, seed=1),
    }
