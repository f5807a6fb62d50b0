"""The paper's four tables beside the paper's own numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.records.paper_numbers import (
    paper_accuracy,
    paper_displacement,
    paper_parameter_counts,
)
from threetconv.statistics.summaries import accuracy, displacement
from threetconv.statistics.summaries.accuracy import accuracy_table
from threetconv.statistics.summaries.displacement import displacement_table
from threetconv.statistics.summaries.summarise import summarise

STANDS_FOR = {"gestures": "jester", "scenes": "ucf101"}


def test_reference_tables():
    counts = paper_parameter_counts().set_index(["dataset", "network", "convolution"])
    assert len(counts) == 8
    assert counts.loc[("ucf101", "resnet18", "3t"), "n_parameters"] == 11_260_581
    accuracies = paper_accuracy().set_index(["dataset", "network", "convolution", "init"])
    assert len(accuracies) == 12
    assert accuracies.loc[("jester", "resnet18", "3t", "scratch"), "accuracy"] == 44.4
    assert accuracies.loc[("ucf101", "googlenet", "3d", "pretrained"), "accuracy"] == 58.7
    moved = paper_displacement()
    assert len(moved) == 32
    line = moved[
        (moved["init"] == "scratch") & (moved["network"] == "resnet18")
        & (moved["dataset"] == "jester") & (moved["parameter"] == "px")
    ].iloc[0]  # fmt: skip
    assert (line["table"], line["mean"], line["sd"]) == (4, 18.21, 22.85)


def test_displacement_table(study):
    table = displacement_table(summarise(*study), study.runs, STANDS_FOR)
    assert table.columns.tolist() == displacement.COLUMNS
    assert len(table) == 2 * 2 * 2 * 4
    assert table["parameter"].tolist()[:4] == ["s", "r", "px", "py"]
    assert table["table"].tolist() == [2] * 16 + [4] * 16
    cell = ["resnet18", "gestures", "scratch"]
    line = table[(table[["network", "dataset", "init"]] == cell).all(axis=1)].iloc[0]
    rows = study.parameters[(study.parameters[["network", "dataset", "init"]] == cell).all(axis=1)]
    means, sds, reachable = [], [], []
    for _, run in rows.groupby("run_id"):
        value = np.abs(1 - np.abs(1 / run["scale"].to_numpy(float)))
        means.append(1e3 * value.mean())
        sds.append(1e3 * value.std())
        reachable.append(1e3 * value[run["reachable"]].mean())
    assert line["n_runs"] == 3
    assert line["mean"] == pytest.approx(np.mean(means))
    assert (line["mean_min"], line["mean_max"]) == pytest.approx((min(means), max(means)))
    assert line["sd"] == pytest.approx(np.mean(sds))
    assert line["mean_reachable"] == pytest.approx(np.mean(reachable))
    assert line["identity_share"] == pytest.approx(20 / 112)
    assert line["noise_floor"] == pytest.approx(1e3 * np.sqrt(2 / np.pi * 100 * 0.005**2))
    assert (line["paper_dataset"], line["paper_mean"], line["paper_sd"]) == ("jester", 42.37, 51.92)


def test_displacement_table_without_a_counterpart_in_the_paper(study):
    table = displacement_table(summarise(*study), study.runs)
    assert table["paper_mean"].isna().all()
    assert (table["paper_dataset"] == "").all()
    assert len(table) == 32


def metrics_and_runs():
    lines, runs = [], []
    for convolution, init, values in (
        ("3t", "pretrained", (0.5, 0.7, 0.6)), ("3d", "pretrained", (0.4, 0.4, 0.4))
    ):  # fmt: skip
        for replicate, value in enumerate(values, 1):
            run_id = f"resnet18-gestures-{init}-{convolution}-r{replicate}"
            runs.append(
                {
                    "run_id": run_id, "network": "resnet18", "dataset": "gestures", "init": init,
                    "convolution": convolution, "control": "none", "best_epoch": replicate,
                    "num_classes": 9, "n_parameters": 1000 if convolution == "3t" else 3000,
                    "n_temporal": 40 if convolution == "3t" else 0,
                }
            )  # fmt: skip
            for epoch in (1, 2, 3):
                for split in ("train", "val"):
                    best = epoch == replicate and split == "val"
                    lines.append((run_id, epoch, split, "accuracy", value if best else 0.1, 90))
                    lines.append((run_id, epoch, split, "loss", 2.0, 90))
    metrics = pd.DataFrame(lines, columns=["run_id", "epoch", "split", "metric", "value", "n"])
    return metrics, pd.DataFrame(runs)


def test_accuracy_on_a_test_split_stands_beside_that_on_the_validation_split():
    metrics, runs = metrics_and_runs()
    of_3t = runs[runs["convolution"] == "3t"]
    rows = [
        (run_id, best_epoch, "test", "accuracy", value, 33)
        for (run_id, best_epoch), value in zip(
            of_3t[["run_id", "best_epoch"]].itertuples(index=False), (0.2, 0.3, 0.7), strict=True
        )
    ]
    both = pd.concat([metrics, pd.DataFrame(rows, columns=metrics.columns)])
    table = accuracy_table(both, runs, STANDS_FOR).set_index("convolution")
    line = table.loc["3t"]
    assert (line["test_mean"], line["test_min"], line["test_max"]) == pytest.approx((40, 20, 70))
    assert (line["n_clips"], line["n_test_clips"]) == (90, 33)
    assert line["accuracy_mean"] == pytest.approx(60)
    assert table.loc["3d", ["test_mean", "n_test_clips"]].isna().all()


def test_accuracy_table():
    metrics, runs = metrics_and_runs()
    control = runs.tail(1).assign(run_id="c", control="static", best_epoch=99)
    table = accuracy_table(metrics, pd.concat([runs, control]), STANDS_FOR)
    assert table.columns.tolist() == accuracy.COLUMNS
    assert len(table) == 2
    line = table[table["convolution"] == "3t"].iloc[0]
    assert (line["accuracy_mean"], line["accuracy_min"], line["accuracy_max"]) == pytest.approx(
        (60, 50, 70)
    )
    assert line["chance"] == pytest.approx(100 / 9)
    assert (line["n_runs"], line["n_clips"], line["n_parameters"]) == (3, 90, 1000)
    assert (line["paper_accuracy"], line["paper_n_parameters"]) == (74.5, 11_222_619)
    assert table[["test_mean", "n_test_clips"]].isna().all(axis=None)
    assert table[table["convolution"] == "3d"]["paper_accuracy"].item() == 81.6


def test_accuracy_table_names_a_run_without_accuracy():
    metrics, runs = metrics_and_runs()
    runs.loc[0, "best_epoch"] = 7
    with pytest.raises(InputError, match="resnet18-gestures-pretrained-3t-r1"):
        accuracy_table(metrics, runs)
