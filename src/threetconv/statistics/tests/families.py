"""What is compared with what: the families of tests, their contrasts, and the blocks of each.

"dataset" and "init" ask whether the dataset, or the initialisation, matters; "dataset x init"
whether the effect of the dataset depends on the initialisation; "controls" how real runs differ
from negative controls. All but "controls" use real runs only. 3D runs have no temporal parameters
and are always left out. Runs of different recipes are never compared in these families, nor pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from threetconv.errors import look_up
from threetconv.schemas.runs import CONTROLS

__all__ = [
    "FAMILIES",
    "TWO_ARMED",
    "Block",
    "Contrast",
    "Family",
    "form_blocks",
    "form_contrasts",
    "named_family",
    "select_runs",
    "with_control",
    "with_recipe",
]

PAPER = "paper"  # the recipe that every study has
REAL = "none"  # the control of a run that is no negative control


@dataclass(frozen=True)
class Family:
    """A question asked of the study: does `factor` matter, other things (`blocks`) being equal?

    With a `moderator` the question is whether the effect of `factor` differs between its levels.
    """

    name: str
    factor: str
    blocks: tuple[str, ...]
    order: tuple[str, ...] = ()  # levels in this order: the earlier one is the ratio's numerator
    moderator: str = ""
    moderator_order: tuple[str, ...] = ()
    reference: str = ""  # only contrasts of this level with the others


FAMILIES = {
    "dataset": Family("dataset", "dataset", ("network", "init")),
    "init": Family("init", "init", ("network", "dataset"), order=("scratch", "pretrained")),
    "dataset x init": Family(
        "dataset x init",
        "dataset",
        ("network",),
        moderator="init",
        moderator_order=("scratch", "pretrained"),
    ),
    "controls": Family(
        "controls",
        "control",
        ("network", "dataset", "init"),
        order=(REAL, *CONTROLS),
        reference=REAL,
    ),
}
TWO_ARMED = ("dataset", "init")  # families of real runs whose blocks have two arms


@dataclass(frozen=True)
class Contrast:
    """Level a against level b of the factor; for an interaction, at two levels of the moderator."""

    pair: tuple[str, str]
    at: tuple[str, str] | None = None

    @property
    def text(self) -> str:
        """As the tests table names it: "a / b", or "a / b, first / second"."""
        parts = [self.pair] if self.at is None else [self.pair, self.at]
        return ", ".join(" / ".join(part) for part in parts)


@dataclass(frozen=True)
class Block:
    """Runs of one block: row numbers of arms a and b, for an interaction at each moderator level.

    Rows are those of the table of runs that `form_blocks` was given; runs of an arm are in the
    order of their replicates.
    """

    key: tuple[str, ...]  # its level of every blocking column
    arms: tuple[tuple[np.ndarray, np.ndarray], ...]

    @property
    def name(self) -> str:
        """The levels, as the stratum of the tests table."""
        return ", ".join(self.key)

    @property
    def complete(self) -> bool:
        """Every arm has a run."""
        return all(arm.size for pair in self.arms for arm in pair)

    @property
    def rows(self) -> np.ndarray:
        """All runs of the block."""
        return np.concatenate([arm for pair in self.arms for arm in pair])

    def count(self, arm: int) -> int:
        """Runs of arm a (0) or b (1)."""
        return sum(pair[arm].size for pair in self.arms)

    def kept(self, present: np.ndarray) -> Block:
        """Without the runs that are not `present` (a bool for every row)."""
        return Block(self.key, tuple((a[present[a]], b[present[b]]) for a, b in self.arms))

    def paired(self, replicates: np.ndarray) -> Block:
        """Only the replicates that both arms have, in the same order."""
        arms = []
        for a, b in self.arms:
            _, first, second = np.intersect1d(replicates[a], replicates[b], return_indices=True)
            arms.append((a[first], b[second]))
        return Block(self.key, tuple(arms))


def named_family(name: str, datasets: Sequence[str] | None = None) -> Family:
    """The family of that name; `datasets` are put first among the levels of a dataset factor."""
    family = look_up(FAMILIES, name, what="family")
    if datasets is None or family.factor != "dataset":
        return family
    return replace(family, order=tuple(datasets))


def with_recipe(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `recipe`; without one every run is of the paper's."""
    return table if "recipe" in table else table.assign(recipe=PAPER)


def with_control(table: pd.DataFrame, runs: pd.DataFrame | None) -> pd.DataFrame:
    """Lines of 3T runs, real and controls, with the column `control`.

    Args:
        table: has run_id; without `runs` a column `control` is believed, and every run is real if
            there is none.
        runs: run_id, convolution, control.
    """
    if runs is None:
        return table if "control" in table else table.assign(control=REAL)
    wanted = runs[runs["convolution"] == "3t"].drop_duplicates("run_id")
    control = wanted.set_index("run_id")["control"]
    table = table[table["run_id"].isin(control.index)]
    return table.assign(control=table["run_id"].map(control).astype(object))


def select_runs(table: pd.DataFrame, runs: pd.DataFrame | None) -> pd.DataFrame:
    """Lines of 3T runs that are no negative controls."""
    if runs is None:
        return table[table["control"] == REAL] if "control" in table else table
    wanted = runs[(runs["convolution"] == "3t") & (runs["control"] == REAL)]
    return table[table["run_id"].isin(wanted["run_id"])]


def form_contrasts(
    table: pd.DataFrame, family: Family, datasets: Sequence[str] | None = None
) -> list[Contrast]:
    """All contrasts of the family among the levels that `table` has, in a fixed order.

    Levels stand in the family's order and then alphabetically. With `datasets` only that contrast
    of a dataset factor.
    """
    pairs = list(combinations(_levels(table, family.factor, family.order), 2))
    if family.reference:
        pairs = [pair for pair in pairs if pair[0] == family.reference]
    if datasets is not None and family.factor == "dataset":
        pairs = [pair for pair in pairs if pair == tuple(datasets)]
    if not family.moderator:
        return [Contrast(pair) for pair in pairs]
    levels = _levels(table, family.moderator, family.moderator_order)
    return [Contrast(pair, at) for pair in pairs for at in combinations(levels, 2)]


def _levels(table: pd.DataFrame, factor: str, order: Sequence[str]) -> list[str]:
    present = set(table[factor].unique())
    first = [level for level in order if level in present]
    return first + sorted(present - set(first))


def form_blocks(runs: pd.DataFrame, family: Family, contrast: Contrast) -> list[Block]:
    """The blocks of a contrast, by name; blocks may lack an arm.

    Args:
        runs: a line per run: run_id, replicate, and the columns of the family.
        family, contrast: what is compared. Of a family with a reference level only blocks that
            have the level compared with it are formed.
    """
    factor = runs[family.factor].to_numpy()
    # real runs are in every cell, so a block exists where the control was trained
    anchor = contrast.pair[1:] if family.reference else contrast.pair
    named = runs[np.isin(factor, anchor)]
    if contrast.at is not None:
        named = named[named[family.moderator].isin(contrast.at)]
    names = sorted(set(named[list(family.blocks)].itertuples(index=False, name=None)))
    order = np.lexsort((runs["run_id"].to_numpy(str), runs["replicate"].to_numpy()))
    blocks = []
    for name in names:
        inside = np.ones(len(runs), dtype=bool)
        for column, level in zip(family.blocks, name, strict=True):
            inside &= (runs[column] == level).to_numpy()
        arms = []
        # without a moderator one pass with an empty level, which restricts nothing
        for level in contrast.at or ("",):
            here = inside & (runs[family.moderator] == level).to_numpy() if level else inside
            a, b = (order[(here & (factor == arm))[order]] for arm in contrast.pair)
            arms.append((a, b))
        blocks.append(Block(name, tuple(arms)))
    return blocks
