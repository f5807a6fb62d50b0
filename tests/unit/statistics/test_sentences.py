"""Lines of the tests table in words: interactions, controls, layers, matched updates."""

from __future__ import annotations

import numpy as np
import pytest

from threetconv.statistics import FAMILIES, layer_tests, run_tests
from threetconv.statistics.sentences import sentences


@pytest.fixture(scope="module")
def tables(make_summaries):
    return make_summaries(
        controls=("static", "label-shuffled"),
        shift=lambda **c: (
            0.5 * (c["dataset"] == "gestures" and c["init"] == "scratch" and c["control"] == "none")
        ),
    )


@pytest.fixture(scope="module")
def spoken(tables):
    tests = run_tests(*tables, seed=1, families=tuple(FAMILIES), checkpoint=("best", "matched"))
    return tests.assign(sentence=sentences(tests))


def only(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def test_every_line_has_a_sentence_of_its_own(spoken):
    assert not spoken["sentence"].duplicated().any()
    assert spoken["sentence"].str.endswith(".").all()
    assert not spoken["sentence"].str.contains("nan|none /").any()


def test_an_interaction_is_a_ratio_of_ratios(spoken):
    line = only(spoken, family="F3", stratum="all", parameter="r", checkpoint="best").iloc[0]
    start = (
        "Over all blocks, rotation: the ratio of gestures to scenes is "
        f"{line['estimate']:#.3g} times as large with training from scratch as with pretraining"
    )
    assert line["sentence"].startswith(start)
    assert "(approximate), smallest attainable" in line["sentence"]
    assert "taken as real" in line["sentence"]


def test_matched_updates_are_named(spoken):
    line = only(spoken, family="F1", stratum="all", parameter="px", checkpoint="matched").iloc[0]
    assert line["sentence"].startswith("Over all blocks, at update 100, horizontal translation ")
    best = spoken.loc[spoken["checkpoint"] == "best", "sentence"]
    assert not best.str.contains("at update").any()


def test_controls_are_named(spoken):
    line = only(spoken, contrast="none / static", stratum="all", parameter="s").iloc[0]
    assert (
        f"{line['estimate']:#.3g} times as far with the real clips and labels as with"
        in (line["sentence"])
    )
    labels = only(spoken, contrast="none / label-shuffled")["sentence"]
    assert labels.str.contains("as with shuffled labels").all()
    single = only(spoken, contrast="none / static", stratum="resnet18, scenes, scratch")
    assert single["sentence"].str.startswith("In resnet18, scenes, scratch, ").all()


def test_layers_are_named(tables):
    summaries, runs = tables
    still = summaries.assign(
        log_mean_abs=summaries["log_mean_abs"].where(
            (summaries["layer_index"] != 2) | (summaries["dataset"] != "scenes"), -np.inf
        )
    )
    layers = layer_tests(still, runs, seed=1, families=("F1", "F3"))
    texts = sentences(layers)
    assert not texts.duplicated().any()
    assert texts.iloc[1].startswith("In googlenet, layer 1, scale moved ")
    dead = texts[(layers["layer_index"] == 2) & (layers["family"] == "F1")]
    assert dead.str.contains("no ratio of gestures to scenes can be formed").all()
    dead = texts[(layers["layer_index"] == 2) & (layers["family"] == "F3")]
    assert dead.str.contains("no ratio of ratios can be formed").all()


def test_without_a_common_step(tables):
    summaries, runs = tables
    fetched = summaries["run_id"] == runs["run_id"][0]
    cut = summaries[~fetched | (summaries["tag"] == "best")]
    tests = run_tests(cut, runs, seed=1, families=("F3",), checkpoint="matched")
    assert sentences(tests).iloc[0] == (
        "Over all blocks, at matched updates, scale: untestable, because the compared runs have "
        "no snapshot at a common number of updates."
    )
