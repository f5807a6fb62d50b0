"""What the report says of 3D filters as moving 2D filters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from threetconv.report.document import ListBlock, Section, Table
from threetconv.report.sections.ruler import section

from ..builders.ruler_tables import ruler_study
from .test_derived import make_inputs


def found(cells: pd.DataFrame) -> tuple[list[str], Table]:
    (whole,) = section(make_inputs(ruler_cells=cells))
    assert isinstance(whole, Section)
    (said,) = [block.items for block in whole.blocks if isinstance(block, ListBlock)]
    (table,) = [block for block in whole.blocks if isinstance(block, Table)]
    return list(said), table


def test_sentences_have_the_numbers_of_the_pooled_line() -> None:
    _, cells = ruler_study()
    (share, cosine), table = found(cells)
    pooled = cells[cells["network"] == "all"].set_index("measure")
    assert f"explain **{100 * pooled.loc['share', 'mean']:.1f} %**" in share
    assert f"and {100 * pooled.loc['share', 'chance']:.1f} % of that of twins" in share
    assert "over 12 runs" in share
    assert "nearer to 3T filters than their twins are (p = 2.4" in share
    assert "a cosine of **1.00** over 12 runs" in cosine
    assert "is what the channel answers to (p = 2.4" in cosine
    assert len(table.rows) == len(cells)


@pytest.mark.parametrize(("beyond", "turned"), [(-0.1, np.pi), (0.3, 0.0)])
def test_what_is_not_shown_is_not_said(beyond: float, turned: float) -> None:
    few = {"networks": 1, "each": 1 if beyond > 0 else 3}
    said, _ = found(ruler_study(**few, beyond=beyond, turned=turned)[1])
    assert len(said) == 2
    for text in said:
        assert "nearer" not in text
        assert "answers to" not in text
        assert "an estimate only, untestable" in text if beyond > 0 else "not shown (p" in text


def test_filters_that_never_change_have_no_numbers() -> None:
    _, cells = ruler_study(networks=1)
    names = ["mean", "chance", "estimate", "ci_low", "ci_high"]
    said, _ = found(cells.assign(**dict.fromkeys(names, np.nan), status="degenerate"))
    assert said == ["No run has 3D filters that change over time."]
    assert section(make_inputs(ruler_cells=pd.DataFrame())) == []
