"""Runs of different recipes are neither compared nor pooled, and displacement is from the start."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.layer.units import IDENTITY
from threetconv.records.parameters import RAW
from threetconv.statistics.densities.kde import densities
from threetconv.statistics.summaries.displacement import displacement_table
from threetconv.statistics.summaries.summarise import summarise
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.layerwise import layer_profile, layer_tests

from .conftest import Study, build


def both() -> Study:
    """The study twice: recipe "paper", and recipe "fast", which moves other distances."""
    paper, fast = build(seed=1, ratio=2.0), build(seed=2, ratio=0.5)
    names = {run: run.replace("-3t-", "-3t-fast-") for run in fast.runs["run_id"]}
    moved = [t.assign(run_id=t["run_id"].map(names)) for t in fast]
    return Study(
        pd.concat(
            [paper.parameters.assign(recipe="paper"), moved[0].assign(recipe="fast")],
            ignore_index=True,
        ),
        pd.concat(
            [paper.runs.assign(recipe="paper"), moved[1].assign(recipe="fast")], ignore_index=True
        ),
        pd.concat([paper.snapshots, moved[2]], ignore_index=True),
    )


@pytest.mark.parametrize("tests", [run_tests, layer_tests])
def test_each_recipe_is_tested_as_if_it_were_alone(tests) -> None:
    study = both()
    summaries = summarise(*study)
    found = tests(summaries, study.runs, seed=1)
    assert set(found["recipe"]) == {"paper", "fast"}
    for recipe in ("paper", "fast"):
        runs = study.runs[study.runs["recipe"] == recipe]
        own = summaries[summaries["recipe"] == recipe]
        alone = tests(own, runs, seed=1)
        here = found[found["recipe"] == recipe].reset_index(drop=True)
        pd.testing.assert_frame_equal(here, alone)
    whole = found[(found["stratum"] == "all") & (found["family"] == "dataset")]
    if len(whole):
        paper, fast = (whole[whole["recipe"] == name]["estimate"] for name in ("paper", "fast"))
        assert paper.min() > 1 > fast.max()


def test_cells_of_different_recipes_stay_apart() -> None:
    study = both()
    summaries = summarise(*study)
    for table, columns in (
        (displacement_table(summaries, study.runs), ["network", "dataset", "init", "parameter"]),
        (layer_profile(summaries, study.runs, checkpoint="best"), ["layer_index", "parameter"]),
        (densities(study.parameters, points=32), ["parameter"]),
    ):
        assert set(table["recipe"]) == {"paper", "fast"}, columns
        if "n_runs" in table:
            assert (table["n_runs"] == 3).all()
    paper = displacement_table(summaries, study.runs, {"gestures": "jester"})
    printed = paper[paper["paper_mean"].notna()]
    assert set(printed["recipe"]) == {"paper"}


def test_displacement_is_from_the_start_and_the_papers_statistic_from_the_identity() -> None:
    study = build(seed=3)
    rng = np.random.default_rng(0)
    begun = study.parameters.copy()
    for name, identity in IDENTITY.items():
        spread = rng.normal(0, 0.3, len(begun)).astype(np.float32)
        start = np.exp(spread) if name == "scale" else spread
        begun[f"{name}_start"] = start
        moved = begun[name]
        begun[name] = moved * start if name == "scale" else moved + start
        assert identity in (0.0, 1.0)
    from_start = summarise(begun, study.runs, study.snapshots)
    from_identity = summarise(*study)
    np.testing.assert_allclose(from_start["log_mean_abs"], from_identity["log_mean_abs"], rtol=1e-3)
    assert (from_start["log_mean_abs_identity"] > from_identity["log_mean_abs"] + 1).all()
    line = from_start[
        (from_start["scope"] == "model")
        & (from_start["rows"] == "all")
        & (from_start["weighting"] == "pooled")
        & (from_start["parameter"] == "r")
    ].iloc[0]
    raw = begun.loc[begun["run_id"] == line["run_id"], "rotate"].to_numpy(np.float64)
    assert line["mu_paper"] == pytest.approx(np.abs(raw).mean(), rel=1e-6)


def test_the_floor_follows_the_walks_where_they_are_known() -> None:
    study = build(seed=4)
    walked = study.parameters.assign(**{f"{name}_walk": np.float32(4e-4) for name in RAW.values()})
    lines = summarise(walked, study.runs, study.snapshots)
    expected = np.sqrt(2 / np.pi) * 0.02
    share = lines["parameter"].map({"s": 1, "r": 1, "px": 0.5, "py": 0.5})
    np.testing.assert_allclose(lines["noise_floor"], expected * share, rtol=1e-5)
    # without walks the learning rates give it, as for fetched runs
    lines = summarise(*study)
    np.testing.assert_allclose(
        lines["noise_floor"], np.sqrt(2 / np.pi * 100 * 0.005**2) * share, rtol=1e-12
    )
