"""Accuracy tested: known answers, the families, what is left out; and the report's sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from threetconv.report.sections.accuracy import differences, largest
from threetconv.schemas.statistics import ACCURACY_TESTS
from threetconv.statistics.tests.accuracy import accuracy_tests

Cells = Mapping[tuple[str, str, str, str], Sequence[float]]


def study(cells: Cells, **columns: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(metrics, runs) of cells (network, dataset, init, convolution) -> validation accuracies."""
    runs, metrics = [], []
    for (network, dataset, init, convolution), values in cells.items():
        for replicate, value in enumerate(values, start=1):
            run_id = f"{network}-{dataset}-{init}-{convolution}-r{replicate}"
            runs.append((run_id, network, dataset, init, convolution, replicate, 2))
            metrics += [(run_id, 1, "val", 0.0), (run_id, 2, "val", value)]
    names = ["run_id", "network", "dataset", "init", "convolution", "replicate", "best_epoch"]
    table = pd.DataFrame(metrics, columns=["run_id", "epoch", "split", "value"])
    return (
        table.assign(metric="accuracy", n=100),
        pd.DataFrame(runs, columns=names).assign(control="none", **columns),
    )


A, B = [0.70, 0.74, 0.78], [0.95, 0.97, 0.99]
ONE: Cells = {
    ("resnet18", "gestures", "pretrained", "3t"): A,
    ("resnet18", "gestures", "pretrained", "3d"): B,
}
TWO: Cells = {
    **ONE,
    ("googlenet", "gestures", "pretrained", "3t"): [0.35, 0.36, 0.37],
    ("googlenet", "gestures", "pretrained", "3d"): [0.70, 0.72, 0.77],
}


def test_one_contrast_by_hand() -> None:
    (line,) = accuracy_tests(*study(ONE), seed=1).to_dict("records")
    a, b = 100 * np.array(A), 100 * np.array(B)
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (line["family"], line["contrast"], line["at"]) == (
        "convolution",
        "3t / 3d",
        "pretrained",
    )
    assert (line["network"], line["split"]) == ("resnet18", "val")
    assert (line["n_a"], line["n_b"], line["exact"]) == (3, 3, True)
    assert line["estimate"] == pytest.approx(-23)
    assert (line["mean_a"], line["mean_b"]) == (pytest.approx(74), pytest.approx(97))
    assert (line["ci_low"], line["ci_high"]) == pytest.approx(tuple(interval))
    assert line["ci_method"] == "Welch t"
    # 2 of the 20 ways to choose 3 of 6 runs separate the arms; that cannot pass .05
    assert line["p_raw"] == line["p_floor"] == pytest.approx(2 / 20)
    assert line["status"] == "untestable"
    assert "more runs per arm" in line["reason"]


def test_networks_are_blocks() -> None:
    """Over two networks 400 relabellings: two of them separate all arms."""
    table = accuracy_tests(*study(TWO), seed=1)
    assert table["network"].tolist() == ["all", "googlenet", "resnet18"]
    line = table.iloc[0]
    assert line["estimate"] == pytest.approx((-23 + 36 - 73) / 2)
    assert line["p_raw"] == pytest.approx(2 / 400)
    assert (line["status"], line["p_adjusted"]) == ("ok", pytest.approx(2 / 400))
    assert (line["n_a"], line["n_b"]) == (6, 6)
    assert line["ci_low"] < line["estimate"] < line["ci_high"] < 0


def test_families_and_levels() -> None:
    """Convolutions at equal starts, starts at equal convolutions; Holm over a dataset's lines."""
    cells = {
        (network, dataset, init, convolution): [0.1 * i, 0.1 * i + 0.01, 0.1 * i + 0.03]
        for network in ("resnet18", "googlenet")
        for dataset in ("gestures", "scenes")
        for i, (init, convolution) in enumerate(
            [("pretrained", "3t"), ("pretrained", "3d"), ("scratch", "3t"), ("scratch", "2d")]
        )
    }
    table = accuracy_tests(*study(cells), seed=1)
    whole = table[(table["network"] == "all") & (table["dataset"] == "scenes")]
    assert whole[["family", "at", "contrast"]].to_numpy().tolist() == [
        ["convolution", "pretrained", "3t / 3d"],
        ["convolution", "scratch", "3t / 2d"],
        ["init", "3t", "pretrained / scratch"],
    ]
    assert whole["estimate"].tolist() == pytest.approx([-10, -10, -20])
    assert whole["p_adjusted"].tolist() == pytest.approx([4 / 400, 4 / 400, 2 / 400])
    assert whole["adjustment"].tolist()[0] == "Holm over 2 contrasts of the family"
    assert pa.Table.from_pandas(table, ACCURACY_TESTS).num_rows == 2 * 3 * 3


def test_recipes_are_kinds_of_their_own() -> None:
    metrics, runs = study({key: [*A, *B] for key in ONE if key[3] == "3t"})
    runs["recipe"] = ["paper"] * 3 + ["fast"] * 3
    (line,) = accuracy_tests(metrics, runs, seed=1).to_dict("records")
    assert line["contrast"] == "3t / 3t fast"
    assert line["estimate"] == pytest.approx(-23)


def test_controls_are_left_out_and_test_splits_are_preferred() -> None:
    metrics, runs = study(ONE)
    runs.loc[runs["replicate"] == 3, "control"] = "static"
    test = metrics.assign(split="test", value=metrics["value"] / 2)
    (line,) = accuracy_tests(pd.concat([metrics, test]), runs, seed=1).to_dict("records")
    assert (line["n_a"], line["n_b"], line["split"]) == (2, 2, "test")
    assert line["estimate"] == pytest.approx((72 - 96) / 2)
    # where a run lacks the split, it cannot be compared by it
    part = test[test["run_id"] != runs["run_id"].iloc[0]]
    (line,) = accuracy_tests(pd.concat([metrics, part]), runs, seed=1).to_dict("records")
    assert line["split"] == "val"


def test_single_runs_and_lone_cells() -> None:
    single = accuracy_tests(*study({key: values[:1] for key, values in ONE.items()}), seed=1)
    assert single["estimate"].tolist() == pytest.approx([-25])
    assert single["ci_low"].isna().all()
    assert single["status"].tolist() == ["untestable"]
    lone = {key: values for key, values in ONE.items() if key[3] == "3t"}
    assert accuracy_tests(*study(lone), seed=1).empty


def test_the_sentence_names_the_largest_difference_that_is_shown() -> None:
    table = accuracy_tests(*study(TWO), seed=1)
    line = table.iloc[0]
    assert largest(table, 0.05) == (
        "The largest difference that is shown: 3T gives 30.0 points less than 3D on gestures "
        f"(pretrained, over all networks; 95 % interval \N{MINUS SIGN}{-line['ci_low']:.1f} to "
        f"\N{MINUS SIGN}{-line['ci_high']:.1f}; p = 0.0050 after Holm)."
    )
    single = accuracy_tests(*study(ONE), seed=1)
    assert ", which is not shown: 3T gives 23.0 points less than 3D" in largest(single, 0.05)
    assert largest(single, 0.05).endswith("; untestable).")
    assert differences(pd.DataFrame(), 0.05) == []
    assert len(differences(table, 0.05)) == 2


def test_arms_of_different_size_are_studentised() -> None:
    cells = {**ONE, ("resnet18", "gestures", "pretrained", "3d"): B[:2]}
    unequal = accuracy_tests(*study(cells), seed=1)
    assert set(unequal["method"]) == {"permutation of run labels within networks, studentised"}
    equal = accuracy_tests(*study(ONE), seed=1)
    assert set(equal["method"]) == {"permutation of run labels within networks"}
