"""Sentences on primary endpoints: shown, not shown, untestable, missing; on the first page too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.report.content import build_document
from threetconv.report.document import ListBlock, Paragraph, Table
from threetconv.report.sections import endpoints, summary, truth
from threetconv.schemas.endpoints import ENDPOINTS, UNITS
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ..builders.need_tables import need_arguments
from ..builders.truth_tables import grid, moving
from .test_derived import make_inputs
from .test_truth import measured

Study = dict[str, Any]
OK = {"status": "ok", "estimate": 0.4, "ci_low": 0.1, "ci_high": 0.7, "n_runs": 6, "n_other": 6,
      "p_raw": 0.01, "p_adjusted": 0.01, "p_floor": 0.005, "reason": ""}  # fmt: skip
NOT = OK | {"p_raw": 0.3, "p_adjusted": 0.3}
FEW = OK | {"status": "untestable", "p_adjusted": np.nan, "p_floor": 0.1}
GONE = OK | {"status": "missing", "estimate": np.nan, "ci_low": np.nan, "p_raw": np.nan,
             "p_floor": np.nan, "p_adjusted": np.nan, "reason": "no runs with a value"}  # fmt: skip
LEAK = FEW | {"status": "descriptive", "reason": "resnet18 can tell order without motion"}


def lines(*kinds: Study, endpoint: str = "tuning agreement", dataset: str = "all") -> pd.DataFrame:
    """Lines against zero, label-shuffled and static."""
    about = {"recipe": "paper", "endpoint": endpoint, "dataset": dataset, "unit": UNITS[endpoint],
             "network": "all", "init": "all"}  # fmt: skip
    rows = [
        about | {"comparison": name} | kind
        for name, kind in zip(("zero", "label-shuffled", "static"), kinds, strict=True)
    ]
    return pd.DataFrame(rows).reindex(columns=ENDPOINTS.names)


def said(*kinds: Study, **more: str) -> str:
    (text,) = endpoints.said(lines(*kinds, **more), more.get("endpoint", "tuning agreement"), 0.05)
    return text


@pytest.mark.parametrize(
    ("kinds", "told", "not_told"),
    [
        (
            (OK, OK, OK),
            "is 0.40 [0.10 to 0.70] over 6 runs: it exceeds 0 (one-sided p = 0.010, floor "
            "0.0050), exceeds label-shuffled controls (by 0.40 [0.10 to 0.70], p = 0.010, floor "
            "0.0050) and exceeds static controls (by",
            ["was not shown", "cannot", "missing"],
        ),
        (
            (NOT, NOT, NOT),
            "was not shown to exceed 0 (one-sided p = 0.30, floor 0.0050), was not shown to differ "
            "from label-shuffled controls (difference 0.40 [0.10 to 0.70], p = 0.30, floor 0.0050) "
            "and was not shown to differ from static controls",
            ["exceeds", "cannot", "missing"],
        ),
        (
            (OK, NOT, GONE),
            "floor 0.0050) and was not shown to differ from label-shuffled controls (difference "
            "0.40 [0.10 to 0.70], p = 0.30, floor 0.0050); static controls are missing.",
            ["exceeds label", "exceeds static", "cannot"],
        ),
        (
            (OK, FEW, OK | {"estimate": -0.4, "ci_low": -0.7, "ci_high": -0.1}),
            "cannot be tested against label-shuffled controls (floor 0.10) and lies below static "
            "controls (by 0.40 [\N{MINUS SIGN}0.70 to \N{MINUS SIGN}0.10]",
            ["exceeds label", "exceeds static", "missing"],
        ),
        (
            (OK, GONE, GONE),
            "it exceeds 0 (one-sided p = 0.010, floor 0.0050); label-shuffled and static controls "
            "are missing.",
            ["exceeds label", "cannot"],
        ),
        ((LEAK, LEAK, GONE), "was not tested against 0 (resnet18 can tell", ["exceeds", "p ="]),
        (
            (GONE, GONE, GONE),
            "in the first layer was not measured: no runs with a value.",
            ["exceeds", "controls"],
        ),
        (
            (OK | {"reason": "without resnet18, which can tell order without motion"}, OK, GONE),
            "over 6 runs (without resnet18, which can tell order without motion): it exceeds 0",
            ["was not tested"],
        ),
        (
            (OK | {"status": "degenerate", "estimate": np.nan, "reason": "nothing moved"}, OK, OK),
            "could not be formed: nothing moved.",
            ["exceeds"],
        ),
    ],
)
def test_each_comparison_is_said_as_it_came_out(
    kinds: tuple[Study, ...], told: str, not_told: list[str]
) -> None:
    text = said(*kinds)
    assert told in text
    assert not [words for words in not_told if words in text]


def test_estimates_are_in_their_units() -> None:
    text = said(OK, OK, GONE, endpoint="reproducibility")
    assert "is 40.0 % [10.0 % to 70.0 %] over" in text
    text = said(OK, OK, GONE, endpoint="direction use", dataset="gestures")
    assert text.startswith("**Direction use** on *gestures* is 0.4 points [0.1 to 0.7 points] over")


def test_the_section_shows_every_line_and_sentence() -> None:
    table = pd.concat(
        [lines(OK, NOT, GONE), lines(OK, OK, FEW, endpoint="reproducibility")]
        + [lines(OK, FEW, FEW, endpoint="direction use", dataset=d) for d in ("a", "b")],
        ignore_index=True,
    )
    assert endpoints.blocks(make_inputs()) == []
    (section,) = truth.section(make_inputs(endpoints=table))
    assert (section.title, section.sections) == ("Do the parameters tell the truth?", [])
    (texts,) = [block.items for block in section.blocks if isinstance(block, ListBlock)]
    assert len(texts) == 4
    (shown,) = [block for block in section.blocks if isinstance(block, Table)]
    assert len(shown.rows) == 12
    heads = [column.name for column in shown.columns]
    missing = dict(zip(heads, [cell.text for cell in shown.rows[2]], strict=True))
    dash = "\N{EN DASH}"
    assert missing["status"] == "missing"
    assert [missing[name] for name in ("runs", "estimate", "95 % interval", "p")] == [dash] * 4
    assert shown.rows[0][3].text == "6"
    assert shown.rows[1][3].text == "6 / 6"
    assert shown.muted == {2, 5, 7, 8, 10, 11}


@pytest.mark.parametrize("kind", [OK, NOT, FEW, GONE, None])
def test_the_first_page_claims_nothing_without_its_test_against_controls(
    study: Study, kind: Study | None
) -> None:
    names = ("tuning agreement", "reproducibility", "direction use")
    table = pd.concat([lines(OK, kind or OK, GONE, endpoint=name) for name in names])
    cells = need_arguments()["need_cells"].assign(recipe="paper")
    given = {"endpoints": table} if kind else {}
    agreement = measured(grid(each=3), 0.8)
    runs = grid(each=2)
    again = reproducibility_table(moving(runs, layers=((2, 9),)), runs, seed=1)
    tables = {"need_cells": cells, "agreement": agreement, "reproducibility": again}
    document = build_document(**(study | tables | given))
    opening = " ".join(b.text for b in document.summary if isinstance(b, Paragraph))
    assert "they recognise:" in opening
    assert "Mean correlations of first-layer parameters" in opening
    for name in names:
        expected = (
            endpoints.said(table, name, 0.05)[0]
            if kind
            else f"{endpoints.NAMES[name]} was not compared with negative controls."
        )
        assert opening.count(expected) == 1
    assert opening.count("exceeds label-shuffled") == 3 * (kind is OK)


def test_endpoints_that_the_first_page_does_not_speak_of_are_not_named_there() -> None:
    assert summary.needed(make_inputs()) == ""
    assert truth.in_brief(make_inputs()) == ""
    assert summary.again(make_inputs()) == ""


def test_the_updates_of_best_checkpoints_are_printed_beside_comparisons_with_controls() -> None:
    runs = grid(["resnet18", "googlenet"], controls=["none", "label-shuffled"], each=2)
    # a network without controls is not among the runs that are compared
    runs = runs[(runs["network"] == "resnet18") | (runs["control"] == "none")]
    runs["best_step"] = np.where(runs["network"] == "googlenet", 999, 216)
    assert endpoints.at_best(make_inputs(runs[runs["control"] == "none"])) == ""
    same = endpoints.at_best(make_inputs(runs))
    assert same.endswith("after 216 updates in real runs and 216 in label-shuffled ones.")
    runs.loc[(runs["control"] != "none") & (runs["replicate"] == 1), "best_step"] = 72
    inputs = make_inputs(runs, endpoints=lines(OK, OK, GONE))
    text = endpoints.at_best(inputs)
    assert "216 updates in real runs and 144 in label-shuffled ones: a difference may" in text
    (table,) = [block for block in endpoints.blocks(inputs) if isinstance(block, Table)]
    assert text in table.note
