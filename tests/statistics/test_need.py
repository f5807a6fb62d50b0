"""What networks need, over runs: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats

from threetconv.schemas.need import NEED_CELLS, NEED_CLASSES, NEED_RUNS, NEED_TESTS
from threetconv.statistics.truth.need import need_cells, need_classes, need_runs, need_tests

from ..builders.need_tables import need_study

VALUES = need_runs(*need_study())


def value(run_id: str, measure: str, transforms: str, norm: str, **more: Any) -> float:
    wanted = {"run_id": run_id, "measure": measure, "transforms": transforms, "batch_norm": norm}
    table = VALUES[VALUES["layer"] == more.pop("layer", "")]
    for name, what in (wanted | more).items():
        table = table[table[name] == what]
    (found,) = table["value"]
    return float(found)


def test_values_of_a_run_by_hand() -> None:
    assert pa.Table.from_pandas(VALUES, NEED_RUNS, preserve_index=False).num_rows == len(VALUES)
    run = "none-r2"
    assert value(run, "accuracy", "intact", "trained", clips="forwards") == 90
    assert value(run, "accuracy", "intact", "trained", clips="frozen") == 50
    assert value(run, "direction use", "intact", "trained") == 80
    assert value(run, "opposite", "intact", "trained") == 90
    assert value(run, "drop", "all", "trained") == 90 - 50
    # against the intact network with its own new statistics: 85
    assert value(run, "drop", "all", "recomputed") == 85 - 50
    assert value(run, "drop", "all", "recomputed", layer="conv1") == 85 - 75
    assert value(run, "direction use", "all", "recomputed") == 0
    assert (VALUES["chance"] == 50).all()
    assert set(VALUES.loc[VALUES["run_id"] == "3d-r1", "measure"]) == {"accuracy"}


def test_chance_is_of_the_networks_classes_not_of_those_drawn() -> None:
    counts, runs = need_study()
    values = need_runs(counts, runs.assign(num_classes=8))
    assert set(values["chance"]) == {12.5}
    drawn = need_runs(counts[counts["label"] == "left"], runs.assign(num_classes=8))
    assert set(drawn["chance"]) == {12.5}


def test_cells_are_over_runs() -> None:
    cells = need_cells(VALUES)
    assert pa.Table.from_pandas(cells, NEED_CELLS, preserve_index=False).num_rows == len(cells)
    line = cells[
        (cells["measure"] == "direction use")
        & (cells["control"] == "none")
        & (cells["transforms"] == "intact")
    ].iloc[0]
    assert (line["n_runs"], line["mean"], line["least"], line["most"]) == (3, 80, 60, 100)
    interval = stats.ttest_1samp([100, 80, 60], 0).confidence_interval()
    assert (line["ci_low"], line["ci_high"]) == pytest.approx(tuple(interval))
    assert line["ci_method"] == "t"
    still = cells[(cells["clips"] == "frozen") & (cells["control"] == "none")].iloc[0]
    assert np.isnan(still["ci_low"])
    assert still["ci_method"] == "none (no spread between runs)"
    assert cells.loc[cells["convolution"] == "3d", "ci_method"].tolist() == ["none (one run)"]


def test_classes_and_pairs_are_over_runs() -> None:
    table = need_classes(*need_study())
    assert pa.Table.from_pandas(table, NEED_CLASSES, preserve_index=False).num_rows == len(table)
    real = table[(table["control"] == "none") & (table["convolution"] == "3t")]
    keys = ["measure", "classes", "clips", "transforms", "batch_norm"]
    lines = real.set_index(keys).sort_index()
    # of 10 clips: 10, 9 and 8 right with intact transforms; without them, all are called "right"
    right = lines.loc[("recall", "right", "forwards", "intact", "trained")]
    assert (right["n_runs"], right["mean"], right["least"], right["most"]) == (3, 90, 80, 100)
    assert lines.loc[("recall", "left", "forwards", "all", "trained"), "mean"] == 0
    assert lines.loc[("recall", "right", "forwards", "all", "trained"), "mean"] == 100
    use = lines.loc["direction use"].reset_index()
    assert set(use["classes"]) == {"left / right"}
    assert set(zip(use["transforms"], use["mean"], strict=True)) == {("intact", 80), ("all", 0)}
    # the 3D run was shown no backward clips
    assert set(table.loc[table["convolution"] == "3d", "measure"]) == {"recall"}


def test_real_runs_against_controls() -> None:
    tests = need_tests(VALUES, seed=1)
    assert pa.Table.from_pandas(tests, NEED_TESTS, preserve_index=False).num_rows == 2
    use, drop = tests.to_dict("records")
    assert (use["measure"], use["control"], use["recipe"]) == ("direction use", "static", "fast")
    assert (use["n_a"], use["n_b"], use["estimate"]) == (3, 3, 80)
    assert drop["estimate"] == pytest.approx((45 + 35 + 25) / 3 - (-5 - 5 + 5) / 3)
    a, b = [100.0, 80.0, 60.0], [0.0, 0.0, 0.0]
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (use["ci_low"], use["ci_high"]) == pytest.approx(tuple(interval))
    # 2 of 20 relabellings
    assert use["p_raw"] == use["p_floor"] == pytest.approx(0.1)
    assert {line["status"] for line in (use, drop)} == {"untestable"}
    assert "more runs" in use["reason"]
    assert need_tests(VALUES, seed=1, alpha=0.45)["status"].tolist() == ["ok", "ok"]


def test_cells_of_a_data_set_are_pooled_as_blocks() -> None:
    """Three cells: one as it is, one where controls use direction a little, one without any."""
    other = VALUES.assign(init="pretrained")
    little = (other["control"] == "static") & (other["measure"] == "direction use")
    other.loc[little, "value"] += 30
    lone = VALUES[VALUES["control"] == "none"].assign(network="googlenet")
    elsewhere = VALUES.assign(dataset="scenes")
    values = pd.concat([VALUES, other, lone, elsewhere], ignore_index=True)
    tests = need_tests(values, seed=1)
    assert pa.Table.from_pandas(tests, NEED_TESTS, preserve_index=False).num_rows == 2 * 3 + 2
    use, drop = tests[tests["network"] == "all"].to_dict("records")
    assert {(line["init"], line["dataset"], line["n_a"], line["n_b"]) for line in (use, drop)} == {
        ("all", "gestures", 6, 6)
    }
    assert (use["measure"], use["estimate"]) == ("direction use", pytest.approx((80 + 50) / 2))
    # two of 20 x 20 relabellings, and no adjustment over both measures
    assert use["p_raw"] == use["p_adjusted"] == use["p_floor"] == pytest.approx(2 / 400)
    assert (use["status"], use["adjustment"]) == ("ok", "none (one test)")
    assert drop["adjustment"] == "none (one test)"
    # controls do not vary, so that the real runs of both cells have the whole variance
    half = stats.t.ppf(0.975, 4) * np.sqrt(2 * np.var([100, 80, 60], ddof=1) / 3) / 2
    assert (use["ci_low"], use["ci_high"]) == pytest.approx((65 - half, 65 + half))
    alone = tests[(tests["network"] != "all") & (tests["init"] == "scratch")]
    expected = need_tests(VALUES, seed=1).drop(columns="dataset")
    for _, cell in alone.groupby("dataset"):
        found = cell.drop(columns="dataset").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


def test_without_controls_there_is_no_test() -> None:
    assert need_tests(VALUES[VALUES["control"] == "none"], seed=1).empty
