"""The sections on whether parameters tell the truth say what their tables hold, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from threetconv.report.content import build_document
from threetconv.report.document import Figure, ListBlock, Paragraph, Section, Table
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
    assert "channels of real runs agree more" in shuffled
    assert "makes" not in shuffled
    # the caveat of comparisons at the best checkpoint, once in the section
    timed = runs.assign(best_step=np.where(runs["control"] == "none", 216, 72))
    given = {"agreement": table, "endpoints": beside}
    (section,) = truth.section(make_inputs(timed, **given))
    (below,) = section.sections
    said_ = [block.text for block in below.blocks if isinstance(block, Paragraph)]
    assert sum("72 in label-shuffled ones: a difference may also come" in t for t in said_) == 1
    first = next(block.text for block in section.blocks if isinstance(block, Paragraph))
    assert first.startswith("Pretrained runs of a network share one set of 2D weights")
    scratch = make_inputs(timed.assign(init="scratch"), **given)
    (section,) = truth.section(scratch)
    assert "2D weights" not in "".join(b.text for b in section.blocks if isinstance(b, Paragraph))


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
    assert "more than between data sets: this is above zero (p = 0.010, smallest attai" in own
    # beside no controls it is not said what is learned
    assert "channels learn" not in own
    assert "scratch" in chance
    assert "static, scratch" in chance


@pytest.mark.parametrize(
    ("p", "told"),
    [
        ({"label-shuffled": 0.01, "static": 0.02},
         "It exceeds that of label-shuffled and static runs: channels learn what is of the data"),
        ({"static": 0.02}, "It exceeds that of static runs: channels learn"),
        ({"label-shuffled": 0.4, "static": 0.02},
         "It exceeds that of static runs, but was not shown to exceed that of label-shuffled runs"),
        ({"label-shuffled": 0.4, "static": 0.3},
         "It was not shown to exceed that of label-shuffled or static runs: what is shared"),
        ({}, ""),
    ],
)  # fmt: skip
def test_what_channels_learn_is_said_only_beyond_the_controls(
    p: dict[str, float], told: str
) -> None:
    runs = grid(["resnet18", "googlenet"], controls=["none", *p], each=3)
    real = runs["control"] == "none"
    parts = [moving(runs[real], by_dataset=0.4, layers=NARROW)]
    parts += [moving(runs[~real], layers=NARROW, seed=5)] if p else []
    table = reproducibility_table(pd.concat(parts), runs, seed=1)
    for control, value in p.items():
        table.loc[table["against"] == control, "p_adjusted"] = value
    own = list(points(truth.section(make_inputs(reproducibility=table))))[1]
    assert told in own
    assert ("channels learn" in own) == ("channels learn" in told)
    # nothing above zero, nothing to compare
    none = table.assign(p_adjusted=table["p_adjusted"].where(table["against"] != "zero", 0.4))
    own = list(points(truth.section(make_inputs(reproducibility=none))))[1]
    assert "this is not shown" in own
    assert "channels learn" not in own


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
