"""The opening paragraph: what was done and what came out, every number from a finished table."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Callout, Paragraph, escape
from threetconv.report.inputs import MAIN, Inputs, checkpoint_name, differs
from threetconv.report.sections import endpoints, need, truth
from threetconv.report.sections.planted import moved_first, recovered
from threetconv.report.wording import join_words, of_all, plural, verb

__all__ = ["blocks"]

MOST_CONTRASTS = 3
"""Families with more contrasts than this are summed up in one sentence."""


def blocks(inputs: Inputs) -> list[Block]:
    """One paragraph, and the warning that the data are synthetic where they are."""
    names = inputs.recipes
    texts = [[what(inputs)], *([] for _ in names)]
    for number, name in enumerate(names):
        of = inputs.of_recipe(name)
        found = [accuracy(of.accuracy), needed(of), truth.in_brief(of), again(of)]
        found += [
            displaced(of.displacement),
            tested(of.tested(*MAIN), inputs.alpha),
            recovered(of.planted),
            moved_first(of.planted_first),
        ]
        several = [f"**Recipe {escape(name)}.**"] if len(names) > 1 else []
        # with one recipe all is one paragraph
        texts[number + 1 if several else 0] += several + found
    out: list[Block] = [
        Paragraph(" ".join(part for part in parts if part)) for parts in texts if parts
    ]
    if inputs.synthetic:
        out.append(synthetic(inputs))
    return out


def synthetic(inputs: Inputs) -> Callout:
    """What rendered data cannot say."""
    names = join_words([f"**{escape(name)}**" for name in inputs.synthetic])
    are = verb(len(inputs.synthetic), "is", "are")
    text = f"{names} {are} rendered by this project."
    beside = [name for name in inputs.synthetic if name in inputs.papers]
    if beside:
        stand = verb(len(beside), "stands", "stand")
        text += (
            f" {join_words([f'*{escape(name)}*' for name in beside])} {stand} in for real "
            "recordings: where a number of the paper is printed beside one of this study, it is "
            "there for orientation."
        )
    return Callout(
        "Synthetic data",
        f"{text} What is found on rendered clips neither replicates nor contradicts the paper's "
        "own figures.",
        "warning",
    )


def what(inputs: Inputs) -> str:
    """Networks, datasets, variants and runs."""
    runs, others = inputs.real_runs, int((inputs.control != "none").sum())
    if inputs.runs.empty:
        return "No training run has been finished, so there is nothing to report yet."
    if runs.empty:
        return f"The study has {plural(others, 'negative control')} and no other run."
    networks = sorted({escape(name) for name in runs["network"]})
    datasets = [f"*{escape(name)}*" for name in inputs.datasets if name in set(runs["dataset"])]
    cell = runs.groupby(inputs.variant, observed=True).size()
    were = "was" if len(runs) == 1 else "were"
    fetched = int(inputs.fetched[runs.index].sum())
    done = f"{were} fetched and measured on" if fetched == len(runs) else f"{were} trained on"
    here = f" ({fetched:,} of them elsewhere, and fetched)" if 0 < fetched < len(runs) else ""
    return (
        f"{plural(len(runs), 'video network')} ({join_words(networks)}; "
        f"{formats.count_range(cell)} per variant) {done} {join_words(datasets)}{here}"
        f"{compared(inputs, others)}."
    )


def compared(inputs: Inputs, controls: int) -> str:
    """What the temporal parameters were compared with."""
    if inputs.measured.empty:
        return "; none is a 3TConv network, so there are no temporal parameters to compare"
    negative = f"{plural(controls, 'negative control')} ({join_words(inputs.controls)})"
    mates = ["with each other"] * bool(len(inputs.tested(*MAIN)))
    mates += [f"with {escape(negative)}"] * bool(controls and len(inputs.tested("controls")))
    if not mates:
        return "; no comparison of temporal parameters could be formed"
    return (
        ", and the temporal parameters that the 3TConv networks learned were compared "
        f"{join_words(mates)}"
    )


def accuracy(table: pd.DataFrame) -> str:
    """How well 3T networks of one start (pretrained, if any) do on held-out clips."""
    if table.empty or not (table["convolution"] == "3t").any():
        return ""
    rows = table[table["convolution"] == "3t"]
    # Pretrained if there is one, else the first by alphabet.
    init = min(rows["init"].astype(str), key=lambda name: (name != "pretrained", name))
    rows = rows[rows["init"] == init]
    pieces = []
    for dataset, group in rows.groupby("dataset", observed=True):
        each = [
            f"{escape(line['network'])} {formats.percent(line['accuracy_mean']).text} %"
            for _, line in group.sort_values("network").iterrows()
        ]
        chance = formats.percent(group["chance"].iloc[0]).text
        pieces.append(f"{join_words(each)} on *{escape(dataset)}* (chance {chance} %)")
    return f"Validation accuracy of 3T networks, start *{escape(init)}*: {'; '.join(pieces)}."


def again(inputs: Inputs) -> str:
    """Reproducibility with its tests against controls, where it was measured."""
    measured = not inputs.reproducibility.empty
    return endpoints.in_brief(inputs, "reproducibility") if measured else ""


def needed(inputs: Inputs) -> str:
    """What 3T networks recognise backwards and without transforms, of one start as above.

    Without transforms: with batch norm statistics computed anew, where the network has such; those
    that were trained fit maps which the transforms have moved. Direction use stands behind it, over
    all starts, with its tests against controls.
    """
    lines = [] if inputs.need_cells.empty else need.cells(inputs.need_cells)
    lines = [line for line in lines if line["convolution"] == "3t" and not need.is_control(line)]
    if not lines:
        return ""
    init = min((line["init"] for line in lines), key=lambda name: (name != "pretrained", name))
    lines = [line for line in lines if line["init"] == init]
    anew = [bool(pd.notna(line["identity_anew"])) for line in lines]
    norms = " (batch norm statistics computed anew" * any(anew)
    norms += ")" * all(anew) or " where a network has such)" * any(anew)
    pieces = []
    for dataset in dict.fromkeys(line["dataset"] for line in lines):
        each = []
        for line in (line for line in lines if line["dataset"] == dataset):
            known = pd.notna(line["identity_anew"])
            identity = line["identity_anew" if known else "identity"]
            each.append(
                f"{escape(line['network'])} {need.number(line['forwards'])}, "
                f"{need.number(line['backwards'])} and {need.number(identity)} %"
            )
        pieces.append(f"{join_words(each)} on *{escape(dataset)}*")
    return (
        "Of clips played forwards, of clips played backwards, and with all transforms at the "
        f"identity{norms} they recognise: {'; '.join(pieces)}. "
        f"{endpoints.in_brief(inputs, 'direction use')}"
    )


def displaced(table: pd.DataFrame) -> str:
    """How many cells lie at or below the noise floor."""
    if table.empty or table["floor_ratio_reachable"].isna().all():
        return ""
    ratios = table["floor_ratio_reachable"].dropna()
    below = int((ratios <= 1).sum())
    return (
        "The mean displacement of the reachable rows is no larger than the floor that the "
        f"optimiser's steps alone would leave in {of_all(below, len(ratios), 'combination')} of "
        "network, dataset, start and parameter."
    )


def tested(table: pd.DataFrame, alpha: float) -> str:
    """Results of the blocked tests by family, at matched noise budgets if there are any."""
    if table.empty:
        return ""
    blocked = table[table["stratum"] == "all"]
    where = ""
    if "checkpoint" in blocked:
        # Matched noise budgets are the confirmatory tests, but fetched runs have none.
        usable = blocked[blocked["estimate"].notna()]
        names = (usable if len(usable) else blocked)["checkpoint"].astype(str).unique()
        chosen = "matched" if "matched" in names else "".join(names[:1])
        blocked = blocked[blocked["checkpoint"] == chosen]
        anyhow = "" if chosen == "matched" else ", whatever the length of training"
        where = f" ({checkpoint_name(chosen)}{anyhow})"
    pieces = []
    contrasts = blocked.groupby("family", sort=False, observed=True)["contrast"].nunique()
    # Many contrasts get one sentence per family; what is left is told contrast by contrast.
    for family in contrasts.index[contrasts > MOST_CONTRASTS]:
        lines = blocked[blocked["family"] == family]
        blocked = blocked[blocked["family"] != family]
        pieces.append(
            f"Of family {family} ({contrasts[family]} contrasts) "
            f"{outcome(lines, alpha, 'comparison')}{where}."
        )
    for (family, contrast), group in blocked.groupby(
        ["family", "contrast"], sort=False, observed=True
    ):
        what = (
            "ratio of these ratios" if family == "dataset x init" else "ratio of mean displacements"
        )
        # One estimate per parameter; the sentence gives their range.
        estimates = group["estimate"].dropna()
        if estimates.empty:
            pieces.append(f"No {what} *{escape(contrast)}* could be formed{where}.")
            continue
        low, high = (formats.significant(v).text for v in (estimates.min(), estimates.max()))
        span = low if low == high else f"{low} to {high}"
        pieces.append(
            f"The {what} *{escape(contrast)}* over all blocks{where} is {span} "
            f"({outcome(group, alpha, 'parameter')})."
        )
        where = ""
    return " ".join(pieces)


def outcome(lines: pd.DataFrame, alpha: float, noun: str) -> str:
    """How many lines show a difference, and how many could not be tested."""
    shown, cannot = int(differs(lines, alpha).sum()), int((lines["status"] != "ok").sum())
    if cannot == len(lines):
        return f"{of_all(0, cannot, noun)} can be tested"
    text = (
        f"{of_all(shown, len(lines), noun)} {verb(shown, 'is', 'are')} shown to differ after "
        "Holm's adjustment"
    )
    return text + (f", {cannot} cannot be tested" if cannot else "")
