"""Comparisons: contrasts, blocks and arms, and the lines that start from them."""

from __future__ import annotations

import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.statistics.tests.comparisons import COLUMNS, as_table, two_armed


def compare(runs, *args, **kwargs):
    return list(two_armed(runs, *args, **kwargs))


def arms(comparison):
    return {block.name: comparison.arms(block) for block in comparison.blocks}


def test_blocks_and_arms_of_both_families(study):
    first, second = compare(study.runs)
    assert (first.family.name, first.contrast.text) == ("dataset", "gestures / scenes")
    assert (second.family.name, second.contrast.text) == ("init", "scratch / pretrained")
    assert list(arms(second)) == [
        "googlenet, gestures", "googlenet, scenes", "resnet18, gestures", "resnet18, scenes",
    ]  # fmt: skip
    a, b = arms(first)["googlenet, scratch"]
    assert first.blocks[1].name == "googlenet, scratch"
    assert a == tuple(f"googlenet-gestures-scratch-3t-r{i}" for i in (1, 2, 3))
    assert b == tuple(f"googlenet-scenes-scratch-3t-r{i}" for i in (1, 2, 3))
    assert [name for name, _ in first.strata] == ["all", *arms(first)]
    assert len({name for pair in arms(first).values() for arm in pair for name in arm}) == 24


def test_the_order_of_the_lines_does_not_matter(study):
    shuffled = compare(study.runs.sample(frac=1, random_state=3))
    assert [arms(c) for c in shuffled] == [arms(c) for c in compare(study.runs)]


def test_replicates_are_in_numerical_order(make_study):
    runs = make_study(k=11, layers=((3, 2),)).runs
    a, _ = arms(compare(runs)[0])["googlenet, pretrained"]
    assert [name[-3:].strip("-") for name in a] == [
        *(f"r{i}" for i in range(1, 10)), "r10", "r11",
    ]  # fmt: skip


def test_datasets_choose_and_order_the_contrast_of_f1(study):
    first, second = compare(study.runs, datasets=("scenes", "gestures"))
    assert (first.contrast.text, second.contrast.text) == (
        "scenes / gestures",
        "scratch / pretrained",
    )
    more = pd.concat([study.runs, study.runs.head(1).assign(run_id="x", dataset="other")])
    assert len(compare(more, ("dataset",))) == 3
    assert len(compare(more, ("dataset",), ("gestures", "scenes"))) == 1


def test_a_family_without_two_arms_is_refused(study):
    with pytest.raises(InputError, match="dataset, init"):
        compare(study.runs, ("dataset x init",))


def test_blocks_with_one_arm_are_named(study):
    runs = study.runs[~study.runs["run_id"].str.startswith("resnet18-scenes-scratch")]
    comparison = compare(runs)[0]
    whole, notes = comparison.complete(comparison.blocks)
    assert [block.name for block in whole] == [
        "googlenet, pretrained", "googlenet, scratch", "resnet18, pretrained",
    ]  # fmt: skip
    assert notes == ["block resnet18, scratch left out: runs of one arm only"]


def test_a_line_knows_its_place_and_its_runs_and_nothing_else(study):
    comparison = compare(study.runs)[0]
    line = comparison.line("all", "s", comparison.blocks, method="m", layer_index=2)
    assert set(line) == set(COLUMNS) - {"library_version"}
    place = ("family", "contrast", "stratum", "parameter", "layer_index", "n_a", "n_b", "method")
    assert [line[name] for name in place] == [
        "dataset", "gestures / scenes", "all", "s", 2, 12, 12, "m",
    ]  # fmt: skip
    table = as_table([line], "scipy", outcome="D")
    assert table.columns.tolist() == ["outcome", *COLUMNS]
    unknown = table.columns[table.isna().all()].tolist()
    assert unknown == [
        "statistic", "estimate", "ci_low", "ci_high", "p_raw", "p_floor", "p_adjusted",
        "hedges_g", "cliffs_delta", "wasserstein",
    ]  # fmt: skip
    assert "scipy" in table["library_version"][0]
    assert as_table([]).columns.tolist() == COLUMNS
