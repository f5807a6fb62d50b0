"""Figures: no empty panels, labels with units, repeatable files; accuracy and strips of clips."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from threetconv.figures import theme
from threetconv.figures.accuracy import accuracy_curves
from threetconv.figures.calibration import calibration
from threetconv.figures.clips import clip_strip
from threetconv.figures.controls import controls
from threetconv.figures.distributions import (
    scale_rotation_densities,
    temporal_distributions,
    translation_joint,
)
from threetconv.figures.effects import effects
from threetconv.figures.histograms import histograms
from threetconv.figures.planted import alignment, planted
from threetconv.figures.profile import profile
from threetconv.figures.theme import save

from ..builders.figure_tables import (
    CELLS,
    alignment_rows,
    calibration_table,
    controls_table,
    densities_table,
    effects_table,
    histogram_table,
    joint_table,
    layer_tests_table,
    planted_table,
    profile_table,
    runs_and_metrics,
    texts,
)


def drawn(axes) -> bool:
    return bool(axes.lines or axes.collections or axes.patches or axes.images)


@pytest.fixture(scope="module")
def all_figures() -> dict[str, Figure]:
    runs, metrics = runs_and_metrics()
    clips = [np.full((12, 24, 32, 3), 20 * i, np.uint8) for i in range(4)]
    dens, joint = densities_table(), joint_table()
    return {
        "densities": scale_rotation_densities(dens, init="pretrained"),
        "joint": translation_joint(joint, init="scratch"),
        "figure4": temporal_distributions(dens, joint, init="pretrained"),
        "histograms": histograms(histogram_table(), init="scratch"),
        "accuracy": accuracy_curves(metrics, runs),
        "strip": clip_strip(clips, ["a", "b", "c", "d"]),
        "effects": effects(effects_table()),
        "profile": profile(profile_table(), layer_tests_table(), network="googlenet"),
        "controls": controls(controls_table()),
        "calibration": calibration(calibration_table()),
        "planted": planted(planted_table()),
        "alignment": alignment(alignment_rows()),
    }


def test_no_panel_is_empty_and_no_global_figure_is_left(all_figures) -> None:
    assert plt.get_fignums() == []
    for name, figure in all_figures.items():
        assert figure.axes, name
        assert all(drawn(axes) for axes in figure.axes), name


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_files_have_the_same_bytes_every_time(suffix: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        figure = translation_joint(joint_table(CELLS[:1]), init="pretrained")
        save(figure, tmp_path / f"{name}.{suffix}", dpi=60)
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_labels_carry_units(all_figures) -> None:
    assert "radians" in texts(all_figures["densities"])
    assert "dimensionless" in texts(all_figures["densities"])
    assert "fraction of the kernel" in texts(all_figures["joint"])
    assert "epoch" in texts(all_figures["accuracy"])
    assert "ratio" in texts(all_figures["effects"])


def test_combined_figure_has_a_row_for_every_cell(all_figures) -> None:
    figure = all_figures["figure4"]
    assert len(figure.axes) == 12
    written = texts(figure)
    for name in ("googlenet", "resnet18", "gestures", "scenes"):
        assert name in written


def test_accuracy_draws_runs_means_and_chance() -> None:
    runs, metrics = runs_and_metrics()
    figure = accuracy_curves(metrics, runs)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"{n}, {d}" for n, d in CELLS]
    axes = figure.axes[0]
    assert len(axes.lines) == 3 * (2 + 1) + 1
    thick = [line for line in axes.lines if line.get_linewidth() > 1.5]
    np.testing.assert_allclose(thick[0].get_ydata(), np.arange(1, 6) / 10 + 0.03)
    assert axes.lines[-1].get_ydata()[0] == pytest.approx(1 / 27)
    assert {ax.get_ylim() for ax in figure.axes} == {(0.0, 1.0)}


def test_accuracy_leaves_no_axes_for_a_combination_that_was_not_run() -> None:
    runs, metrics = runs_and_metrics()
    runs = runs[~((runs["network"] == "resnet18") & (runs["dataset"] == "scenes"))]
    assert len(accuracy_curves(metrics, runs).axes) == 3


def test_clip_strip_shows_evenly_spaced_frames() -> None:
    clip = np.zeros((9, 4, 6, 3), np.uint8)
    clip[..., 0] = np.arange(9)[:, None, None] * 10
    image = clip_strip([clip], ["swipe"], frames=5).axes[0].images[0].get_array()
    solid = image[0][image[0, :, 3] == 255]
    assert sorted(set(solid[:, 0].tolist())) == [0, 20, 40, 60, 80]
    assert solid.shape[0] == 5 * 6


def test_clip_strip_takes_clips_of_different_size_and_length() -> None:
    clips = [np.zeros((3, 10, 20, 3), np.uint8), np.zeros((9, 21, 15, 3), np.uint8)]
    assert len(clip_strip(clips, ["x", "y"]).axes) == 2


def test_clip_strip_refuses_floats_and_missing_labels() -> None:
    clip = np.zeros((3, 4, 4, 3))
    with pytest.raises(ValueError, match="uint8"):
        clip_strip([clip], ["x"])
    with pytest.raises(ValueError, match="labels"):
        clip_strip([clip.astype(np.uint8)], [])


def test_a_dataset_keeps_its_colour_and_an_init_never_shares_it() -> None:
    datasets = theme.dataset_colours(["scenes", "gestures"])
    assert datasets == theme.dataset_colours(["gestures", "scenes", "scenes"])
    assert not set(theme.DATASETS) & set(theme.INITS)
    assert theme.init_colours(["scratch"])["scratch"] == theme.init_colours([])["scratch"]


def test_user_names_with_dollars_and_markup_are_drawn_as_they_are(tmp_path: Path) -> None:
    cells = [("res$net$", "<my_data> & $x^2$")]
    dens, joint = densities_table(cells), joint_table(cells)
    figure = temporal_distributions(dens, joint, init="scratch")
    save(figure, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").stat().st_size > 0


@pytest.mark.parametrize(
    "figure",
    [
        lambda: scale_rotation_densities(densities_table().head(0), init="scratch"),
        lambda: translation_joint(joint_table().head(0), init="scratch"),
        lambda: effects(effects_table().head(0)),
        lambda: profile(profile_table(), network="vgg"),
        lambda: controls(controls_table().head(0)),
        lambda: calibration(calibration_table().head(0)),
        lambda: planted(planted_table().head(0)),
        lambda: alignment(alignment_rows().head(0)),
        lambda: histograms(histogram_table(), init="other"),
        lambda: accuracy_curves(*(t.head(0) for t in reversed(runs_and_metrics()))),
        lambda: clip_strip([], []),
    ],
)
def test_nothing_to_draw_is_said_in_words(figure, tmp_path: Path) -> None:
    drawing = figure()
    assert "No " in texts(drawing)
    save(drawing, tmp_path / "empty.svg")
