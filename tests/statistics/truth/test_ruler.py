"""Shares and cosines of 3D filters over runs: what was put in is found, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from threetconv.schemas.truth import RULER_CELLS, RULER_RUNS
from threetconv.statistics.truth.ruler import ruler_cells, ruler_runs

from ...builders.ruler_tables import ruled, ruler_study
from ...builders.truth_tables import grid


def test_a_share_is_the_mean_over_channels_that_change() -> None:
    runs = grid(each=1)
    filters, tuning = ruled(runs)
    still = filters.index % 2 == 1
    filters.loc[still, ["share", "chance"]] = np.nan
    by_run = ruler_runs(filters, tuning, runs)
    assert list(by_run.columns) == RULER_RUNS.names
    shares = by_run[by_run["measure"] == "share"]
    assert set(shares["n_channels"]) == {20}
    assert set(map(tuple, shares[["layer", "scope"]].to_numpy())) == {
        ("l0", "first"), ("l1", "deeper"),
    }  # fmt: skip
    wanted = filters[~still].groupby(["run_id", "layer"])["share"].mean()
    found = shares.set_index(["run_id", "layer"])["value"]
    assert found.to_dict() == pytest.approx(wanted.to_dict())


@pytest.mark.parametrize(
    ("turned", "cosine"), [(0, 1), (np.pi, -1), (np.pi / 2, 0), (1, np.cos(1))]
)
def test_a_cosine_is_that_of_the_angle_between(turned: float, cosine: float) -> None:
    runs = grid(each=2)
    by_run = ruler_runs(*ruled(runs, turned=turned), runs)
    found = by_run[by_run["measure"] == "cosine"]
    assert set(found["layer_index"]) == {0}  # deeper ones answer to motion in their input
    assert found["value"].to_numpy() == pytest.approx(np.cos(turned), abs=1e-9)
    assert found["chance"].abs().max() < 0.1


def test_what_all_channels_have_in_common_is_chance() -> None:
    """All filters move to the right, and all channels prefer that: a cosine, but no agreement."""
    runs = grid(each=3)
    filters, tuning = ruled(runs, turned=np.pi / 2)
    filters["path_x"] += 5
    tuning["direction_x"] += 5
    by_run = ruler_runs(filters, tuning, runs)
    found = by_run[by_run["measure"] == "cosine"]
    assert found["value"].min() > 0.9
    assert (found["value"] - found["chance"]).abs().max() < 0.05


def test_runs_without_tuning_have_no_cosine() -> None:
    runs = grid(each=2)
    filters, tuning = ruled(runs)
    by_run = ruler_runs(filters, tuning[:0], runs)
    cosines = by_run[by_run["measure"] == "cosine"]
    assert cosines["value"].isna().all()
    cells = ruler_cells(by_run, seed=1)
    of = cells[cells["measure"] == "cosine"]
    assert set(of["status"]) == {"degenerate"}
    assert of["mean"].isna().all()


def test_cells_have_means_intervals_and_tests_over_runs() -> None:
    by_run, cells = ruler_study()
    assert list(cells.columns) == RULER_CELLS.names
    line = cells[(cells["measure"] == "share") & (cells["scope"] == "first")].iloc[0]
    of = by_run[(by_run["measure"] == "share") & (by_run["scope"] == "first")]
    of = of[(of["network"] == line["network"]) & (of["dataset"] == line["dataset"])]
    for name, column in (("mean", "value"), ("chance", "chance")):
        values = of[column].to_numpy()
        half = t.ppf(0.975, 2) * values.std(ddof=1) / np.sqrt(3)
        assert line[name] == pytest.approx(values.mean())
        assert line[f"{name}_low"] == pytest.approx(values.mean() - half)
        assert line[f"{name}_high"] == pytest.approx(values.mean() + half)
    assert line["estimate"] == pytest.approx(0.3)
    # three runs cannot pass alone; twelve in four blocks can
    assert line["status"] == "untestable"
    pooled = cells[cells["network"] == "all"].set_index("measure")
    assert set(pooled.index) == {"share", "cosine"}
    assert pooled.loc["share", "n_runs"] == 12
    assert pooled["p_adjusted"].to_numpy() == pytest.approx(0.5**12)
    assert set(pooled["scope"]) == {"first"}


def test_no_difference_from_chance_is_not_shown() -> None:
    _, cells = ruler_study(beyond=-0.1, turned=np.pi)
    pooled = cells[cells["network"] == "all"]
    assert (pooled["p_adjusted"] > 0.9).all()
