"""One contrast at one checkpoint, and the lines of the tests table that it fills."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from threetconv.schemas.statistics import TESTS
from threetconv.statistics.summaries.snapshot_choice import Chosen, at_checkpoint
from threetconv.statistics.tests.families import (
    REAL,
    Block,
    Contrast,
    Family,
    form_blocks,
    form_contrasts,
    named_family,
)
from threetconv.statistics.tests.permutation import DRAWS, MAX_ENUMERATION

__all__ = ["COLUMNS", "Comparison", "Settings", "as_table", "comparisons"]

COLUMNS = TESTS.names
NUMBERS = (
    "statistic", "estimate", "ci_low", "ci_high", "p_raw", "p_floor", "p_adjusted", "hedges_g",
    "cliffs_delta", "wasserstein",
)  # fmt: skip
RUN = ["run_id", "network", "dataset", "init", "control", "replicate"]


@dataclass(frozen=True)
class Settings:
    """What holds for every test of one table."""

    label: str
    alpha: float
    paired: bool
    seed: int
    max_enumeration: int = MAX_ENUMERATION
    draws: int = DRAWS
    value: str = "log_mean_abs"
    still: str = "never left the identity (D = -inf)"  # said of runs whose value is infinite
    single_blocks: bool = True


@dataclass(frozen=True)
class Comparison:
    """One contrast at one checkpoint: its runs, their blocks, and the lines to compare."""

    family: Family
    contrast: Contrast
    checkpoint: str
    runs: pd.DataFrame
    blocks: list[Block]
    chosen: Chosen

    def values(self, columns: list[str], value: str) -> pd.DataFrame:
        """Values of the chosen lines: a row per run (as in `runs`), a column per kind of line."""
        wide = self.chosen.lines.pivot_table(
            index="run_id", columns=columns, values=value, aggfunc="first", dropna=False
        )
        return wide.reindex(self.runs["run_id"])

    def line(self, stratum: str, parameter: str, blocks: list[Block]) -> dict[str, object]:
        """A line of the tests table before anything is known."""
        return {
            "family": self.family.name, "contrast": self.contrast.text, "stratum": stratum,
            "parameter": parameter, "scope": "model", "layer_index": -1,
            "checkpoint": self.checkpoint, "unit": "run",
            "n_a": sum(b.count(0) for b in blocks), "n_b": sum(b.count(1) for b in blocks),
            "library_version": _versions(), "ci_method": "none", "exact": False,
            "n_permutations": 0, "adjustment": "none", "status": "ok", "reason": "",
        } | dict.fromkeys(NUMBERS, math.nan)  # fmt: skip


def comparisons(
    table: pd.DataFrame,
    families: Sequence[str],
    datasets: Sequence[str] | None,
    checkpoints: Sequence[str],
) -> Iterator[Comparison]:
    """Every contrast of every family at every checkpoint."""
    for name in families:
        family = named_family(name, datasets)
        part = table if family.factor == "control" else table[table["control"] == REAL]
        for contrast in form_contrasts(part, family, datasets):
            inside = part[part[family.factor].isin(contrast.pair)]
            runs = inside[RUN].drop_duplicates("run_id").sort_values("run_id", ignore_index=True)
            blocks = form_blocks(runs, family, contrast)
            rows = [block.rows for block in blocks if block.complete]
            compared = runs["run_id"].iloc[np.concatenate(rows)].tolist() if rows else []
            for checkpoint in checkpoints:
                chosen = at_checkpoint(inside, None, checkpoint, compared=compared)
                yield Comparison(family, contrast, checkpoint, runs, blocks, chosen)


def as_table(lines: list[dict[str, object]]) -> pd.DataFrame:
    """Lines with the tests table's columns and types."""
    if not lines:
        return pd.DataFrame(columns=COLUMNS)
    return pd.DataFrame(lines)[COLUMNS].astype({"layer_index": np.int32})


def _versions() -> str:
    from threetconv import __version__  # avoids a circular import

    return f"threetconv {__version__}, numpy {np.__version__}"
