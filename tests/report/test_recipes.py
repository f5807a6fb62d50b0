"""A report of several recipes keeps them apart, and says how each was trained."""

from __future__ import annotations

from typing import Any

import pandas as pd

from threetconv.report.content import build_document
from threetconv.report.document import Document, Paragraph, Section
from threetconv.report.inputs import Inputs
from threetconv.report.sections.temporal import trained

Study = dict[str, Any]


def with_fast(study: Study) -> Study:
    """The study with each 3T line once more, of recipe "fast", whose floor is twice as high."""
    out = dict(study)
    for name, table in study.items():
        if not isinstance(table, pd.DataFrame) or table.empty:
            continue
        if not {"network", "dataset", "family", "convolution"} & set(table):
            continue
        lines = table.assign(recipe="paper")
        more = lines[lines["convolution"] == "3t"] if "convolution" in lines else lines
        more = more.assign(recipe="fast")
        if "run_id" in more:
            more["run_id"] = more["run_id"].str.replace("-3t-", "-3t-fast-")
        if "floor_ratio_reachable" in more:
            more["floor_ratio_reachable"] = 0.25
        out[name] = pd.concat([lines, more], ignore_index=True)
    out["config"] = study["config"] | {
        "recipes": {"fast": {"rate_factor": 30.0, "spread": {"scale": 0.1, "rotate": 0.0}}}
    }
    return out


def titles(document: Document) -> list[str]:
    return [section.title for section in document.sections]


def paragraphs(section: Section) -> str:
    blocks = [*section.blocks, *(b for s in section.sections for b in s.blocks)]
    return " ".join(b.text for b in blocks if isinstance(b, Paragraph))


def test_each_recipe_has_its_sections(study: Study) -> None:
    alone = titles(build_document(**study))
    both = build_document(**with_fast(study))
    assert "Temporal parameters" in alone
    assert "Temporal parameters" not in titles(both)
    for recipe in ("paper", "fast"):
        assert f"Temporal parameters, recipe {recipe}" in titles(both)
        assert f"Tests, recipe {recipe}" in titles(both)
    texts = {s.title: paragraphs(s) for s in both.sections}
    assert "at the identity" in texts["Temporal parameters, recipe paper"]
    assert "Recipe *fast*" in texts["Temporal parameters, recipe fast"]


def test_the_summary_tells_recipes_apart(study: Study) -> None:
    document = build_document(**with_fast(study))
    opening = [b.text for b in document.summary if isinstance(b, Paragraph)]
    paper, fast = (next(t for t in opening if f"**Recipe {n}.**" in t) for n in ("paper", "fast"))
    # all of its cells lie below the floor, and the other's do not
    assert "no larger than the floor" in fast
    assert " all " in fast.split("would leave in")[1]
    assert fast.split("would leave in")[1] != paper.split("would leave in")[1]


def test_runs_of_two_recipes_are_two_variants(study: Study) -> None:
    """Counted on the first page and among the limits; a control is one of its own recipe."""
    runs, both = study["runs"], with_fast(study)
    (each,) = {len(g) for _, g in runs.groupby(["network", "dataset", "init", "convolution"])}
    opening = [b.text for b in build_document(**both).summary if isinstance(b, Paragraph)]
    assert f"; {each} per variant)" in opening[0]
    chosen = both["runs"].query("recipe == 'fast'")
    controls = chosen.assign(control="static", run_id=chosen["run_id"] + "-static")
    document = build_document(
        **both | {"runs": pd.concat([both["runs"], controls], ignore_index=True)}
    )
    limits = next(s for s in document.sections if s.title == "What cannot be concluded")
    said = " ".join(" ".join(getattr(b, "items", ())) for b in limits.blocks)
    cells = len(chosen.groupby(["network", "dataset", "init"]))
    assert f"{cells} of {2 * cells} combinations of network, dataset, start and recipe" in said


def test_how_a_recipe_trains_is_told_from_the_configuration(study: Study) -> None:
    base = {k: study[k] for k in ("runs", "config")}
    empty = {name: pd.DataFrame() for name in ("metrics", "accuracy", "displacement", "tests")} | {
        "figures": {},
        "captions": {},
        "provenance": {},
    }
    paper = Inputs(**base, **empty)
    assert "as the paper did" in trained(paper)
    fast = Inputs(
        runs=study["runs"].assign(recipe="fast"),
        config={"recipes": {"fast": {"rate_factor": 30.0, "spread": 0.0}}},
        **empty,
    )
    assert "30 times" in trained(fast)
    assert "noise" not in trained(fast)
    spread = {"scale": 0.1, "rotate": 0.0, "translate": 0.2}
    config = {"recipes": {"fast": {"rate_factor": 1.0, "spread": spread}}}
    noisy = Inputs(runs=study["runs"].assign(recipe="fast"), config=config, **empty)
    assert "SD 0.1 (scale), 0 (rotate), 0.2 (translate)" in trained(noisy)
