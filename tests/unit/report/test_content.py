"""What a study's document says, and that it says so too when something is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.report import build_document
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


def test_sections_come_in_the_order_of_the_argument(study: Study) -> None:
    assert [section.title for section in build_document(**study).sections] == [
        "What was run",
        "The data",
        "Accuracy",
        "Temporal parameters",
        "Tests",
        "What cannot be concluded",
        "How to query the tables",
        "Provenance",
    ]


def test_summary_states_runs_accuracy_chance_and_tests(study: Study) -> None:
    summary = build_document(**study).summary[0]
    assert isinstance(summary, Paragraph)
    assert "36 video networks (googlenet and resnet18; 3 per variant)" in summary.text
    assert "chance 12.5 %" in summary.text
    # of the four parameters of each family two have an adjusted p below 0.05 in the made-up table
    assert summary.text.count("2 of 4 parameters differ") == 2
    assert "is 0.937 to 1.54" in summary.text


def test_every_paper_table_is_there_with_the_paper_beside_it(study: Study) -> None:
    found = tables(build_document(**study))
    assert {"Table 1", "Table 2", "Table 3", "Table 4"} <= set(found)
    for label in ("Table 1", "Table 2", "Table 3", "Table 4"):
        groups = [name for name, _ in found[label].spans()]
        assert "paper" in groups, label
    assert len(found["Table 2"].rows) == len(found["Table 4"].rows) == 2 * 2 * 4
    assert "46.14" in {cell.text for row in found["Table 2"].rows for cell in row}


def test_reachable_rows_and_the_noise_floor_stand_beside_all_rows(study: Study) -> None:
    table = tables(build_document(**study))["Table 2"]
    assert [name for name, _ in table.spans() if name] == ["all rows", "reachable rows", "paper"]
    row = [cell.text for cell in table.rows[0]]
    assert row[3] == "28.0 (25.2\u201330.8)"
    assert row[5:8] == ["1.3", "37.9", "53.0"]


def test_tests_show_floor_interval_and_adjusted_p(study: Study) -> None:
    found = tables(build_document(**study))
    row = [cell.text for cell in found["Table C"].rows[0]]
    assert row[2:] == [
        "s", "12 / 12", "1.54", "[1.23, 1.92]", "0.0039", "1.3e-5", "0.016", "1.29", "differs",
    ]  # fmt: skip
    inside = found["Table C, continued"]
    assert len(inside.rows) == 32
    assert inside.muted == frozenset(range(32))
    assert {row[-1].text for row in inside.rows} == {"untestable"}


def test_every_sentence_of_the_tests_is_printed_once(study: Study) -> None:
    text = words(build_document(**study))
    for sentence in study["tests_table"]["sentence"]:
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
    assert "32 of 40 planned tests could not be made" in text
    assert "35 % in resnet18 of all rows can never move" in text
    assert "start from the same 2D weights" in text
    table = study["displacement_table"]
    below = int((table["floor_ratio_reachable"] <= 1).sum())
    assert f"{below} of {len(table)} means lie at or below it" in text


def test_limits_that_do_not_apply_are_left_out(study: Study) -> None:
    study["displacement_table"]["n_rows_reachable"] = study["displacement_table"]["n_rows"]
    for name in ("runs", "accuracy_table", "displacement_table"):
        study[name] = study[name][study[name]["init"] == "scratch"]
    text = words(build_document(**study))
    assert "can never move" not in text
    assert "start from the same 2D weights" not in text
    assert "Table 1 needs pretrained networks, and this study has none." in text
    assert "Table 2 is of pretrained networks, and this study has none." in text


def test_unequal_training_lengths_are_quoted(study: Study) -> None:
    study["runs"].loc[study["runs"]["dataset"] == "scenes", "best_step"] = 1234
    assert "scenes 1,234" in words(build_document(**study))


def test_a_study_of_one_own_dataset_has_no_dataset_contrast(
    make_study: Callable[..., Study],
) -> None:
    document = build_document(**make_study(("resnet18",), ("my_videos",), 2, synthetic=False))
    text = words(document)
    assert "F1 is missing here" in text
    assert "F2 is missing here" not in text
    assert "without a second dataset" in text
    assert "There are 2 runs per cell." in text
    for label in ("Table 1", "Table 2", "Table 3", "Table 4"):
        assert "paper" not in [name for name, _ in tables(document)[label].spans()], label


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("tests_table", "No contrast could be formed"),
        ("accuracy_table", "No validation accuracy was recorded"),
        ("displacement_table", "No 3T network was trained"),
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
