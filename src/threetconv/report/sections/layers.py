"""Displacement by depth: the profile of every network, and the layers that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from threetconv.report import formats
from threetconv.report.document import (
    Block,
    Cell,
    Details,
    ListBlock,
    Paragraph,
    Section,
    Table,
    escape,
)
from threetconv.report.inputs import MAIN, Inputs, checkpoint_name, differs
from threetconv.report.tables import P_VALUES, RATIO, make_table, numbers, words
from threetconv.report.wording import join_words, of_all, verb

__all__ = ["section"]

PLACE = ("layer and parameter", "layers and parameters")


def section(inputs: Inputs) -> list[Section]:
    """Figures by network, counts in words, the layers that differ folded; nothing without them."""
    tests = inputs.tested(*MAIN, scope="layer")
    if inputs.layer_profile.empty and tests.empty:
        return []
    blocks: list[Block] = [
        Paragraph(
            f"How far the parameters of the layers moved, from the first to the last{at(inputs)}. "
            f"Layers none of whose rows can be reached are left out.{lines(inputs)}"
        )
    ]
    networks = inputs.distinct("network")
    for i, network in enumerate(networks):
        blocks += inputs.figure(
            f"profile_{network}",
            label=f"Figure D{i + 1 if len(networks) > 1 else ''}",
            caption=f"Mean displacement by layer of {escape(network)}, a panel for each parameter "
            "and start (log axis). Marks at the top, where there are any: layers that differ "
            "after Benjamini and Hochberg's adjustment over the layers.",
            alt=f"Line charts for {network}: mean displacement of every layer for each dataset, "
            "one panel for each parameter and start. Layers that differ are listed in the "
            "table below, where there are any.",
        )
    blocks += tested(tests, inputs)
    return [Section("Displacement by depth", blocks)]


def at(inputs: Inputs) -> str:
    """At which checkpoint the figures are drawn: matched noise budgets where networks have them."""
    table = inputs.layer_profile
    if table.empty:
        return ""
    # Fetched runs have no snapshots at matched noise budgets, see `figures.profile.profiles`.
    matched = set(table.loc[table["checkpoint"] == "matched", "network"].astype(str))
    rest = sorted(set(table["network"].astype(str)) - matched)
    if not rest:
        return ", at matched noise budgets"
    if not matched:
        return ", at the best checkpoint"
    return f", at matched noise budgets (of {join_words(rest)} at the best checkpoint)"


def lines(inputs: Inputs) -> str:
    """What bands and dashed lines are, where there are any."""
    table = inputs.layer_profile
    said = ""
    if len(table) and table["ci_low"].notna().any():
        said += " Bands are 95 % intervals over runs."
    if len(table) and table["noise_floor"].notna().any():
        said += " Dashed lines are noise floors."
    return said


def tested(tests: pd.DataFrame, inputs: Inputs) -> list[Block]:
    """How many layer-wise tests differ, and which."""
    if tests.empty:
        return [Paragraph("*No test of single layers was made.*")]
    shown = tests[differs(tests, inputs.alpha)]
    blocks: list[Block] = [
        Paragraph(
            "Layers were tested one by one inside each network, with p adjusted over its "
            "layers so that among those called different about "
            f"{formats.share(inputs.alpha).text} at most are expected to be false. A layer is "
            "untestable where even all layers at their smallest p would not pass."
        ),
        ListBlock(counts(tests, inputs.alpha)),
    ]
    if len(shown):
        title = f"Layers that differ ({len(shown)})"
        blocks.append(Details(title, [which(shown, names(inputs))], printed=False))
    return blocks


def counts(tests: pd.DataFrame, alpha: float) -> list[str]:
    """A point for every family, contrast, checkpoint and network."""
    points = []
    keys = ["family", "contrast", "checkpoint", "stratum"]
    for key, lines in tests.groupby(keys, sort=False, observed=True):
        family, contrast, checkpoint, network = (str(part) for part in key)
        ok = lines["status"] == "ok"
        # `p_adjusted` is Benjamini and Hochberg's over the layers of a network.
        differ = lines[differs(lines, alpha)]
        untested = int((~ok).sum())
        text = (
            f"Family {family} (*{escape(contrast)}*) in "
            f"{escape(network)}, {checkpoint_name(checkpoint)}: "
        )
        if ok.any():
            text += of_all(len(differ), int(ok.sum()), *PLACE)
            text += f" that could be tested {verb(len(differ), 'is', 'are')} shown to differ"
            text += f" ({by_parameter(differ)})" if len(differ) else ""
            text += f"; {untested} more could not be tested" if untested else ""
        else:
            text += f"{of_all(0, untested, *PLACE)} could be tested: "
            text += escape(most_common(lines["reason"]))
        points.append(text + ".")
    return points


def by_parameter(lines: pd.DataFrame) -> str:
    """s 3, px 1."""
    found = lines["parameter"].astype(str).value_counts()
    return ", ".join(f"{p} {found[p]}" for p in ("s", "r", "px", "py") if p in found)


def most_common(reasons: pd.Series) -> str:
    """The reason that most lines give."""
    counted = reasons.astype(str).value_counts()
    return str(counted.index[0]) if len(counted) else "no reason was recorded"


def names(inputs: Inputs) -> dict[tuple[str, int], str]:
    """(network, layer_index) -> name of the layer."""
    table = inputs.layer_profile
    if table.empty:
        return {}
    unique = table.drop_duplicates(["network", "layer_index"])
    return {
        (str(network), int(index)): str(layer)
        for network, index, layer in zip(
            unique["network"], unique["layer_index"], unique["layer"], strict=True
        )
    }


def which(tests: pd.DataFrame, layers: dict[tuple[str, int], str]) -> Table:
    """The layers that differ."""

    def layer(line: Mapping[Any, Any]) -> Cell:
        index = int(line["layer_index"])
        # Shown by name, sorted by depth. Layer-wise tests have the network as their stratum.
        return Cell(layers.get((line["stratum"], index), str(index)), float(index))

    columns = [
        words("", "family"),
        words("contrast"),
        words("network", "stratum"),
        words("at", "checkpoint"),
        words("layer", layer),
        words("", "parameter"),
        *RATIO,
        *P_VALUES[:2],
        numbers("p (BH)", "p_adjusted", formats.p_value),
    ]
    strata = join_words(sorted({str(s) for s in tests["stratum"]}))
    return make_table(
        tests,
        columns,
        f"Layers of {escape(strata)} that differ after adjustment over layers.",
        label="Table J",
        group_by=4,
        wide=True,
        sortable=True,
    )
