"""Figures of distributions: shared axes, curves and contours that are the table's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.figures import theme
from threetconv.figures.distributions import scale_rotation_densities, translation_joint

from ..builders.figure_tables import CELLS, INITS, densities_table, joint_table, texts


def test_density_panels_of_both_figures_share_their_axes() -> None:
    table = densities_table()
    seen = [
        (column, axes.get_xlim(), axes.get_ylim(), axes.get_xscale(), axes.get_yscale())
        for init in INITS
        for row in np.reshape(scale_rotation_densities(table, init=init).axes, (4, 2))
        for column, axes in enumerate(row)
    ]
    assert len(seen) == 16
    assert len(set(seen)) == 2  # one set of axes for s, one for r
    assert len({entry[2] for entry in seen}) == 1  # and one density axis for both
    assert {entry[3:] for entry in seen} == {("asinh", "log")}


def test_the_floor_is_stated_and_no_curve_falls_below_it() -> None:
    figure = scale_rotation_densities(densities_table(), init="pretrained")
    for axes in figure.axes:
        low = axes.get_ylim()[0]
        if axes.get_subplotspec().is_first_col():
            assert f"floor $10^{{{round(np.log10(low))}}}$" in axes.get_ylabel()
        for line in axes.lines:
            assert np.min(line.get_ydata()) >= low


def test_a_curve_is_the_table_and_not_something_else() -> None:
    table = densities_table()
    figure = scale_rotation_densities(table, init="scratch")
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
    written = texts(scale_rotation_densities(table, init="pretrained"))
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
    figure = scale_rotation_densities(table, init="pretrained")
    for axes in figure.axes:
        assert list(axes.lines[-1].get_xdata()) == [0, 0]
    assert "identity 100 %" in texts(figure)


def test_joint_window_is_one_square_for_all_panels() -> None:
    table = joint_table()
    limits = {
        (axes.get_xlim(), axes.get_ylim())
        for init in INITS
        for axes in translation_joint(table, init=init).axes
    }
    assert len(limits) == 1
    x, y = limits.pop()
    assert x == y == (-0.1, 0.1)


def test_hdr_contours_lie_where_a_normal_density_puts_them() -> None:
    figure = translation_joint(joint_table(CELLS[:1], ["pretrained"]), init="pretrained")
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
