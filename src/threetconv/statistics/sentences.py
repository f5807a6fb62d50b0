"""What a line of the tests table means, in one plain sentence."""

from __future__ import annotations

import math
import re

import pandas as pd

__all__ = ["sentence", "sentences"]

NAMES = {
    "s": "scale",
    "r": "rotation",
    "px": "horizontal translation",
    "py": "vertical translation",
}
STARTS = {"scratch": "training from scratch", "pretrained": "pretraining"}
CONTROLS = {
    "none": "the real clips and labels",
    "static": "static clips",
    "frame-shuffled": "shuffled frames",
    "label-shuffled": "shuffled labels",
}


def sentences(tests: pd.DataFrame, *, alpha: float = 0.05) -> pd.Series:
    """One sentence per line of the tests table (same index).

    Args:
        tests: from `threetconv.statistics.run_tests` or `layer_tests`.
        alpha: the level that the adjusted p-values are held against.
    """
    texts = [sentence(line, alpha=alpha) for _, line in tests.iterrows()]
    return pd.Series(texts, index=tests.index, name="sentence", dtype="str")


def sentence(line: pd.Series, *, alpha: float = 0.05) -> str:
    """Direction, ratio, interval, p and floor; or why nothing can be tested.

    Args:
        line: one line of the tests table.
        alpha: the level that the adjusted p-value is held against.
    """
    (a, b), *at = _arms(line)
    what = f"{_where(line)}, {NAMES.get(line['parameter'], line['parameter'])}"
    if line["status"] == "degenerate":
        ratio = "ratio of ratios" if at else f"ratio of {a} to {b}"
        return f"{what}: no {ratio} can be formed, because {line['reason']}."
    estimate = float(line["estimate"])
    if not math.isfinite(estimate):
        return f"{what}: untestable, because {line['reason']}."
    if at:
        first, second = at[0]
        ratio = _ratio(estimate, "large")
        effect = f": the ratio of {a} to {b} is {ratio} with {first} as with {second}"
    else:
        effect = f" moved {_ratio(estimate, 'far')} with {a} as with {b}"
    moved = f"{what}{effect}{_interval(line)}"
    if line["status"] == "untestable":
        return f"{moved}; this is an estimate only and untestable, because {line['reason']}."
    p = float(line["p_adjusted"])
    numbers = (
        f"adjusted p = {_p(p)}; raw p = {_p(float(line['p_raw']))}"
        f"{' (approximate)' if at else ''}, smallest attainable {_p(float(line['p_floor']))}"
    )
    if p <= alpha:
        verdict = "relabelled runs seldom differ as much, so the difference is taken as real"
    else:
        verdict = "relabelled runs often differ as much, so none is shown (nor is it ruled out)"
    note = f"; {line['reason']}" if line["reason"] else ""
    return f"{moved}: {verdict} [{numbers}{note}]."


def _arms(line: pd.Series) -> list[tuple[str, str]]:
    """What is compared, in words; for an interaction also the levels it is compared at."""
    names = CONTROLS if line["family"] == "controls" else STARTS
    pairs = [part.split(" / ") for part in str(line["contrast"]).split(", ")]
    return [(names.get(a, a), names.get(b, b)) for a, b in pairs]


def _where(line: pd.Series) -> str:
    stratum, layer = str(line["stratum"]), int(line.get("layer_index", -1))
    where = "Over all blocks" if stratum == "all" else f"In {stratum}"
    if layer >= 0:
        where += f", layer {layer}"
    if line.get("checkpoint") != "matched":
        return where
    step = re.search(r"at update (\d+)", str(line.get("method", "")))
    return f"{where}, {step.group(0) if step else 'at matched updates'}"


def _ratio(estimate: float, much: str) -> str:
    if _three(estimate) == "1.00":
        return f"as {much}"
    return f"{_three(estimate)} times as {much}"


def _interval(line: pd.Series) -> str:
    low, high = float(line["ci_low"]), float(line["ci_high"])
    if not (math.isfinite(low) and math.isfinite(high)):
        return f" (no interval: {str(line['ci_method']).removeprefix('none (').rstrip(')')})"
    return f" (95 % interval {_three(low)} to {_three(high)})"


def _three(value: float) -> str:
    """Three significant digits, closing zeros kept."""
    return f"{value:#.3g}".removesuffix(".")


def _p(value: float) -> str:
    if value >= 1e-3:
        return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"
