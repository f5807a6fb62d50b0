"""What a study's document says, and that it says so too when something is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.report.content import build_document
from threetconv.report.document import (
    Callout,
    Details,
    Document,
    Facts,
    Figure,
    ListBlock,
    Paragraph,
    Section,
    Table,
    parse_inline,
)
from threetconv.report.wording import of_all, verb

from ..builders.study_tables import with_controls

Study = dict[str, Any]


def words(document: Document) -> str:
    """All running text, markup taken out."""
    out = []
    for block in document.blocks():
        if isinstance(block, Paragraph | Callout):
            out.append(block.text)
        elif isinstance(block, ListBlock):
            out += block.items
        elif isinstance(block, Facts):
            out += [f"{name}: {value}" for name, value in block.items]
        elif isinstance(block, Details):
            out.append(block.summary)
    return "\n".join("".join(span.text for span in parse_inline(text)) for text in out)


def tables(document: Document) -> dict[str, Table]:
    return {block.label: block for block in document.blocks() if isinstance(block, Table)}


def find(document: Document, title: str) -> Section:
    return next(section for section in document.sections if section.title == title)


def test_sections_come_in_the_order_of_the_argument(document: Document) -> None:
    assert [section.title for section in document.sections] == [
        "What was run",
        "The data",
        "Accuracy",
        "Temporal parameters",
        "Noise floor and controls",
        "Tests",
        "Displacement by depth",
        "What channels learned",
        "What cannot be concluded",
        "How to query the tables",
        "Provenance",
    ]


def test_summary_states_runs_accuracy_chance_and_tests(document: Document) -> None:
    summary = document.summary[0]
    assert isinstance(summary, Paragraph)
    assert "36 video networks (googlenet and resnet18; 3 per variant)" in summary.text
    assert "chance 12.5 %" in summary.text
    # of the four parameters of each family two have an adjusted p below 0.05 in the made-up table
    assert summary.text.count("2 of 4 parameters are shown to differ") == 3
    assert "(matched noise budgets)" in summary.text
    assert "is 0.937 to 1.54" in summary.text


def test_every_paper_table_is_there_with_the_paper_beside_it(document: Document) -> None:
    found = tables(document)
    assert {"Table 1", "Table 2", "Table 3", "Table 4"} <= set(found)
    for label in ("Table 1", "Table 2", "Table 3", "Table 4"):
        groups = [name for name, _ in found[label].spans()]
        assert "paper" in groups, label
    assert len(found["Table 2"].rows) == len(found["Table 4"].rows) == 2 * 2 * 4
    assert "46.14" in {cell.text for row in found["Table 2"].rows for cell in row}


def test_reachable_rows_and_the_noise_floor_stand_beside_all_rows(document: Document) -> None:
    table = tables(document)["Table 2"]
    assert [name for name, _ in table.spans() if name] == ["all rows", "reachable rows", "paper"]
    row = [cell.text for cell in table.rows[0]]
    assert row[3] == "28.0 (25.2\u201330.8)"
    assert row[5:8] == ["1.3", "37.9", "53.0"]


def test_tests_show_floor_interval_and_adjusted_p(document: Document) -> None:
    found = tables(document)
    table = found["Table C"]
    row = [cell.text for cell in table.rows[0]]
    assert row == [
        "dataset", "matched", "s", "12 / 12", "1.54", "[1.23, 1.92]", "0.0039",
        "1.3e-5", "0.016", "1.29", "differs",
    ]  # fmt: skip
    assert len(table.rows) == 3 * 2 * 4  # families, checkpoints, parameters
    assert [row[0].text for row in table.rows[::8]] == ["dataset", "init", "dataset x init"]
    assert [row[1].text for row in table.rows[::4]] == ["matched", "best"] * 3
    inside = found["Table C, continued"]
    assert len(inside.rows) == 2 * 4 * (4 + 4 + 2)
    assert inside.muted == frozenset(range(80))
    assert {row[-1].text for row in inside.rows} == {"untestable"}


def test_every_sentence_of_the_planned_tests_is_printed_once(study: Study) -> None:
    study["runs"] = with_controls(study["runs"])
    tests = study["tests_table"]
    planned = (tests["family"] != "controls") & (tests["scope"] == "model")
    text = words(build_document(**study))
    for sentence in tests.loc[planned, "sentence"]:
        assert text.count(sentence) == 1
    blocked = (tests["family"] == "controls") & (tests["stratum"] == "all")
    for sentence in tests.loc[blocked, "sentence"]:
        assert text.count(sentence) == 1


def test_synthetic_data_are_called_so_and_recorded_data_are_not(
    make_study: Callable[..., Study],
) -> None:
    synthetic = words(build_document(**make_study(synthetic=True)))
    assert "stand in for real recordings" in synthetic
    assert "not a replication" in synthetic
    recorded = words(build_document(**make_study(synthetic=False)))
    assert "synthetic" not in recorded.lower()
    assert "rendered, small" not in recorded


def test_limits_follow_from_the_facts(study: Study) -> None:
    text = words(build_document(**study))
    assert "There are 3 runs per cell." in text
    assert (
        "over all blocks can give is 1.3 \u00d7 10\u207b\u2075; inside one block it is 0.10."
        in text
    )
    assert "80 of 104 planned tests could not be made, all for want of runs;" in text
    assert "Of their rows 35 % in resnet18 can never move" in text
    assert "start from the same 2D weights" in text
    table = study["displacement_table"]
    below = int((table["floor_ratio_reachable"] <= 1).sum())
    assert (
        f"{of_all(below, len(table), 'mean')} {verb(below, 'lies', 'lie')} at or below it" in text
    )


def test_limits_that_do_not_apply_are_left_out(study: Study) -> None:
    study["displacement_table"]["n_rows_reachable"] = study["displacement_table"]["n_rows"]
    for name in ("runs", "accuracy_table", "displacement_table"):
        study[name] = study[name][study[name]["init"] == "scratch"]
    text = words(build_document(**study))
    assert "can never move" not in text
    assert "start from the same 2D weights" not in text
    assert "Table 1 needs pretrained networks, and there are none here." in text
    assert "Table 2 is of pretrained networks, and there are none here." in text


def test_unequal_training_lengths_are_quoted(study: Study) -> None:
    study["runs"].loc[study["runs"]["dataset"] == "scenes", "best_step"] = 1234
    text = words(build_document(**study))
    assert "scenes 1,234" in text
    assert "The tests at matched noise budgets are free of that" in text
    study["tests_table"].loc[study["tests_table"]["checkpoint"] == "matched", "estimate"] = np.nan
    text = words(build_document(**study))
    assert "No test at matched noise budgets could be made: the smallest attainable p" in text


def test_a_study_of_one_own_dataset_has_no_dataset_contrast(
    make_study: Callable[..., Study],
) -> None:
    document = build_document(**make_study(("resnet18",), ("my_videos",), 2, synthetic=False))
    text = words(document)
    assert "Family dataset is missing here" in text
    assert "Family init is missing here" not in text
    assert "without a second dataset" in text
    assert "There are 2 runs per cell." in text
    for label in ("Table 1", "Table 2", "Table 3", "Table 4"):
        assert "paper" not in [name for name, _ in tables(document)[label].spans()], label


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("tests_table", "No contrast could be formed"),
        ("accuracy_table", "No validation accuracy was recorded"),
        ("displacement_table", "No displacement of a 3T network was recorded"),
    ],
)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_a_missing_table_is_said_in_words(
    study: Study, missing: str, sentence: str, how: str
) -> None:
    study[missing] = None if how == "absent" else study[missing].head(0)
    assert sentence in words(build_document(**study))


def test_a_missing_figure_is_said_in_words(study: Study) -> None:
    study["figures"] = {}
    text = words(build_document(**study))
    for label in ("Figure 4", "Figure 5", "Figure A1", "Figure B", "Figure C"):
        assert f"{label} was not drawn in this study." in text


def test_no_runs_at_all_is_a_short_honest_document(study: Study) -> None:
    document = build_document(runs=study["runs"].head(0), config={})
    text = words(document)
    assert "No training run has been finished" in text
    assert "The configuration of the study was not handed to the report." in text


def test_an_unknown_figure_is_not_lost(study: Study) -> None:
    study["figures"]["saliency"] = study["figures"]["effects"]
    section = find(build_document(**study), "Further figures")
    assert len(section.blocks) == 1


def test_degenerate_tests_have_dashes_and_no_nan(study: Study) -> None:
    tests = study["tests_table"]
    empty = ["estimate", "ci_low", "ci_high", "p_raw", "p_floor", "p_adjusted", "hedges_g"]
    tests[empty] = np.nan
    tests["status"] = "degenerate"
    document = build_document(**study)
    cells = {c.text for row in tables(document)["Table C"].rows for c in row}
    assert "degenerate" in cells
    assert "\u2013" in cells
    assert not any("nan" in cell for cell in cells)
    assert " nan" not in words(document)


def test_building_changes_no_table(study: Study) -> None:
    before = {k: v.copy() for k, v in study.items() if isinstance(v, pd.DataFrame)}
    build_document(**study)
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, study[name])


@pytest.mark.parametrize(("variety", "said"), [(1.0, False), (0.5, True)])
def test_what_single_frames_give_away_is_said(study: Study, variety: float, said: bool) -> None:
    study["config"]["datasets"]["gestures"]["render"] = {"set": "gestures", "variety": variety}
    captions = [b.caption for b in build_document(**study).blocks() if isinstance(b, Figure)]
    assert any("never at the direction" in caption for caption in captions) == said


def test_a_study_without_controls_says_so_twice(study: Study) -> None:
    study["tests_table"] = study["tests_table"].query("family != 'controls'")
    document = build_document(**study)
    text = words(document)
    assert "No negative controls were trained by this recipe." in text
    assert "The study has no negative controls (static clips" in text
    assert "Table O" not in tables(document)


def test_controls_are_counted_apart_from_real_runs(study: Study) -> None:
    study["runs"] = with_controls(study["runs"])
    accuracy = study["accuracy_table"].query("convolution == '3t' and init == 'scratch'")
    accuracy = accuracy.assign(control="static", accuracy_mean=12.5, accuracy_max=13.1)
    document = build_document(**study, control_accuracy=accuracy.assign(accuracy_min=11.9))
    text = words(document)
    shown = tables(document)["Table O, accuracy"].rows[0]
    real = study["accuracy_table"].query("convolution == '3t' and init == 'scratch'").iloc[0]
    assert [cell.text for cell in shown] == [
        "googlenet", "gestures", "scratch", "static", "3", "12.5 (11.9\u201313.1)",
        f"{real['accuracy_mean']:.1f}", "12.5",
    ]  # fmt: skip
    assert "36 video networks (googlenet and resnet18; 3 per variant)" in text
    assert "12 negative controls (static and label-shuffled)" in text
    assert "There are 12 control runs in 2 combinations" in text
    assert "There are 3 runs per cell." in text
    assert (
        "No negative controls were run for 6 of 8 combinations of network, dataset and start."
        in text
    )
    assert (
        "Against static, matched noise budgets: s and r moved further in real runs; no difference "
        "was shown for 2 parameters." in text
    )
    table = tables(document)["Table O"]
    assert len(table.rows) == 3 * 2 * 4
    assert table.columns[0].name == "contrast"


def test_layers_that_differ_are_counted_and_listed_by_name(full: Document) -> None:
    text = words(full)
    assert (
        "Family dataset (gestures / scenes) in googlenet, matched noise budgets: 4 of 16 layers "
        "and parameters that could be tested are shown to differ (s 1, r 1, px 1, py 1)." in text
    )
    table = tables(full)["Table J"]
    assert {row[4].text for row in table.rows} == {"layer1.0.conv1"}
    assert len(table.rows) == 2 * 2 * 2 * 4  # families, checkpoints, networks, parameters
    profile_labels = [b.text for b in full.blocks() if isinstance(b, Paragraph)]
    assert any("Figure D1 was not drawn" in label for label in profile_labels)


def test_untestable_layers_give_their_reason(study: Study, extra: Study) -> None:
    layers = study["tests_table"]["scope"] == "layer"
    study["tests_table"].loc[layers, "status"] = "untestable"
    study["tests_table"].loc[layers, "reason"] = "the smallest attainable p is 0.1"
    text = words(build_document(**study, layer_profile=extra["layer_profile"]))
    assert (
        "Family init (scratch / pretrained) in resnet18, best checkpoint: none of the 16 layers "
        "and parameters could be tested: the smallest attainable p is 0.1." in text
    )


def test_sensitivity_is_compact_and_prints_floor_and_status(full: Document) -> None:
    found = tables(full)
    table = found["Table F"]
    assert (
        len(table.rows) == 3 * 2 * 2
    )  # families x outcomes at matched noise budgets, two lines each
    assert [row[0].text for row in table.rows] == ["dataset"] * 4 + ["init"] * 4 + [
        "dataset x init"
    ] * 4
    first, second = ([cell.text for cell in row] for row in table.rows[:2])
    assert first[1:3] == ["D, all rows, pooled", "1.54, p 0.016*"]
    assert first[-3:] == ["0.937, p 0.43", "ok", "1.3e-5"]
    assert second[2] == "[1.23, 1.92]"
    assert second[-2:] == ["", ""]
    assert "dataset: gestures / scenes; init: scratch / pretrained;" in table.note
    mixed = found["Table F, mixed model"]
    assert len(mixed.rows) == 8 * 2
    assert "floor" not in [column.name for column in found["Table G"].columns]
    energy = found["Table F, translations"]
    assert [cell.text for cell in energy.rows[0]][-2:] == ["0.21", "not shown"]


def test_equivalence_is_yes_not_shown_or_untestable(study: Study, extra: Study) -> None:
    table = extra["sensitivity"]
    line = (table["outcome"] == "D") & (table["stratum"] == "all") & (table["parameter"] == "py")
    table.loc[line, "status"] = "degenerate"
    found = tables(build_document(**study, sensitivity=table))
    row = [cell.text for cell in found["Table G"].rows[0]]
    assert row[2:6] == ["yes (0.016)", "yes (0.023)", "not shown (0.21)", "degenerate"]
    assert "within a factor of 1.25" in found["Table G"].caption
    inside = {row[3].text for row in found["Table G, continued"].rows}
    assert inside == {"untestable"}


def test_repeated_line_numbers_do_not_multiply_lines(study: Study, extra: Study) -> None:
    table = extra["sensitivity"]
    doubled = table.set_axis([0] * len(table), axis=0)
    assert (
        tables(build_document(**study, sensitivity=doubled))["Table F"]
        == (tables(build_document(**study, sensitivity=table))["Table F"])
    )


def test_descriptions_carry_no_p(full: Document) -> None:
    found = tables(full)
    for label in ("Table H", "Table I"):
        assert not {"p", "p (Holm)", "floor"} & {column.name for column in found[label].columns}
    assert found["Table H"].rows[0][-1].text == "descriptive"
    assert not found["Table H"].muted


def test_calibration_says_what_naive_tests_do(full: Document) -> None:
    text = words(full)
    assert "find a difference that is not there in 66 % of the studies, where 5 %" in text
    assert "unit find a difference that is not there in 5 % of the studies." in text
    assert "With 1 run per arm some designs" in text
    table = tables(full)["Table K"]
    assert table.rows[0][0].text == "Kolmogorov-Smirnov"
    assert [name for name, _ in table.spans() if name] == ["googlenet", "resnet18"]
    assert [cell.text for cell in table.rows[0]][5:8] == ["0.660", "[0.64, 0.68]", "liberal"]
    untestable = [row for i, row in enumerate(table.rows) if i in table.muted]
    assert {row[3].text for row in untestable} == {"1"}


def test_planted_truth_is_told_in_words(full: Document) -> None:
    text = words(full)
    assert (
        "Of what was planted, 1 of 3 combinations of motion and parameter was recovered (moved "
        "further than in each negative control, with first-layer channels that point the way they "
        "prefer), 1 could not be tested; of what was not, 1 of 9 combinations moved beyond the "
        "controls." in text
    )
    assert "in each control in 1 of 3 planted combinations of motion and index." in text
    assert "Not planted, and beyond the controls: s in turning (resnet18, scratch)." in text
    assert "translation, px in moving (resnet18, scratch): recovered; it moved further" in text
    assert "translation, py in moving (resnet18, scratch): not recovered; it moved further" in text
    assert "but channels of the first layer were not shown to point the way they prefer." in text
    assert "Where it is lost is not known: direction cannot be tested." in text
    assert (
        "right \u2212 left with px in moving, all layers: 0.31 [0.21, 0.41], channels point" in text
    )
    assert (
        "up \u2212 down with py in moving, all layers: 0.02 [\u22120.08, 0.12], no alignment"
        in text
    )
    assert "right \u2212 left with px in moving, first layer: 0.71 [0.61, 0.81]" in text
    found = tables(full)
    assert [row[0].text for row in found["Table N"].rows] == 4 * ["first"] + 4 * ["all"]
    assert [cell.text for cell in found["Table L"].rows[2][3:5]] == ["yes", "2.50*"]
    assert [cell.text for cell in found["Table L"].rows[2][-3:]] == ["yes", "yes", "yes"]
    assert [cell.text for cell in found["Table L"].rows[3][-3:]] == ["yes", "no", "no"]
    # what was not planted is not recovered, whether it moved or not
    assert [cell.text for cell in found["Table L"].rows[4][-3:]] == ["yes", "", ""]
    assert {row[-3].text for row in found["Table L, first layer"].rows} == {"no"}
    assert found["Table L, first layer"].rows[2][4].text == "3.50*"
    tuning = found["Table L, tuning"]
    assert [row[2].text for row in tuning.rows[:4]] == ["zoom", "turn", "right", "up"]
    assert "/ floor" not in [column.name for column in tuning.columns]
    where = found["Table L, where"]
    assert [row[-1].text for row in where.rows] == ["\u2013", "direction", "unknown"]
    assert [cell.text for cell in where.rows[0][2:6]] == ["px", "91.2", "26.4", "25.0"]
    assert where.rows[0][10].text == "layer1.0.conv1 (22.2)"
    assert where.muted == {2}
    assert len(found["Table M"].rows) == 2


def test_planted_truth_without_tuning_and_need(study: Study, extra: Study) -> None:
    del extra["planted_tuning"], extra["planted_where"]
    document = build_document(**study, **extra)
    text, found = words(document), tables(document)
    assert "translation, py in moving (resnet18, scratch): not recovered; it moved further" in text
    assert not re.search(r"Where it is lost|motion and index|what channels answer to", text)
    assert {label for label in found if label.startswith("Table L")} == {
        "Table L", "Table L, in full", "Table L, first layer",
    }  # fmt: skip


def test_a_study_without_planted_motion_has_no_such_section(document: Document) -> None:
    titles = [section.title for section in document.sections]
    assert "Planted truth" not in titles
    assert "Calibration: can these tests be trusted?" not in titles


def test_every_new_figure_has_its_place(study: Study, extra: Study) -> None:
    path = study["figures"]["effects"]
    names = ["controls", "profile_resnet18", "planted", "alignment", "calibration"]
    study["figures"] |= dict.fromkeys(names, path)
    study["runs"] = with_controls(study["runs"])
    document = build_document(**study, **extra)
    assert "Further figures" not in [section.title for section in document.sections]
    labels = {figure.label for figure in document.figures()}
    assert {"Figure D2", "Figure E", "Figure F", "Figure G", "Figure H"} <= labels
    cells = [c.text for b in document.blocks() if isinstance(b, Table) for r in b.rows for c in r]
    assert not any("nan" in cell.lower() for cell in cells)


def test_many_contrasts_are_summed_up_and_their_sentences_folded(study: Study) -> None:
    tests = study["tests_table"]
    first = tests[
        (tests["family"] == "dataset") & tests["stratum"].isin(["all", "resnet18, scratch"])
    ]
    contrasts = [f"a / {x}" for x in "bcdef"]
    study["tests_table"] = pd.concat([first.assign(contrast=name) for name in contrasts])
    document = build_document(**study)
    summary = document.summary[0]
    assert isinstance(summary, Paragraph)
    assert (
        "Of family dataset (5 contrasts) 10 of 20 comparisons are shown to differ after Holm's "
        "adjustment (matched noise budgets)." in summary.text
    )
    folds = [b.summary for b in document.blocks() if isinstance(b, Details)]
    assert "In words, at matched noise budgets" in folds
    assert not any("single blocks" in fold for fold in folds)  # one block repeats the whole
