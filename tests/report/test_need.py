"""What the report says of what networks need."""

from __future__ import annotations

from typing import Any

import pandas as pd

from threetconv.report.content import build_document
from threetconv.report.document import (
    Details,
    Figure,
    Paragraph,
    Section,
    Table,
    parse_inline,
)

from ..builders.need_tables import need_arguments

Study = dict[str, Any]


def found(study: Study, **changes: Any) -> Section:
    document = build_document(**(study | need_arguments() | changes))
    (section,) = [s for s in document.sections if s.title == "What do the networks need?"]
    return section


def said(section: Section) -> str:
    _, text, *_ = (block for block in section.blocks if isinstance(block, Paragraph))
    return "".join(span.text for span in parse_inline(text.text))


def tables(section: Section) -> list[Table]:
    return [block for block in section.blocks if isinstance(block, Table)]


def test_sentences_are_those_of_the_table(study: Study) -> None:
    text = said(found(study))
    assert text.startswith(
        "Mean direction use is 80.0 points in 3T fast resnet18 (scratch) on gestures."
    )
    assert (
        "mean accuracy is lower by 35.0 points in 3T fast resnet18 (scratch) on gestures." in text
    )
    assert "No comparison with a negative control has enough runs" in text
    assert text.count(". ") <= 3


def test_the_first_page_says_what_3t_networks_recognise(study: Study) -> None:
    cells = need_arguments()["need_cells"].assign(recipe="paper")
    document = build_document(**(study | {"need_cells": cells}))
    opening = " ".join(b.text for b in document.summary if isinstance(b, Paragraph))
    assert "they recognise: resnet18 90.0, 10.0 and" in opening
    without = build_document(**(study | {"need_cells": cells[cells["convolution"] != "3t"]}))
    assert "recognise:" not in " ".join(b.text for b in without.summary if isinstance(b, Paragraph))


def test_more_runs_can_show_it(study: Study) -> None:
    tests = need_arguments()["need_tests"]
    shown = tests.assign(status="ok", p_adjusted=[0.01, 0.2])
    text = said(found(study, need_tests=shown))
    assert "larger in real runs than in their negative controls in 1 of 2 testable comp" in text
    assert "No comparison" not in text


def test_cells_and_the_line_over_them_are_not_counted_twice(study: Study) -> None:
    tests = need_arguments()["need_tests"].assign(status="ok", p_adjusted=0.01)
    pooled = tests.assign(network="all", init="all")[tests["measure"] == "drop"]
    both = pd.concat([tests, tests.assign(init="pretrained"), pooled], ignore_index=True)
    # two cells of direction use, and one line over two cells of the drop
    assert "all 3 testable comparisons" in said(found(study, need_tests=both))
    untested = both.assign(status=both["status"].where(both["network"] != "all", "untestable"))
    assert "all 4 testable comparisons" in said(found(study, need_tests=untested))


def test_networks_without_transforms_are_measured_with_statistics_computed_anew(
    study: Study,
) -> None:
    cells = need_arguments()["need_cells"].assign(recipe="paper")
    identity = (cells["transforms"] == "all") & (cells["measure"] == "accuracy")
    cells.loc[identity & (cells["batch_norm"] == "trained"), "mean"] = 11.0
    cells.loc[identity & (cells["batch_norm"] == "recomputed"), "mean"] = 33.0

    def opening(cells: pd.DataFrame) -> str:
        document = build_document(**(study | {"need_cells": cells}))
        return " ".join(b.text for b in document.summary if isinstance(b, Paragraph))

    anew = "identity (batch norm statistics computed anew"
    assert f"{anew}) they recognise: resnet18 90.0, 10.0 and 33.0 %" in opening(cells)
    without = cells[cells["batch_norm"] == "trained"]
    assert "identity they recognise: resnet18 90.0, 10.0 and 11.0 %" in opening(without)
    mixed = pd.concat([cells, without.assign(network="alexnet")], ignore_index=True)
    told = opening(mixed)
    assert f"{anew} where a network has such) they recognise: alexnet 90.0, 10.0 and 11.0" in told
    assert "resnet18 90.0, 10.0 and 33.0" in told


def test_every_variant_has_a_line_controls_faintly(study: Study) -> None:
    need, transforms, differences = tables(found(study))
    heads = [column.name for column in need.columns]
    assert "recipe" in heads
    assert "control" in heads
    lines = [dict(zip(heads, [cell.text for cell in row], strict=True)) for row in need.rows]
    kinds = [(line["conv."], line["control"], line["runs"]) for line in lines]
    assert kinds == [("3D", "", "1"), ("3T", "", "3"), ("3T", "static", "3")]
    real = lines[1]
    assert (real["forwards"], real["backwards"], real["to opposite"]) == ("90.0", "10.0", "90.0")
    assert real["direction use"].startswith("80.0 (60.0")
    heads = [column.name for column in transforms.columns]
    lines = [dict(zip(heads, [cell.text for cell in row], strict=True)) for row in transforms.rows]
    assert [line["control"] for line in lines] == ["", "static"]  # 3D has no transforms
    real = lines[0]
    assert (real["none"], real["all"], real["all, anew"]) == ("90.0", "50.0", "50.0")
    assert real["scale, anew"] == "\N{EN DASH}"
    assert need.muted == {2}
    assert len(differences.rows) == 2


def test_layers_are_folded_away_with_their_drops(study: Study) -> None:
    section = found(study)
    pairs, details = [block for block in section.blocks if isinstance(block, Details)]
    assert not pairs.printed
    assert not details.printed
    (table,) = pairs.blocks
    assert isinstance(table, Table)
    heads = [column.name for column in table.columns]
    lines = [dict(zip(heads, [cell.text for cell in row], strict=True)) for row in table.rows]
    assert [(line["classes"], line["control"]) for line in lines] == [
        ("left / right", ""),
        ("left / right", "static"),
    ]
    assert lines[0]["direction use"].startswith("80.0 (60.0")
    (table,) = details.blocks
    assert isinstance(table, Table)
    heads = [column.name for column in table.columns]
    lines = [dict(zip(heads, [cell.text for cell in row], strict=True)) for row in table.rows]
    assert [(line["name"], line["control"]) for line in lines] == [
        ("conv1", ""),
        ("conv1", "static"),
    ]
    # of 10 clips a class, one more is lost than with all transforms intact, in one of two classes
    assert [line["drop"] for line in lines] == ["10.0", "10.0"]
    cells = need_arguments()["need_cells"]
    without = found(study, need_cells=cells[cells["layer_index"] < 0], need_classes=None)
    assert not [block for block in without.blocks if isinstance(block, Details)]


def test_networks_without_recipes_are_said_to_stand_in_each_figure(study: Study) -> None:
    runs = study["runs"].assign(recipe="paper")
    both = runs.assign(recipe="fast", run_id=runs["run_id"] + "-fast")
    both = both[both["convolution"] == "3t"]
    drawn = {f"{recipe}/need": "x.svg" for recipe in ("paper", "fast")}
    section = found(study, runs=pd.concat([runs, both], ignore_index=True), figures=drawn)
    captions = [block.caption for block in section.blocks if isinstance(block, Figure)]
    assert len(captions) == 2
    assert all("have no recipe and stand in each figure" in caption for caption in captions)
    (alone,) = [b.caption for b in found(study, figures={"need": "x.svg"}).blocks
                if isinstance(b, Figure)]  # fmt: skip
    assert "stand in each figure" not in alone


def test_studies_without_it_have_no_such_section(study: Study) -> None:
    titles = [section.title for section in build_document(**study).sections]
    assert "What do the networks need?" not in titles
