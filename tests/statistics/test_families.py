"""Which contrasts and blocks a family has, and whose runs are in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.families import (
    FAMILIES,
    Contrast,
    form_blocks,
    form_contrasts,
    named_family,
    with_control,
)


@pytest.fixture(scope="module")
def tables(make_summaries):
    controls = ("label-shuffled", "static", "frame-shuffled")
    return make_summaries(k=2, controls=controls, shift=lambda **c: -0.5 * (c["control"] != "none"))


def blocks_of(runs, name, contrast):
    return form_blocks(runs, FAMILIES[name], contrast)


def test_contrasts_are_in_a_fixed_order(tables):
    _, runs = tables
    found = {name: [c.text for c in form_contrasts(runs, f)] for name, f in FAMILIES.items()}
    assert found == {
        "dataset": ["gestures / scenes"],
        "init": ["scratch / pretrained"],
        "dataset x init": ["gestures / scenes, scratch / pretrained"],
        "controls": ["none / static", "none / frame-shuffled", "none / label-shuffled"],
    }
    turned = named_family("dataset x init", ["scenes", "gestures"])
    assert [c.text for c in form_contrasts(runs, turned, ["scenes", "gestures"])] == [
        "scenes / gestures, scratch / pretrained"
    ]
    assert form_contrasts(runs, named_family("dataset"), ["a", "b"]) == []


def test_a_third_initialisation_comes_last(tables):
    _, runs = tables
    more = pd.concat([runs, runs.assign(init="distilled", run_id=runs["run_id"] + "-d")])
    found = [c.text for c in form_contrasts(more, FAMILIES["init"])]
    assert found == ["scratch / pretrained", "scratch / distilled", "pretrained / distilled"]


def test_blocks_hold_runs_by_replicate_whatever_the_order(tables):
    _, runs = tables
    real = runs[runs["control"] == "none"]
    for order in (real, real.sample(frac=1, random_state=1)):
        table = order.reset_index(drop=True)
        blocks = blocks_of(table, "dataset", Contrast(("gestures", "scenes")))
        assert [b.name for b in blocks] == [
            "googlenet, pretrained", "googlenet, scratch", "resnet18, pretrained",
            "resnet18, scratch",
        ]  # fmt: skip
        ((a, b),) = blocks[1].arms
        assert table["run_id"][a].tolist() == [
            "googlenet-gestures-scratch-3t-r1", "googlenet-gestures-scratch-3t-r2",
        ]  # fmt: skip
        assert table["run_id"][b].tolist() == [
            "googlenet-scenes-scratch-3t-r1", "googlenet-scenes-scratch-3t-r2",
        ]  # fmt: skip


def test_an_interaction_has_four_cells_a_network(tables):
    _, runs = tables
    real = runs[runs["control"] == "none"].reset_index(drop=True)
    contrast = form_contrasts(real, FAMILIES["dataset x init"])[0]
    blocks = blocks_of(real, "dataset x init", contrast)
    assert [b.name for b in blocks] == ["googlenet", "resnet18"]
    assert [(b.count(0), b.count(1)) for b in blocks] == [(4, 4), (4, 4)]
    (a, _), (_, d) = blocks[0].arms
    assert set(real["init"][a]) == {"scratch"}
    assert set(real["dataset"][a]) == {"gestures"}
    assert set(real["init"][d]) == {"pretrained"}
    assert set(real["dataset"][d]) == {"scenes"}


def test_blocks_without_the_control_are_not_formed(tables):
    _, runs = tables
    here = (runs["network"] == "resnet18") & (runs["init"] == "scratch")
    some = runs[(runs["control"] == "none") | (here & (runs["control"] == "static"))]
    blocks = blocks_of(some.reset_index(drop=True), "controls", Contrast(("none", "static")))
    assert [b.name for b in blocks] == ["resnet18, gestures, scratch", "resnet18, scenes, scratch"]


def test_controls_and_3d_runs_stay_out_of_the_other_families(tables):
    summaries, runs = tables
    families = ("dataset", "init", "dataset x init")
    real = runs[runs["control"] == "none"]
    expected = run_tests(
        summaries[summaries["run_id"].isin(real["run_id"])], real, seed=1, families=families
    )
    extra = runs.head(1).assign(run_id="x-3d", convolution="3d", control="none")
    lines = summaries[summaries["run_id"] == runs["run_id"][0]]
    more = pd.concat([summaries, lines.assign(run_id="x-3d", log_mean_abs=9.0)])
    found = run_tests(more, pd.concat([runs, extra]), seed=1, families=families)
    pd.testing.assert_frame_equal(found, expected)


def test_without_runs_the_control_of_the_summaries_counts(tables):
    summaries, runs = tables
    expected = run_tests(summaries, runs, seed=1, families=tuple(FAMILIES))
    found = run_tests(summaries, seed=1, families=tuple(FAMILIES))
    pd.testing.assert_frame_equal(found, expected)
    assert set(with_control(summaries.drop(columns="control"), None)["control"]) == {"none"}


def test_real_runs_against_controls(tables):
    summaries, runs = tables
    found = run_tests(summaries, runs, seed=1, families=("controls",))
    assert len(found) == 3 * (1 + 8) * 4
    whole = found[found["stratum"] == "all"]
    assert set(whole["contrast"]) == {
        "none / static", "none / frame-shuffled", "none / label-shuffled"
    }  # fmt: skip
    assert whole["estimate"].to_numpy() == pytest.approx(np.exp(0.5), rel=0.15)
    assert set(whole["status"]) == {"ok"}
    assert whole["p_floor"].max() < 0.001
    single = found[found["stratum"] != "all"]
    assert set(single["status"]) == {"untestable"}
    assert not single["reason"].str.contains("left out").any()


def test_controls_of_one_network_only(tables):
    summaries, runs = tables
    kept = runs[(runs["control"] == "none") | (runs["network"] == "resnet18")]
    found = run_tests(summaries, kept, seed=1, families=("controls",))
    assert set(found["n_a"]) == set(found["n_b"]) == {2, 8}
    assert not found["stratum"].str.contains("googlenet").any()
    assert not found["reason"].str.contains("left out").any()
    none = run_tests(summaries, runs[runs["control"] == "none"], seed=1, families=("controls",))
    assert none.empty


def test_unknown_family():
    with pytest.raises(InputError, match="one of controls, dataset, dataset x init, init"):
        named_family("F4")
