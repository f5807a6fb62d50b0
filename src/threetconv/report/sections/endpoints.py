"""Primary endpoints: one sentence each, with its tests against zero and against controls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Cell, ListBlock, Paragraph, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, not_ok, numbers, pair, words
from threetconv.report.wording import join_words, plural
from threetconv.support.levels import passes

__all__ = ["at_best", "blocks", "in_brief"]

NAMES = {
    "tuning agreement": "**Tuning agreement** in the first layer",
    "reproducibility": "**Reproducibility** (pretrained runs, within less between data sets)",
    "direction use": "**Direction use**",
}
Line = Mapping[Any, Any]


def blocks(inputs: Inputs) -> list[Block]:
    """The sentences and the table; nothing where a study has none."""
    table = inputs.endpoints
    if table.empty:
        return []
    return [
        Paragraph(
            "The primary endpoints of the analysis plan, over the cells of the study as blocks, "
            "against zero and against those negative controls of the same cells that it names:"
        ),
        ListBlock([text for name in NAMES for text in said(table, name, inputs.alpha)]),
        make_table(
            table,
            [
                words("endpoint"),
                words("data set", lambda line: escape(line["dataset"])),
                words("against", "comparison"),
                numbers("runs", runs),
                numbers("estimate", lambda line: amount(line, line["estimate"])),
                numbers("95 % interval", bounds),
                numbers("p", "p_raw", formats.p_value),
                numbers("floor", "p_floor", formats.p_value),
                words("status"),
            ],
            "Primary endpoints: against zero, and real runs less those of negative controls.",
            label="Table E",
            group_by=1,
            muted=not_ok,
            note="Each is one test, and p is not adjusted; one-sided against zero, two-sided "
            "against controls. Floor: the smallest p that so few runs can give. Runs: real ones, "
            "and those of the control. Reproducibility is that of pretrained runs. "
            + at_best(inputs),
            wide=True,
        ),
    ]


def at_best(inputs: Inputs) -> str:
    """When the runs were measured that are compared with controls; "" where none are."""
    runs = inputs.runs.assign(control=inputs.control)
    runs = runs[runs["convolution"] == "3t"]
    cell = [name for name in inputs.variant if name in runs]
    there = runs.loc[runs["control"] != "none", cell].drop_duplicates()
    runs = runs.merge(there, on=cell)
    if runs.empty or "best_step" not in runs:
        return ""
    means = runs.groupby("control", observed=True)["best_step"].mean().dropna()
    # as they are printed
    of = {str(name): f"{round(mean):,}" for name, mean in means.items()}
    if "none" not in of or len(of) == 1:
        return ""
    real = of.pop("none")
    each = [f"{mean} in {escape(name)} ones" for name, mean in of.items()]
    text = (
        "Measured is the best checkpoint of a run, on average after "
        f"{join_words([f'{real} updates in real runs', *each])}"
    )
    if set(of.values()) == {real}:
        return f"{text}."
    return f"{text}: a difference may also come from the length of training."


def in_brief(inputs: Inputs, endpoint: str) -> str:
    """The sentences of one endpoint; said too where it was not compared with controls."""
    texts = said(inputs.endpoints, endpoint, inputs.alpha)
    return " ".join(texts) or f"{NAMES[endpoint]} was not compared with negative controls."


def said(table: pd.DataFrame, endpoint: str, alpha: float) -> list[str]:
    """A sentence for each data set (and recipe) that the endpoint has lines of."""
    if table.empty:
        return []
    lines = table[table["endpoint"] == endpoint]
    return [
        sentence(group.to_dict("records"), alpha)
        for _, group in lines.groupby(["recipe", "dataset"], sort=False, observed=True)
    ]


def sentence(lines: list[Any], alpha: float) -> str:
    """What was found of one endpoint, from its lines against zero and against controls."""
    zero = next(line for line in lines if line["comparison"] == "zero")
    name = NAMES[str(zero["endpoint"])]
    name += "" if zero["dataset"] == "all" else f" on *{escape(zero['dataset'])}*"
    if zero["status"] == "missing":
        return f"{name} was not measured: {escape(zero['reason'])}."
    if not math.isfinite(float(zero["estimate"])):
        return f"{name} could not be formed: {escape(zero['reason'])}."
    value = f"{amount(zero, zero['estimate'])}{interval(zero)}"
    there = [line for line in lines if line["status"] != "missing"]
    note = f" ({escape(zero['reason'])})" if zero["status"] == "ok" and zero["reason"] else ""
    text = (
        f"{name} is {value} over {plural(int(zero['n_runs']), 'run')}{note}: it "
        f"{join_words([clause(line, alpha) for line in there])}"
    )
    missing = [escape(line["comparison"]) for line in lines if line["status"] == "missing"]
    return f"{text}; {join_words(missing)} controls are missing." if missing else f"{text}."


def clause(line: Line, alpha: float) -> str:
    """What one comparison says."""
    control = line["comparison"] != "zero"
    other = f"{escape(line['comparison'])} controls" if control else "0"
    if line["status"] == "untestable":
        floor = formats.p_prose(line["p_floor"])
        return f"cannot be tested against {other} (floor {floor})"
    if line["status"] != "ok":
        return f"was not tested against {other} ({escape(line['reason'])})"
    estimate = float(line["estimate"])
    sided = "" if control else "one-sided "  # the interval beside it is two-sided
    p = formats.p_prose(line["p_adjusted"])
    p = f"{sided}p = {p}, floor {formats.p_prose(line['p_floor'])}"
    difference = f"by {amount(line, abs(estimate))}{interval(line)}, " if control else ""
    if passes(float(line["p_adjusted"]), alpha):
        verb = "exceeds" if estimate > 0 else "lies below"
        return f"{verb} {other} ({difference}{p})"
    if not control:
        return f"was not shown to exceed 0 ({p})"
    difference = f"difference {amount(line, estimate)}{interval(line)}, "
    return f"was not shown to differ from {other} ({difference}{p})"


def amount(line: Line, value: Any) -> str:
    """An estimate in its unit, a dash where there is none."""
    if not math.isfinite(float(value)):
        return formats.DASH
    if line["unit"] == "share of variance":
        return formats.share(value, 1).text
    if line["unit"] == "percentage points":
        return f"{formats.number(value, '.1f').text} points"
    return formats.number(value, ".2f").text


def runs(line: Line) -> Cell:
    """Real runs, and behind them those of the control; a dash where there are none."""
    if line["status"] == "missing":
        return Cell(formats.DASH)
    both = line["n_runs"], line["n_other"]
    return pair(*both) if line["comparison"] != "zero" else formats.count(both[0])


def bounds(line: Line) -> str:
    """Both ends of the interval, or a dash."""
    if not math.isfinite(float(line["ci_low"])):
        return formats.DASH
    low, high = (amount(line, line[end]) for end in ("ci_low", "ci_high"))
    return f"{low.removesuffix(' points')} to {high}"


def interval(line: Line) -> str:
    """The interval within a sentence, if there is one."""
    return f" [{bounds(line)}]" if math.isfinite(float(line["ci_low"])) else ""
