"""The figure of what networks need: every run has its dots, and they stand where they belong."""

from __future__ import annotations

import numpy as np

from threetconv.figures.need import CONDITIONS, need
from threetconv.statistics.truth.need import need_runs

from ..builders.figure_tables import texts
from ..builders.need_tables import need_study


def test_every_run_is_a_dot_at_every_condition_that_it_has() -> None:
    values = need_runs(*need_study())
    figure = need(values)
    (axes,) = figure.axes
    dots = [line for line in axes.lines if line.get_marker() not in ("", "None")]
    places = np.concatenate([line.get_xdata() for line in dots]).astype(float)
    heights = np.concatenate([line.get_ydata() for line in dots]).astype(float)
    assert max(abs(places - places.round())) < 0.5
    names = [condition.name for condition in CONDITIONS]

    def at(name: str) -> list[float]:
        return sorted(heights[places.round() == names.index(name)])

    assert at("forwards") == [50, 50, 60, 80, 90, 90, 100]  # 3D among them
    assert at("backwards") == [0, 10, 20, 50, 50, 60]
    assert at("identity") == at("identity,\nbackwards") == [50] * 6
    assert at("no scale") == []
    assert axes.get_title(loc="left") == "resnet18, gestures"
    said = texts(figure)
    assert "3T scratch, static" in said
    assert "3D scratch" in said
    hollow = {line.get_markerfacecolor() != line.get_color() for line in dots}
    assert hollow == {True, False}


def test_nothing_measured_is_said() -> None:
    assert "not measured" in texts(need(need_runs(*need_study()).iloc[:0]))
