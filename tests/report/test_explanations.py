"""The section on channels: what it says, what it leaves out, how it is rendered."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.report.document import Document, Figure, Section, Table, section_blocks
from threetconv.report.html import to_html
from threetconv.report.inputs import Inputs
from threetconv.report.pdf import render_pdf
from threetconv.report.sections.explanations import section

CLASSES = ("Swiping Left", "Swiping Right")
LAYERS = ("conv1", "layer1.0.conv1")
NAMES = ("resnet18-gestures-scratch-3t-r1", "resnet18-gestures-pretrained-3d-r1")


def make_tables() -> dict[str, pd.DataFrame]:
    """Tables of one 3T and one 3D run of resnet18 on gestures, three channels a layer."""
    places = list(itertools.product(enumerate(LAYERS), range(3)))
    channels = pd.DataFrame(
        {
            "run_id": NAMES[0],
            "layer_index": i,
            "layer": layer,
            "channel": c,
            "reachable": not (i == 1 and c == 2),
            "displacement": 0.1 * (c + 1),
            "floor_zoom": 0.05,
            "moves": c == 0,
            "sentence": f"zooms out 1.{c}x" if c == 0 else "no motion beyond noise",
        }
        for (i, layer), c in places
    )
    drops = []
    for run, ablation in zip(NAMES, ("identity", "mean"), strict=True):
        for (i, layer), c in itertools.product(enumerate(LAYERS), (-1, 0, 1, 2)):
            for label, share in (("", 1.0), (CLASSES[0], 3.0), (CLASSES[1], -1.0)):
                drops.append(
                    {
                        "run_id": run,
                        "layer_index": i,
                        "layer": layer,
                        "channel": c,
                        "ablation": ablation,
                        "label": label,
                        "drop": share * (0.8 if c == -1 else 0.01 * (1 + c + 10 * i)),
                        "n_clips": 16,
                    }
                )
    chosen = pd.DataFrame(
        [
            (NAMES[0], 1, LAYERS[1], 2, "faithfulness", 1),
            (NAMES[0], 0, LAYERS[0], 0, "displacement", 1),
            (NAMES[1], 0, LAYERS[0], 1, "random", 1),
        ],
        columns=["run_id", "layer_index", "layer", "channel", "rule", "rank"],
    )
    sanity = pd.DataFrame(
        [
            (NAMES[0], i, LAYERS[i], c, method, randomised, kind, value, 1, value > 0.7)
            for i, guided in ((1, 0.9), (0, 0.2))
            for c in (0, 1)
            for method, value in (("gradient", 0.1), ("guided-backprop", guided))
            for randomised in ("last layer", "all layers")
            for kind in ("spearman", "ssim")
        ],
        columns=["run_id", "layer_index", "layer", "channel", "method", "randomised",
                 "similarity", "value", "n", "flagged"],
    )  # fmt: skip
    return {
        "channels": channels,
        "faithfulness": pd.DataFrame(drops),
        "chosen": chosen,
        "sanity": sanity,
    }


FIGURES = ["explained_gallery", "explained_resnet18_gestures", "class_drops_resnet18_gestures"]


@pytest.fixture
def inputs(
    make_study: Callable[..., dict[str, Any]], drawn: Callable[[list[str]], dict[str, Path]]
) -> Inputs:
    study = make_study()
    empty = pd.DataFrame()
    return Inputs(
        runs=study["runs"],
        metrics=empty,
        accuracy=empty,
        displacement=empty,
        tests=empty,
        figures=drawn(FIGURES),
        captions={},
        config=study["config"],
        provenance={},
    )


def tables_of(part: Section) -> dict[str, Table]:
    return {block.label: block for block in section_blocks(part) if isinstance(block, Table)}


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def words(part: Section) -> str:
    return to_html(Document("t", "s", [], [part]))


def test_without_explanations_one_sentence_is_left(inputs: Inputs) -> None:
    part = section(inputs)
    assert [type(block).__name__ for block in section_blocks(part)] == ["Paragraph"]
    assert "No channel was explained in this study." in words(part)


def test_tables_of_other_studies_count_as_none(inputs: Inputs) -> None:
    strange = {name: table.assign(run_id="other") for name, table in make_tables().items()}
    assert not tables_of(section(inputs, **strange))


def test_the_share_that_moves_is_of_channels_that_can(inputs: Inputs) -> None:
    table = tables_of(section(inputs, **make_tables()))["Table P"]
    assert texts(table) == [["resnet18", "gestures", "scratch", "6", "83 %", "40 %"]]


def test_a_run_without_noise_floor_is_left_out_and_this_is_said(inputs: Inputs) -> None:
    tables = make_tables()
    tables["channels"] = tables["channels"].assign(floor_zoom=np.nan)
    table = tables_of(section(inputs, **tables))["Table P"]
    assert texts(table)[0][-1] == "\N{EN DASH}"
    assert "no noise floor" in table.note


def test_every_explained_channel_is_put_into_words(inputs: Inputs) -> None:
    table = tables_of(section(inputs, **make_tables()))["Table S"]
    assert {tuple(row[:2]) for row in texts(table)} == {("resnet18", "gestures")}
    assert [row[2:] for row in texts(table)] == [
        [
            "scratch",
            "3T",
            "faithfulness",
            "layer1.0.conv1",
            "2",
            "0.1300",
            "no motion beyond noise",
        ],
        ["scratch", "3T", "displacement", "conv1", "0", "0.0100", "zooms out 1.0x"],
        ["pretrained", "3D", "random", "conv1", "1", "0.0200", "a plain 3D convolution"],
    ]


def test_channels_that_matter_come_by_fall_with_their_class(inputs: Inputs) -> None:
    table = tables_of(section(inputs, **make_tables()))["Table Q"]
    found = texts(table)
    assert [row[3] for row in found] == ["3T"] * 3 + ["3D"] * 3
    assert found[0][4:] == ["layer1.0.conv1", "2", "0.13", "Swiping Left", "0.39"]
    assert [row[6] for row in found[:3]] == ["0.13", "0.12", "0.11"]


def test_whole_layers_are_no_channels_and_single_classes_no_overall(inputs: Inputs) -> None:
    page = words(section(inputs, **make_tables()))
    assert "Swiping Left loses 2.4 without conv1" in page
    table = tables_of(section(inputs, **make_tables()))["Table Q"]
    heads = [column.name for column in table.columns]
    assert texts(table)
    for row in texts(table):
        shown = dict(zip(heads, row, strict=True))
        assert shown["channel"] in {"0", "1", "2"}  # channel -1 stands for a whole layer
        assert float(shown["fall, nats"]) < 0.8  # what a whole layer is worth


def test_an_explanation_that_does_not_change_is_named(inputs: Inputs) -> None:
    part = section(inputs, **make_tables())
    table = tables_of(part)["Table R"]
    ways = ("last layer", "all layers")
    figures = ["0.10", "0.10", "2", "0 %", "changes"]
    assert texts(table)[:4] == [
        ["gradient", depth, way, *figures]
        for depth in ("first layer", "deeper layers")
        for way in ways
    ]
    unchanged = ["0.90", "0.90", "2", "100 %", "does not change"]
    assert texts(table)[6:] == [
        ["guided-backprop", "deeper layers", way, *unchanged] for way in ways
    ]
    page = words(part)
    assert "2 of 8 combinations of method, depth and randomisation keep their pictures" in page
    assert "(deeper layers, last layer) and guided-backprop (deeper layers, all layers)" in page


def test_figures_have_words_beside_them(inputs: Inputs) -> None:
    part = section(inputs, **make_tables())
    figures = [block for block in section_blocks(part) if isinstance(block, Figure)]
    assert [figure.label for figure in figures] == ["Figure I", "Figure J", "Figure K"]
    assert all(figure.alt for figure in figures)


def test_a_figure_that_was_not_drawn_is_said_to_be_missing(inputs: Inputs) -> None:
    bare = Inputs(**{**vars(inputs), "figures": {}})
    page = words(section(bare, **make_tables()))
    assert "Figure J was not drawn in this study." in page


def test_single_tables_are_enough(inputs: Inputs) -> None:
    full = make_tables()
    for name in full:
        assert len(words(section(inputs, **{name: full[name]}))) > 1000


def test_names_of_a_user_stay_text(inputs: Inputs) -> None:
    tables = make_tables()
    tables["faithfulness"]["label"] = tables["faithfulness"]["label"].replace(
        "Swiping Left", "**<b>*x*"
    )
    page = words(section(inputs, **tables))
    assert "<b>*x*" not in page
    assert "**&lt;b&gt;*x*" in page


def test_the_section_is_typeset(inputs: Inputs, tmp_path: Path) -> None:
    document = Document("title", "study", [], [section(inputs, **make_tables())])
    render_pdf(document, tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
