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
        ("F1", "gestures / scenes", "resnet18", "s", "best", 1.1, np.nan, np.nan, "untestable"),
        ("F1", "gestures / scenes", "googlenet", "px", "best", 1.15, 1.1, 1.2, "ok"),
        ("F1", "gestures / scenes", "all", "s", "best", 1.5, 1.1, 2.0, "ok"),
        ("F1", "gestures / scenes", "all", "s", "matched", 1.4, 1.1, 1.9, "ok"),
        ("F1", "gestures / scenes", "all", "r", "best", 1.2, 0.8, 1.9, "ok"),
        ("F2", "scratch / pretrained", "all", "s", "best", np.nan, np.nan, np.nan, "degenerate"),
        ("F2", "scratch / pretrained", "all", "px", "best", 0.2, 0.0001, 900.0, "untestable"),
        ("controls", "none / static", "all", "s", "best", 1.3, 1.2, 1.4, "ok"),
        ("controls", "none / label-shuffled", "all", "s", "best", 1.05, 0.9, 1.2, "ok"),
    ]
    names = ["family", "contrast", "stratum", "parameter", "checkpoint"]
    table = pd.DataFrame(rows, columns=[*names, "estimate", "ci_low", "ci_high", "status"])
    layer = table.head(1).assign(scope="layer", estimate=77.0, status="ok")
    return pd.concat([table.assign(scope="model"), layer], ignore_index=True)


def profile_table() -> pd.DataFrame:
    """Four layers, of which the last of resnet18 cannot be reached."""
    rows = []
    for (network, dataset), init, i, parameter in itertools.product(
        CELLS, INITS, range(4), ["s", "r", "px", "py"]
    ):
        mean = 0.01 * (1 + i) * (2 if dataset == "gestures" else 1)
        share = 0.0 if network == "resnet18" and i == 3 else 1.0
        line = {"network": network, "dataset": dataset, "init": init, "control": "none",
                "checkpoint": "matched", "layer_index": i, "layer": f"block{i}.conv",
                "parameter": parameter, "n_runs": 3, "mean": mean, "ci_low": 0.8 * mean,
                "ci_high": 1.25 * mean, "noise_floor": 0.012, "reachable_share": share}  # fmt: skip
        rows += [line, line | {"control": "static", "mean": 5.0}, line | {"checkpoint": "best"}]
    return pd.DataFrame(rows)


def layer_tests_table() -> pd.DataFrame:
    rows = [
        ("F1", "googlenet", "s", 1, "matched", 0.01, "ok"),
        ("F1", "googlenet", "s", 2, "matched", 0.2, "ok"),
        ("F1", "googlenet", "s", 3, "best", 0.01, "ok"),
        ("F2", "googlenet", "r", 0, "matched", 0.04, "ok"),
        ("F2", "googlenet", "r", 3, "matched", np.nan, "untestable"),
        ("F1", "resnet18", "s", 0, "matched", 0.01, "ok"),
    ]
    names = ["family", "stratum", "parameter", "layer_index", "checkpoint", "p_adjusted", "status"]
    return pd.DataFrame(rows, columns=names).assign(scope="layer", contrast="a / b")


def controls_table() -> pd.DataFrame:
    rows = []
    for control, k, parameter in itertools.product(
        ["none", "static", "label-shuffled"], range(3), ["s", "r", "px", "py"]
    ):
        value = {"none": 2.0, "static": 0.9, "label-shuffled": 1.1}[control] + 0.1 * (k - 1)
        line = {"run_id": f"{control}{k}", "network": "resnet18", "dataset": "gestures",
                "init": "scratch", "control": control, "parameter": parameter, "tag": "best",
                "scope": "model", "weighting": "pooled", "rows": "reachable",
                "floor_ratio": value}  # fmt: skip
        others = [{"scope": "layer"}, {"rows": "all"}, {"weighting": "layer"}, {"tag": "last"}]
        rows += [line, *(line | other | {"floor_ratio": 50.0} for other in others)]
    return pd.DataFrame(rows)


def calibration_table() -> pd.DataFrame:
    rows = [
        ("permutation", "run", "type I error", 3, 0.1, 1.0, 0.05, "valid"),
        ("permutation", "run", "type I error", 1, 0.1, 1.0, 0.0, "untestable"),
        ("bootstrap", "run", "coverage", 3, 0.1, 1.0, 0.82, "liberal"),
        ("KS", "row", "type I error", 1, 0.05, 1.0, 0.45, "liberal"),
        ("KS", "row", "type I error", 1, 0.1, 1.0, 0.67, "liberal"),
        ("permutation", "run", "power", 3, 0.1, 1.25, 0.4, ""),
        ("permutation", "run", "power", 3, 0.1, 1.5, 0.9, ""),
    ]
    names = ["test", "unit", "quantity", "runs_per_arm", "tau", "effect", "estimate", "valid"]
    table = pd.DataFrame(rows, columns=names).assign(design="1 block")
    table["ci_low"], table["ci_high"] = table["estimate"] - 0.03, table["estimate"] + 0.03
    table["nominal"] = table["quantity"].map({"type I error": 0.05, "coverage": 0.95})
    return pd.concat([table.assign(network=n) for n in ("googlenet", "resnet18")])


def planted_table() -> pd.DataFrame:
    motions = {"turning": ("rotation", "r"), "still": ("none", "")}
    rows = []
    for (dataset, (motion, planted)), parameter, (comparison, ratio) in itertools.product(
        motions.items(),
        ["s", "r", "px", "py"],
        [("noise floor", 1.9), ("static", 3.1), ("label-shuffled", 2.2), ("no motion", 0.3)],
    ):
        moved = parameter == planted
        rows.append(
            {"network": "resnet18", "dataset": dataset, "motion": motion, "init": "scratch",
             "parameter": parameter, "expected": moved, "comparison": comparison,
             "estimate": ratio if moved else 0.97, "beyond": "yes" if moved else "no",
             "recovered": "yes" if moved else "no"}
        )  # fmt: skip
    return pd.DataFrame(rows)


def alignment_rows() -> pd.DataFrame:
    rows = [
        ("right - left", "px", "none", "model", 0.4),
        ("right - left", "px", "static", "model", 0.02),
        ("up - down", "py", "none", "model", 0.3),
        ("up - down", "py", "none", "layer", -0.9),
        ("up - down", "py", "none", "first", 0.7),
    ]
    table = pd.DataFrame(rows, columns=["axis", "parameter", "control", "scope", "correlation"])
    table["ci_low"], table["ci_high"] = table["correlation"] - 0.1, table["correlation"] + 0.1
    return table.assign(network="resnet18", dataset="moving", motion="translation", init="scratch")


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
        "profile": figures.profile(profile_table(), layer_tests_table(), network="googlenet"),
        "controls": figures.controls(controls_table()),
        "calibration": figures.calibration(calibration_table()),
        "planted": figures.planted(planted_table()),
        "alignment": figures.alignment(alignment_rows()),
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


def marks(axes, marker: str) -> dict[float, str]:
    """Place -> colour of the inside of every mark of a kind."""
    return {
        float(line.get_xdata()[0]): line.get_markerfacecolor()
        for line in axes.lines
        if line.get_marker() == marker
    }


def test_effects_show_untestable_hollow_and_share_a_log_axis() -> None:
    figure = figures.effects(effects_table())
    assert len(figure.axes) == 3 * 3  # families x parameters
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    low, high = figure.axes[0].get_xlim()
    assert low * high == pytest.approx(1)
    best = {x: c for axes in figure.axes for x, c in marks(axes, "s").items()}
    assert sorted(best) == [0.2, 1.05, 1.1, 1.15, 1.2, 1.3, 1.5]  # and none of the layer's 77
    assert best[1.1] == best[0.2] == theme.PAPER
    assert best[1.5] == best[1.2] != theme.PAPER
    assert list(marks(figure.axes[0], "o")) == [1.4]  # matched updates have a mark of their own
    assert "degenerate" in texts(figure)


def test_effects_put_the_blocked_test_first_and_name_each_of_several_contrasts() -> None:
    figure = figures.effects(effects_table())
    labels = [[t.get_text() for t in axes.get_yticklabels()] for axes in figure.axes[::3]]
    assert labels == [
        ["all blocks", "in resnet18", "in googlenet"],
        ["all blocks"],
        ["none / static", "none / label-shuffled"],
    ]
    assert "F1: dataset: gestures / scenes" in texts(figure)


def test_effects_leave_out_a_single_block_that_repeats_the_blocked_test() -> None:
    table = effects_table().query("stratum != 'googlenet'")
    assert [t.get_text() for t in figures.effects(table).axes[0].get_yticklabels()] == [
        "all blocks"
    ]


def test_effects_of_very_many_blocks_are_shortened_to_the_blocked_tests() -> None:
    row = effects_table().iloc[[2]]
    blocks = [row.assign(stratum=f"block {i}") for i in range(60)]
    figure = figures.effects(pd.concat([row, *blocks], ignore_index=True))
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["all blocks"]
    assert "single blocks: see tables" in texts(figure)


def test_profile_draws_reachable_layers_of_real_runs_at_one_checkpoint() -> None:
    for network, layers in (("googlenet", 4), ("resnet18", 3)):
        figure = figures.profile(profile_table(), network=network)
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
    axes = figures.profile(profile_table(), network="googlenet").axes[0]
    corners = axes.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(0.8 * 0.02)
    assert corners[:, 1].max() == pytest.approx(1.25 * 0.08)


def test_profile_marks_layers_that_differ_at_this_checkpoint_and_no_others() -> None:
    figure = figures.profile(profile_table(), layer_tests_table(), network="googlenet")
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
    assert len(figures.profile(table, network="resnet18").axes) == 4


def test_controls_show_mean_and_range_of_the_reachable_model_lines() -> None:
    figure = figures.controls(controls_table())
    assert len(figure.axes) == 4
    axes = figure.axes[0]
    assert [round(x, 9) for x in marks(axes, "o")] == [2.0]
    assert [round(x, 9) for x in marks(axes, "s")] == [0.9]
    bars = sorted(tuple(np.round(line.get_xdata(), 9)) for line in axes.lines[1::2])
    assert bars == [(0.8, 1.0), (1.0, 1.2), (1.9, 2.1)]
    assert axes.lines[0].get_xdata()[0] == 1  # the floor
    assert "frames shuffled" not in texts(figure)


def test_calibration_puts_naive_tests_first_in_the_colour_of_a_warning() -> None:
    figure = figures.calibration(calibration_table())
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
    figure = figures.calibration(calibration_table())
    levels = [
        {float(line.get_xdata()[0]) for line in axes.lines if line.get_color() == theme.INK}
        for axes in figure.axes[::2]
    ]
    assert levels == [{0.05}, {0.95}, set()]


def test_planted_shows_the_strongest_control_and_frames_what_was_planted() -> None:
    figure = figures.planted(planted_table())
    controls, floors = figure.axes
    assert [t.get_text() for t in controls.get_yticklabels()] == ["rotation", "nothing moves"]
    written = [t.get_text() for t in controls.texts]
    assert "2.2" in written  # the smallest ratio, to the shuffled labels; "no motion" is no control
    assert "recovered" in written
    assert "0.3" not in written
    assert {"1.9", "above"} <= {t.get_text() for t in floors.texts}
    for axes in figure.axes:
        frames = [p for p in axes.patches if p.get_facecolor()[3] == 0]
        assert [
            (p.get_x() + p.get_width() / 2, p.get_y() + p.get_height() / 2) for p in frames
        ] == [(pytest.approx(1), pytest.approx(0))]


def test_planted_without_controls_has_the_floor_alone() -> None:
    table = planted_table().query("comparison == 'noise floor'")
    assert len(figures.planted(table).axes) == 1


def test_alignment_draws_first_layer_and_whole_model_real_runs_filled() -> None:
    first, axes = figures.alignment(alignment_rows()).axes
    assert marks(first, "o") == {0.7: theme.INK}
    assert first.get_title(loc="left") == "first layer"
    assert marks(axes, "o") == {0.4: theme.INK, 0.3: theme.INK}
    assert marks(axes, "s") == {0.02: theme.PAPER}
    names = [t.get_text() for t in first.get_yticklabels()]
    assert names == ["right - left with px", "up - down with py"]


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
        lambda: figures.profile(profile_table(), network="vgg"),
        lambda: figures.controls(controls_table().head(0)),
        lambda: figures.calibration(calibration_table().head(0)),
        lambda: figures.planted(planted_table().head(0)),
        lambda: figures.alignment(alignment_rows().head(0)),
        lambda: figures.histograms(histogram_table(), init="other"),
        lambda: figures.accuracy_curves(*(t.head(0) for t in reversed(runs_and_metrics()))),
        lambda: figures.clip_strip([], []),
    ],
)
def test_nothing_to_draw_is_said_in_words(figure, tmp_path: Path) -> None:
    drawing = figure()
    assert "No " in texts(drawing)
    figures.save(drawing, tmp_path / "empty.svg")
