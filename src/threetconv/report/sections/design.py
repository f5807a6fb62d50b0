"""What was run: the design, and every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Details, Facts, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import make_table, numbers, when, words
from threetconv.report.wording import convolutions, plural
from threetconv.schemas.runs import CONVOLUTIONS

__all__ = ["section"]

VARIANT = ["network", "dataset", "convolution", "init", "recipe", "control"]
NO_TIME = pd.Series(dtype=float)


def section(inputs: Inputs) -> Section:
    """Facts, the table of variants, the folded table of runs."""
    if inputs.runs.empty:
        return Section("What was run", [Paragraph("The runs table is empty: no run was finished.")])
    present = inputs.distinct("convolution")
    kinds = [f"**{k.label}**: {k.about}" for name, k in CONVOLUTIONS.items() if name in present]
    blocks: list[Block] = [
        Paragraph(
            f"Every variant is a network, a dataset, a kind of convolution ({'; '.join(kinds)}) "
            "and a start (**pretrained**: from the weights of a 2D network; **scratch**: from "
            f"random weights). {replication(inputs)}The training run is the unit of the planned "
            "tests."
        ),
        Facts(facts(inputs)),
        variants(inputs.runs),
        Paragraph(
            "Tables 1 to 4 and Figures 4 and 5 carry the numbers of their counterparts in the "
            "paper (arXiv 2006.15983); what has no counterpart there carries a letter."
        ),
        Details(f"Every run ({len(inputs.runs)})", [every_run(inputs.runs)], printed=False),
    ]
    return Section("What was run", blocks)


def replication(inputs: Inputs) -> str:
    """How the runs of a variant differ, where one has several."""
    # Fetched runs have no seed of ours.
    trained = with_control(inputs.runs[~inputs.fetched])
    if not trained.duplicated(VARIANT).any():
        return ""
    here = " that were trained here" if inputs.fetched.any() else ""
    return f"Replicates{here} differ in their seed only. "


def facts(inputs: Inputs) -> list[tuple[str, str]]:
    """The settings that a reader asks for first."""
    runs = inputs.runs
    rates = inputs.setting("training.learning_rate", {})
    # One rate for all networks, or one for each kind of convolution.
    rates = rates if isinstance(rates, dict) else {"all": rates}
    lengths = formats.count_range(runs["n_updates"]) if "n_updates" in runs else formats.DASH
    seconds = runs["seconds"].sum() if "seconds" in runs else float("nan")
    pairs = [
        ("Runs", counted(runs)),
        ("Base seed", str(inputs.setting("seed", formats.DASH))),
        ("Width of the networks", f"{inputs.setting('width', 1)} of the original channels"),
        ("Epochs", str(inputs.setting("training.epochs", formats.DASH))),
        ("Updates per run", lengths),
        (
            "Adam, learning rate",
            "; ".join(f"{convolutions([k])}: {v:g}" for k, v in rates.items()) or formats.DASH,
        ),
        ("Schedule", str(inputs.setting("training.schedule", formats.DASH))),
        ("2D weights", two_d(inputs) if "pretrained" in inputs.distinct("init") else formats.DASH),
        ("Time of training, summed", formats.duration(seconds).text),
    ]
    # Settings that this study does not have are left out.
    return [(name, escape(value)) for name, value in pairs if value != formats.DASH]


def counted(runs: pd.DataFrame) -> str:
    """How many runs, and how many of them are negative controls."""
    number = int((with_control(runs)["control"] != "none").sum())
    controls = f", {number:,} of them negative controls" if number else ""
    return plural(len(runs), "training run") + controls


def with_control(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs; without their columns no run is a control, and all are of the paper's recipe."""
    lacking = {"control": "none", "recipe": "paper"}
    return runs.assign(**{k: v for k, v in lacking.items() if k not in runs})


def two_d(inputs: Inputs) -> str:
    """Where pretrained variants start."""
    source = str(inputs.setting("weights_2d.source", formats.DASH))
    return {
        "stills": "the network's 2D counterpart, trained on rendered still images",
        "imagenet": "torchvision's ImageNet weights",
    }.get(source, source)


def variants(runs: pd.DataFrame) -> Table:
    """A line for every variant."""
    runs = with_control(runs)

    def ranged(name: str) -> Callable[[pd.DataFrame], str]:
        return lambda group: formats.count_range(group[name]) if name in group else formats.DASH

    def first(name: str) -> Callable[[pd.DataFrame], Any]:
        return lambda group: group.iloc[0].get(name)

    columns = [
        words("network", first("network")),
        words("dataset", first("dataset")),
        words("conv.", lambda group: convolutions([first("convolution")(group)])),
        words("start", first("init")),
        *when((runs["recipe"] != "paper").any(), words("recipe", first("recipe"))),
        *when(
            (runs["control"] != "none").any(),
            words("control", lambda group: first("control")(group).replace("none", "")),
        ),
        numbers("runs", len, formats.count),
        numbers("clip", lambda group: clip_shape(group.iloc[0])),
        numbers("updates", ranged("n_updates")),
        numbers("best epoch", ranged("best_epoch")),
        numbers("all", first("n_parameters"), formats.count, group="parameters"),
        numbers("temporal", first("n_temporal"), formats.count, group="parameters"),
        numbers("time", lambda g: g.get("seconds", NO_TIME).mean(), formats.duration),
    ]
    return make_table(
        [group for _, group in runs.groupby(VARIANT, sort=True, observed=True)],
        columns,
        "Variants of the study. Clips are frames \N{MULTIPLICATION SIGN} height "
        "\N{MULTIPLICATION SIGN} width in px; the best epoch is that of the highest validation "
        "accuracy (range over runs); the time is the mean over runs.",
        label="Table A",
        group_by=2,
        wide=True,
    )


def clip_shape(run: pd.Series) -> str:
    """16 x 32 x 32."""
    parts = [formats.count(run.get(name)).text for name in ("frames", "height", "width")]
    return "\N{MULTIPLICATION SIGN}".join(parts)


def every_run(runs: pd.DataFrame) -> Table:
    """All runs, sortable on screen."""
    columns = {
        "run_id": words("run", "run_id"),
        "replicate": numbers("replicate", "replicate", formats.count),
        "seed": numbers("seed", "seed", ".0f"),
        "lr": numbers("learning rate", "lr", "g"),
        "n_updates": numbers("updates", "n_updates", formats.count),
        "best_epoch": numbers("best epoch", "best_epoch", formats.count),
        "best_step": numbers("best step", "best_step", formats.count),
        "n_parameters": numbers("parameters", "n_parameters", formats.count),
        # Twelve digits tell weights apart; run.json has all 64.
        "weights_sha256": words(
            "SHA-256 of the weights", lambda run: formats.text(run["weights_sha256"]).text[:12]
        ),
        "seconds": numbers("time", "seconds", formats.duration),
        "source": words("source", lambda run: formats.text(run["source"])),
        "status": words("status", lambda run: formats.text(run["status"])),
    }
    return make_table(
        runs.sort_values("run_id"),
        # A table of runs may lack some of these columns.
        [column for name, column in columns.items() if name in runs],
        "Every training run.",
        label="Table D",
        sortable=True,
        wide=True,
    )
