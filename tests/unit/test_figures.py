"""Figures: shared axes, honest panels, labels with units, repeatable files."""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from threetconv import figures
from threetconv.figures import theme

CELLS = list(itertools.product(["googlenet", "resnet18"], ["gestures", "scenes"]))
INITS = ["pretrained", "scratch"]


def densities_table(cells=CELLS, inits=INITS) -> pd.DataFrame:
    """Two-sided Laplace-like curves whose width differs from cell to cell."""
    frames = []
    for k, ((network, dataset), init) in enumerate(itertools.product(cells, inits)):
        for parameter, reach in (("s", 0.4), ("r", 0.2)):
            scale = reach * 0.02 * (1 + k)
            support = reach * np.sinh(np.linspace(-4, 4, 161)) / np.sinh(4)
            frame = pd.DataFrame({"support": support})
            frame["density"] = np.exp(-np.abs(support) / scale) / (2 * scale)
            frames.append(
                frame.assign(
                    network=network,
                    dataset=dataset,
                    init=init,
                    parameter=parameter,
                    count=8064 - k,
                    identity_share=0.19 if network == "resnet18" else 0.0,
                    clipped_share=0.002,
                    c=0.002,
                )
            )
    return pd.concat(frames, ignore_index=True)


def joint_table(cells=CELLS, inits=INITS) -> pd.DataFrame:
    """Correlated normal densities on one grid; thresholds exact for a normal distribution."""
    grid = np.linspace(-0.1, 0.1, 41)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    frames = []
    for k, ((network, dataset), init) in enumerate(itertools.product(cells, inits)):
        sd = 0.01 * (1 + k / 4)
        peak = 1 / (2 * np.pi * sd**2)
        density = peak * np.exp(-(x**2 + y**2) / (2 * sd**2))
        levels = {f"hdr{share}": peak * (1 - share / 100) for share in (50, 80, 95)}
        frames.append(
            pd.DataFrame({"x": x, "y": y, "density": density}).assign(
                network=network, dataset=dataset, init=init, **levels
            )
        )
    return pd.concat(frames, ignore_index=True)


def effects_table() -> pd.DataFrame:
    rows = [
        ("F1", "gestures / scenes", "all blocks", "s", 1.5, 1.1, 2.0, "ok"),
        ("F1", "gestures / scenes", "all blocks", "r", 1.2, 0.8, 1.9, "ok"),
        ("F1", "gestures / scenes", "resnet18", "s", 1.1, np.nan, np.nan, "untestable"),
        ("F2", "scratch / pretrained", "all blocks", "s", np.nan, np.nan, np.nan, "degenerate"),
        ("F2", "scratch / pretrained", "all blocks", "px", 0.2, 0.0001, 900.0, "untestable"),
    ]
    names = ["family", "contrast", "stratum", "parameter", "estimate", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*names, "status"])


def runs_and_metrics() -> tuple[pd.DataFrame, pd.DataFrame]:
    runs, metrics = [], []
    variants = [("pretrained", "3t"), ("scratch", "3t"), ("pretrained", "3d")]
    for (network, dataset), (init, conv), r in itertools.product(CELLS, variants, [1, 2]):
        name = f"{network}-{dataset}-{init}-{conv}-r{r}"
        classes = 27 if dataset == "gestures" else 10
        runs.append((name, network, dataset, init, conv, classes))
        for epoch in range(1, 6):
            value = epoch / 10 + r / 50
            metrics.append((name, epoch, "val", "accuracy", value))
            metrics.append((name, epoch, "val", "loss", 99.0))
            metrics.append((name, epoch, "train", "accuracy", 1.0))
    names = ["run_id", "network", "dataset", "init", "convolution", "num_classes"]
    return (
        pd.DataFrame(runs, columns=names),
        pd.DataFrame(metrics, columns=["run_id", "epoch", "split", "metric", "value"]),
    )


def histogram_table() -> pd.DataFrame:
    edges = np.linspace(-0.1, 0.1, 51)
    frames = [
        pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": np.arange(50) % 7}).assign(
            network=network, dataset=dataset, init=init, parameter=parameter
        )
        for (network, dataset), init, parameter in itertools.product(
            CELLS, INITS, ["s", "r", "px", "py"]
        )
    ]
    return pd.concat(frames, ignore_index=True)


def texts(figure: Figure) -> str:
    """Everything written in a figure."""
    figure.canvas.draw_idle()
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


def drawn(axes) -> bool:
    return bool(axes.lines or axes.collections or axes.patches or axes.images)


@pytest.fixture(scope="module")
def all_figures() -> dict[str, Figure]:
    runs, metrics = runs_and_metrics()
    clips = [np.full((12, 24, 32, 3), 20 * i, np.uint8) for i in range(4)]
    dens, joint = densities_table(), joint_table()
    return {
        "densities": figures.scale_rotation_densities(dens, init="pretrained"),
        "joint": figures.translation_joint(joint, init="scratch"),
        "figure4": figures.temporal_distributions(dens, joint, init="pretrained"),
        "histograms": figures.histograms(histogram_table(), init="scratch"),
        "accuracy": figures.accuracy_curves(metrics, runs),
        "strip": figures.clip_strip(clips, ["a", "b", "c", "d"]),
        "effects": figures.effects(effects_table()),
    }


def test_no_panel_is_empty_and_no_global_figure_is_left(all_figures) -> None:
    assert plt.get_fignums() == []
    for name, figure in all_figures.items():
        assert figure.axes, name
        assert all(drawn(axes) for axes in figure.axes), name


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_files_have_the_same_bytes_every_time(suffix: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        figure = figures.translation_joint(joint_table(CELLS[:1]), init="pretrained")
        figures.save(figure, tmp_path / f"{name}.{suffix}", dpi=60)
    assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()


def test_density_panels_of_both_figures_share_their_axes() -> None:
    table = densities_table()
    seen = [
        (column, axes.get_xlim(), axes.get_ylim(), axes.get_xscale(), axes.get_yscale())
        for init in INITS
        for row in np.reshape(figures.scale_rotation_densities(table, init=init).axes, (4, 2))
        for column, axes in enumerate(row)
    ]
    assert len(seen) == 16
    assert len(set(seen)) == 2  # one set of axes for s, one for r
    assert len({entry[2] for entry in seen}) == 1  # and one density axis for both
    assert {entry[3:] for entry in seen} == {("asinh", "log")}


def test_the_floor_is_stated_and_no_curve_falls_below_it() -> None:
    figure = figures.scale_rotation_densities(densities_table(), init="pretrained")
    for axes in figure.axes:
        low = axes.get_ylim()[0]
        if axes.get_subplotspec().is_first_col():
            assert f"floor $10^{{{round(np.log10(low))}}}$" in axes.get_ylabel()
        for line in axes.lines:
            assert np.min(line.get_ydata()) >= low


def test_a_curve_is_the_table_and_not_something_else() -> None:
    table = densities_table()
    figure = figures.scale_rotation_densities(table, init="scratch")
    axes = figure.axes[0]
    rows = theme_cell(table, "scratch", "googlenet", "gestures", "s")
    own = next(line for line in axes.lines if line.get_color() == theme.DATASETS[0])
    np.testing.assert_allclose(own.get_xdata(), rows["support"])
    above = rows["density"].to_numpy() > axes.get_ylim()[0]
    np.testing.assert_allclose(own.get_ydata()[above], rows["density"][above])


def theme_cell(table, init, network, dataset, parameter) -> pd.DataFrame:
    return table.query(
        "init == @init and network == @network and dataset == @dataset and parameter == @parameter"
    )


def test_shares_and_counts_are_printed_in_the_panel() -> None:
    table = densities_table()
    table.loc[table["network"] == "googlenet", "clipped_share"] = 0.0
    written = texts(figures.scale_rotation_densities(table, init="pretrained"))
    for expected in (
        "n 8,064",
        "identity 19.0 %",
        "identity 0 %",
        "clipped 0.2 %",
        "clipped 0 %",
    ):
        assert expected in written


def test_degenerate_cell_is_a_spike_at_the_identity() -> None:
    table = densities_table([("resnet18", "scenes")])
    table["density"] = np.nan
    table["identity_share"] = 1.0
    figure = figures.scale_rotation_densities(table, init="pretrained")
    for axes in figure.axes:
        assert list(axes.lines[-1].get_xdata()) == [0, 0]
    assert "identity 100 %" in texts(figure)


def test_joint_window_is_one_square_for_all_panels() -> None:
    table = joint_table()
    limits = {
        (axes.get_xlim(), axes.get_ylim())
        for init in INITS
        for axes in figures.translation_joint(table, init=init).axes
    }
    assert len(limits) == 1
    x, y = limits.pop()
    assert x == y == (-0.1, 0.1)


def test_hdr_contours_lie_where_a_normal_density_puts_them() -> None:
    figure = figures.translation_joint(joint_table(CELLS[:1], ["pretrained"]), init="pretrained")
    outlines = [c for c in figure.axes[0].collections if not c.get_fill()] or list(
        figure.axes[0].collections
    )
    radii = []
    for collection in outlines:
        points = np.concatenate([path.vertices for path in collection.get_paths()])
        radii.append(np.hypot(points[:, 0], points[:, 1]).max())
    for share in (0.5, 0.8, 0.95):
        expected = 0.01 * np.sqrt(-2 * np.log(1 - share))
        assert min(abs(radius - expected) for radius in radii) < 0.0008


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
    figure = figures.accuracy_curves(metrics, runs)
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
    assert len(figures.accuracy_curves(metrics, runs).axes) == 3


def test_effects_show_untestable_hollow_and_share_a_log_axis() -> None:
    figure = figures.effects(effects_table())
    assert len(figure.axes) == 2
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    low, high = figure.axes[0].get_xlim()
    assert low * high == pytest.approx(1)
    marks = {
        float(line.get_xdata()[0]): line.get_markerfacecolor()
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "o"
    }
    assert sorted(marks) == [0.2, 1.1, 1.2, 1.5]
    assert marks[1.1] == marks[0.2] == theme.PAPER
    assert marks[1.5] == marks[1.2] != theme.PAPER
    assert "degenerate" in texts(figure)


def test_clip_strip_shows_evenly_spaced_frames() -> None:
    clip = np.zeros((9, 4, 6, 3), np.uint8)
    clip[..., 0] = np.arange(9)[:, None, None] * 10
    image = figures.clip_strip([clip], ["swipe"], frames=5).axes[0].images[0].get_array()
    solid = image[0][image[0, :, 3] == 255]
    assert sorted(set(solid[:, 0].tolist())) == [0, 20, 40, 60, 80]
    assert solid.shape[0] == 5 * 6


def test_clip_strip_takes_clips_of_different_size_and_length() -> None:
    clips = [np.zeros((3, 10, 20, 3), np.uint8), np.zeros((9, 21, 15, 3), np.uint8)]
    assert len(figures.clip_strip(clips, ["x", "y"]).axes) == 2


def test_clip_strip_refuses_floats_and_missing_labels() -> None:
    clip = np.zeros((3, 4, 4, 3))
    with pytest.raises(ValueError, match="uint8"):
        figures.clip_strip([clip], ["x"])
    with pytest.raises(ValueError, match="labels"):
        figures.clip_strip([clip.astype(np.uint8)], [])


def test_a_dataset_keeps_its_colour_and_an_init_never_shares_it() -> None:
    datasets = theme.dataset_colours(["scenes", "gestures"])
    assert datasets == theme.dataset_colours(["gestures", "scenes", "scenes"])
    assert not set(theme.DATASETS) & set(theme.INITS)
    assert theme.init_colours(["scratch"])["scratch"] == theme.init_colours([])["scratch"]


def test_user_names_with_dollars_and_markup_are_drawn_as_they_are(tmp_path: Path) -> None:
    cells = [("res$net$", "<my_data> & $x^2$")]
    dens, joint = densities_table(cells), joint_table(cells)
    figure = figures.temporal_distributions(dens, joint, init="scratch")
    figures.save(figure, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").stat().st_size > 0


@pytest.mark.parametrize(
    "figure",
    [
        lambda: figures.scale_rotation_densities(densities_table().head(0), init="scratch"),
        lambda: figures.translation_joint(joint_table().head(0), init="scratch"),
        lambda: figures.effects(effects_table().head(0)),
        lambda: figures.histograms(histogram_table(), init="other"),
        lambda: figures.accuracy_curves(*(t.head(0) for t in reversed(runs_and_metrics()))),
        lambda: figures.clip_strip([], []),
    ],
)
def test_nothing_to_draw_is_said_in_words(figure, tmp_path: Path) -> None:
    drawing = figure()
    assert "No " in texts(drawing)
    figures.save(drawing, tmp_path / "empty.svg")
