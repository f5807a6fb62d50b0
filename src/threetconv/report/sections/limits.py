"""What cannot be concluded, worked out from the facts of this study."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Callout, ListBlock, Paragraph, Section, escape
from threetconv.report.inputs import MAIN, Inputs
from threetconv.report.wording import join_words, plural

__all__ = ["section"]


def section(inputs: Inputs) -> Section:
    """One point for every limit that applies here."""
    if inputs.runs.empty:
        return Section("What cannot be concluded", [Paragraph("Anything: no run was finished.")])
    points = [
        synthetic(inputs),
        replicates(inputs),
        kinds(inputs),
        training_length(inputs),
        fetched(inputs),
        noise(inputs.displacement),
        controls(inputs),
        unreachable(inputs.displacement),
        shared_weights(inputs),
        "**The validation split is used twice.** It chooses the best checkpoint of each run and "
        "then reports its "
        "accuracy, as in the paper. Validation accuracies are therefore somewhat too high; "
        "differences between variants suffer less, and accuracies on a test split not at all.",
        "**Displacement is not dependence.** Parameters that moved further do not show that a "
        "network "
        "relies on them: no parameter was switched off to see what is lost.",
        interaction(inputs.tested("F3")),
        simulated(inputs.calibration),
        blockwise(inputs.tested(*MAIN)),
    ]
    return Section(
        "What cannot be concluded",
        [
            ListBlock([point for point in points if point]),
            Callout(
                "How to do better",
                advice(inputs),
            ),
        ],
    )


def advice(inputs: Inputs) -> str:
    """What would help most, of what this study does not have yet."""
    points = []
    cells = cell_sizes(inputs)
    if cells.min() < 5:
        points.append("more seeds give more power and lower floors (five per cell are recommended)")
    if not inputs.controls:
        points.append("negative controls show how far parameters move without motion or lesson")
    if inputs.synthetic:
        points.append("recorded data make the comparison with the paper meaningful")
    points.append(
        "further datasets of each kind would tell the kind apart from the particular dataset"
    )
    text = "; ".join(points)
    return f"{text[0].upper()}{text[1:]}."


def cell_sizes(inputs: Inputs) -> pd.Series:
    """Runs of every variant, negative controls left out."""
    keys = ["network", "dataset", "init", "convolution"]
    return inputs.real_runs.groupby(keys, observed=True).size()


def synthetic(inputs: Inputs) -> str:
    """Rendered data say nothing of recorded ones."""
    if not inputs.synthetic:
        return ""
    names = join_words([escape(n) for n in inputs.synthetic])
    return (
        f"**Nothing about Jester, UCF101 or real video from {names}.** These clips are rendered, "
        "small and "
        "simple, and the networks are "
        + ("narrower" if float(inputs.setting("width", 1)) < 1 else "trained on far fewer clips")
        + " than the paper's."
    )


def fetched(inputs: Inputs) -> str:
    """What is not known of runs that were not trained here; nothing without them."""
    if "source" not in inputs.runs:
        return ""
    n = int((inputs.runs["source"] == "fetched").sum())
    if not n:
        return ""
    return (
        f"**Fetched weights.** {plural(n, 'run')} of {len(inputs.runs)} "
        f"{'was' if n == 1 else 'were'} fetched and not trained here: on which clips, for how long "
        "and how the epoch was chosen is known only as far as the study says. They take no part "
        "in tests at matched updates, and best epochs of 0 stand for unknown ones."
    )


def replicates(inputs: Inputs) -> str:
    """Runs per cell, and the floor that follows."""
    cells = cell_sizes(inputs)
    least, most = int(cells.min()), int(cells.max())
    each = plural(least, "run") if least == most else f"{least} to {most} runs"
    text = f"**Small differences.** There {'is' if most == 1 else 'are'} {each} per cell."
    tests = inputs.tested(*MAIN)
    if tests.empty:
        return text
    floors = tests.loc[tests["stratum"] == "all", "p_floor"].dropna()
    inside = tests.loc[tests["stratum"] != "all", "p_floor"].dropna()
    if len(floors):
        text += (
            f" The smallest p a test over all blocks can give is {formats.p_prose(floors.max())}"
        )
        text += f"; inside one block it is {formats.p_prose(inside.max())}." if len(inside) else "."
    cannot = int((tests["status"] != "ok").sum())
    if cannot:
        text += (
            f" {cannot} of {plural(len(tests), 'planned test')} could not be made, for that or "
            "another "
            "reason; this is not the same as finding no difference."
        )
    return text


def kinds(inputs: Inputs) -> str:
    """One dataset of each kind."""
    names = [escape(name) for name in inputs.datasets]
    if len(names) == 1:
        return (
            f"**Anything about the dataset.** All runs saw {names[0]}; without a second dataset no "
            "difference can be put down to it."
        )
    return (
        f"**Motion data against appearance data in general.** {join_words(names)} are "
        f"{len(names)} particular "
        "datasets. They differ in much more than how far motion tells the class, and one of a "
        "kind cannot "
        "speak for its kind."
    )


def training_length(inputs: Inputs) -> str:
    """Whether datasets were trained for the same number of updates, and what mends it."""
    runs = inputs.real_runs
    steps = "best_step" if "best_step" in runs else "n_updates"
    if steps not in runs or runs["dataset"].nunique() < 2:
        return ""
    per = runs[runs["convolution"] == "3t"].groupby("dataset", observed=True)[steps].mean()
    if len(per) < 2 or per.isna().any():
        return ""
    shown = join_words([f"{escape(name)} {value:,.0f}" for name, value in per.items()])
    what = "updates to the best checkpoint" if steps == "best_step" else "updates"
    text = (
        "**Effects free of training length, at the best checkpoint.** Parameters drift with every "
        f"update, and best checkpoints come at different times: mean {what} of 3T runs: {shown}. "
    )
    tests = inputs.tested(*MAIN)
    matched = tests[tests["checkpoint"] == "matched"] if "checkpoint" in tests else tests.head(0)
    if matched["estimate"].notna().any() if len(matched) else False:
        return (
            f"{text}The tests at matched updates are free of that, but they compare networks that "
            "need not have learned equally much by then."
        )
    return f"{text}There is no number of updates at which all runs were recorded."


def noise(table: pd.DataFrame) -> str:
    """Cells at or below the noise floor."""
    if table.empty or table["floor_ratio_reachable"].isna().all():
        return ""
    ratios = table["floor_ratio_reachable"].dropna()
    below = int((ratios <= 1).sum())
    return (
        "**Meaning in displacements near the noise floor.** Over reachable rows the ratio to the "
        "floor runs from "
        f"{formats.significant(ratios.min(), 2).text} to "
        f"{formats.significant(ratios.max(), 2).text}, and "
        f"{below} of {len(ratios)} means lie at or below it: pure noise would have moved the "
        "parameters as far."
    )


def controls(inputs: Inputs) -> str:
    """Negative controls: absent, or only in some cells."""
    if not inputs.controls:
        return (
            "**That motion moved the parameters.** The study has no negative controls (static "
            "clips, shuffled frames, shuffled labels), so what is above the noise floor may come "
            "from anything that clips contain."
        )
    keys = ["network", "dataset", "init"]
    real = inputs.real_runs
    if "convolution" in real:
        real = real[real["convolution"] == "3t"]
    cells = set(map(tuple, real[keys].astype(str).to_numpy()))
    having = inputs.runs[inputs.control != "none"][keys].astype(str)
    without = len(cells - set(map(tuple, having.to_numpy())))
    if not without:
        return ""
    return (
        f"**That motion moved the parameters everywhere.** {without} of "
        f"{plural(len(cells), 'combination')} of network, dataset and start "
        f"{'has' if without == 1 else 'have'} no negative controls."
    )


def interaction(table: pd.DataFrame) -> str:
    """F3 is approximate."""
    if table.empty:
        return ""
    return (
        "**An exact p for F3.** Its permutation takes away an estimated main effect first, so its "
        "p is approximate; the calibration says how well it keeps its level."
    )


def simulated(table: pd.DataFrame) -> str:
    """The calibration rests on a model."""
    if table.empty:
        return (
            "**That the tests keep their level here.** No calibration was run for this study; "
            "`make calibrate` simulates studies in its layout."
        )
    return (
        "**That the tests keep their level in every study.** The calibration simulates runs, "
        "layers and channels with normal log-scales and heavy-tailed values; real runs may differ "
        "in ways it does not contain."
    )


def unreachable(table: pd.DataFrame) -> str:
    """Share of rows that never got a gradient."""
    if table.empty:
        return ""
    share = 1 - table["n_rows_reachable"].fillna(0) / table["n_rows"]
    by_network = share.groupby(table["network"], observed=True).max()
    dead = [f"{formats.share(v).text} in {escape(name)}" for name, v in by_network.items() if v > 0]
    if not dead:
        return ""
    return (
        f"**The paper's pooled means as they stand.** {join_words(dead)} of all rows can never "
        "move with clips "
        "of this length. They pull the means over all rows towards zero and differ between "
        "networks; "
        "compare networks on reachable rows."
    )


def shared_weights(inputs: Inputs) -> str:
    """Pretrained runs start from one set of 2D weights."""
    if "pretrained" not in inputs.distinct("init"):
        return ""
    return (
        "**Pretraining in general.** All pretrained runs of a network start from the same 2D "
        "weights, so "
        "their spread does not contain that of pretraining itself; the contrast of starts is "
        "with this one "
        "set of weights."
    )


def blockwise(tests: pd.DataFrame) -> str:
    """A block picked afterwards is not protected."""
    if tests.empty or not (tests["stratum"] != "all").any():
        return ""
    return (
        "**A claim picked from one block.** Holm's adjustment covers the four parameters of one "
        "contrast in "
        "one stratum. Whoever looks through all blocks and picks the smallest p is not "
        "protected; the "
        "test over all blocks is the one to rely on."
    )
