"""From tables, figures and configuration to the document of a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.report.document import Document, Figure, Section, escape
from threetconv.report.inputs import Inputs
from threetconv.report.sections import (
    accuracy,
    data,
    design,
    limits,
    provenance,
    querying,
    summary,
    temporal,
    tests,
)

__all__ = ["build_document"]


def build_document(
    *,
    runs: pd.DataFrame,
    config: Mapping[str, Any],
    metrics: pd.DataFrame | None = None,
    accuracy_table: pd.DataFrame | None = None,
    displacement_table: pd.DataFrame | None = None,
    tests_table: pd.DataFrame | None = None,
    figures: Mapping[str, str | Path] | None = None,
    captions: Mapping[str, str] | None = None,
    provenance_facts: Mapping[str, str] | None = None,
) -> Document:
    """The report of a study.

    Args:
        runs: the runs table, one line per training run.
        config: the complete configuration of the study, as plain types.
        metrics: run_id, step, epoch, split, metric, value, n.
        accuracy_table: from `threetconv.statistics.accuracy_table` (Tables 1 and 3).
        displacement_table: from `threetconv.statistics.displacement_table` (Tables 2 and 4).
        tests_table: from `threetconv.statistics.run_tests`; a column `sentence`
            (`threetconv.statistics.sentences`) is printed where it is there.
        figures: name -> SVG or PNG file. Known names: `clips_<dataset>`, `accuracy`,
            `distributions_<init>`, `histograms_<init>`, `effects`; others go into a
            section of their own.
        captions: name -> plain text added to a figure's caption (the labels of the clips, say).
        provenance_facts: name -> value, printed under Provenance (git commit, versions, machine).

    Returns:
        A document that `render_html` and `render_pdf` write. What a study lacks is said in words.
    """
    inputs = Inputs(
        runs=runs,
        metrics=filled(metrics),
        accuracy=filled(accuracy_table),
        displacement=filled(displacement_table),
        tests=filled(tests_table),
        figures={name: Path(path) for name, path in (figures or {}).items()},
        captions=dict(captions or {}),
        config=config,
        provenance=dict(provenance_facts or {}),
    )
    sections = [
        design.section(inputs),
        data.section(inputs),
        accuracy.section(inputs),
        temporal.section(inputs),
        tests.section(inputs),
        limits.section(inputs),
        querying.section(inputs),
        *further_figures(inputs),
        provenance.section(inputs),
    ]
    study = str(inputs.setting("study", "study"))
    return Document(
        title=str(inputs.setting("title", "What video networks learn about motion")),
        subtitle=f"Study \N{LEFT DOUBLE QUOTATION MARK}{study}\N{RIGHT DOUBLE QUOTATION MARK}",
        summary=summary.blocks(inputs),
        sections=sections,
        keywords=("3TConv", "temporal parameters", study),
    )


def filled(table: pd.DataFrame | None) -> pd.DataFrame:
    """The table, or an empty one."""
    return pd.DataFrame() if table is None else table


def further_figures(inputs: Inputs) -> list[Section]:
    """Figures whose names the report does not know, so that none is lost."""
    known = {"accuracy", "effects"}
    known |= {f"clips_{name}" for name in inputs.datasets}
    for init in inputs.distinct("init"):
        known |= {f"distributions_{init}", f"histograms_{init}"}
    others = [name for name in inputs.figures if name not in known]
    if not others:
        return []
    blocks = [
        Figure(inputs.figures[name], escape(inputs.captions.get(name, name)), name)
        for name in others
    ]
    return [Section("Further figures", blocks)]
