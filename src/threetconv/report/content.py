"""From tables, figures and configuration to the document of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.report.document import (
    Block,
    Details,
    Document,
    Figure,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import Inputs
from threetconv.report.sections import (
    accuracy,
    calibration,
    controls,
    data,
    design,
    explanations,
    layers,
    limits,
    need,
    order_leak,
    plan,
    planted,
    provenance,
    querying,
    ruler,
    summary,
    temporal,
    tests,
    truth,
)

__all__ = ["build_document"]


def build_document(
    *,
    runs: pd.DataFrame,
    config: Mapping[str, Any],
    metrics: pd.DataFrame | None = None,
    accuracy_table: pd.DataFrame | None = None,
    accuracy_tests: pd.DataFrame | None = None,
    displacement_table: pd.DataFrame | None = None,
    tests_table: pd.DataFrame | None = None,
    control_accuracy: pd.DataFrame | None = None,
    layer_profile: pd.DataFrame | None = None,
    sensitivity: pd.DataFrame | None = None,
    distances: pd.DataFrame | None = None,
    bootstrap: pd.DataFrame | None = None,
    calibration: pd.DataFrame | None = None,
    power: pd.DataFrame | None = None,
    planted_table: pd.DataFrame | None = None,
    planted_layers: pd.DataFrame | None = None,
    planted_tuning: pd.DataFrame | None = None,
    planted_where: pd.DataFrame | None = None,
    alignment: pd.DataFrame | None = None,
    agreement: pd.DataFrame | None = None,
    reproducibility: pd.DataFrame | None = None,
    prediction: pd.DataFrame | None = None,
    endpoints: pd.DataFrame | None = None,
    order_leak: pd.DataFrame | None = None,
    need_cells: pd.DataFrame | None = None,
    need_classes: pd.DataFrame | None = None,
    need_tests: pd.DataFrame | None = None,
    ruler_cells: pd.DataFrame | None = None,
    channels: pd.DataFrame | None = None,
    faithfulness: pd.DataFrame | None = None,
    chosen_channels: pd.DataFrame | None = None,
    sanity: pd.DataFrame | None = None,
    figures: Mapping[str, str | Path] | None = None,
    captions: Mapping[str, str] | None = None,
    plan: Mapping[str, Any] | None = None,
    provenance_facts: Mapping[str, str] | None = None,
) -> Document:
    """The report of a study.

    Args:
        runs: the runs table, one line per training run.
        config: the complete configuration of the study, as plain types.
        metrics: run_id, step, epoch, split, metric, value, n.
        accuracy_table: from `threetconv.statistics.summaries.accuracy.accuracy_table` (Tables 1 and
            3).
        accuracy_tests: from `threetconv.statistics.tests.accuracy.accuracy_tests`.
        displacement_table: from `threetconv.statistics.summaries.displacement.displacement_table`
            (Tables 2 and 4).
        tests_table: from `threetconv.statistics.tests.contrasts.run_tests`; a column `sentence`
            (`threetconv.statistics.tests.sentences`) is printed where it is there. Lines of scope
            "layer" and of the family "controls" go into sections of their own.
        control_accuracy: lines of `threetconv.statistics.summaries.accuracy.accuracy_table` for
            negative controls.
        layer_profile: displacement by network, dataset, start, layer and parameter.
        sensitivity: the tests with other outcomes, mixed models, equivalence and energy tests:
            `outcome` and the columns of the tests table.
        distances: distances between rows of two groups.
        bootstrap: hierarchical bootstrap intervals.
        calibration: type I error, coverage and power of every test in simulated studies.
        power: from `threetconv.statistics.calibration.own_study.study_power`.
        planted_table, planted_layers: ratios of planted motions to floor and controls
            (`threetconv.statistics.planted.recovery`), by motion and parameter (whole network, and
            first layer), and by layer.
        planted_tuning: the same of what channels answer to (`threetconv.statistics.planted.tuned`).
        planted_where: where a planted motion is lost (`threetconv.statistics.planted.where`).
        order_leak: from `threetconv.networks.order_leak.leak_table`.
        need_cells, need_classes, need_tests: from `threetconv.statistics.truth.need`.
        ruler_cells: from `threetconv.statistics.truth.ruler`.
        alignment: correlation of a channel's preferred direction with its parameters.
        agreement, reproducibility, prediction, endpoints: from `threetconv.statistics.truth`; what
            the first page says of an endpoint is its line of `endpoints`.
        channels, faithfulness, chosen_channels, sanity: of all explained runs, one table below
            another; columns as `threetconv.report.sections.explanations.section` has them.
        figures: name -> SVG or PNG file. Known names: `clips_<dataset>`, `accuracy`,
            `distributions_<init>`, `histograms_<init>`, `controls`, `effects`,
            `profile_<network>`, `planted`, `alignment`, `agreement`, `reproducibility`,
            `prediction`, `calibration`, `need`, `ruler`,
            `explained_gallery`, `explained_<network>_<dataset>`, `class_drops_<network>_<dataset>`;
            others go into a section of their own. Figures of one recipe are called
            `<recipe>/<name>`.
        captions: name -> plain text added to a figure's caption (the labels of the clips, say).
        plan: the analysis plan (`threetconv.statistics.analysis_plan.read_plan`).
        provenance_facts: name -> value, printed under Provenance (git commit, versions, machine).

    Returns:
        A document for `render_html` and `render_pdf`. Missing parts are named in the text.
    """
    inputs = Inputs(
        runs=runs,
        metrics=filled(metrics),
        accuracy=filled(accuracy_table),
        accuracy_tests=filled(accuracy_tests),
        displacement=filled(displacement_table),
        tests=filled(tests_table),
        control_accuracy=filled(control_accuracy),
        layer_profile=filled(layer_profile),
        sensitivity=filled(sensitivity),
        distances=filled(distances),
        bootstrap=filled(bootstrap),
        calibration=filled(calibration),
        power=filled(power),
        planted=at_layer(planted_table, whole=True),
        planted_first=at_layer(planted_table, whole=False),
        planted_layers=filled(planted_layers),
        planted_tuning=at_layer(planted_tuning, whole=True),
        planted_tuning_first=at_layer(planted_tuning, whole=False),
        planted_where=filled(planted_where),
        alignment=filled(alignment),
        agreement=filled(agreement),
        reproducibility=filled(reproducibility),
        prediction=filled(prediction),
        endpoints=filled(endpoints),
        order_leak=filled(order_leak),
        need_cells=filled(need_cells),
        need_classes=filled(need_classes),
        need_tests=filled(need_tests),
        ruler_cells=filled(ruler_cells),
        # A study's figures arrive as paths in text, from the workflow's parameters.
        figures={name: Path(path) for name, path in (figures or {}).items()},
        captions=dict(captions or {}),
        plan=dict(plan or {}),
        config=config,
        provenance=dict(provenance_facts or {}),
    )
    explained = {
        "channels": channels,
        "faithfulness": faithfulness,
        "chosen": chosen_channels,
        "sanity": sanity,
    }
    study = str(inputs.setting("study", "study"))
    return Document(
        title=str(inputs.setting("title", "What video networks learn about motion")),
        subtitle=f"Study \N{LEFT DOUBLE QUOTATION MARK}{study}\N{RIGHT DOUBLE QUOTATION MARK}",
        summary=summary.blocks(inputs),
        sections=in_order_of_reading(inputs, explained),
        keywords=("3TConv", "temporal parameters", study),
    )


def in_order_of_reading(
    inputs: Inputs, explained: Mapping[str, pd.DataFrame | None]
) -> list[Section]:
    """What was run and seen first, results next, then limits and provenance."""
    return [
        design.section(inputs),
        *plan.section(inputs),
        data.section(inputs),
        accuracy.section(inputs),
        *order_leak.section(inputs),
        *need.section(inputs),
        *ruler.section(inputs),
        *by_recipe(inputs),
        explanations.section(inputs, **explained),
        *calibration.section(inputs),
        limits.section(inputs, faithfulness=filled(explained["faithfulness"])),
        querying.section(inputs),
        *further_figures(inputs),
        provenance.section(inputs),
    ]


def by_recipe(inputs: Inputs) -> list[Section]:
    """What the temporal parameters say, for each way in which they were trained."""
    names = inputs.recipes or ["paper"]
    sections = []
    for name in names:
        of = inputs.of_recipe(name)
        made = [
            temporal.section(of),
            controls.section(of),
            tests.section(of),
            *layers.section(of),
            *truth.section(of),
            *planted.section(of),
        ]
        sections += made if len(names) == 1 else [with_suffix(s, f"recipe {name}") for s in made]
    return sections


def with_suffix(section: Section, suffix: str) -> Section:
    """A section whose title, tables and figures say what they are of."""

    def named(block: Block) -> Block:
        if isinstance(block, Details):
            return replace(block, blocks=[named(inner) for inner in block.blocks])
        if isinstance(block, Figure | Table) and block.label:
            return replace(block, label=f"{block.label} ({suffix})")
        return block

    return replace(
        section,
        title=f"{section.title}, {suffix}",
        blocks=[named(block) for block in section.blocks],
        sections=[with_suffix(below, suffix) for below in section.sections],
    )


def filled(table: pd.DataFrame | None) -> pd.DataFrame:
    """The table with lines numbered afresh, or an empty one."""
    return pd.DataFrame() if table is None else table.reset_index(drop=True)


def at_layer(planted: pd.DataFrame | None, *, whole: bool) -> pd.DataFrame:
    """Lines of a table of planted motions: the whole network's, or its first layer's."""
    table = filled(planted)
    if "layer_index" not in table:
        return table if whole else pd.DataFrame()
    # A negative index stands for the whole network.
    return filled(table[(table["layer_index"] < 0) == whole])


def further_figures(inputs: Inputs) -> list[Section]:
    """Figures whose names the report does not know, so that none is lost."""
    # The names that sections ask for. One that is missing here would be drawn twice.
    known = {"accuracy", "effects", "controls", "calibration", "planted", "alignment", "need"}
    known |= {"explained_gallery", "agreement", "reproducibility", "prediction", "ruler"}
    for network in inputs.distinct("network"):
        known |= {f"explained_{network}_{name}" for name in inputs.datasets}
        known |= {f"class_drops_{network}_{name}" for name in inputs.datasets}
    known |= {f"profile_{name}" for name in inputs.distinct("network")}
    known |= {f"clips_{name}" for name in inputs.datasets}
    for init in inputs.distinct("init"):
        known |= {f"distributions_{init}", f"histograms_{init}"}
    others = [name for name in inputs.figures if name.rpartition("/")[2] not in known]
    if not others:
        return []
    blocks = [
        Figure(inputs.figures[name], escape(inputs.captions.get(name, name)), name)
        for name in others
    ]
    return [Section("Further figures", blocks)]
