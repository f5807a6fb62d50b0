"""Agreement and reproducibility drawn: numbers of the tables, what lacks, names as they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.figures.truth import agreement, reproducibility, truth_figures
from threetconv.schemas.runs import CONTROLS
from threetconv.statistics.truth.agreement import agreement_by_run, agreement_table
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ..builders.figure_tables import texts
from ..builders.truth_tables import agreeing, grid, moving


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    runs = grid(datasets=["$a$", "scenes"], controls=["none", "label-shuffled"], each=2)
    by_run = agreement_by_run(*agreeing(runs, 0.7), runs, seed=1, draws=20)
    return agreement_table(by_run, seed=1), by_run


def test_the_matrix_shows_the_pooled_means_and_the_strip_every_run(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    table, by_run = tables
    figure = agreement(table, by_run)
    shown = texts(figure)
    pooled = table[(table["network"] == "all") & (table["control"] == "none")]
    for scope, axes in zip(("first", "model"), figure.axes[::2], strict=True):
        lines = pooled[(pooled["scope"] == scope) & (pooled["parameter"] != "diagonal")]
        numbers = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in axes.texts]
        assert numbers == [f"{x:.2f}" for x in lines["estimate"]]
    contrasts = by_run[(by_run["parameter"] == "diagonal") & (by_run["scope"] == "first")]
    drawn = [x for line in figure.axes[1].lines if line.get_marker() in {"o", "D"}
             for x in np.asarray(line.get_xdata(), float)]  # fmt: skip
    assert sorted(drawn) == pytest.approx(sorted(contrasts["correlation"]))
    assert r"resnet18  \$a\$  pretrained" in shown


@pytest.mark.parametrize("control", ["static", "label-shuffled", "frame-shuffled", ""])
def test_controls_are_drawn_and_named_where_they_are_compared(control: str) -> None:
    runs = grid(controls=["none", *([control] if control else [])], each=2)
    by_run = agreement_by_run(*agreeing(runs, 0.7), runs, seed=1, draws=9)
    figure = agreement(agreement_table(by_run, seed=1), by_run)
    named = texts(figure)
    compared = control in {"static", "label-shuffled"}
    for name in ("static", "label-shuffled", "frame-shuffled"):
        assert (CONTROLS[name].label in named) == (compared and name == control)
    dots = sum(line.get_xdata().size for line in figure.axes[1].lines
               if line.get_marker() not in {"None", None, ""})  # fmt: skip
    assert dots == (8 if compared else 4)


def test_entries_that_are_missing_are_dashes(tables: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, by_run = tables
    table = table.assign(estimate=table["estimate"].where(table["parameter"] != "s"))
    figure = agreement(table, by_run)
    assert [t.get_text() for t in figure.axes[0].texts][:4] == ["\N{EN DASH}"] * 4
    assert "No run has both" in texts(agreement(table[:0], by_run[:0]))


def test_shares_stand_by_layer_behind_those_of_the_network() -> None:
    runs = grid(["resnet18", "googlenet"], each=3)
    table = reproducibility_table(moving(runs, layers=((3, 9), (2, 8))), runs, seed=1)
    figure = reproducibility(table)
    assert len(figure.axes) == 4
    shown = table[(table["parameter"] == "all") & (table["network"] == "googlenet")]
    drawn = {round(float(y), 9) for line in figure.axes[0].lines if line.get_marker() in {"o", "s"}
             for y in np.asarray(line.get_ydata(), float)}  # fmt: skip
    assert drawn == {round(y, 9) for y in shown[shown["measure"] == "icc"]["estimate"]}
    one_set = table[table["measure"] == "icc"]
    assert len(reproducibility(one_set).axes) == 2
    assert "No cell" in texts(reproducibility(table[:0]))


def test_a_study_without_tuning_has_both_figures(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    table, by_run = tables
    runs = grid(each=1)
    lone = reproducibility_table(moving(runs, layers=((2, 5),)), runs, seed=1)
    figures = truth_figures(table[:0], by_run[:0], lone)
    assert set(figures) == {"agreement", "reproducibility"}
