"""The figure of 3D filters as moving 2D filters: a dot for each run, and its chance beside it."""

from __future__ import annotations

import numpy as np
import pytest

from threetconv.figures.ruler import ruler

from ..builders.figure_tables import texts
from ..builders.ruler_tables import ruler_study


def test_every_run_stands_beside_its_chance() -> None:
    by_run, _ = ruler_study(networks=1, each=2)
    figure = ruler(by_run)
    first = by_run[by_run["scope"] == "first"]
    for axes, measure in zip(figure.axes, ("share", "cosine"), strict=True):
        of = first[first["measure"] == measure]
        for mark, column in (("o", "value"), ("_", "chance")):
            drawn = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == mark]
            assert sorted(map(float, np.array(drawn))) == pytest.approx(sorted(of[column]))
        ticks = [label.get_text() for label in axes.get_xticklabels()]
        assert ticks == ["resnet18\ngestures\npretrained", "resnet18\nscenes\npretrained"]
    assert "by chance" in texts(figure)


def test_nothing_measured_is_said() -> None:
    by_run, _ = ruler_study(networks=1, each=1)
    assert "No run has 3D filters" in texts(ruler(by_run[:0]))
