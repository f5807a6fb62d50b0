"""What a line of the tests table means, in one plain sentence."""

from __future__ import annotations

import math
import re

import pandas as pd

from threetconv.schemas.runs import CONTROLS
from threetconv.statistics.tests.families import with_recipe
from threetconv.support.levels import passes
from threetconv.support.numerals import p_prose, significant

__all__ = ["sentence", "sentences"]

NAMES = {
    "s": "scale",
    "r": "rotation",
    "px": "horizontal translation",
    "py": "vertical translation",
    "s, r, px, py": "the four parameters together",
}
STARTS = {"scratch": "training from scratch", "pretrained": "pretraining from these 2D weights"}
CLIPS = {"none": "the real clips and labels"} | {k: v.label for k, v in CONTROLS.items()}
KEY = ["recipe", "family", "contrast", "stratum", "scope", "parameter", "layer_index"]


def sentences(
    tests: pd.DataFrame, *, alpha: float = 0.05, equivalence: pd.DataFrame | None = None
) -> pd.Series:
    """One sentence per line of the tests table (same index).

    A difference is called real where it is shown at matched noise budgets: at the best checkpoint
    runs may differ because they were trained for different lengths.

    Args:
        tests: from `threetconv.statistics.tests.contrasts.run_tests` or `layer_tests`.
        alpha: the level that the adjusted p-values are held against.
        equivalence: has the lines of `threetconv.statistics.tests.equivalence.equivalence_tests`,
            where they were made; other lines (the study's table of sensitivity has some) are passed
            over.
    """
    other = [*KEY, "checkpoint"]
    # a line at the best checkpoint is worded by whether matched noise budgets confirm it
    matched = _by_key(tests[tests["checkpoint"] == "matched"], KEY)
    equal: dict[tuple[object, ...], pd.Series] = {}
    if equivalence is not None and len(equivalence):
        equal = _by_key(equivalence[equivalence["method"].str.startswith("TOST")], other)
    texts = [
        sentence(line, alpha=alpha, matched=matched.get(key[:-1]), equivalence=equal.get(key))
        for key, (_, line) in zip(_keys(tests, other), tests.iterrows(), strict=True)
    ]
    return pd.Series(texts, index=tests.index, name="sentence", dtype="str")


def _by_key(table: pd.DataFrame, keys: list[str]) -> dict[tuple[object, ...], pd.Series]:
    return dict(zip(_keys(table, keys), (line for _, line in table.iterrows()), strict=True))


def _keys(table: pd.DataFrame, keys: list[str]) -> list[tuple[object, ...]]:
    table = with_recipe(table)
    table = table if "scope" in table else table.assign(scope="model")
    return list(zip(*(table[name] for name in keys), strict=True))


def sentence(
    line: pd.Series,
    *,
    alpha: float = 0.05,
    matched: pd.Series | None = None,
    equivalence: pd.Series | None = None,
) -> str:
    """Direction, ratio, interval, p and floor; or why nothing can be tested.

    Args:
        line: one line of the tests table.
        alpha: the level that the adjusted p-value is held against.
        matched: of a line at the best checkpoint, the same test at matched noise budgets, if any.
        equivalence: the equivalence test of the same runs, if any.
    """
    (a, b), *at = _arms(line)
    what = f"{_where(line)}, {NAMES.get(line['parameter'], line['parameter'])}"
    depth = line.get("scope") == "depth"
    what += ", early against late layers" * depth
    # D = -inf in some run, so the arms have no ratio
    if line["status"] == "degenerate":
        ratio = "ratio of ratios" if at else f"ratio of {a} to {b}"
        return f"{what}: no {ratio} can be formed, because {line['reason']}."
    estimate = float(line["estimate"])
    if not math.isfinite(estimate):
        return f"{what}: untestable, because {line['reason']}."
    # an interaction: two arms, compared at two levels of another factor
    if at:
        first, second = at[0]
        ratio = _ratio(estimate, "large")
        effect = f": the ratio of {a} to {b} is {ratio} with {first} as with {second}"
    elif depth:
        ratio = _ratio(estimate, "large")
        effect = f": the displacement of early over late layers is {ratio} with {a} as with {b}"
    else:
        effect = f" moved {_ratio(estimate, 'far')} with {a} as with {b}"
    moved = f"{what}{effect}{_interval(line)}"
    if line["status"] == "untestable":
        return f"{moved}; this is an estimate only and untestable, because {line['reason']}."
    p = float(line["p_adjusted"])
    numbers = (
        f"adjusted p = {p_prose(p)}; raw p = {p_prose(float(line['p_raw']))}"
        f"{' (approximate)' if at else ''}, smallest attainable "
        f"{p_prose(float(line['p_floor']))}"
    )
    alike = _equivalent(equivalence, alpha)
    if passes(p, alpha):
        verdict = f"relabelled runs seldom differ as much, {_shown(line, matched, alpha)}"
        verdict += f"; it is small all the same: {alike}" if alike else ""
    elif alike:
        verdict = f"no difference is shown, and equivalence is: {alike}"
    else:
        open_ = equivalence is not None and equivalence["status"] == "ok"
        verdict = "no difference is shown" + ", nor is it ruled out" * open_
        if equivalence is not None and equivalence["status"] == "heterogeneous":
            verdict += f", but {equivalence['reason']}"
    note = f"; {line['reason']}" if line["reason"] else ""
    return f"{moved}: {verdict} [{numbers}{note}]."


def _shown(line: pd.Series, matched: pd.Series | None, alpha: float) -> str:
    """What a difference that is shown may be put down to."""
    if line["checkpoint"] == "matched":
        return "so the difference is taken as real"
    if matched is None or matched["status"] != "ok":
        doubt = "but this could not be tested at matched noise budgets"
    elif not passes(float(matched["p_adjusted"]), alpha):
        doubt = "but at matched noise budgets no difference is shown"
    # both significant with opposite signs confirm nothing
    elif (float(matched["estimate"]) > 1) != (float(line["estimate"]) > 1):
        doubt = "but at matched noise budgets the difference is the other way round"
    else:
        return "at matched noise budgets too, so the difference is taken as real"
    return f"{doubt}: the length of training may make it"


def _equivalent(line: pd.Series | None, alpha: float) -> str:
    """What counts as equal, where equivalence is shown; else nothing."""
    if line is None or line["status"] != "ok" or not passes(float(line["p_adjusted"]), alpha):
        return ""
    return str(line["method"]).rpartition("equal means ")[2]


def _arms(line: pd.Series) -> list[tuple[str, str]]:
    """What is compared, in words; for an interaction also the levels it is compared at."""
    names = CLIPS if line["family"] == "controls" else STARTS
    pairs = [part.split(" / ") for part in str(line["contrast"]).split(", ")]
    return [(names.get(a, a), names.get(b, b)) for a, b in pairs]


def _where(line: pd.Series) -> str:
    stratum, layer = str(line["stratum"]), int(line.get("layer_index", -1))
    where = "Over all blocks" if stratum == "all" else f"In {stratum}"
    if layer >= 0:
        where += f", layer {layer}"
    if line.get("checkpoint") != "matched":
        return where
    step = re.search(
        r"at update \d+|at equal noise budgets within blocks \(updates \d+ to \d+\)",
        str(line.get("method", "")),
    )
    return f"{where}, {step.group(0) if step else 'at matched noise budgets'}"


def _ratio(estimate: float, much: str) -> str:
    said = significant(estimate)
    # "1.00 times as far" would read as a difference
    return f"as {much}" if said == "1.00" else f"{said} times as {much}"


def _interval(line: pd.Series) -> str:
    low, high = float(line["ci_low"]), float(line["ci_high"])
    if not (math.isfinite(low) and math.isfinite(high)):
        return f" (no interval: {str(line['ci_method']).removeprefix('none (').rstrip(')')})"
    return f" (95 % interval {significant(low)} to {significant(high)})"
