"""What cannot be concluded, derived from the facts of this study."""

from __future__ import annotations

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Callout, ListBlock, Paragraph, Section, escape
from threetconv.report.inputs import MAIN, Inputs
from threetconv.report.wording import join_words, of_all, plural, verb

__all__ = ["section"]


def section(inputs: Inputs, *, faithfulness: pd.DataFrame) -> Section:
    """One point for every limit that applies here.

    Args:
        inputs: the study.
        faithfulness: what is lost without the transforms of channels and layers, of explained runs.
    """
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
        selection(inputs),
        dependence(inputs, faithfulness),
        interaction(inputs.tested("dataset x init"), inputs.calibration),
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
    """Recommendations, by what this study lacks."""
    points = []
    # With 5 against 5 runs the smallest p of a permutation test is 2 / 252, which passes 0.05
    # after Holm's adjustment over four parameters.
    if (cell_sizes(inputs) < 5).any():
        points.append("more seeds give more power and lower floors (five per cell are recommended)")
    if not inputs.controls:
        points.append("negative controls show how far parameters move without motion or lesson")
    if inputs.synthetic:
        points.append("recorded data make a comparison with the paper meaningful")
    points.append("further datasets tell a kind of data apart from the particular dataset")
    text = "; ".join(points)
    return f"{text[0].upper()}{text[1:]}."


def cell_sizes(inputs: Inputs) -> pd.Series:
    """Runs of every variant, negative controls left out."""
    return inputs.real_runs.groupby(inputs.variant, observed=True).size()


def synthetic(inputs: Inputs) -> str:
    """Results on rendered data do not carry over to recorded ones."""
    if not inputs.synthetic:
        return ""
    names = join_words([escape(n) for n in inputs.synthetic])
    narrower = float(inputs.setting("width", 1)) < 1
    text = (
        f"**Nothing about Jester, UCF101 or real video from {names}.** These clips are rendered "
        "and simple"
    )
    return f"{text}, and the networks are narrower than the paper's." if narrower else f"{text}."


def selection(inputs: Inputs) -> str:
    """Validation accuracies come from chosen epochs; nothing where no epoch was chosen."""
    if inputs.fetched.all():
        return ""
    tested = "test_mean" in inputs.accuracy and inputs.accuracy["test_mean"].notna().any()
    return (
        "**The validation split is used twice.** It chooses the best checkpoint of each run that "
        "was trained here and then reports its accuracy. Validation accuracies therefore tend to "
        "be too high; differences between variants suffer less"
        + (", and accuracies on a test split not at all." if tested else ".")
    )


def dependence(inputs: Inputs, faithfulness: pd.DataFrame) -> str:
    """Displacement is not dependence; on how many runs dependence was measured."""
    runs = set(inputs.measured["run_id"].astype(str))
    having = runs & set(faithfulness["run_id"].astype(str)) if len(faithfulness) else set()
    text = (
        "**Displacement is not dependence.** Parameters that moved further do not show that a "
        "network relies on them."
    )
    if not having:
        return f"{text} What is lost without them was not measured here."
    rest = len(runs) - len(having)
    text += (
        " What is lost without the transforms of a channel or layer was measured on "
        f"{of_all(len(having), len(runs), '3T run')} (see What channels learned)"
    )
    return (
        f"{text}; of the {'other' if rest == 1 else 'others'} it is not known."
        if rest
        else f"{text}."
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
        "and how the epoch was chosen is known only as far as the study says. A contrast with "
        "fetched runs has no test at matched noise budgets, and best epochs of 0 stand for unknown "
        "ones."
    )


def replicates(inputs: Inputs) -> str:
    """Runs per cell, the floors that follow, and the tests that could not be made."""
    cells = cell_sizes(inputs)
    if cells.empty:
        return "**Anything about real clips.** Only negative controls were run."
    least, most = int(cells.min()), int(cells.max())
    each = plural(least, "run") if least == most else f"{least} to {most} runs"
    text = f"**Small differences.** There {'is' if most == 1 else 'are'} {each} per cell."
    tests = inputs.tested(*MAIN)
    if tests.empty:
        return text
    floors = floor_range(tests[tests["stratum"] == "all"])
    inside = floor_range(tests[tests["stratum"] != "all"])
    if floors:
        text += f" The smallest p a test over all blocks can give is {floors}"
        text += f"; inside one block it is {inside}." if inside else "."
    return text + untested(tests)


def floor_range(tests: pd.DataFrame) -> str:
    """The smallest attainable p of these tests, or their range."""
    floors = tests["p_floor"].dropna()
    if floors.empty:
        return ""
    low, high = formats.p_prose(floors.min()), formats.p_prose(floors.max())
    return low if low == high else f"{low} to {high}"


def untested(tests: pd.DataFrame) -> str:
    """How many planned tests could not be made, and how many of them for too few runs."""
    cannot = tests[tests["status"] != "ok"]
    if cannot.empty:
        return ""
    # The reason's wording is that of the tests (`statistics.tests`).
    few = int(cannot["reason"].astype(str).str.startswith("the smallest attainable p").sum())
    text = f" {of_all(len(cannot), len(tests), 'planned test')} could not be made"
    # of_all gives "none of the", "all" or a number; it starts a sentence here.
    text = f" {text[1].upper()}{text[2:]}"
    why = f", {'all' if few == len(cannot) else few} for want of runs" if few else ""
    return f"{text}{why}; this is not the same as finding no difference."


def kinds(inputs: Inputs) -> str:
    """One dataset of each kind."""
    names = [escape(name) for name in inputs.datasets]
    if len(names) == 1:
        return (
            f"**Anything about the dataset.** The runs saw {names[0]} only; without a second "
            "dataset no difference can be put down to it."
        )
    return (
        f"**Kinds of data in general.** {join_words(names)} are {len(names)} particular datasets. "
        "They may differ in more than what a kind is named for, and one dataset cannot speak for "
        "its kind."
    )


def training_length(inputs: Inputs) -> str:
    """Whether datasets were trained for the same number of updates, and what matching solves."""
    runs = inputs.measured
    steps = "best_step" if "best_step" in runs else "n_updates"
    if steps not in runs or runs["dataset"].nunique() < 2:
        return ""
    per = runs.groupby("dataset", observed=True)[steps].mean()
    # Unknown lengths (fetched runs) cannot be compared.
    if len(per) < 2 or per.isna().any():
        return ""
    if per.nunique() < 2:
        return ""
    shown = join_words(
        [f"{escape(name)} {formats.significant_or_int(value)}" for name, value in per.items()]
    )
    what = "updates to the best checkpoint" if steps == "best_step" else "updates"
    text = (
        "**Effects free of training length, at the best checkpoint.** Parameters drift with every "
        f"update, and best checkpoints come at different times: mean {what} of 3T runs: {shown}. "
    )
    return text + matched(inputs)


def matched(inputs: Inputs) -> str:
    """What tests at matched noise budgets rule out and what they do not, or why there are none."""
    tests = inputs.tested(*MAIN)
    lines = tests[tests["checkpoint"] == "matched"] if "checkpoint" in tests else tests.head(0)
    if lines.empty:
        return "No test was made at matched noise budgets."
    if lines["estimate"].isna().all():
        why = lines["reason"].astype(str).value_counts().index[0]
        return f"No test at matched noise budgets could be made: {escape(why)}."
    text = (
        "The tests at matched noise budgets are free of that, but they compare networks that need "
        "not have learned equally much by then"
    )
    schedule = str(inputs.setting("training.schedule", "constant"))
    # A schedule runs over all updates of a run: where these differ, equal budgets are reached at
    # other places of the schedule.
    planned = inputs.measured.groupby("dataset", observed=True)["n_updates"].max()
    if schedule == "constant" or planned.nunique() < 2:
        return f"{text}."
    return (
        f"{text}, and that may have stood at another place of the schedule ({escape(schedule)}), "
        "which ran over other numbers of updates."
    )


def noise(table: pd.DataFrame) -> str:
    """Cells at or below the noise floor."""
    if table.empty or table["floor_ratio_reachable"].isna().all():
        return ""
    # Without unreachable rows, which would pull every ratio below the floor.
    ratios = table["floor_ratio_reachable"].dropna()
    below = int((ratios <= 1).sum())
    low, high = (formats.significant(v, 2).text for v in (ratios.min(), ratios.max()))
    text = (
        "**Meaning in displacements near the noise floor.** Over reachable rows the ratio to the "
        f"floor {'is ' + low if low == high else f'runs from {low} to {high}'}, and "
        f"{of_all(below, len(ratios), 'mean')} {verb(below, 'lies', 'lie')} at or below it"
    )
    return f"{text}: pure noise would have moved these parameters as far." if below else f"{text}."


def controls(inputs: Inputs) -> str:
    """Negative controls: absent, or only in some cells."""
    if not inputs.controls:
        return (
            "**That motion moved the parameters.** The study has no negative controls (static "
            "clips, shuffled frames, shuffled labels), so what moved them may be anything that "
            "clips contain."
        )
    # a control questions the runs of its own recipe
    keys = [name for name in inputs.variant if name != "convolution"]
    real = inputs.real_runs
    if "convolution" in real:
        # Other runs have no temporal parameters that a control could question.
        real = real[real["convolution"] == "3t"]
    cells = set(map(tuple, real[keys].astype(str).to_numpy()))
    having = inputs.runs[inputs.control != "none"][keys].astype(str)
    without = len(cells - set(map(tuple, having.to_numpy())))
    if not without:
        return ""
    return (
        "**That motion moved the parameters everywhere.** No negative controls were run for "
        f"{of_all(without, len(cells), 'combination')} of "
        + (
            "network, dataset, start and recipe."
            if len(inputs.recipes) > 1
            else "network, dataset and start."
        )
    )


def interaction(table: pd.DataFrame, calibration: pd.DataFrame) -> str:
    """The interaction's p is approximate, where it was tested."""
    if table.empty or not (table["status"] == "ok").any():
        return ""
    # The calibration covers the interaction only if the study has one.
    known = (
        len(calibration) and calibration["test"].astype(str).str.contains("dataset x init").any()
    )
    return (
        "**An exact p for dataset x init.** Its permutation takes away an estimated main effect "
        "first, so its p is approximate"
        + ("; the calibration says how well it keeps its level." if known else ".")
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
    # The largest share, where clips of several lengths give a network more than one.
    share = 1 - table["n_rows_reachable"].fillna(0) / table["n_rows"]
    by_network = share.groupby(table["network"], observed=True).max()
    dead = [f"{formats.share(v).text} in {escape(name)}" for name, v in by_network.items() if v > 0]
    if not dead:
        return ""
    uneven = ", and by different shares in different networks" if len(set(by_network)) > 1 else ""
    return (
        f"**The paper's pooled means as they stand.** Of their rows {join_words(dead)} can never "
        "move with clips of this length. They pull the means over all rows towards zero"
        f"{uneven}; compare networks on reachable rows."
    )


def shared_weights(inputs: Inputs) -> str:
    """Pretrained runs start from one set of 2D weights."""
    here = inputs.measured[~inputs.fetched[inputs.measured.index]]
    pretrained = here[here["init"].astype(str) == "pretrained"]
    # One pretrained run per network has no spread that could be misread.
    if not pretrained.duplicated("network").any():
        return ""
    contrast = (here["init"].astype(str) != "pretrained").any()
    return (
        "**Pretraining in general.** Pretrained runs of a network start from the same 2D weights, "
        "so their spread does not contain that of pretraining itself"
        + ("; the contrast of starts is with this one set of weights." if contrast else ".")
    )


def blockwise(tests: pd.DataFrame) -> str:
    """A test of a block that was picked afterwards does not keep its level."""
    if tests.empty or not (tests["stratum"] != "all").any():
        return ""
    return (
        "**A claim picked from one block.** Holm's adjustment covers the four parameters of one "
        "contrast in one stratum at one checkpoint. Whoever looks through the blocks and picks the "
        "smallest p is not protected; the test over all blocks is the one to rely on."
    )
