"""How much of a 3D filter is a moving 2D filter?"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import ListBlock, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs
from threetconv.report.sections.truth import Line, percent, percents, spread, two, verdict
from threetconv.report.tables import P_VALUES, Shown, make_table, not_ok, numbers, words
from threetconv.report.wording import plural

__all__ = ["section"]


def section(inputs: Inputs) -> list[Section]:
    """Share and cosine over runs; nothing in studies that did not fit 3D filters."""
    cells = inputs.ruler_cells
    if cells.empty:
        return []
    real = cells[(cells["control"] == "none") & (cells["scope"] == "first")]
    said = [explained(main(real, "share"), inputs.alpha), moves(main(real, "cosine"), inputs.alpha)]
    return [
        Section(
            "How much of a 3D filter is a moving 2D filter?",
            [
                Paragraph(
                    "To each filter of a 3D network's first layer that has extent in space and "
                    "time the nearest 3T filter was fitted: one 2D filter, moved from slice to "
                    "slice. Its **share** is that of the filter's change over time which it "
                    "explains, since the mean slice is a 3T filter already. Twins whose change "
                    "has lost its pattern tell what a fit explains by chance. The **cosine** "
                    "compares the path of the fit with the direction that the channel prefers in "
                    "drifting gratings, weighted by the length of both; channels that exchange "
                    "their tuning tell what chance gives. Shares are lower bounds, since a better "
                    "fit may have been missed."
                ),
                ListBlock([text for text in said if text]),
                *inputs.figure(
                    "ruler",
                    label="Figure Z",
                    caption="Left: share of the change over time of 3D filters that the nearest "
                    "3T filters explain, mean over the channels of the first layer. Right: cosine "
                    "of the fitted path and the preferred direction. A dot for each run, and "
                    "beside it what chance gives of the same run.",
                    alt="Two panels of dots by network, data set and start, each joined to a dash "
                    "for its chance. The means are in Table Z.",
                ),
                table(cells),
            ],
        )
    ]


def main(lines: pd.DataFrame, measure: str) -> Line | None:
    """The line over all cells, or the one cell that there is."""
    of = lines[lines["measure"] == measure]
    pooled = of[of["network"] == "all"]
    chosen = pooled if len(pooled) else of
    line = chosen.iloc[0].to_dict() if len(chosen) else None
    return line if line and math.isfinite(float(line["estimate"])) else None


def explained(line: Line | None, alpha: float) -> str:
    """The share, what chance gives, and the verdict."""
    if line is None:
        return "No run has 3D filters that change over time."
    beyond = verdict(line, alpha, "3D filters are nearer to 3T filters than their twins are")
    return (
        f"The nearest 3T filters explain **{percent(line['mean'])}** of the change over time "
        f"over {plural(int(line['n_runs']), 'run')}, and {percent(line['chance'])} of that of "
        f"twins; the difference is {percent(line['estimate'])}{percents(line)}: {beyond}."
    )


def moves(line: Line | None, alpha: float) -> str:
    """The cosine, what chance gives, and the verdict."""
    if line is None:
        return ""
    along = verdict(line, alpha, "what moves in the fit is what the channel answers to")
    return (
        f"Path and preferred direction have a cosine of **{two(line['mean'])}** over "
        f"{plural(int(line['n_runs']), 'run')}, with exchanged channels {two(line['chance'])}; "
        f"the difference is {two(line['estimate'])}{spread(line)}: {along}."
    )


def table(cells: pd.DataFrame) -> Table:
    """Every cell and layer."""

    def mean(head: str, name: str) -> Shown:
        return numbers(head, name, ".2f")

    def place(line: Any) -> str:
        return escape(line["layer"]) if line["layer"] else "first"

    return make_table(
        cells,
        [
            words("measure"),
            words("network"),
            words("dataset"),
            words("start", "init"),
            words("control"),
            words("layer", place),
            numbers("runs", "n_runs", formats.count),
            mean("fit", "mean"),
            mean("by chance", "chance"),
            mean("beyond", "estimate"),
            numbers("95 % interval", ("ci_low", "ci_high"), formats.interval),
            *P_VALUES,
            words("status"),
        ],
        "3D filters and the nearest 3T filters: of the cells, and over them together (each cell a "
        "block).",
        label="Table Z",
        group_by=1,
        muted=not_ok,
        sortable=True,
        note="Intervals are of the difference from chance; those of both are in "
        "ruler_cells.parquet. In layers behind the first no direction is compared.",
        wide=True,
    )
