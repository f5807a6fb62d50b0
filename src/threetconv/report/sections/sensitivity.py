"""Sensitivity of the tests: other outcomes, other tests, and descriptions of rows."""

from __future__ import annotations

import re

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Cell, Details, Paragraph, Section
from threetconv.report.inputs import CHECKPOINTS, Inputs, checkpoint_name, differs, verdict
from threetconv.report.sections.crosstab import cross, stratum, with_interval
from threetconv.report.tables import P_VALUES, make_table, not_ok, numbers, pair, two_digits, words
from threetconv.report.wording import join_words, of_all
from threetconv.support.levels import passes

__all__ = ["sections"]

LAST_NUMBER = re.compile(r"(\d+(?:\.\d+)?)\D*$")
JOINT = "px, py"
OPPOSED = "heterogeneous"
ROW_DISTANCES = (
    ("wasserstein", "Wasserstein"),
    ("energy", "energy"),
    ("ks", "KS"),
    ("cliffs_delta", "Cliff's \N{GREEK SMALL LETTER DELTA}"),
)


def sections(inputs: Inputs) -> list[Section]:
    """Sensitivity and equivalence; bootstrap and distances of rows; nothing where none was made."""
    table = inputs.sensitivity
    out: list[Section] = []
    if not table.empty:
        kind = kinds(table)
        blocks = [
            *outcomes(table[kind == "outcome"], inputs.alpha),
            *mixed(table[kind == "mixed"], inputs.alpha),
            *energy(table[kind == "energy"], inputs.alpha),
        ]
        if blocks:
            out.append(Section("Do other outcomes and models agree?", blocks))
        same = equivalence(table[kind == "equivalence"], inputs.alpha)
        if same:
            out.append(Section("Are the groups equivalent?", same))
    described = [*bootstrap(inputs.bootstrap), *distances(inputs.distances)]
    if described:
        out.append(Section("Descriptions without a test", described))
    return out


def kinds(table: pd.DataFrame) -> pd.Series:
    """What each line of the sensitivity table is, from its method, unit and parameter."""
    # The table has no column for this, but each kind has a mark of its own.
    kind = pd.Series("outcome", index=table.index)
    kind[table["unit"].astype(str) == "run x layer"] = "mixed"
    kind[table["parameter"].astype(str) == JOINT] = "energy"
    kind[table["method"].astype(str).str.startswith("TOST")] = "equivalence"
    return kind


def outcomes(table: pd.DataFrame, alpha: float) -> list[Block]:
    """Other run-level outcomes under the same permutation test; the best checkpoint folded."""
    if table.empty:
        return []
    blocks: list[Block] = [
        Paragraph(
            "The blocked tests again, on other summaries of a run: all rows as in the paper, every "
            "layer with equal weight, the spread instead of the mean, and statistics that large "
            "values move less. Agreement in direction matters here more than the single p."
        )
    ]
    # Matched noise budgets first and open, the best checkpoint folded.
    for i, checkpoint in enumerate(c for c in CHECKPOINTS if (table["checkpoint"] == c).any()):
        name = CHECKPOINTS[checkpoint]
        shown = cross(
            table[table["checkpoint"] == checkpoint],
            ["family", "contrast", "outcome"],
            "Table F" if i == 0 else f"Table F, {name}",
            f"Sensitivity to the outcome, over all blocks, {name}: ratio, p after Holm's "
            f"adjustment (starred at \N{GREEK SMALL LETTER ALPHA} = {alpha:g}), 95 % interval.",
            lambda line: estimate_and_p(line, alpha),
        )
        blocks.append(shown if i == 0 else Details(f"The same, {name}", [shown], printed=False))
    return blocks


def mixed(table: pd.DataFrame, alpha: float) -> list[Block]:
    """MixedLM on run x layer means."""
    if table.empty:
        return []
    shown = cross(
        table,
        ["family", "contrast", "checkpoint", "stratum"],
        "Table F, mixed model",
        "Linear mixed models on the log-means of run and layer, runs as random groups; z is "
        "referred to Student's t, so there is no floor. Ratio, p after Holm's adjustment, 95 % "
        "interval.",
        lambda line: estimate_and_p(line, alpha),
    )
    return [Details(f"Mixed models on layers ({len(table)} fits)", [shown])]


def energy(table: pd.DataFrame, alpha: float) -> list[Block]:
    """The bivariate test of both translations."""
    if table.empty:
        return []
    columns = [
        words("", "family"),
        words("contrast"),
        words("block", lambda line: stratum(line["stratum"])),
        numbers("energy distance", "statistic", formats.significant),
        *P_VALUES,
        words("status", lambda line: verdict(line, alpha)),
    ]
    return [
        Paragraph(
            "Both translations together: the energy distance of (px, py) between runs, with the "
            "labels of runs permuted. It also sees differences of shape and direction that leave "
            "the mean displacement as it is."
        ),
        make_table(
            table,
            columns,
            "Bivariate energy test of (px, py), "
            f"{join_words([checkpoint_name(c) for c in table['checkpoint'].unique()])}.",
            label="Table F, translations",
            group_by=2,
            muted=not_ok,
            wide=True,
        ),
    ]


def equivalence(table: pd.DataFrame, alpha: float) -> list[Block]:
    """Two one-sided tests within a margin."""
    if table.empty:
        return []
    # The margin is recorded only in the method's name, as its last number.
    margins = {m[1] for m in map(LAST_NUMBER.search, table["method"].astype(str)) if m}
    margin = margins.pop() if len(margins) == 1 else ""
    within = f"within a factor of {margin}" if margin else "within the margin"
    caption = (
        f"Is the ratio of mean displacements {within}? TOST on runs: yes if both one-sided tests "
        "reject after Holm's adjustment (p in brackets)."
    )
    blocked = table[table["stratum"] == "all"]
    keys = ["family", "contrast", "checkpoint"]
    blocks: list[Block] = [
        Paragraph(
            "No difference shown is not the same as no difference. Here the burden is turned "
            "round: equivalence has to be shown. *Not shown* says neither that the groups differ "
            f"nor that they are equal.{equivalent(blocked, alpha)}"
        )
    ]
    if len(blocked):
        blocks.append(cross(blocked, keys, "Table G", caption, lambda x: equal(x, alpha)))
    inside = table[table["stratum"] != "all"]
    if len(inside):
        folded = cross(
            inside,
            [*keys, "stratum"],
            "Table G, continued",
            "The same inside each block.",
            lambda line: equal(line, alpha),
        )
        title = f"Equivalence inside single blocks ({len(inside)})"
        blocks.append(Details(title, [folded], printed=False))
    return blocks


def equivalent(table: pd.DataFrame, alpha: float) -> str:
    """How many of the tests over all blocks show equivalence, and how many could not be made."""
    if table.empty:
        return ""
    shown, opposed = int(differs(table, alpha).sum()), int((table["status"] == OPPOSED).sum())
    cannot = int((table["status"] != "ok").sum()) - opposed
    if cannot == len(table):
        return f" Over all blocks {of_all(0, cannot, 'test')} could be made."
    text = (
        f" Over all blocks equivalence is shown in {of_all(shown, len(table), 'test')} of a "
        "parameter, contrast and checkpoint"
    )
    if opposed:
        text += (
            f"; in {opposed} layers or blocks differ beyond the margin in opposite directions "
            "(*heterogeneous*), so that equal means are no equivalence"
        )
    return f"{text}; {cannot} could not be made." if cannot else f"{text}."


def bootstrap(table: pd.DataFrame) -> list[Block]:
    """Hierarchical bootstrap intervals."""
    if table.empty:
        return []
    shown = cross(
        table,
        ["family", "contrast", "checkpoint", "stratum"],
        "Table H",
        "Hierarchical bootstrap: runs, then channels within layers, are drawn anew. Ratio with "
        "its percentile interval.",
        with_interval,
    )
    text = (
        "With few runs a percentile interval tends to be too narrow, so these are descriptions "
        "and no tests."
    )
    return [Details("Hierarchical bootstrap", [Paragraph(text), shown])]


def distances(table: pd.DataFrame) -> list[Block]:
    """Distances between the rows of both groups."""
    if table.empty:
        return []
    columns = [
        words("", "family"),
        words("contrast"),
        words("block", lambda line: stratum(line["stratum"])),
        words("", "parameter"),
        numbers("rows", ("n_a", "n_b"), pair),
        *(numbers(head, name, two_digits) for name, head in ROW_DISTANCES),
    ]
    shown = make_table(
        table,
        columns,
        "Distances between the pooled reachable rows of two groups. They are effect sizes: rows "
        "are not independent, so no p can be attached to them.",
        label="Table I",
        group_by=3,
        wide=True,
        sortable=True,
    )
    return [Details(f"Distances between rows ({len(table)})", [shown], printed=False)]


def estimate_and_p(line: pd.Series, alpha: float) -> list[Cell]:
    """1.54, p 0.016* over [1.23, 1.92]; the star where p is at most alpha."""
    p = line["p_adjusted"]
    # Estimate and interval stand even where no test could be made.
    if line["status"] != "ok" or pd.isna(p):
        return with_interval(line)
    star = "*" if passes(float(p), alpha) else ""
    return with_interval(line, f", p {formats.p_value(p).text}{star}")


def equal(line: pd.Series, alpha: float) -> list[Cell]:
    """yes (0.012), not shown (0.3), or the status."""
    if line["status"] != "ok":
        return [Cell(str(line["status"]))]
    word = "yes" if passes(float(line["p_adjusted"]), alpha) else "not shown"
    return [Cell(f"{word} ({formats.p_value(line['p_adjusted']).text})")]
