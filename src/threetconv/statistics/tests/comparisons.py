"""What is compared: one contrast, its runs and blocks, and the lines of a table that it fills.

Every method gets its comparisons here, and every line of the tests and sensitivity tables starts
as `Comparison.line`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from threetconv.errors import look_up
from threetconv.schemas.statistics import TESTS
from threetconv.statistics.summaries.snapshot_choice import Chosen, at_checkpoint
from threetconv.statistics.tests.families import (
    PAPER,
    REAL,
    TWO_ARMED,
    Block,
    Contrast,
    Family,
    form_blocks,
    form_contrasts,
    named_family,
    with_control,
    with_recipe,
)

__all__ = ["COLUMNS", "OVERALL", "Comparison", "as_table", "comparisons", "two_armed", "versions"]

COLUMNS = TESTS.names
OVERALL = "all"  # the stratum of all blocks together
NO_SEED = -1  # rng_seed of a method that draws nothing
RUN = ["run_id", "network", "dataset", "init", "recipe", "control", "replicate"]
BLANK: dict[str, object] = {
    "scope": "model", "layer_index": -1, "unit": "run", "method": "", "ci_method": "none",
    "exact": False, "n_permutations": 0, "adjustment": "none", "status": "ok", "reason": "",
    "rng_seed": NO_SEED, "statistic": math.nan, "estimate": math.nan, "ci_low": math.nan,
    "ci_high": math.nan, "p_raw": math.nan, "p_floor": math.nan, "p_adjusted": math.nan,
    "hedges_g": math.nan, "cliffs_delta": math.nan, "wasserstein": math.nan,
}  # fmt: skip
"""A line of the tests table before anything is known."""
NOT_CHOSEN = Chosen(pd.DataFrame(), (), "")


@dataclass(frozen=True)
class Comparison:
    """One contrast, at one checkpoint: its runs, their blocks, and the lines to compare.

    Attributes:
        family, contrast: what is compared.
        recipe: of all its runs.
        table: the lines of the contrast's runs, at any checkpoint.
        runs: a line per run, ordered by id.
        blocks: every block that has a run of either arm; their rows are those of `runs`.
        checkpoint: "best" or "matched".
        chosen: the lines of `table` at the checkpoint; none before `at` was called.
    """

    family: Family
    contrast: Contrast
    recipe: str
    table: pd.DataFrame
    runs: pd.DataFrame
    blocks: list[Block]
    checkpoint: str = "best"
    chosen: Chosen = NOT_CHOSEN

    @property
    def strata(self) -> list[tuple[str, list[Block]]]:
        """All blocks together, then every block alone."""
        return [(OVERALL, self.blocks), *((block.name, [block]) for block in self.blocks)]

    @property
    def nothing(self) -> str:
        """Why no test can be made when no block is complete."""
        at = self.contrast.at
        both = f", each {' and '.join(at)}" if at else ""
        return f"no block has runs of both {' and '.join(self.contrast.pair)}{both}"

    def at(self, checkpoint: str) -> Comparison:
        """The comparison at "best" or "matched": see `at_checkpoint`."""
        ids = self.runs["run_id"].to_numpy(object)
        blocks = [ids[block.rows].tolist() for block in self.blocks if block.complete]
        compared = [run for block in blocks for run in block]
        chosen = at_checkpoint(self.table, None, checkpoint, compared=compared, blocks=blocks)
        return replace(self, checkpoint=checkpoint, chosen=chosen)

    def values(self, columns: list[str], value: str) -> pd.DataFrame:
        """Values of the chosen lines: a row per run (as in `runs`), a column per kind of line."""
        wide = self.chosen.lines.pivot_table(
            index="run_id", columns=columns, values=value, aggfunc="first", dropna=False
        )
        return wide.reindex(self.runs["run_id"])

    def arms(self, block: Block) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Run ids of arms a and b of a block, in the order of their replicates."""
        ((a, b),) = block.arms
        ids = self.runs["run_id"].to_numpy(object)
        return tuple(map(str, ids[a])), tuple(map(str, ids[b]))

    def complete(self, blocks: Sequence[Block]) -> tuple[list[Block], list[str]]:
        """The blocks that have runs of all arms, and a note for each of the others."""
        lacks = "a cell without runs" if self.contrast.at else "runs of one arm only"
        notes = [f"block {block.name} left out: {lacks}" for block in blocks if not block.complete]
        return [block for block in blocks if block.complete], notes

    def line(
        self, stratum: str, parameter: str, blocks: Sequence[Block] = (), **values: object
    ) -> dict[str, object]:
        """A line of the tests table with its keys, the run counts of `blocks`, and `values`."""
        return {
            **BLANK, "recipe": self.recipe, "family": self.family.name,
            "contrast": self.contrast.text, "stratum": stratum,
            "parameter": parameter, "checkpoint": self.checkpoint,
            "n_a": sum(block.count(0) for block in blocks),
            "n_b": sum(block.count(1) for block in blocks), **values,
        }  # fmt: skip


def comparisons(
    table: pd.DataFrame, families: Sequence[str], datasets: Sequence[str] | None
) -> Iterator[Comparison]:
    """Every contrast of every family, with its blocks.

    Args:
        table: run_id, network, dataset, init of 3T runs and, where there are such, recipe, control
            and replicate; a run may have many lines.
        families: names in `FAMILIES`.
        datasets: the two data sets that a dataset factor compares, the first one being arm a; all
            pairs in alphabetical order without it.

    Returns:
        The contrasts of every recipe, in the order of the families, blocks in alphabetical order.
        Runs of an arm are ordered by replicate and id, so the order of the table's lines does not
        matter.
    """
    table = with_recipe(with_control(table, None))
    table = table if "replicate" in table else table.assign(replicate=0)
    for recipe, name in product(recipes_of(table), families):
        family = named_family(name, datasets)
        part = table[table["recipe"] == recipe]
        part = part if family.factor == "control" else part[part["control"] == REAL]
        for contrast in form_contrasts(part, family, datasets):
            inside = part[part[family.factor].isin(contrast.pair)]
            runs = inside[RUN].drop_duplicates("run_id").sort_values("run_id", ignore_index=True)
            blocks = form_blocks(runs, family, contrast)
            yield Comparison(family, contrast, recipe, inside, runs, blocks)


def recipes_of(table: pd.DataFrame) -> list[str]:
    """The recipes of a table, the paper's first."""
    return sorted(table["recipe"].astype(str).unique(), key=lambda name: (name != PAPER, name))


def two_armed(
    table: pd.DataFrame,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
) -> Iterator[Comparison]:
    """`comparisons` of families whose blocks have two arms.

    Raises:
        InputError: for another family.
    """
    for name in families:
        look_up(dict.fromkeys(TWO_ARMED), name, what="family with two arms per block")
    return comparisons(table, families, datasets)


def as_table(
    lines: list[dict[str, object]], *libraries: str, outcome: str | None = None
) -> pd.DataFrame:
    """Lines with the tests table's columns and types.

    Args:
        lines: from `Comparison.line`.
        libraries: packages that the method rests on, beside numpy.
        outcome: what was tested, for the first column of the table of sensitivity.
    """
    columns = COLUMNS if outcome is None else ["outcome", *COLUMNS]
    if not lines:
        return pd.DataFrame(columns=columns)
    table = pd.DataFrame(lines).assign(outcome=outcome, library_version=versions(*libraries))
    return table[columns].astype({"layer_index": np.int32})


def versions(*packages: str) -> str:
    """Versions of threetconv, numpy and the packages that a method rests on."""
    from importlib.metadata import version  # only when a table is made

    from threetconv import __version__  # avoids a circular import

    others = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"threetconv {__version__}", f"numpy {np.__version__}", *others])
