"""Type I error, coverage and power of every test in simulated studies whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import Block, Cell, Details, Paragraph, Section, Table, escape
from threetconv.report.inputs import Inputs
from threetconv.report.tables import Shown, make_table, numbers, when, words
from threetconv.report.wording import join_words

__all__ = ["section"]

TITLES = {
    "type I error": "Type I error: share of simulated studies without any difference in which the "
    "test finds one",
    "coverage": "Coverage: share of intervals that hold the true ratio",
    "power": "Power: share of simulated studies with a true difference in which the test finds it",
}
NOTHING = Cell(formats.DASH)
KEYS = ["test", "unit", "design", "runs_per_arm", "tau"]


def section(inputs: Inputs) -> list[Section]:
    """The result in words, the figure, the tables; nothing where no calibration was made."""
    table = inputs.calibration
    if table.empty:
        return []
    table = table.assign(quantity=table["quantity"].astype(str))
    blocks: list[Block] = [
        Paragraph(
            "Studies were simulated in the layout of each network: runs that differ as a whole "
            "(standard deviation \N{GREEK SMALL LETTER TAU} of *D*), layers and channels nested in "
            "them, heavy-tailed values. Every test was then applied to them. A sound test finds a "
            "difference in about 5 % of the studies that have none, and its intervals hold the "
            "truth in about 95 %."
        ),
        Paragraph(reading(table)),
        *inputs.figure(
            "calibration",
            label="Figure F",
            caption="Type I error, coverage and power of every test, with Wilson's 95 % "
            "intervals. Naive tests take rows as the unit.",
            alt="Dot plots of type I error, coverage and power for every test and number of runs "
            "per arm, a column for each network. The values are in the tables below.",
        ),
    ]
    for i, quantity in enumerate(q for q in TITLES if (table["quantity"] == q).any()):
        lines = table[table["quantity"] == quantity]
        label = "Table K" if i == 0 else f"Table K, {quantity}"
        shown = grid(lines, label, TITLES[quantity])
        blocks.append(shown if i == 0 else Details(f"As a table: {quantity}", [shown]))
    return [Section("Calibration: can these tests be trusted?", blocks)]


def reading(table: pd.DataFrame) -> str:
    """One paragraph on what is seen, from the table."""
    errors = table[table["quantity"] == "type I error"]
    naive = errors["unit"].astype(str) == "row"
    testable = errors["valid"].astype(str) != "untestable"
    parts = []
    # With tau = 0 runs do not differ as a whole, and rows are independent units.
    noisy = errors[naive & (errors["tau"] > 0)]
    if len(noisy):
        # All tests of type I error have the same level.
        nominal = formats.share(noisy["nominal"].iloc[0]).text
        parts.append(
            "Where runs differ as a whole, tests that take rows as the unit find a difference "
            f"that is not there in {span(noisy)} of the studies, where {nominal} would be right"
            # A string times False is "".
            f"{', and more runs do not mend that' * persists(noisy)}."
        )
    runs = errors[~naive & testable]
    if len(runs):
        # liberal: the interval of the error rate lies above the nominal level.
        worst = runs[runs["valid"].astype(str) == "liberal"]
        text = (
            "Tests that take runs as the unit find a difference that is not there in "
            f"{span(runs)} of the studies"
        )
        if len(worst):
            listed = join_words(list(dict.fromkeys(escape(t) for t in worst["test"].astype(str))))
            text += f"; of them too often: {listed}"
        parts.append(text + ".")
    covers = table[table["quantity"] == "coverage"]
    narrow = covers[covers["valid"].astype(str) == "liberal"]
    if len(narrow):
        listed = join_words(list(dict.fromkeys(escape(t) for t in narrow["test"].astype(str))))
        parts.append(
            f"Intervals that are too narrow with so few runs: {listed} (they hold the truth in "
            f"{span(narrow)} of the studies)."
        )
    # An untestable design never rejects, so its error rate of 0 says nothing in its favour.
    silent = errors[~naive & ~testable]
    if len(silent):
        ks = sorted({int(k) for k in silent["runs_per_arm"]})
        parts.append(
            f"With {join_words([str(k) for k in ks], last='or')} "
            f"{'run' if ks == [1] else 'runs'} per arm some designs cannot "
            "reach a small p at all: they are called untestable and do not reject."
        )
    parts.append(
        "A verdict on a test rests on a 95 % interval, so about one in twenty is wrong by chance; "
        "`make calibrate` simulates 1,000 studies for each network at full size."
    )
    return " ".join(parts)


def persists(naive: pd.DataFrame) -> bool:
    """Whether naive tests find too much with the most runs as well, and no less than with few."""
    by_runs = naive.groupby("runs_per_arm")["estimate"].mean()
    most = naive[naive["runs_per_arm"] == naive["runs_per_arm"].max()]
    liberal = bool((most["valid"].astype(str) == "liberal").all())
    # groupby sorts by runs per arm, so iloc[0] is the fewest and iloc[-1] the most runs.
    return len(by_runs) > 1 and liberal and bool(by_runs.iloc[-1] >= by_runs.iloc[0])


def span(lines: pd.DataFrame) -> str:
    """3 % to 5 %."""
    low, high = (formats.share(v).text for v in (lines["estimate"].min(), lines["estimate"].max()))
    return low if low == high else f"{low} to {high}"


def grid(table: pd.DataFrame, label: str, title: str) -> Table:
    """A line for each test, design and number of runs; share and verdict under each network."""
    naive = table["unit"].astype(str) == "row"
    # Naive tests first, as in the figure.
    ordered = pd.concat([table[naive], table[~naive]])
    power = (table["quantity"] == "power").all()
    keys = [*KEYS, "effect"] if power and len(set(table["effect"])) > 1 else KEYS
    judged = bool((table["valid"].astype(str) != "").any())
    # Designs such as "2 blocks" are shown as numbers under the head "blocks".
    counted = table["design"].astype(str).str.fullmatch(r"\d+ blocks?").all()
    columns = [
        words("test"),
        words("unit"),
        words("blocks", lambda x: x["design"].partition(" ")[0]) if counted else words("design"),
        numbers("runs", "runs_per_arm", formats.count),
        numbers("\N{GREEK SMALL LETTER TAU}", "tau", "g"),
        *when("effect" in keys, numbers("ratio", "effect", "g")),
    ]
    for network in sorted(set(table["network"])):
        columns += of_network(network, verdict=bool(judged))
    lines = [
        dict(zip(keys, key, strict=True))
        | {"silent": (group["valid"] == "untestable").all()}
        # One line of the table holds all networks side by side.
        | {"networks": {line["network"]: line for line in group.to_dict("records")}}
        for key, group in ordered.groupby(keys, sort=False, observed=True)
    ]
    replicates = formats.count_range(table["n_replicates"])
    notes = remarks(table)
    note = f"Runs: per arm and block. Simulated studies per line: {replicates}. Intervals: Wilson."
    return make_table(
        lines,
        columns,
        f"{title}.",
        label=label,
        group_by=3,
        muted=lambda line: line["silent"],
        note=escape(" ".join([note, *notes])),
        wide=True,
    )


def remarks(table: pd.DataFrame) -> list[str]:
    """The notes of the tests, each said once with the tests that it belongs to."""
    if "note" not in table:
        return []
    noted = table[table["note"].astype(str) != ""]
    out = []
    for note, lines in noted.groupby("note", sort=False, observed=True):
        names = join_words(list(dict.fromkeys(lines["test"].astype(str))))
        out.append(f"{names}: {note}.")
    return out


def of_network(network: str, *, verdict: bool) -> tuple[Shown, ...]:
    """Share, interval and verdict of one network; dashes where it was not simulated."""

    def shown(show: Callable[[Mapping[Any, Any]], Cell]) -> Callable[[Mapping[Any, Any]], Cell]:
        def cell(line: Mapping[Any, Any]) -> Cell:
            return show(line["networks"][network]) if network in line["networks"] else NOTHING

        return cell

    return (
        numbers("share", shown(share), group=network),
        numbers("95 % interval", shown(interval_of_shares), group=network),
        *when(verdict, words("", shown(lambda line: Cell(line["valid"])), group=network)),
    )


def share(line: Mapping[Any, Any]) -> Cell:
    """0.052."""
    return formats.number(line["estimate"], ".3f")


def interval_of_shares(line: Mapping[Any, Any]) -> Cell:
    """[0.04, 0.06], sorted by the share."""
    low, high = (formats.number(line[name], ".2f").text for name in ("ci_low", "ci_high"))
    shown = f"[{low}, {high}]" if formats.DASH not in (low, high) else formats.DASH
    return Cell(shown, share(line).sort)
