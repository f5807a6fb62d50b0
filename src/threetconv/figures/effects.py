"""Forest plot of the tests: a ratio of mean displacements with its interval for every contrast.

A band of panels for every family, a panel for every parameter, a line for every contrast and
stratum: the test over all blocks first, single blocks below it. Both checkpoints share a line.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from threetconv.figures import theme
from threetconv.figures.scales import ratio_axis
from threetconv.figures.theme import INITS, INK, MUTED, PAPER, SYMBOLS, plain

__all__ = ["effects"]

# Intervals are cut at this ratio (and its inverse); one that spans many decades says only
# "unknown" and would squeeze all others.
BOUND = 100.0
FAMILIES = {
    "dataset": "dataset",
    "init": "init",
    "dataset x init": "dataset \N{MULTIPLICATION SIGN} init (a ratio of ratios)",
    "controls": "real runs / negative controls",
}
LOOKS: dict[str, tuple[str, str]] = {"matched": ("o", INITS[0]), "best": ("s", INITS[3])}
"""Checkpoint -> marker and colour; others take the last look."""
NAMES = {"matched": "matched noise budgets", "best": "best checkpoint"}
LINE = 0.17
"""Inches a line takes."""
MOST = 48
"""With more lines than this, families are shortened to their tests over all blocks."""


class Line(NamedTuple):
    """One line of a family: its label, whether it stands out, and the tests on it."""

    label: str
    bold: bool
    rows: pd.DataFrame


def effects(tests: pd.DataFrame) -> Figure:
    """Ratios with their intervals by family, stratum and parameter; untestable ones are hollow.

    Args:
        tests: family, contrast, stratum, parameter, estimate (a ratio, 1 = no effect), ci_low,
            ci_high, status ("ok", "untestable", "degenerate", ...); `checkpoint` and `scope` where
            there are any (tests of single layers are left out); other columns are ignored.
            Rows without a finite positive estimate get their status in words and no mark.
    """
    table = tests
    if "scope" in table:
        # Tests of single layers are drawn in the depth profiles.
        table = theme.where(table, scope="model")
    if table.empty:
        return theme.empty("No contrast could be formed from this study.")
    table = table.copy()
    for name, default in (("family", ""), ("contrast", ""), ("stratum", ""), ("checkpoint", "")):
        table[name] = table[name].astype(str) if name in table else default
    parameters = theme.present(SYMBOLS, table["parameter"])
    families = {f: lines(table[table["family"] == f]) for f in in_order(table["family"])}
    # A figure of more lines would not fit on a page of the report.
    shortened = sum(map(len, families.values())) > MOST
    if shortened:
        families = {f: overall(entries) for f, entries in families.items()}
    checkpoints = in_order(table["checkpoint"])
    span = limits(table)
    counts = [len(entry) for entry in families.values()]
    height = 0.85 + LINE * sum(counts) + 0.33 * len(counts)
    with theme.style():
        figure = theme.new_figure(7.4, height)
        grid = figure.subplots(
            len(families), len(parameters), squeeze=False, sharex=True, height_ratios=counts
        )
        for band, (family, entries) in zip(grid, families.items(), strict=True):
            name_lines(band[0], entries)
            name_band(band[0], title(family, table) + shortened * " (single blocks: see tables)")
            for axes, parameter in zip(band, parameters, strict=True):
                frame(axes, len(entries), span)
                draw(axes, entries, parameter, checkpoints)
            for axes in band[1:]:
                axes.set_yticks(range(len(entries)), [])
        for axes, parameter in zip(grid[-1], parameters, strict=True):
            axes.set_xlabel(f"{SYMBOLS[parameter]}, ratio")
        figure.legend(handles=legend(checkpoints), loc="outside upper right", ncols=4, fontsize=7.5)
    return figure


def in_order(values: pd.Series) -> list[str]:
    """Families or checkpoints in the order of `FAMILIES` and `LOOKS`, unknown ones last."""
    known = [*FAMILIES, *LOOKS]
    return sorted(set(values), key=lambda v: (known.index(v) if v in known else 99, v))


def title(family: str, table: pd.DataFrame) -> str:
    """The family's question and, where there is one contrast only, that contrast."""
    contrasts = table.loc[table["family"] == family, "contrast"].unique()
    name = FAMILIES.get(family, family)
    return f"{name}: {contrasts[0]}" if len(contrasts) == 1 else name


def lines(table: pd.DataFrame) -> list[Line]:
    """The lines of a family by contrast, the blocked test first; several contrasts are named."""
    out: list[Line] = []
    contrasts = list(table.groupby("contrast", sort=False))
    for contrast, rows in contrasts:
        several = len(contrasts) > 1
        strata = list(rows.groupby("stratum", sort=False))
        if len(strata) == 2 and any(stratum == "all" for stratum, _ in strata):
            strata = [entry for entry in strata if entry[0] == "all"]  # one block says no more
        for stratum, group in sorted(strata, key=lambda entry: entry[0] != "all"):
            overall = stratum in {"all", "", "nan"}
            if overall and several:
                label = str(contrast)
            else:
                label = "all blocks" if overall else f"in {stratum}"
            out.append(Line(label, overall, group))
        if several and not any(stratum == "all" for stratum, _ in strata):
            # Without a test over all blocks nothing names the contrast; an empty line becomes its
            # heading.
            out.insert(len(out) - len(strata), Line(str(contrast), True, rows.head(0)))
    return out


def overall(entries: list[Line]) -> list[Line]:
    """The tests over all blocks, or every line of a family that has none."""
    return [entry for entry in entries if entry.bold and len(entry.rows)] or entries


def name_band(axes: Axes, text: str) -> None:
    """A heading over a band of panels that may run on beyond its first panel."""
    # A blank title reserves the height; the heading itself is kept out of the layout, because a
    # long one would shrink its panel.
    axes.set_title(" ", loc="left")
    heading = axes.annotate(
        plain(text),
        xy=(0, 1),
        xycoords="axes fraction",
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=9,
        fontweight="bold",
        annotation_clip=False,
    )
    heading.set_in_layout(False)


def name_lines(axes: Axes, entries: list[Line]) -> None:
    """Labels of the lines at the left of a band."""
    axes.set_yticks(range(len(entries)), [plain(entry.label) for entry in entries])
    for tick, entry in zip(axes.get_yticklabels(), entries, strict=True):
        tick.set_fontweight("bold" if entry.bold else "normal")
        tick.set_fontsize(7)


def frame(axes: Axes, count: int, span: tuple[float, float]) -> None:
    """Shared axes of a panel and the line of no difference."""
    ratio_axis(axes, "x", span, most=4)
    axes.axvline(1, color=INK, lw=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(count - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def limits(table: pd.DataFrame) -> tuple[float, float]:
    """Log-symmetric limits that hold all estimates and, within reason, their intervals."""
    estimate = theme.finite(table["estimate"])
    ends = np.concatenate([theme.finite(table[name]) for name in ("ci_low", "ci_high")])
    # Symmetric in the log: a ratio of 1/2 is as far from 1 as a ratio of 2.
    logs = np.abs(np.log(np.concatenate([estimate[estimate > 0], ends[ends > 0]])))
    marks = np.abs(np.log(estimate[estimate > 0]))
    reach = min(float(logs.max(initial=math.log(2))), math.log(BOUND))
    # Intervals may be cut, estimates may not.
    reach = max(reach, float(marks.max(initial=0.0))) * 1.12
    return math.exp(-reach), math.exp(reach)


def draw(axes: Axes, entries: list[Line], parameter: str, checkpoints: list[str]) -> None:
    """All marks of one parameter in one family."""
    step = 0.34 / max(len(checkpoints) - 1, 1)
    for line, entry in enumerate(entries):
        for _, row in theme.where(entry.rows, parameter=parameter).iterrows():
            # The checkpoints of one test are drawn slightly above and below its line.
            place = checkpoints.index(str(row["checkpoint"]))
            draw_row(axes, line + step * (place - (len(checkpoints) - 1) / 2), row)


def look(checkpoint: str) -> tuple[str, str]:
    """Marker and colour of a checkpoint."""
    return LOOKS.get(checkpoint, ("o", INITS[0]))


def draw_row(axes: Axes, height: float, row: pd.Series) -> None:
    """Interval and mark of one test."""
    estimate, low, high = (float(row[name]) for name in ("estimate", "ci_low", "ci_high"))
    status = str(row["status"])
    if not (math.isfinite(estimate) and estimate > 0):
        axes.annotate(
            plain(status),
            xy=(1, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=5.5,
            color=MUTED,
            style="italic",
        )
        return
    marker, colour = look(str(row["checkpoint"]))
    tested = status == "ok"
    # An untestable contrast can still have an interval; it is drawn pale, as a description.
    if math.isfinite(low) and math.isfinite(high) and low > 0:
        axes.plot([low, high], [height, height], color=colour, lw=1.1, alpha=1 if tested else 0.55)
    axes.plot(
        [estimate],
        [height],
        marker=marker,
        ms=4.2 if marker == "o" else 3.6,
        mew=0.9,
        color=colour,
        mfc=colour if tested else PAPER,
    )


def legend(checkpoints: list[str]) -> list[Line2D]:
    """Checkpoints; filled: tested; hollow: untestable."""
    handles = []
    for checkpoint in checkpoints:
        marker, colour = look(checkpoint)
        if len(checkpoints) > 1:
            label = NAMES.get(checkpoint, plain(checkpoint))
            handles.append(Line2D([], [], color=colour, marker=marker, ms=4.5, lw=1.1, label=label))
    common: dict[str, Any] = {"color": MUTED if handles else INITS[0], "marker": "o", "ms": 4.5}
    return [
        *handles,
        Line2D([], [], lw=0, label="tested", **common),
        Line2D([], [], lw=0, mfc=PAPER, mew=0.9, label="untestable", **common),
    ]
