"""Figures of tests and estimates: effects, layers, controls, calibration, planted motion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.figures import theme
from threetconv.figures.calibration import calibration
from threetconv.figures.controls import controls
from threetconv.figures.effects import effects
from threetconv.figures.planted import alignment, planted
from threetconv.figures.profile import profile

from ..builders.figure_tables import (
    alignment_rows,
    calibration_table,
    controls_table,
    effects_table,
    layer_tests_table,
    marks,
    planted_table,
    planted_tuning,
    profile_table,
    texts,
)


def test_effects_show_untestable_hollow_and_share_a_log_axis() -> None:
    figure = effects(effects_table())
    assert len(figure.axes) == 3 * 3  # families x parameters
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    low, high = figure.axes[0].get_xlim()
    assert low * high == pytest.approx(1)
    best = {x: c for axes in figure.axes for x, c in marks(axes, "s").items()}
    assert sorted(best) == [0.2, 1.05, 1.1, 1.15, 1.2, 1.3, 1.5]  # and none of the layer's 77
    assert best[1.1] == best[0.2] == theme.PAPER
    assert best[1.5] == best[1.2] != theme.PAPER
    assert list(marks(figure.axes[0], "o")) == [1.4]  # matched ones have a mark of their own
    assert "degenerate" in texts(figure)


def test_effects_put_the_blocked_test_first_and_name_each_of_several_contrasts() -> None:
    figure = effects(effects_table())
    labels = [[t.get_text() for t in axes.get_yticklabels()] for axes in figure.axes[::3]]
    assert labels == [
        ["all blocks", "in resnet18", "in googlenet"],
        ["all blocks"],
        ["none / static", "none / label-shuffled"],
    ]
    assert "dataset: gestures / scenes" in texts(figure)


def test_effects_leave_out_a_single_block_that_repeats_the_blocked_test() -> None:
    table = effects_table().query("stratum != 'googlenet'")
    assert [t.get_text() for t in effects(table).axes[0].get_yticklabels()] == ["all blocks"]


def test_effects_of_very_many_blocks_are_shortened_to_the_blocked_tests() -> None:
    row = effects_table().iloc[[2]]
    blocks = [row.assign(stratum=f"block {i}") for i in range(60)]
    figure = effects(pd.concat([row, *blocks], ignore_index=True))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["all blocks"]
    assert "single blocks: see tables" in texts(figure)


def test_profile_draws_reachable_layers_of_real_runs_at_one_checkpoint() -> None:
    for network, layers in (("googlenet", 4), ("resnet18", 3)):
        figure = profile(profile_table(), network=network)
        assert len(figure.axes) == 8
        solid = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert len(solid) == 2
        expected = 0.02 * np.arange(1, layers + 1)  # gestures, the first of the alphabet
        np.testing.assert_allclose(solid[0].get_ydata(), expected)
        assert solid[0].get_color() == theme.DATASETS[0]
        floors = [line for line in figure.axes[0].lines if line.get_marker() == "None"]
        assert {float(y) for line in floors for y in line.get_ydata()} == {0.012}
        names = [t.get_text() for t in figure.axes[-1].get_xticklabels()]
        assert names == [f"block{i}" for i in range(layers)]


def test_profile_bands_are_the_intervals() -> None:
    axes = profile(profile_table(), network="googlenet").axes[0]
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(0.8 * 0.02)
    assert corners[:, 1].max() == pytest.approx(1.25 * 0.08)


def test_profile_marks_layers_that_differ_at_this_checkpoint_and_no_others() -> None:
    figure = profile(profile_table(), layer_tests_table(), network="googlenet")
    found = {}
    for axes in figure.axes:
        for marker in ("v", "s"):
            for line in axes.lines:
                if line.get_marker() == marker and len(line.get_xdata()):
                    found.setdefault((axes.get_title(loc="left"), marker), line.get_xdata())
    assert {key: list(xs) for key, xs in found.items()} == {
        ("$s$, pretrained", "v"): [1],
        ("$s$, scratch", "v"): [1],
        ("$r$, pretrained", "s"): [0],
        ("$r$, scratch", "s"): [0],
    }


def test_profile_of_one_start_has_a_panel_for_each_parameter() -> None:
    table = profile_table().query("init == 'scratch'")
    assert len(profile(table, network="resnet18").axes) == 4


def test_controls_show_mean_and_range_of_the_reachable_model_lines() -> None:
    figure = controls(controls_table())
    assert len(figure.axes) == 4
    axes = figure.axes[0]
    assert [round(x, 9) for x in marks(axes, "o")] == [2.0]
    assert [round(x, 9) for x in marks(axes, "s")] == [0.9]
    bars = sorted(tuple(np.round(line.get_xdata(), 9)) for line in axes.lines[1::2])
    assert bars == [(0.8, 1.0), (1.0, 1.2), (1.9, 2.1)]
    assert axes.lines[0].get_xdata()[0] == 1  # the floor
    assert "shuffled frames" not in texts(figure)


def test_calibration_puts_naive_tests_first_in_the_colour_of_a_warning() -> None:
    figure = calibration(calibration_table())
    assert len(figure.axes) == 3 * 2  # quantities x networks
    labels = figure.axes[0].get_yticklabels()
    tau = "\N{GREEK SMALL LETTER TAU}"
    assert [t.get_text() for t in labels] == [
        f"KS, 1 block, {tau} 0.05", f"KS, 1 block, {tau} 0.1", "permutation, 1 block",
    ]  # fmt: skip
    assert labels[0].get_color() == theme.DATASETS[1] != labels[2].get_color()
    inside = {}
    for axes in figure.axes[::2]:
        for marker in ("^", "s"):
            inside |= marks(axes, marker)
    assert inside[0.67] == theme.DATASETS[1]
    assert inside[0.82] == theme.INITS[1]
    assert inside[0.05] == theme.INITS[0]
    assert inside[0.0] == theme.PAPER
    assert 0.4 in inside
    assert 0.9 not in inside  # the larger effect is in the table


def test_calibration_draws_the_nominal_level_but_none_for_power() -> None:
    figure = calibration(calibration_table())
    levels = [
        {float(line.get_xdata()[0]) for line in axes.lines if line.get_color() == theme.INK}
        for axes in figure.axes[::2]
    ]
    assert levels == [{0.05}, {0.95}, set()]


def test_planted_shows_the_strongest_control_and_frames_what_was_planted() -> None:
    figure = planted(planted_table(), planted_tuning())
    controls, tuning = figure.axes
    assert [t.get_text() for t in controls.get_yticklabels()] == ["rotation", "nothing moves"]
    written = [t.get_text() for t in controls.texts]
    assert "2.2" in written  # the smallest ratio, to the shuffled labels; "no motion" is no control
    assert "recovered" in written
    assert "0.3" not in written
    assert "1.9" not in written  # the floor is in the table
    assert {"3.2", "beyond"} <= {t.get_text() for t in tuning.texts}
    columns = [[t.get_text() for t in axes.get_xticklabels()] for axes in figure.axes]
    assert columns == [["$s$", "$r$", "$p_x$", "$p_y$"], ["zoom", "turn", "right", "up"]]
    for axes in figure.axes:
        frames = [p for p in axes.patches if p.get_facecolor()[3] == 0]
        assert [
            (p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in frames
        ] == [(pytest.approx(1), pytest.approx(0))]


def test_planted_without_tuning_has_one_matrix_and_without_controls_none() -> None:
    table, tuning = planted_table(), planted_tuning()
    assert len(planted(table).axes) == 1
    assert len(planted(table, tuning.head(0)).axes) == 1
    assert len(planted(table, tuning.assign(estimate=np.nan)).axes) == 1
    assert not planted(table.query("comparison == 'noise floor'")).axes


@pytest.mark.parametrize(
    ("beyond", "direction", "recovered", "word"),
    [
        ("yes", "yes", "yes", "recovered"),
        ("no", "yes", "no", "not beyond"),
        ("yes", "no", "no", "not in direction"),
        ("no", "no", "no", "neither"),
        ("untestable", "no", "no", "not in direction"),
        ("yes", "untestable", "untestable", "untestable"),
        ("yes", "", "yes", "beyond"),
        ("no", "", "no", "not beyond"),
        ("untestable", "", "untestable", "untestable"),
    ],
)
def test_the_word_in_a_planted_cell_says_what_failed(
    beyond: str, direction: str, recovered: str, word: str
) -> None:
    table = planted_table().query("comparison == 'static' and expected")
    line = {"beyond_controls": beyond, "in_direction": direction, "recovered": recovered}
    (axes,) = planted(table.assign(**line)).axes
    assert word in [t.get_text() for t in axes.texts]


def test_alignment_draws_first_layer_and_whole_model_real_runs_filled() -> None:
    first, axes = alignment(alignment_rows()).axes
    assert marks(first, "o") == {0.7: theme.INK}
    assert first.get_title(loc="left") == "first layer"
    assert marks(axes, "o") == {0.4: theme.INK, 0.3: theme.INK}
    assert marks(axes, "s") == {0.02: theme.PAPER}
    names = [t.get_text() for t in first.get_yticklabels()]
    assert names == ["right - left with px", "up - down with py"]
