"""Prediction of preferences from parameters: planted, absent, lopsided, and what lacks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from threetconv.figures.prediction import prediction
from threetconv.report.sections.truth import section
from threetconv.schemas.truth import PREDICTION, PREDICTION_RUNS
from threetconv.statistics.truth.prediction import prediction_by_run, prediction_table

from ...builders.figure_tables import texts
from ...builders.truth_tables import PAIRS, grid, moving, preferring
from ...report.test_derived import make_inputs


def study(share: float, *, each: int = 5, bias: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    runs = grid(datasets=["moving"], inits=["pretrained", "scratch"], each=each)
    parameters = moving(runs, layers=((3, 40), (3, 20)), seed=3)
    by_run = prediction_by_run(
        parameters, preferring(parameters, share, bias=bias), runs, PAIRS, seed=1, draws=20
    )
    return by_run, prediction_table(by_run, seed=1)


def test_what_is_planted_is_predicted_in_runs_that_were_not_learned_from() -> None:
    by_run, table = study(0.9)
    line = table[table["network"] == "all"].iloc[0]
    # the share of equal signs of two normal numbers whose correlation is .9
    assert line["accuracy"] == pytest.approx(0.5 + np.arcsin(0.9) / np.pi, abs=0.06)
    assert line["null"] == pytest.approx(0.5, abs=0.04)
    assert (line["status"], line["n_runs"], line["n_pairs"]) == ("ok", 10, 2)
    assert line["p_raw"] == line["p_floor"] == pytest.approx(0.5**10)
    assert set(by_run["n_channels"]) == {40}
    assert by_run[by_run["run_id"] == by_run["run_id"].iloc[0]]["towards"].tolist() == [
        "right",
        "up",
    ]
    pa.Table.from_pandas(by_run, PREDICTION_RUNS)
    pa.Table.from_pandas(table, PREDICTION)
    (whole,) = section(make_inputs(prediction=table))
    (said,) = whole.sections[0].blocks[1].items  # type: ignore[union-attr]
    assert f"**{100 * line['accuracy']:.1f} %** of the channels" in said
    assert "parameters tell which class a channel prefers (p = " in said
    assert "scratch" in texts(prediction(table, by_run))


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_without_a_relation_nothing_is_predicted_however_lopsided(bias: float) -> None:
    _, table = study(0.0, bias=bias)
    line = table[table["network"] == "all"].iloc[0]
    assert line["estimate"] == pytest.approx(0, abs=0.06)
    assert line["p_raw"] > 0.01


def test_few_runs_and_lacking_preferences_are_told() -> None:
    _, table = study(0.9, each=2)
    assert set(table["status"]) == {"untestable"}
    alone, none = study(0.9, each=1)
    assert set(alone["reason"]) == {"fewer than two runs have preferences"}
    assert set(none["status"]) == {"degenerate"}
    (whole,) = section(make_inputs(prediction=none))
    assert "Nothing could be predicted" in str(whole.sections[0].blocks[1])
    assert "No cell" in texts(prediction(none, alone))
    runs = grid(datasets=["moving"], each=2)
    parameters = moving(runs, layers=((3, 10),))
    likes = preferring(parameters, 0.5)
    other = prediction_by_run(parameters, likes, runs, {"elsewhere": []}, seed=1)
    assert other.empty
    assert prediction_table(other, seed=1).empty
    one_class = likes.assign(preference=likes["preference"].where(likes["label"] != "left", -9.0))
    lopsided = prediction_by_run(parameters, one_class, runs, PAIRS, seed=1, draws=2)
    reasons = lopsided[lopsided["towards"] == "right"]["reason"]
    assert set(reasons) == {"all channels of the other runs prefer one class"}
