"""Run ids of both arms in every block, and the reading of parameter files run by run.

What the methods beside the planned tests share: the contrasts and blocks are those of
`threetconv.statistics.tests.families` (F1 and F2), with run ids in place of row numbers. 3D runs
and negative controls take no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.records.parameters import read_parameters
from threetconv.statistics.tests.families import (
    REAL,
    form_blocks,
    form_contrasts,
    named_family,
    select_runs,
)

__all__ = [
    "OVERALL",
    "TWO_ARMED",
    "Arms",
    "RunRows",
    "TwoArmContrast",
    "blank_line",
    "compare",
    "complete",
    "read_best",
    "versions",
]

OVERALL = "all"  # the stratum of all blocks together
TWO_ARMED = ("F1", "F2")  # families whose contrasts are two arms in every block
NO_SEED = -1  # rng_seed of a method that draws nothing


@dataclass(frozen=True)
class Arms:
    """Run ids of both arms in one block, in the order of their replicates."""

    block: str
    a: tuple[str, ...]
    b: tuple[str, ...]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Runs of arm a, then those of arm b."""
        return (*self.a, *self.b)


@dataclass(frozen=True)
class TwoArmContrast:
    """Levels `a` and `b` of a family's factor, and every block that has a run of either."""

    family: str
    a: str
    b: str
    blocks: tuple[Arms, ...]

    @property
    def contrast(self) -> str:
        """The contrast as the tables name it."""
        return f"{self.a} / {self.b}"

    @property
    def strata(self) -> list[tuple[str, tuple[Arms, ...]]]:
        """All blocks together, then every block alone."""
        return [(OVERALL, self.blocks), *((arms.block, (arms,)) for arms in self.blocks)]

    @property
    def nothing(self) -> str:
        """Why no test can be made when no block is complete."""
        return f"no block has runs of both {self.a} and {self.b}"


class RunRows(NamedTuple):
    """Reachable rows of one run at its best checkpoint."""

    run_id: str
    network: str
    dataset: str
    init: str
    frame: pd.DataFrame


def compare(
    table: pd.DataFrame,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
) -> list[TwoArmContrast]:
    """Every contrast of the families, with its blocks and arms.

    Args:
        table: run_id, network, dataset, init and, where there is one, replicate, of real 3T runs;
            a run may have many lines.
        families: "F1" (factor dataset), "F2" (factor init).
        datasets: the two data sets that F1 compares, the first one being arm a; all pairs in
            alphabetical order without it.

    Returns:
        The contrasts in the order of the families; blocks in alphabetical order. Runs are ordered
        by replicate and id, so the order of the table's lines does not matter.

    Raises:
        InputError: for another family.
    """
    columns = ["run_id", "network", "dataset", "init"]
    columns += ["replicate"] if "replicate" in table else []
    runs = table[columns].drop_duplicates("run_id").reset_index(drop=True)
    runs = runs.assign(control=REAL, replicate=runs.get("replicate", 0))
    ids = runs["run_id"].to_numpy(object)
    result = []
    for name in families:
        look_up(dict.fromkeys(TWO_ARMED), name, what="family with two arms per block")
        family = named_family(name, datasets)
        for contrast in form_contrasts(runs, family, datasets):
            blocks = [
                Arms(block.name, *(tuple(str(i) for i in ids[rows]) for rows in block.arms[0]))
                for block in form_blocks(runs, family, contrast)
            ]
            result.append(TwoArmContrast(name, *contrast.pair, tuple(blocks)))
    return result


def complete(blocks: Sequence[Arms]) -> tuple[list[Arms], list[str]]:
    """The blocks that have runs of both arms, and a note for each of the others."""
    whole = [arms for arms in blocks if arms.a and arms.b]
    notes = [
        f"block {arms.block} left out: runs of one arm only"
        for arms in blocks
        if not (arms.a and arms.b)
    ]
    return whole, notes


def blank_line(
    comparison: TwoArmContrast, stratum: str, parameter: str, **values: object
) -> dict[str, object]:
    """A line of the tests table (`contrasts.COLUMNS`) with nothing known yet but `values`."""
    line: dict[str, object] = {
        "family": comparison.family, "contrast": comparison.contrast, "stratum": stratum,
        "parameter": parameter, "scope": "model", "layer_index": -1, "checkpoint": "best",
        "unit": "run", "n_a": 0, "n_b": 0, "method": "", "library_version": "",
        "statistic": math.nan, "estimate": math.nan, "ci_low": math.nan, "ci_high": math.nan,
        "ci_method": "none", "p_raw": math.nan, "p_floor": math.nan, "exact": False,
        "n_permutations": 0, "p_adjusted": math.nan, "adjustment": "none", "hedges_g": math.nan,
        "cliffs_delta": math.nan, "wasserstein": math.nan, "status": "ok", "reason": "",
        "rng_seed": NO_SEED,
    }  # fmt: skip
    return line | values


def versions(*packages: str) -> str:
    """Versions of threetconv, numpy and the packages that a method rests on."""
    from importlib.metadata import version  # only when a table is made

    from threetconv import __version__  # avoids a circular import

    others = [f"{package} {version(package)}" for package in packages]
    return ", ".join([f"threetconv {__version__}", f"numpy {np.__version__}", *others])


def read_best(
    files: Sequence[str | Path], runs: pd.DataFrame | None, columns: Sequence[str]
) -> Iterator[RunRows]:
    """Reachable rows at the best checkpoint, one run at a time, ordered by run id.

    Only the columns named are read, and a run's rows are dropped when the next run is asked for,
    so memory holds one run.

    Args:
        files: ".../network=N/dataset=D/init=I/<run_id>.parquet", one per run; those of 3D runs
            and controls are skipped.
        runs: run_id, convolution, control; without it every file counts.
        columns: raw columns of `threetconv.records.parameters.SCHEMA`.

    Raises:
        InputError: for a file with rows of several runs, without rows of a best checkpoint, or a
            second file of one run.
            Also for a run without a reachable row.
    """
    seen: set[str] = set()
    for file in sorted((Path(file) for file in files), key=lambda path: (path.stem, str(path))):
        wanted = ["run_id", "reachable", *columns]
        frame = read_parameters([file], tags=("best",), columns=wanted)
        ids = [str(name) for name in frame["run_id"].unique()]
        if len(ids) != 1 or ids[0] in seen:
            raise InputError(
                file,
                found="no rows of a best checkpoint" if not ids else f"rows of {', '.join(ids)}",
                expected="the rows of one run, which no other file holds",
                remedy="pass the parameter file of each run once",
            )
        seen.add(ids[0])
        if select_runs(frame[["run_id"]].head(1), runs).empty:
            continue
        network, dataset, init = (str(frame[key].iloc[0]) for key in ("network", "dataset", "init"))
        rows = frame.loc[frame["reachable"].to_numpy(bool), list(columns)].reset_index(drop=True)
        if rows.empty:
            raise InputError(
                file,
                found="no reachable row at the best checkpoint",
                expected="at least one temporal parameter that the clips can move",
                remedy="train on clips with more frames",
            )
        yield RunRows(ids[0], network, dataset, init, rows)
