"""The opening paragraph: what was done and what came out, every number from a finished table."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Callout, Paragraph, escape
from threetconv.report.inputs import MAIN, Inputs, checkpoint_name, join_words, plural
from threetconv.report.sections.planted import recovered

__all__ = ["blocks"]

MOST_CONTRASTS = 3
"""Families with more contrasts than this are summed up in one sentence."""


def blocks(inputs: Inputs) -> list[Block]:
    """One paragraph, and the warning that the data are synthetic where they are."""
    parts = [what(inputs), accuracy(inputs.accuracy), displaced(inputs.displacement)]
    parts += [tested(inputs.tested(*MAIN), inputs.alpha), recovered(inputs.planted)]
    out: list[Block] = [Paragraph(" ".join(part for part in parts if part))]
    if inputs.synthetic:
        names = join_words([f"**{escape(name)}**" for name in inputs.synthetic])
        many = len(inputs.synthetic) > 1
        out.append(
            Callout(
                "Synthetic data",
                f"{names} {'are' if many else 'is'} rendered by this project and "
                f"{'stand' if many else 'stands'} in for real recordings. Where a number of the "
                "paper is "
                "printed beside one of this study, it is there for orientation. Nothing here "
                "replicates or contradicts the paper's own figures.",
                "warning",
            )
        )
    return out


def what(inputs: Inputs) -> str:
    """Networks, datasets, variants and runs."""
    runs = inputs.real_runs
    if inputs.runs.empty:
        return "No training run has been finished, so there is nothing to report yet."
    networks, datasets = inputs.distinct("network"), inputs.datasets
    cell = runs.groupby(["network", "dataset", "init", "convolution"], observed=True).size()
    each = formats.count_range(cell)
    others = len(inputs.runs) - len(runs)
    controls = (
        f" with each other and with {plural(others, 'negative control')} "
        f"({join_words([escape(n) for n in inputs.controls])})"
        if others
        else ""
    )
    return (
        f"{plural(len(runs), 'video network')} "
        f"({join_words([escape(n) for n in networks])}; {each} per variant) "
        f"{'was' if len(runs) == 1 else 'were'} trained on "
        f"{join_words([f'*{escape(d)}*' for d in datasets])}, and the temporal parameters that the "
        f"3TConv networks learned were compared{controls}."
    )


def accuracy(table: pd.DataFrame) -> str:
    """How well the pretrained 3T networks do on held-out clips, per dataset."""
    if table.empty:
        return ""
    rows = table[(table["convolution"] == "3t") & (table["init"] == "pretrained")]
    which = "pretrained"
    if rows.empty:
        rows, which = table[table["convolution"] == "3t"], ""
    if rows.empty:
        return ""
    pieces = []
    for dataset, group in rows.groupby("dataset", observed=True):
        best = [
            f"{formats.percent(v).text} %" for v in group.sort_values("network")["accuracy_mean"]
        ]
        chance = formats.percent(group["chance"].iloc[0]).text
        pieces.append(f"{join_words(best)} on *{escape(dataset)}* (chance {chance} %)")
    names = join_words([escape(n) for n in sorted(rows["network"].unique())])
    kind = " ".join(word for word in (which, "3T networks") if word)
    return f"Validation accuracy of the {kind} ({names}): {join_words(pieces)}."


def displaced(table: pd.DataFrame) -> str:
    """How many cells lie above the noise floor."""
    if table.empty or table["floor_ratio_reachable"].isna().all():
        return ""
    ratios = table["floor_ratio_reachable"].dropna()
    below = int((ratios <= 1).sum())
    return (
        f"In {below} of {plural(len(ratios), 'combination')} of network, dataset, start and "
        "parameter the "
        "mean displacement of the reachable rows is no larger than the floor that the "
        "optimiser's steps alone would "
        "leave."
    )


def tested(table: pd.DataFrame, alpha: float) -> str:
    """How the blocked tests ended, by family, at matched updates where there are such."""
    if table.empty:
        return ""
    blocked = table[table["stratum"] == "all"]
    where = ""
    if "checkpoint" in blocked:
        usable = blocked[blocked["estimate"].notna()]
        names = list(usable["checkpoint"].astype(str).unique())
        chosen = "matched" if "matched" in names else (names[0] if names else "")
        blocked = blocked[blocked["checkpoint"] == chosen]
        where = f" ({checkpoint_name(chosen)})"
    pieces = []
    contrasts = blocked.groupby("family", observed=True)["contrast"].nunique()
    for family in contrasts.index[contrasts > MOST_CONTRASTS]:
        lines = blocked[blocked["family"] == family]
        blocked = blocked[blocked["family"] != family]
        shown = int(((lines["status"] == "ok") & (lines["p_adjusted"] <= alpha)).sum())
        pieces.append(
            f"{shown} of {plural(len(lines), 'comparison')} of family {family} "
            f"({contrasts[family]} contrasts) show a difference after Holm's adjustment{where}."
        )
    for (family, contrast), group in blocked.groupby(
        ["family", "contrast"], sort=False, observed=True
    ):
        estimates = group["estimate"].dropna()
        if estimates.empty:
            continue
        low, high = (formats.significant(v).text for v in (estimates.min(), estimates.max()))
        span = low if low == high else f"{low} to {high}"
        shown = int(((group["status"] == "ok") & (group["p_adjusted"] <= alpha)).sum())
        cannot = int((group["status"] != "ok").sum())
        verdict = f"{shown} of {len(group)} parameters differ after Holm's adjustment"
        if cannot:
            verdict += f", {cannot} cannot be tested"
        what = "ratio of these ratios" if family == "F3" else "ratio of mean displacements"
        pieces.append(
            f"The {what} *{escape(contrast)}* over all blocks{where} is {span} ({verdict})."
        )
        where = ""
    return " ".join(pieces)
