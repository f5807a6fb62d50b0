"""Sentences that are derived from tables: for none, for one, for some and for all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.report.document import Callout, Table
from threetconv.report.inputs import Inputs, verdict
from threetconv.report.sections import (
    accuracy,
    alignment,
    calibration,
    controls,
    data,
    design,
    explanations,
    faithfulness,
    layers,
    limits,
    order_leak,
    planted,
    sensitivity,
    summary,
    temporal,
    tests,
)
from threetconv.report.wording import count_word, join_words, of_all, plural, verb

from ..builders.study_tables import (
    make_accuracy,
    make_alignment,
    make_calibration,
    make_config,
    make_displacement,
    make_planted,
    make_planted_layers,
    make_planted_tuning,
    make_planted_where,
    make_profile,
    make_runs,
    make_tests,
    with_controls,
)
from .test_explanations import make_tables

NETS, SETS = ["googlenet", "resnet18"], ["gestures", "scenes"]
EMPTY = pd.DataFrame()
ALPHA = 0.05


def make_inputs(runs: pd.DataFrame | None = None, **tables: Any) -> Inputs:
    runs = make_runs(NETS, SETS, 3) if runs is None else runs
    config = make_config(SETS, synthetic=True) | tables.pop("config", {})
    needed = dict.fromkeys(("metrics", "accuracy", "displacement", "tests"), EMPTY) | tables
    return Inputs(runs=runs, config=config, figures={}, captions={}, provenance={}, **needed)


@pytest.mark.parametrize(
    ("count", "total", "said"),
    [
        (0, 3, "none of the 3 runs is"),
        (1, 3, "1 of 3 runs is"),
        (2, 3, "2 of 3 runs are"),
        (3, 3, "all 3 runs are"),
        (0, 1, "no run is"),
        (1, 1, "the one run is"),
    ],
)
def test_counts_in_words(count: int, total: int, said: str) -> None:
    assert f"{of_all(count, total, 'run')} {verb(count, 'is', 'are')}" == said
    assert count_word(count) == (str(count) if count else "none")


def test_plurals_and_lists() -> None:
    assert [plural(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert plural(2, "layer and parameter", "layers and parameters") == "2 layers and parameters"
    assert [join_words(list(w)) for w in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def ratios(*values: float) -> pd.DataFrame:
    table = make_displacement(make_runs(["resnet18"], ["gestures"], 1)).head(len(values))
    return table.assign(floor_ratio_reachable=list(values))


@pytest.mark.parametrize(
    ("table", "limit", "opening"),
    [
        (ratios(2, 3, 4), "none of the 3 means lies at or below it.", "leave in none of the 3 co"),
        (ratios(1, 3, 4), "1 of 3 means lies at or below it: pure", "leave in 1 of 3 combinations"),
        (ratios(0.5, 1), "all 2 means lie at or below it: pure", "leave in all 2 combinations of"),
        (ratios(2), "no mean lies at or below it.", "leave in no combination of"),
        (ratios(0.5), "is 0.50, and the one mean lies at or below it: ", "in the one combination"),
    ],
)
def test_the_noise_floor(table: pd.DataFrame, limit: str, opening: str) -> None:
    assert limit in limits.noise(table)
    assert opening in summary.displaced(table)
    assert ("pure noise" in limits.noise(table)) == bool(
        (table["floor_ratio_reachable"] <= 1).any()
    )


def outcomes(*ps: float | None) -> pd.DataFrame:
    """Lines of tests with these adjusted p; None: untestable."""
    lines = make_tests(["resnet18"], SETS).head(1)
    table = pd.concat([lines] * len(ps), ignore_index=True)
    return table.assign(
        p_adjusted=[np.nan if p is None else p for p in ps],
        status=["untestable" if p is None else "ok" for p in ps],
        reason=["the smallest attainable p is 0.1" if p is None else "" for p in ps],
    )


@pytest.mark.parametrize(
    ("ps", "parameters", "cannot", "equal"),
    [
        ((0.4, 0.4), "none of the 2 parameters is shown", "", "shown in none of the 2 tests"),
        ((0.05, 0.4), "1 of 2 parameters is shown", "", "shown in 1 of 2 tests"),
        ((0.01, 0.05), "all 2 parameters are shown", "", "shown in all 2 tests"),
        (
            (0.01, None),
            "1 of 2 parameters is shown",
            "1 of 2 planned tests c",
            "1 could not be made",
        ),
        (
            (None, None),
            "none of the 2 parameters can",
            "All 2 planned tests c",
            "none of the 2 tests",
        ),
        (
            (None,),
            "no parameter can be tested",
            "The one planned test could",
            "no test could be made",
        ),
    ],
)
def test_outcomes_of_tests(ps: tuple[Any, ...], parameters: str, cannot: str, equal: str) -> None:
    table = outcomes(*ps)
    assert summary.outcome(table, ALPHA, "parameter").startswith(parameters)
    assert limits.untested(table).strip().startswith(cannot)
    assert bool(limits.untested(table)) == bool(cannot)
    assert equal in sensitivity.equivalent(table, ALPHA)


def test_tests_that_fail_for_other_reasons_are_not_put_down_to_few_runs() -> None:
    table = outcomes(None, None, None)
    assert ", all for want of runs;" in limits.untested(table)
    table["reason"] = ["the smallest attainable p is 0.1", "a run never moved", "a run never moved"]
    assert "could not be made, 1 for want of runs;" in limits.untested(table)
    assert "for want" not in limits.untested(table.tail(2))


def test_p_at_alpha_is_a_difference_whatever_the_last_bit() -> None:
    (line,) = outcomes(0.05 * (1 + 1e-15)).to_dict("records")
    assert verdict(pd.Series(line), ALPHA) == "differs"
    assert sensitivity.estimate_and_p(pd.Series(line), ALPHA)[0].text.endswith("*")
    assert verdict(pd.Series(line | {"p_adjusted": 0.0501}), ALPHA) == "not shown"


def test_single_contrasts_that_cannot_be_formed_are_not_passed_over() -> None:
    table = outcomes(None).assign(estimate=np.nan)
    assert summary.tested(table, ALPHA).startswith("No ratio of mean displacements *gestures /")


def test_the_best_checkpoint_alone_is_said_to_leave_length_open() -> None:
    table = outcomes(0.01).assign(checkpoint="best")
    assert "(best checkpoint, whatever the length of training)" in summary.tested(table, ALPHA)


def against(matched: float, best: float, *, estimate: float = 1.5) -> list[str]:
    table = outcomes(matched, best).assign(
        contrast="none / static", checkpoint=["matched", "best"], estimate=[1.5, estimate]
    )
    return controls.counts(table, ALPHA)


def test_controls_that_stopped_earlier_are_not_taken_for_less_motion() -> None:
    doubt = "not shown at matched noise budgets for s, so the length of training may be the reason"
    assert doubt in against(0.4, 0.01)[1]
    assert doubt in against(0.01, 0.01, estimate=0.5)[1]  # the other way round
    agreed = against(0.01, 0.01)
    assert [point.split(": ")[1] for point in agreed] == 2 * ["s moved further in real runs."]
    assert "no difference was shown for 1 parameter." in against(0.4, 0.4)[1]


@pytest.mark.parametrize(
    ("count", "said"),
    [(1, "There is 1 control run in 1 comb"), (4, "There are 4 control runs in 2")],
)
def test_control_runs_are_counted(count: int, said: str) -> None:
    runs = with_controls(make_runs(["resnet18"], SETS, 1))
    runs = pd.concat([runs[runs["control"] == "none"], runs[runs["control"] != "none"].head(count)])
    assert controls.coverage(make_inputs(runs)).startswith(said)


@pytest.mark.parametrize(
    ("having", "said"),
    [
        (0, "The study has no negative controls"),
        (2, "No negative controls were run for 2 of 4 combinations"),
        (4, ""),
    ],
)
def test_cells_without_controls(having: int, said: str) -> None:
    runs = make_runs(["resnet18"], SETS, 1)
    runs = runs[runs["convolution"] == "3t"]
    more = runs.head(having).assign(control="static")
    text = limits.controls(make_inputs(pd.concat([runs, more], ignore_index=True)))
    assert said in text
    assert bool(text) == bool(said)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (0, "What is lost without them was not measured here."),
        (
            1,
            "measured on 1 of 2 3T runs (see What channels learned); of the other it is not known.",
        ),
        (2, "was measured on all 2 3T runs (see What channels learned)."),
    ],
)
def test_whether_parameters_were_switched_off(runs: int, said: str) -> None:
    study = make_runs(["resnet18"], ["gestures"], 1)
    measured = study.loc[study["convolution"] == "3t", ["run_id"]].head(runs)
    assert limits.dependence(make_inputs(study), measured).endswith(said)


def lengths(*steps: float, **setting: Any) -> str:
    runs = make_runs(["resnet18"], SETS, 1)
    runs["best_step"] = np.where(runs["dataset"] == "gestures", *steps)
    runs["n_updates"] = runs["best_step"]
    return limits.training_length(make_inputs(runs, **setting))


def test_training_lengths() -> None:
    tests = make_tests(["resnet18"], SETS)
    assert lengths(300, 300) == ""
    assert lengths(300, 400).endswith(
        "gestures 300 and scenes 400. No test was made at matched noise budgets."
    )
    assert lengths(300, 400, tests=tests).endswith("learned equally much by then.")
    assert "gestures 2.25 and scenes 1.50." in lengths(2.25, 1.5)  # not "2 and 2"
    one_cycle = {"training": {"schedule": "one-cycle"}}
    assert "another place of the schedule (one-cycle)" in lengths(
        300, 400, tests=tests, config=one_cycle
    )
    bare = tests.assign(estimate=np.nan, reason="no common update")
    assert lengths(300, 400, tests=bare).endswith(
        "matched noise budgets could be made: no common update."
    )


@pytest.mark.parametrize(
    ("each", "sets", "said"),
    [(1, SETS, "There is 1 run per cell."), (2, SETS, "There are 2 runs per cell.")],
)
def test_runs_per_cell(each: int, sets: list[str], said: str) -> None:
    inputs = make_inputs(make_runs(["resnet18"], sets, each))
    assert limits.replicates(inputs).endswith(said)
    assert design.replication(inputs) == (
        "" if each == 1 else "Replicates differ in their seed only. "
    )
    assert ("more seeds" in limits.advice(inputs).lower()) == (each < 5)
    pretrained = make_runs(["resnet18"], SETS[:1], each)
    assert bool(limits.shared_weights(make_inputs(pretrained))) == (each > 1)


def test_floors_are_given_as_a_range_where_they_differ() -> None:
    table = outcomes(0.1, 0.2)
    assert limits.floor_range(table.assign(p_floor=[0.1, 0.1])) == "0.10"
    assert limits.floor_range(table.assign(p_floor=[0.1, 1.0])) == "0.10 to 1"
    assert limits.floor_range(table.assign(p_floor=np.nan)) == ""


def test_a_study_of_controls_alone() -> None:
    runs = make_runs(["resnet18"], SETS, 1).assign(control="static")
    inputs = make_inputs(runs)
    assert summary.what(inputs) == "The study has 6 negative controls and no other run."
    assert "Only negative controls were run." in limits.replicates(inputs)
    assert temporal.absent(inputs).startswith("There is no 3T network besides controls")


@pytest.mark.parametrize(
    ("fetched", "said", "limit"),
    [
        (0, "2 video networks (resnet18; 1 per variant) were trained on *gestures*;", ""),
        (1, "were trained on *gestures* (1 of them elsewhere, and fetched);", "1 run of 2 was"),
        (2, "were fetched and measured on *gestures*;", "2 runs of 2 were"),
    ],
)
def test_fetched_runs_are_not_said_to_be_trained(fetched: int, said: str, limit: str) -> None:
    runs = make_runs(["resnet18"], ["gestures"], 1)
    runs = runs[runs["convolution"] == "3t"].reset_index(drop=True)
    runs.loc[: fetched - 1, "source"] = "fetched"
    inputs = make_inputs(runs)
    assert said in summary.what(inputs)
    assert limit in limits.fetched(inputs)
    assert bool(limits.fetched(inputs)) == bool(fetched)
    assert bool(limits.selection(inputs)) == (fetched < 2)
    assert accuracy.fetched(inputs) == (" (of fetched runs: as they were fetched)" * bool(fetched))


def test_what_was_compared() -> None:
    runs, tests = make_runs(["resnet18"], SETS, 1), make_tests(["resnet18"], SETS)
    with_some = with_controls(runs)
    assert "no comparison of temporal parameters" in summary.what(make_inputs(runs))
    assert summary.what(make_inputs(runs, tests=tests)).endswith("compared with each other.")
    text = summary.what(make_inputs(with_some, tests=tests))
    assert text.endswith("each other and with 4 negative controls (static and label-shuffled).")
    alone = tests[tests["family"] == "controls"]
    assert "compared with 4 negative" in summary.what(make_inputs(with_some, tests=alone))
    plain = make_inputs(runs[runs["convolution"] == "3d"], tests=tests)
    assert "none is a 3TConv network" in summary.what(plain)


def test_accuracies_are_said_by_network() -> None:
    table = make_accuracy(make_runs(NETS, SETS, 1))
    gone = (table["network"] == "googlenet") & (table["dataset"] == "scenes")
    text = summary.accuracy(table[~gone])
    assert "*scenes* (chance 12.5 %)" in text
    assert "; resnet18 71.2 % on *scenes*" in text
    scratch = table[table["init"] == "scratch"]
    assert summary.accuracy(scratch).startswith(
        "Validation accuracy of 3T networks, start *scratch*"
    )
    assert summary.accuracy(table[table["convolution"] == "3d"]) == ""


def test_the_paper_is_named_only_where_its_numbers_stand() -> None:
    table = make_accuracy(make_runs(["resnet18"], ["gestures", "clips"], 1))
    named, other = (table[table["dataset"] == name] for name in ("gestures", "clips"))
    assert accuracy.without_paper(named) == "The paper has no figures for these networks."
    assert accuracy.without_paper(other).startswith("No dataset here stands for one")
    ours = {"datasets": {"gestures": {"adapter": "jester", "render": {"set": "gestures"}}}}
    for text in (
        summary.synthetic(make_inputs(config=ours)).text,
        data.stand_ins(make_inputs(config=ours)).text,
    ):
        assert "printed beside" not in text
        assert "stand in" not in text
    assert "printed beside" in summary.synthetic(make_inputs()).text
    assert "not a replication" in data.stand_ins(make_inputs()).text


def test_a_test_split_is_named_where_there_is_one() -> None:
    runs = make_runs(["resnet18"], ["gestures"], 1)
    table = make_accuracy(runs)
    tested = table.assign(test_mean=70.0)
    assert accuracy.tested(make_inputs(runs, accuracy=table)) == ""
    assert accuracy.tested(make_inputs(runs, accuracy=tested)).endswith("and chose nothing.")
    fetched = runs.assign(source="fetched")
    assert accuracy.tested(make_inputs(fetched, accuracy=tested)).endswith("is not known.")
    assert "test split" in limits.selection(make_inputs(runs, accuracy=tested))
    assert "test split" not in limits.selection(make_inputs(runs, accuracy=table))


@pytest.mark.parametrize(
    ("sets", "said"), [(1, ""), (2, "The grey line is the other "), (3, "Grey lines are other ")]
)
def test_grey_lines(sets: int, said: str) -> None:
    table = make_displacement(make_runs(["resnet18"], list("abc")[:sets], 1))
    text = temporal.companions(table)
    assert text.startswith(said)
    assert bool(text) == bool(said)


@pytest.mark.parametrize(
    ("lacking", "said"),
    [(0, ""), (1, "For 1 of 4 combinations"), (4, "For all 4 combinations")],
)
def test_cells_without_a_floor(lacking: int, said: str) -> None:
    table = make_displacement(make_runs(["resnet18"], SETS, 1))
    table.loc[: 4 * lacking - 1, "noise_floor"] = np.nan
    text = temporal.floorless(table)
    assert said in text
    assert bool(text) == bool(lacking)
    assert ("only yardstick" in controls.alone(table)) == (lacking < 4)


def test_unreachable_rows_differ_between_networks_only_where_they_do() -> None:
    table = make_displacement(make_runs(NETS, SETS, 1))
    assert "different shares" in limits.unreachable(table)
    assert "different shares" not in limits.unreachable(table[table["network"] == "resnet18"])
    assert limits.unreachable(table[table["network"] == "googlenet"]) == ""


@pytest.mark.parametrize(
    ("ps", "said"),
    [
        (
            (0.4, 0.4),
            "none of the 2 layers and parameters that could be tested is shown to differ.",
        ),
        (
            (0.4, 0.05),
            "1 of 2 layers and parameters that could be tested is shown to differ (s 1).",
        ),
        (
            (0.01, 0.01),
            "all 2 layers and parameters that could be tested are shown to differ (s 2).",
        ),
        (
            (0.01, None),
            "the one layer and parameter that could be tested is shown to differ (s 1); 1",
        ),
        ((None, None), "none of the 2 layers and parameters could be tested: the smallest"),
    ],
)
def test_layers_are_counted(ps: tuple[Any, ...], said: str) -> None:
    (point,) = layers.counts(outcomes(*ps), ALPHA)
    assert said in point


def test_profiles_say_where_they_were_drawn_and_with_what() -> None:
    table = make_profile(NETS, SETS)
    assert layers.at(make_inputs(layer_profile=table)) == ", at matched noise budgets"
    best = table[table["checkpoint"] == "best"]
    assert layers.at(make_inputs(layer_profile=best)) == ", at the best checkpoint"
    mixed = table[(table["checkpoint"] == "best") | (table["network"] == "resnet18")]
    assert "(of googlenet at the best" in layers.at(make_inputs(layer_profile=mixed))
    bare = table.assign(ci_low=np.nan, noise_floor=np.nan)
    assert layers.lines(make_inputs(layer_profile=bare)) == ""
    assert "Bands" in layers.lines(make_inputs(layer_profile=table))


def test_more_runs_are_said_not_to_help_only_where_they_did_not() -> None:
    table = make_calibration(["resnet18"])
    naive = (table["unit"] == "row") & (table["quantity"] == "type I error")
    assert "more runs do not mend that" in calibration.reading(table)
    mended = table.copy()
    mended.loc[naive & (table["runs_per_arm"] == 5), ["estimate", "valid"]] = [0.05, "valid"]
    assert "more runs" not in calibration.reading(mended)
    fewer = table.copy()
    fewer.loc[naive & (table["runs_per_arm"] == 5), "estimate"] = 0.3
    assert "more runs" not in calibration.reading(fewer)
    assert calibration.reading(table[~naive]).startswith("Tests that take runs as the unit find")


def test_f3_is_approximate_where_it_was_tested() -> None:
    f3 = outcomes(0.4).assign(family="dataset x init")
    known = make_calibration(NETS).assign(test="permutation of dataset x init, approximate")
    assert limits.interaction(f3, known).endswith("how well it keeps its level.")
    assert limits.interaction(f3, make_calibration(NETS)).endswith("approximate.")
    assert limits.interaction(outcomes(None), known) == ""


def lines(**verdicts: str) -> pd.DataFrame:
    table = make_planted()
    table = table[(table["dataset"] == "moving") & (table["layer_index"] < 0)]
    for name, found in verdicts.items():
        table.loc[table["parameter"] == name, "recovered"] = found
    return table


BOTH = "combinations of motion and parameter"


@pytest.mark.parametrize(
    ("verdicts", "said", "rest"),
    [
        (("no", "no"), f"none of the 2 {BOTH} was recovered", ")"),
        (("yes", "no"), f"1 of 2 {BOTH} was recovered", ")"),
        (("yes", "yes"), f"all 2 {BOTH} were recovered", ")"),
        (("untestable", "yes"), f"1 of 2 {BOTH} was recovered", "), 1 could not be tested"),
    ],
)
def test_planted_parameters_are_counted(verdicts: tuple[str, str], said: str, rest: str) -> None:
    text = planted.recovered(lines(px=verdicts[0], py=verdicts[1], r="no"))
    assert text.startswith(
        f"Of what was planted, {said} (moved further than in each negative control, "
    )
    others = "of what was not, none of the 2 combinations moved beyond the controls."
    assert text.endswith(f"they prefer{rest}; {others}")
    still = planted.recovered(lines(px="no", py="no").assign(expected=False))
    assert still == (
        "Of what was not planted, none of the 4 combinations moved beyond the controls."
    )
    moved = planted.recovered(lines(r="yes", s="untestable"))
    assert moved.endswith("1 of 2 combinations moved beyond the controls, 1 could not be tested.")
    assert planted.recovered(EMPTY) == ""


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ("", "none of the 2 planted combinations moved further than in each control, and so did "
         "none of the 2 other ones."),
        ("px s", "1 of 2 planted combinations moved further than in each control, and so did 1 of "
         "2 other ones."),
        ("s r px py", "all 2 planted combinations moved further than in each control, and so did "
         "all 2 other ones."),
    ],
)  # fmt: skip
def test_what_moved_in_the_first_layer_alone(moved: str, said: str) -> None:
    cell = {"motion": "translation", "dataset": "moving", "network": "resnet18", "init": "scratch"}
    first = pd.DataFrame(
        [
            cell
            | {
                "parameter": name,
                "expected": name in ("px", "py"),
                "beyond_controls": "yes" if name in moved.split() else "no",
            }
            for name in ("s", "r", "px", "py")
        ]
    )
    assert planted.moved_first(first) == f"In the first layer alone, {said}"
    assert planted.moved_first(first.assign(expected=False)) == ""
    assert planted.moved_first(EMPTY) == ""


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (("no", "no"), "in none of the 2 planted combinations of motion and index."),
        (("yes", "no"), "in 1 of 2 planted combinations of motion and index."),
        (("yes", "yes"), "in all 2 planted combinations of motion and index."),
        (("no", "untestable"), "motion and index, 1 could not be tested."),
    ],
)
def test_answers_to_planted_motion_are_counted(verdicts: tuple[str, str], said: str) -> None:
    table = make_planted_tuning().query("layer_index == 0 and dataset == 'moving'")
    for name, found in zip(("direction_x", "direction_y"), verdicts, strict=True):
        table.loc[table["parameter"] == name, "recovered"] = found
    assert planted.answered(table).endswith(said)
    assert planted.answered(table.assign(expected=False)) == planted.answered(EMPTY) == ""


def test_what_moved_unplanted_is_named_only_where_there_is_such() -> None:
    assert planted.besides(lines()) == ""
    moved = planted.besides(lines(r="yes", s="yes"))
    assert moved.endswith("*s* in *moving* (resnet18, scratch) and *r* in *moving* (resnet18, "
                          "scratch).")  # fmt: skip
    assert planted.besides(lines(r="untestable")) == ""


@pytest.mark.parametrize(
    ("size", "way", "recovered", "said"),
    [
        ("yes", "yes", "yes", "recovered; it moved further than in each control, and channels of "
         "the first layer point the way they prefer."),
        ("no", "yes", "no", "**not recovered**; it was not shown to move further than in each "
         "control, but channels of the first layer point"),
        ("yes", "no", "no", "**not recovered**; it moved further than in each control, but "
         "channels of the first layer were not shown to point"),
        ("no", "no", "no", "control, and channels of the first layer were not shown to point"),
        ("yes", "untestable", "untestable", "untestable; it moved further than in each control, "
         "but whether channels of the first layer point"),
        ("untestable", "no", "no", "whether it moved further than in each control could not be "
         "tested, but channels"),
    ],
)  # fmt: skip
def test_each_planted_combination_has_its_point(
    size: str, way: str, recovered: str, said: str
) -> None:
    table = lines()
    table = table[table["parameter"] == "px"]
    table = table.assign(beyond_controls=size, in_direction=way, recovered=recovered)
    (point,) = planted.combinations(table, EMPTY)
    assert point.startswith("**translation**, *px* in *moving* (resnet18, scratch): ")
    assert said in point


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("", ""),
        ("size", ""),
        ("direction", ""),
        ("direction and size", ""),
        ("not learned", " The networks were not shown to have learned it: direction use does not "
         "exceed that of label-shuffled runs."),
        ("not in this parameter", " It is not in this parameter: with translations at the identity "
         "accuracy is lower by 44.4 points, with transforms as a whole by 55.5."),
        ("in other layers", " It is in other layers: those of layer1.0.conv1 at the identity cost "
         "22.2 points, those of the first layer 11.1."),
        ("unknown", " Where it is lost is not known: for want of runs."),
    ],
)  # fmt: skip
def test_where_motion_is_lost_is_said_of_the_combination(lost: str, said: str) -> None:
    where = make_planted_where().assign(lost=lost, reason="for want of runs")
    (point, other) = planted.combinations(lines(), where[where["parameter"] == "px"])
    assert point.endswith(f"the way they prefer.{said}")
    assert other.endswith("the way they prefer.")  # no line of py


def test_what_was_planted_is_said_dataset_by_dataset() -> None:
    table = make_planted()
    text = planted.truth(make_inputs(planted=table))
    assert "in *turning* rotation alone" in text
    assert "in *still* nothing moves" in text
    moving = table[table["dataset"] == "moving"]
    assert "nothing moves" not in planted.truth(make_inputs(planted=moving))
    assert "*moving*" in planted.truth(make_inputs(alignment=make_alignment()))


def test_channels_point_somewhere_only_where_that_was_shown() -> None:
    table = make_alignment().query("scope == 'model' and control == 'none'")
    (first, _) = alignment.aligned(table.assign(p_adjusted=0.05), ALPHA)
    assert "channels point the way they prefer (one-sided p = 0.050)" in first
    (first, _) = alignment.aligned(table.assign(p_adjusted=0.06), ALPHA)
    assert "no alignment was shown" in first
    (first, _) = alignment.aligned(table.assign(status="untestable", reason="two runs"), ALPHA)
    assert first.endswith("untestable: two runs.")
    assert "in *moving*, all layers" in first
    several = pd.concat([table, table.assign(network="googlenet", init="pretrained")])
    said = alignment.aligned(several, ALPHA)
    assert "in *moving*, resnet18, scratch, all layers" in said[0]
    assert "in *moving*, googlenet, pretrained, all layers" in said[2]


def test_planted_layers_of_both_starts_have_lines_of_their_own() -> None:
    layers = make_planted_layers()
    scratch = layers.assign(estimate=2.0)
    both = pd.concat([scratch, scratch.assign(init="pretrained", estimate=5.0)], ignore_index=True)
    (details,) = planted.in_layers(both)
    (table,) = details.blocks
    assert isinstance(table, Table)
    heads = [column.name for column in table.columns]
    lines = [dict(zip(heads, [cell.text for cell in row], strict=True)) for row in table.rows]
    found = {(line["start"], line["/ static"].rstrip("*")) for line in lines}
    assert len(lines) == 4
    assert found == {("pretrained", "5.00"), ("scratch", "2.00")}


def test_a_planted_verdict_names_the_checkpoints_of_its_parts() -> None:
    table = make_planted()
    runs = with_controls(make_runs(NETS, SETS, 2))
    for checkpoint, told in (
        ("matched", "Displacements are compared at matched noise budgets, direction and tuning "),
        ("best", "Both are of the best checkpoint. "),
    ):
        inputs = make_inputs(runs, planted=table.assign(checkpoint=checkpoint))
        (section,) = planted.section(inputs)
        text = section.blocks[0].text  # type: ignore[union-attr]
        assert told in text
        assert "Measured is the best checkpoint of a run, on average after" in text


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ([], "None of the 2 combinations of method, depth and randomisation keeps its pictures"),
        (["a"], "1 of 2 combinations of method, depth and randomisation keeps its pictures"),
        (["a", "b"], "All 2 combinations of method, depth and randomisation keep their pictures"),
    ],
)
def test_methods_that_do_not_change(methods: list[str], said: str) -> None:
    text = explanations.unchanged(methods, 2)
    assert text.startswith(said)
    assert ("What is shown there" in text) == bool(methods)


def test_explanations_name_the_rules_and_controls_that_there_are(
    make_study: Callable[..., dict[str, Any]],
) -> None:
    chosen = explanations.with_runs(make_inputs(make_study()["runs"]), make_tables()["chosen"])
    assert "(largest fall, largest displacement or drawn at random)" in explanations.rules(chosen)
    one = chosen[chosen["rule"] == "random"]
    assert explanations.rules(one).endswith("by rule (drawn at random).")
    assert explanations.rules(one.head(0)) == ""
    assert explanations.plain(chosen, "resnet18", "gestures").startswith("; 3D channels")
    only_3t = chosen[chosen["convolution"] == "3t"]
    assert explanations.plain(only_3t, "resnet18", "gestures") == ""
    checks = make_tables()["sanity"]
    assert explanations.forgetful(checks) == "the network with weights drawn anew"
    labels = checks.assign(randomised="labels")
    assert explanations.forgetful(labels) == "one trained on permuted labels"
    assert " and one" in explanations.forgetful(pd.concat([checks, labels]))


def test_classes_that_lose_nothing() -> None:
    drops = make_tables()["faithfulness"]
    whole = drops[(drops["channel"] == -1) & (drops["label"] != "")]
    assert "Swiping Left loses" in faithfulness.leaning(whole, "x")
    assert "no class loses anything" in faithfulness.leaning(whole.assign(drop=-0.1), "x")


@pytest.mark.parametrize(
    ("names", "said"), [(1, "only; without a second"), (2, "are 2 particular")]
)
def test_datasets_are_counted(names: int, said: str) -> None:
    text = limits.kinds(make_inputs(make_runs(["resnet18"], SETS[:names], 1)))
    assert said in text
    assert not re.search("[Mm]otion", text)  # a study's data sets need not differ in that


def test_networks_are_called_narrower_where_they_are() -> None:
    narrow, wide = make_inputs(), make_inputs(config={"width": 1})
    assert "networks are narrower" in limits.synthetic(narrow)
    assert limits.synthetic(wide).endswith("rendered and simple.")
    assert limits.synthetic(replace(narrow, config=make_config(SETS, synthetic=False))) == ""


def leaks(frames: int, *, leaking: bool) -> pd.DataFrame:
    """A stage and the whole network, as in results/order_leak.parquet."""
    rows = [
        {"layer": "conv1", "kind": "convolution", "leaks": leaking, "difference": 0.3 * leaking},
        {"layer": "", "kind": "network", "leaks": leaking, "difference": 0.5 * leaking},
    ]
    known = {"network": "resnet18", "dataset": "gestures", "convolution": "3t", "frames": frames}
    return pd.DataFrame([known | row for row in rows])


def test_networks_that_tell_order_without_motion_are_warned_of() -> None:
    assert order_leak.section(make_inputs()) == []
    (found,) = order_leak.section(make_inputs(order_leak=leaks(16, leaking=True)))
    (table,) = [block for block in found.blocks if isinstance(block, Table)]
    assert [cell.text for cell in table.rows[0]] == [
        "resnet18",
        "3t",
        "16",
        "yes",
        "0.500",
        "conv1",
    ]
    (warned,) = [block for block in found.blocks if isinstance(block, Callout)]
    assert warned.kind == "warning"
    assert "In resnet18 strided windows" in warned.text
    closed = leaks(33, leaking=False).assign(difference=7.46e-14)
    (found,) = order_leak.section(make_inputs(order_leak=closed))
    (table,) = [block for block in found.blocks if isinstance(block, Table)]
    assert [cell.text for cell in table.rows[0]][3:5] == ["no", "rounding"]
    assert not any(isinstance(block, Callout) for block in found.blocks)
    assert found.blocks[-1].text.startswith("None can")  # type: ignore[union-attr]


def test_joint_and_depth_tests_and_what_could_have_been_found() -> None:
    table = make_tests(NETS, SETS)
    whole = table[(table["stratum"] == "all") & (table["scope"] == "model")]
    together = [
        whole[whole["parameter"] == "s"].assign(parameter="s, r, px, py", scope=scope)
        for scope in ("joint", "depth")
    ]
    depth = whole.assign(scope="depth")
    inputs = make_inputs(tests=pd.concat([table, *together, depth], ignore_index=True))
    plain = tests.section(make_inputs(tests=table))
    found = {b.label: b for b in tests.section(inputs).blocks if isinstance(b, Table)}
    assert len(found["Table C, together"].rows) == 3 * 2  # families, checkpoints
    assert len(found["Table C, by depth"].rows) == 3 * 2 * 5
    # the tables of single parameters are what they were
    (before,) = [b for b in plain.blocks if isinstance(b, Table) and b.label == "Table C"]
    assert found["Table C"].rows == before.rows
    power = pd.DataFrame(
        {
            "recipe": "paper", "family": ["dataset", "dataset or init"],
            "design": ["all blocks", "one block"], "seeds": 3, "tau": 0.0471,
            "correlation": 0.957, "testable": [True, False],
            "detectable_ratio": [1.0812, np.nan],
        }
    )  # fmt: skip
    (said,) = tests.detectable(power, 0.05)
    assert "differ by a standard deviation of 0.047 in *D*" in said.text
    assert "px and py correlate by 0.96" in said.text
    assert "studies find is: dataset (all blocks) 1.08." in said.text
    assert said.text.endswith("Out of reach: dataset or init (one block).")
    assert tests.detectable(power.head(0), 0.05) == []
