"""The sections on whether parameters tell the truth say what their tables hold, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

from threetconv.report.content import build_document
from threetconv.report.document import Figure, ListBlock, Section, Table
from threetconv.report.sections import truth
from threetconv.schemas.truth import REPRODUCIBILITY
from threetconv.statistics.truth.agreement import agreement_by_run, agreement_table
from threetconv.statistics.truth.endpoints import endpoints_table
from threetconv.statistics.truth.reproducibility import reproducibility_table

from ..builders.study_tables import make_config, make_runs
from ..builders.truth_tables import agreeing, grid, moving
from .test_derived import make_inputs

NARROW = ((3, 60), (2, 40))


def measured(runs: pd.DataFrame, share: float, *, shuffled: float = 0.0) -> pd.DataFrame:
    real = runs["control"] == "none"
    parts = [agreeing(runs[real], share, seed=1)]
    parts += [agreeing(runs[~real], shuffled, seed=2)] if (~real).any() else []
    parameters, tuning = (pd.concat(tables) for tables in zip(*parts, strict=True))
    return agreement_table(agreement_by_run(parameters, tuning, runs, seed=1, draws=40), seed=1)


def points(sections: list[Section]) -> Iterator[str]:
    for section in sections:
        for block in section.blocks:
            if isinstance(block, ListBlock):
                yield from block.items
        yield from points(list(section.sections))


def two(value: float) -> str:
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def test_agreement_that_is_there_is_said_with_its_numbers() -> None:
    runs = grid(["resnet18", "googlenet"], controls=["none", "label-shuffled"], each=3)
    table = measured(runs, 0.8, shuffled=0.1)
    first, model, shuffled = points(truth.section(make_inputs(agreement=table)))
    again = pd.DataFrame(columns=REPRODUCIBILITY.names)
    beside = endpoints_table(table, again, seed=1)
    brief = truth.in_brief(make_inputs(agreement=table, endpoints=beside))
    assert "exceeds label-shuffled controls (by" in brief
    assert "static controls are missing." in brief
    of = table[(table["scope"] == "first") & (table["control"] == "none")]
    (py,) = of.loc[
        (of["parameter"] == "py") & (of["index"] == "direction_y") & (of["network"] == "all"),
        "estimate",
    ]
    assert f"*py* {two(py)}." in brief
    assert truth.in_brief(make_inputs(agreement=table)).endswith("compared with negative controls.")
    assert truth.in_brief(make_inputs()) == ""
    for scope, said in (("first", first), ("model", model)):
        (line,) = table[
            (table["network"] == "all") & (table["parameter"] == "diagonal")
            & (table["scope"] == scope) & (table["against"] == "zero")
            & (table["control"] == "none")
        ].to_dict("records")  # fmt: skip
        assert f"**{two(line['estimate'])}**" in said
        assert f"interval {two(line['ci_low'])} to {two(line['ci_high'])}" in said
        assert f"exchanged channels give {two(line['null'])}" in said
        assert "over 12 runs" in said
        assert "the diagonal lies beyond the rest" in said
    assert "12 runs trained on shuffled labels" in shuffled
    assert "training on the true labels makes channels agree more" in shuffled


@pytest.mark.parametrize(("each", "share"), [(1, 0.8), (3, 0.0)])
def test_what_is_not_shown_is_not_said(each: int, share: float) -> None:
    table = measured(grid(each=each), share)
    said = list(points(truth.section(make_inputs(agreement=table))))
    assert len(said) == 2
    for text in said:
        assert "lies beyond" not in text
        if each == 1:
            assert "an estimate only, untestable, since the smallest attainable p is 0.25" in text
        else:
            assert "this is not shown (p = " in text


def test_reproducibility_is_said_with_what_chance_gives() -> None:
    runs = grid(["resnet18", "googlenet"], inits=["pretrained"], each=3)
    more = grid(["resnet18"], inits=["scratch"], controls=["none", "static"], each=2)
    parameters = pd.concat(
        [moving(runs, by_dataset=0.4, layers=NARROW), moving(more, layers=NARROW, seed=5)]
    )
    table = reproducibility_table(parameters, pd.concat([runs, more]), seed=1)
    common, own, chance = points(truth.section(make_inputs(reproducibility=table)))
    model = table[(table["scope"] == "model") & (table["parameter"] == "all")]
    pooled = model[model["network"] == "all"]
    value = pooled[(pooled["measure"] == "icc") & (pooled["init"] == "pretrained")]["estimate"]
    assert f"**{100 * value.iloc[0]:.1f} %**" in common
    assert "over 12 runs" in common
    assert "channels learn what is of the data set (p = 0.010, smallest attainable 0.010" in own
    assert "scratch" in chance
    assert "static, scratch" in chance


def test_without_tables_nothing_is_said_and_figures_find_their_place() -> None:
    assert truth.section(make_inputs()) == []
    table = measured(grid(each=2), 0.5)
    (section,) = truth.section(make_inputs(agreement=table))
    assert len(section.sections) == 1
    runs = make_runs(["resnet18"], ["gestures", "scenes"], 2).assign(recipe="paper")
    figures = {f"paper/{name}": "x.svg" for name in ("agreement", "reproducibility")}
    document = build_document(
        runs=runs,
        config=make_config(["gestures", "scenes"], synthetic=True),
        agreement=table,
        figures=figures,
    )
    drawn = [b for b in document.blocks() if isinstance(b, Figure)]
    # the table of reproducibility is missing, and so is its section; its figure is known
    assert [figure.label for figure in drawn] == ["Figure V"]
    assert any(isinstance(b, Table) and b.label == "Table V" for b in document.blocks())
