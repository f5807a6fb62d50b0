"""Lines of the tests table in words: interactions, controls, layers, matched noise budgets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.families import FAMILIES
from threetconv.statistics.tests.layerwise import layer_tests
from threetconv.statistics.tests.sentences import sentence, sentences


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
    line = only(
        spoken, family="dataset x init", stratum="all", parameter="r", checkpoint="best"
    ).iloc[0]
    start = (
        "Over all blocks, rotation: the ratio of gestures to scenes is "
        f"{line['estimate']:#.3g} times as large with training from scratch as "
        "with pretraining from these 2D weights"
    )
    assert line["sentence"].startswith(start)
    assert "(approximate), smallest attainable" in line["sentence"]
    assert "taken as real" in line["sentence"]


def test_matched_updates_are_named(spoken):
    line = only(spoken, family="dataset", stratum="all", parameter="px", checkpoint="matched").iloc[
        0
    ]
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
    layers = layer_tests(still, runs, seed=1, families=("dataset", "dataset x init"))
    texts = sentences(layers)
    assert not texts.duplicated().any()
    assert texts.iloc[1].startswith("In googlenet, layer 1, scale moved ")
    dead = texts[(layers["layer_index"] == 2) & (layers["family"] == "dataset")]
    assert dead.str.contains("no ratio of gestures to scenes can be formed").all()
    dead = texts[(layers["layer_index"] == 2) & (layers["family"] == "dataset x init")]
    assert dead.str.contains("no ratio of ratios can be formed").all()


def test_without_a_common_step(tables):
    summaries, runs = tables
    fetched = summaries["run_id"] == runs["run_id"][0]
    cut = summaries[~fetched | (summaries["tag"] == "best")]
    tests = run_tests(cut, runs, seed=1, families=("dataset x init",), checkpoint="matched")
    assert sentences(tests).iloc[0] == (
        "Over all blocks, at matched noise budgets, scale: untestable, because the compared runs "
        "have no snapshot at a common number of updates."
    )


AT_ALPHA = 0.05 * (1 + 1e-15)  # what adjusting may make of 0.05


def line(p, *, checkpoint="matched", estimate=1.5, **more):
    """One tested line."""
    return pd.Series(
        {
            "family": "dataset", "contrast": "a / b", "stratum": "all", "parameter": "s",
            "layer_index": -1, "checkpoint": checkpoint, "method": "", "estimate": estimate,
            "ci_low": 1.2, "ci_high": 1.8, "ci_method": "", "p_raw": p, "p_floor": 0.001,
            "p_adjusted": p, "status": "ok", "reason": "",
        }
        | more
    )  # fmt: skip


@pytest.mark.parametrize(
    ("best", "matched", "said"),
    [
        (
            0.01,
            line(AT_ALPHA),
            "at matched noise budgets too, so the difference is taken as real [",
        ),
        (0.01, line(0.051), "but at matched noise budgets no difference is shown: the length of"),
        (0.01, line(0.01, estimate=0.8), "the difference is the other way round: the length"),
        (
            0.01,
            line(0.01, status="untestable"),
            "could not be tested at matched noise budgets: the",
        ),
        (
            0.01,
            None,
            "could not be tested at matched noise budgets: the length of training may make it",
        ),
        (0.051, line(0.01), ": no difference is shown ["),
    ],
)
def test_a_difference_is_real_where_it_is_shown_at_matched_updates(best, matched, said):
    """Controls that merely stopped earlier differ at their best checkpoints alone."""
    text = sentence(line(best, checkpoint="best"), matched=matched)
    assert said in text
    assert ("taken as real" in text) == ("too" in said)


def test_matched_updates_speak_for_themselves():
    assert "differ as much, so the difference is taken as real [" in sentence(line(0.01))


@pytest.mark.parametrize("p", [0.05, AT_ALPHA])
def test_p_at_alpha_passes(p):
    assert "taken as real" in sentence(line(p))
    assert "adjusted p = 0.050;" in sentence(line(p))


@pytest.mark.parametrize(
    ("p", "equal", "said"),
    [
        (0.4, None, ": no difference is shown ["),
        (0.4, 0.4, ": no difference is shown, nor is it ruled out ["),
        (0.4, AT_ALPHA, ": no difference is shown, and equivalence is: a ratio between 1/1.25 and"),
        (0.01, 0.4, "so the difference is taken as real ["),
        (0.01, 0.01, "taken as real; it is small all the same: a ratio between 1/1.25 and 1.25 ["),
        (0.02, "untestable", "so the difference is taken as real ["),
        (0.4, "untestable", ": no difference is shown ["),
        (0.4, "heterogeneous", ": no difference is shown, but layers disagree ["),
    ],
)
def test_equivalence_is_told(p, equal, said):
    method = "TOST on D = ln mean |z|; equal means a ratio between 1/1.25 and 1.25"
    status = equal if isinstance(equal, str) else "ok"
    reason = "layers disagree" if equal == "heterogeneous" else ""
    p_equal = 0.4 if isinstance(equal, str) else equal
    tost = line(p_equal, method=method, status=status, reason=reason)
    other = line(0.001, method="permutation")  # another question about the same runs
    tests = pd.DataFrame([line(p)])
    found = sentences(tests, equivalence=pd.DataFrame([other, tost] if equal else [other]))
    assert said in found.iloc[0]


def test_large_ratios_are_in_plain_notation():
    assert "moved 1,234 times as far" in sentence(line(0.01, estimate=1234.5))
    assert "10.0 times" in sentence(line(0.01, estimate=9.999))
    assert "moved as far with" in sentence(line(0.01, estimate=1.004))
