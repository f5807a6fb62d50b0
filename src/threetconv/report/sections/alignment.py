"""Direction: do channels move content in the direction they prefer, where motion was planted?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Cell, ListBlock, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import P_VALUES, make_table, not_ok, numbers, words
from threetconv.support.levels import passes

__all__ = ["sections"]

SCOPES = {"first": "first layer", "model": "all layers"}


def sections(inputs: Inputs) -> list[Section]:
    """Correlation of preference and displacement; nothing where none was computed."""
    table = inputs.alignment
    if table.empty:
        return []
    order = {name: i for i, name in enumerate(SCOPES)}
    model = table[table["scope"].astype(str).isin(list(SCOPES))]
    model = model.sort_values("scope", key=lambda c: c.astype(str).map(order), kind="stable")
    blocks: list[Block] = [
        Paragraph(
            "A channel that answers more to *right* than to *left* should have filters whose "
            "content moves right over time. For every run the preference of its channels was "
            "correlated (Spearman, within layers) with their signed displacement; the run is the "
            "unit of interval and test. A correlation near zero says that the parameters do not "
            "tell which way a channel is tuned. In the first layer a transform is a motion in the "
            "clip; deeper layers move maps of features."
        ),
        ListBlock(aligned(model, inputs.alpha)),
        *inputs.figure(
            "alignment",
            label="Figure H",
            caption="Correlation over channels between the preferred direction and the signed "
            "parameter: mean over runs with 95 % interval, by kind of clips.",
            alt="Dot plot of correlations with intervals for each direction, real runs and "
            "controls. The values are in the table below.",
        ),
        correlations(model),
    ]
    return [Section("Which way do channels point?", blocks)]


def aligned(table: pd.DataFrame, alpha: float) -> list[str]:
    """A point for every axis of the real runs."""
    points = []
    real = table[table["control"].astype(str) == "none"]
    several = [name for name in ("network", "init") if len(set(real[name])) > 1]
    for _, line in real.iterrows():
        interval = signed_interval(line.to_dict()).text
        value = formats.number(line["correlation"], ".2f").text
        # A family of one test has no adjusted p.
        p = line["p_adjusted"] if pd.notna(line["p_adjusted"]) else line["p_raw"]
        if line["status"] != "ok":
            verdict = f"{line['status']}: {escape(line['reason'])}"
        # A significant negative correlation is no alignment.
        elif passes(float(p), alpha) and float(line["correlation"]) > 0:
            verdict = f"channels point the way they prefer (one-sided p = {formats.p_prose(p)})"
        else:
            verdict = f"no alignment was shown (one-sided p = {formats.p_prose(p)})"
        # Unlike the table below, the list has real runs only.
        cell = "".join(f", {escape(line[name])}" for name in several)
        points.append(
            f"{axis(line)} in *{escape(line['dataset'])}*{cell}, {SCOPES[str(line['scope'])]}: "
            f"{value} {interval}, {verdict}."
        )
    return points


def axis(line: pd.Series) -> str:
    """right - left with px."""
    name = escape(str(line["axis"]).replace(" - ", " \N{MINUS SIGN} "))
    parameter = str(line.get("parameter", ""))
    return f"**{name}** with *{escape(parameter)}*" if parameter else f"**{name}**"


def correlations(table: pd.DataFrame) -> Table:
    """All correlations of first layers and of whole models."""
    # Keys with one value per direction would repeat it on every line.
    several = [k for k in ("network", "init", "dataset") if told_apart(table, k)]
    columns = [
        words("layers", lambda line: SCOPES[line["scope"]].partition(" layer")[0]),
        *(words(key) for key in several),
        words("direction", "axis"),
        words("", lambda line: line.get("parameter", "")),
        words("clips", lambda line: "real" if line["control"] == "none" else line["control"]),
        numbers("correlation", "correlation", ".3f"),
        numbers("95 % interval", signed_interval),
        *P_VALUES,
        words("status"),
    ]
    return make_table(
        table,
        columns,
        "Alignment of preference and displacement, mean over runs: first layer, all layers.",
        label="Table N",
        group_by=len(several) + 3,
        muted=not_ok,
        note=f"Runs: {formats.count_range(table['n_runs'])}.",
        wide=True,
    )


def told_apart(table: pd.DataFrame, key: str) -> bool:
    """Whether one direction has lines of several values of `key`."""
    pairs = table[["axis", key]].astype(str).drop_duplicates()
    return bool(pairs["axis"].duplicated().any())


def signed_interval(line: pd.Series | Mapping[Any, Any]) -> Cell:
    """[-0.12, 0.30] with two decimals."""
    low, high = (formats.number(line[name], ".2f") for name in ("ci_low", "ci_high"))
    if formats.DASH in (low.text, high.text):
        return Cell(formats.DASH)
    return Cell(f"[{low.text}, {high.text}]", low.sort)
