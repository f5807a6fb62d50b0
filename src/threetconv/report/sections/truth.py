"""Do the parameters tell the truth? What channels answer to, and what other runs learn again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, ListBlock, Paragraph, Section, escape
from threetconv.report.inputs import Inputs
from threetconv.report.sections import endpoints
from threetconv.report.tables import P_VALUES, make_table, not_ok, numbers, words
from threetconv.report.wording import join_words, plural
from threetconv.schemas.truth import INDEX_OF
from threetconv.support.levels import passes

__all__ = ["section"]

TRAINED = {
    "label-shuffled": "trained on shuffled labels",
    "static": "trained on one frame repeated",
}
"""Control -> what its runs are."""
WHERE = {"first": "in the first layer", "model": "over all layers, by own contribution,"}
Line = Mapping[Any, Any]


def section(inputs: Inputs) -> list[Section]:
    """The primary endpoints, and below a section for each question that there is a table for."""
    first = endpoints.blocks(inputs)
    below = [*agreement(inputs), *reproducibility(inputs), *prediction(inputs)]
    if not first and not below:
        return []
    if (inputs.measured["init"] == "pretrained").any():
        text = (
            "Pretrained runs of a network share one set of 2D weights: what is found of them is "
            "found of these weights."
        )
        first = [Paragraph(text), *first]
    return [Section("Do the parameters tell the truth?", first, below)]


def best_epochs(inputs: Inputs, lines: pd.DataFrame) -> list[Block]:
    """The caveat of comparisons with controls at the best checkpoint, where there are any."""
    compared = (lines["against"] != "zero").any()
    text = endpoints.at_best(inputs) if compared else ""
    return [Paragraph(text)] if text else []


def agreement(inputs: Inputs) -> list[Section]:
    """Do channels answer to the motion that their parameters describe?"""
    table = inputs.agreement
    if table.empty:
        return []
    contrasts = table[(table["parameter"] == "diagonal") & (table["scope"] != "layer")]
    real = contrasts[contrasts["control"] == "none"]
    said = [agrees(main(real[real["scope"] == scope], "zero"), inputs.alpha) for scope in WHERE]
    said += [beside(main(real, control), inputs.alpha) for control in TRAINED]
    return [
        Section(
            "Do channels answer to the motion that their parameters describe?",
            [
                Paragraph(
                    "Each channel was shown gratings that drift and textures that turn and grow. "
                    "What it answers to was correlated (Spearman, over channels, run by run) with "
                    "what its filter does from the first slice to the last. If parameters tell "
                    "what a channel answers to, growth goes with *s*, turning with *r*, right "
                    "with *px* and up with *py*: the diagonal is positive and beyond the rest. "
                    "The **contrast** of a run is the mean of the diagonal less the mean size of "
                    "the other twelve correlations; channels that exchange their tuning make it "
                    "negative."
                ),
                ListBlock([text for text in said if text]),
                *best_epochs(inputs, real),
                *inputs.figure(
                    "agreement",
                    label="Figure V",
                    caption="Left: mean correlation of parameter (rows) and tuning (columns) over "
                    "the real runs; framed: the pairs that should agree. Right: the contrast of "
                    "each run, the 95 % interval of the mean of a line's real runs, and the range "
                    "that this mean has in 95 % of cases if channels exchange their tuning (grey: "
                    "of the mean, and not of the single runs, which vary more).",
                    alt="Two heat maps of correlations between parameters and tuning, and beside "
                    "them the contrast of each run. The values are in the table below.",
                ),
                cells(contrasts),
            ],
        )
    ]


def in_brief(inputs: Inputs) -> str:
    """How far first-layer channels answer to what their parameters describe, for the first page."""
    table = inputs.agreement
    if table.empty:
        return ""
    real = table[(table["scope"] == "first") & (table["control"] == "none")]
    contrasts = real[real["parameter"] == "diagonal"]
    line = main(contrasts, "zero")
    if line is None or not math.isfinite(float(line["estimate"])):
        return ""
    pairs = {
        name: main(real[(real["parameter"] == name) & (real["index"] == index)], "zero")
        for name, index in INDEX_OF.items()
    }
    each = [f"*{name}* {two(pair['estimate'])}" for name, pair in pairs.items() if pair]
    return (
        "Mean correlations of first-layer parameters with the measured answers that they describe: "
        f"{join_words(each)}. {endpoints.in_brief(inputs, 'tuning agreement')}"
    )


def main(lines: pd.DataFrame, against: str) -> Line | None:
    """The line over all cells, or the one cell that there is; of several scopes the first."""
    of = lines[lines["against"] == against]
    pooled = of[of["network"] == "all"]
    chosen = pooled if len(pooled) else of
    return chosen.iloc[0].to_dict() if len(chosen) else None


def agrees(line: Line | None, alpha: float) -> str:
    """The contrast with interval, null and verdict."""
    if line is None:
        return ""
    where = WHERE[str(line["scope"])]
    if not math.isfinite(float(line["estimate"])):
        return f"{where.capitalize()} no contrast can be formed: {escape(line['reason'])}."
    null = f"{two(line['null'])} (97.5 % point {two(line['null_high'])})"
    start = (
        f"{where.capitalize()} the contrast is **{two(line['estimate'])}**{spread(line)} over "
        f"{plural(int(line['n_runs']), 'run')}; exchanged channels give {null}"
    )
    return f"{start}: {verdict(line, alpha, 'the diagonal lies beyond the rest')}."


def beside(line: Line | None, alpha: float) -> str:
    """Real runs against those of a control."""
    if line is None or not math.isfinite(float(line["estimate"])):
        return ""
    where = WHERE[str(line["scope"])]
    runs = TRAINED[str(line["against"])]
    start = (
        f"Against {plural(int(line['n_other']), 'run')} {runs} the contrast {where} differs "
        f"by {two(line['estimate'])}{spread(line)}"
    )
    more = float(line["estimate"]) > 0
    shown = f"channels of real runs agree {'more' if more else 'less'}"
    return f"{start}: {verdict(line, alpha, shown)}."


def verdict(line: Line, alpha: float, shown: str) -> str:
    """What the test of a line says, with p and its floor."""
    if line["status"] != "ok":
        return f"an estimate only, {line['status']}, since {escape(line['reason'])}"
    p = float(line["p_adjusted"])
    numbers_ = (
        f"p = {formats.p_prose(p)}, smallest attainable {formats.p_prose(line['p_floor'])}, "
        f"{escape(line['method'])}"
    )
    said = shown if passes(p, alpha) else "this is not shown"
    note = f"; {escape(line['reason'])}" if line["reason"] else ""
    return f"{said} ({numbers_}{note})"


def spread(line: Line) -> str:
    """The interval, if there is one."""
    if not math.isfinite(float(line["ci_low"])):
        return ""
    return f" (95 % interval {two(line['ci_low'])} to {two(line['ci_high'])})"


def two(value: Any) -> str:
    """A correlation or share with two decimals."""
    return formats.number(value, ".2f").text


def cells(contrasts: pd.DataFrame) -> Block:
    """Every contrast of the first layer and of all layers."""
    order = {name: i for i, name in enumerate(WHERE)}
    contrasts = contrasts.sort_values("scope", key=lambda c: c.map(order), kind="stable")
    return make_table(
        contrasts,
        [
            words("scope", lambda line: {"first": "first layer"}.get(line["scope"], "all layers")),
            words("network"),
            words("dataset"),
            words("start", "init"),
            words("control"),
            words("against"),
            numbers("runs", "n_runs", formats.count),
            numbers("contrast", "estimate", ".2f"),
            numbers("95 % interval", ("ci_low", "ci_high"), formats.interval),
            numbers("exchanged", "null", ".2f"),
            *P_VALUES,
            words("status"),
        ],
        "Contrast of agreement: of the cells, and over them together (each cell a block).",
        label="Table V",
        group_by=1,
        muted=not_ok,
        sortable=True,
        wide=True,
    )


def reproducibility(inputs: Inputs) -> list[Section]:
    """Does the same channel learn the same motion again?"""
    table = inputs.reproducibility
    if table.empty:
        return []
    model = table[(table["scope"] == "model") & (table["parameter"] == "all")]
    compared = model[model["against"] != "zero"]
    model = model[model["against"] == "zero"]
    real = model[model["control"] == "none"]
    said = [common(real), own(real, compared, inputs.alpha), chance(model)]
    said += [beyond(compared, control, inputs.alpha) for control in TRAINED]
    return [
        Section(
            "Does the same channel learn the same motion again?",
            [
                Paragraph(
                    "Runs that start from the same 2D weights have channels that can be compared "
                    "one by one. Compared is the signed displacement since the start of training, "
                    "since the starts of runs differ where a recipe spreads them, and what runs "
                    "share before training is no finding. *In common*: the share of its variance "
                    "that runs of a cell have in common (intraclass correlation). *Specific*: the "
                    "covariance of runs of one data set less that of runs of different ones, as a "
                    "share of the variance. Scratch runs have no channels in common."
                ),
                ListBlock([text for text in said if text]),
                *best_epochs(inputs, compared),
                *inputs.figure(
                    "reproducibility",
                    label="Figure W",
                    caption="Share of the variance of signed displacements that runs have in "
                    "common, by layer, mean of the four parameters, with 95 % jackknife intervals "
                    "over runs. Above: of the runs of a cell. Below: within less between data "
                    "sets.",
                    alt="Dots with intervals by layer for each network, pretrained and from "
                    "scratch. The values over all layers are in the table below.",
                ),
                shares(table[table["scope"] == "model"]),
            ],
        )
    ]


def of_start(lines: pd.DataFrame, measure: str, init: str) -> Line | None:
    """The line over all networks and data sets, or the one that there is."""
    of = lines[(lines["measure"] == measure) & (lines["init"] == init)]
    pooled = of[of["network"] == "all"]
    chosen = pooled if len(pooled) else of
    return chosen.iloc[0].to_dict() if len(chosen) else None


def common(lines: pd.DataFrame) -> str:
    """What pretrained runs of a cell share."""
    line = of_start(lines, "icc", "pretrained")
    if line is None or not math.isfinite(float(line["estimate"])):
        return ""
    return (
        f"Pretrained runs of a cell have **{percent(line['estimate'])}** of the variance of a "
        f"channel's displacements in common{percents(line)}, over "
        f"{plural(int(line['n_runs']), 'run')}."
    )


def own(lines: pd.DataFrame, compared: pd.DataFrame, alpha: float) -> str:
    """What pretrained runs of one data set share beyond those of others, and beyond controls."""
    line = of_start(lines, "specific", "pretrained")
    if line is None or not math.isfinite(float(line["estimate"])):
        return ""
    return (
        f"Within data sets they share {percent(line['estimate'])}{percents(line)} more than "
        f"between data sets: {verdict(line, alpha, 'this is above zero')}."
        f"{beyond_controls(compared, alpha) if shows_more(line, alpha) else ''}"
    )


def shows_more(line: Line, alpha: float) -> bool:
    """Whether the test of a line shows an estimate above zero."""
    tested = line["status"] == "ok" and float(line["estimate"]) > 0
    return tested and bool(passes(float(line["p_adjusted"]), alpha))


def beyond_controls(compared: pd.DataFrame, alpha: float) -> str:
    """Whether that is beyond the controls, which share it without the lesson of the data set."""
    tests = {c: of_start(compared[compared["against"] == c], "specific", "pretrained")
             for c in TRAINED}  # fmt: skip
    beyond = {escape(c): shows_more(line, alpha) for c, line in tests.items() if line}
    more = join_words([name for name, shown in beyond.items() if shown])
    rest = join_words([name for name, shown in beyond.items() if not shown], last="or")
    if not beyond:
        return ""
    if not rest:
        return f" It exceeds that of {more} runs: channels learn what is of the data set."
    said = f"exceeds that of {more} runs, but " if more else ""
    return (
        f" It {said}was not shown to exceed that of {rest} runs: what is shared within a data set "
        "need not come from its lesson."
    )


def beyond(lines: pd.DataFrame, control: str, alpha: float) -> str:
    """What pretrained runs of one data set share beyond those of a control."""
    line = of_start(lines[lines["against"] == control], "specific", "pretrained")
    if line is None or not math.isfinite(float(line["estimate"])):
        return ""
    shown = f"real runs share {'more' if float(line['estimate']) > 0 else 'less'}"
    return (
        f"Pretrained runs differ from {plural(int(line['n_other']), 'run')} {TRAINED[control]} in "
        "what they share within less between data sets by "
        f"{percent(line['estimate'])}{percents(line)}: "
        f"{verdict(line, alpha, shown)}."
    )


def chance(model: pd.DataFrame) -> str:
    """The same of scratch runs and of controls."""
    said = []
    for control in dict.fromkeys(model["control"].astype(str)):
        for init in ("pretrained", "scratch"):
            if (control, init) == ("none", "pretrained"):
                continue
            line = of_start(model[model["control"] == control], "icc", init)
            if line is not None and math.isfinite(float(line["estimate"])):
                name = "scratch" if control == "none" else f"{control}, {init}"
                said.append(f"{escape(name)} {percent(line['estimate'])}{percents(line)}")
    return f"Beside it, in common: {'; '.join(said)}." if said else ""


def percent(value: Any) -> str:
    """A share in per cent with one decimal."""
    return formats.share(value, 1).text


def percents(line: Line) -> str:
    """The interval in per cent."""
    if not math.isfinite(float(line["ci_low"])):
        return ""
    return f" (95 % interval {percent(line['ci_low'])} to {percent(line['ci_high'])})"


def shares(model: pd.DataFrame) -> Block:
    """Every share over all layers."""
    return make_table(
        model,
        [
            words("", lambda line: {"icc": "in common"}.get(line["measure"], "specific")),
            words("network"),
            words("dataset"),
            words("start", "init"),
            words("control"),
            words("against"),
            words("parameter"),
            numbers("runs", "n_runs", formats.count),
            numbers("share", "estimate", ".3f"),
            numbers("95 % interval", ("ci_low", "ci_high"), formats.interval),
            *P_VALUES,
            words("status"),
        ],
        "Shares of the variance of signed displacements since the start: mean over layers, "
        "weighted by their rows (channels times transitions).",
        label="Table W",
        group_by=1,
        muted=lambda line: line["status"] in {"untestable", "degenerate"},
        sortable=True,
        wide=True,
    )


def prediction(inputs: Inputs) -> list[Section]:
    """Do first-layer parameters tell which of two opposite classes a channel prefers?"""
    table = inputs.prediction
    if table.empty:
        return []
    real = table[table["control"] == "none"]
    said = []
    if len(real):
        pooled = real[real["network"] == "all"]
        line = (pooled if len(pooled) else real).iloc[0].to_dict()
        said.append(predicted(line, inputs.alpha))
    columns = [
        words("network"),
        words("dataset"),
        words("start", "init"),
        words("control"),
        numbers("runs", "n_runs", formats.count),
        numbers("right", "accuracy", ".2f"),
        numbers("exchanged", "null", ".2f"),
        numbers("beyond", "estimate", ".2f"),
        numbers("95 % interval", ("ci_low", "ci_high"), formats.interval),
        *P_VALUES,
        words("status"),
    ]
    return [
        Section(
            "Do parameters predict which class a channel prefers?",
            [
                Paragraph(
                    "From the parameters of a first-layer channel alone it was predicted which of "
                    "two opposite classes the channel answers to more, with weights (logistic "
                    "regression) learned from the other runs of the cell."
                ),
                ListBlock(said),
                *inputs.figure(
                    "prediction",
                    label="Figure X",
                    caption="Share of first-layer channels for which the prediction is right, a "
                    "dot for each run; the 95 % interval of the mean, and (upright line) what "
                    "channels give that exchange their preferences.",
                    alt="Dots for runs in a line for each network, data set and start. The means "
                    "are in the table below.",
                ),
                make_table(
                    table,
                    columns,
                    "Channels whose preferred class of two was predicted, out of sample over runs.",
                    label="Table X",
                    muted=not_ok,
                ),
            ],
        )
    ]


def predicted(line: Line, alpha: float) -> str:
    """The share that was predicted, what chance gives, and the verdict."""
    if not math.isfinite(float(line["estimate"])):
        return f"Nothing could be predicted: {escape(line['reason'])}."
    return (
        f"**{percent(line['accuracy'])}** of the channels were predicted over "
        f"{plural(int(line['n_runs']), 'run')}, {percent(line['null'])} with exchanged "
        f"preferences; the difference is {percent(line['estimate'])}{percents(line)}: "
        f"{verdict(line, alpha, 'parameters tell which class a channel prefers')}."
    )
