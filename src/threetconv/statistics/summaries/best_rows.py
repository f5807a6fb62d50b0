"""Parameter files read run by run: the reachable rows of every run at its best checkpoint.

For methods that need the rows themselves; 3D runs and negative controls take no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.records.parameters import RAW, columns_of, read_parameters
from threetconv.statistics.tests.families import select_runs

__all__ = ["CELL", "RunRows", "read_best"]

CELL = ["run_id", "network", "dataset", "init", "recipe"]


class RunRows(NamedTuple):
    """Reachable rows of one run at its best checkpoint.

    Temporal parameters are relative to the start of training (scales divided by those at the start,
    the others less those), so that their displacement is what training did.
    """

    run_id: str
    network: str
    dataset: str
    init: str
    recipe: str
    frame: pd.DataFrame

    @property
    def cell(self) -> tuple[str, ...]:
        """Its values of `CELL`."""
        return self.run_id, self.network, self.dataset, self.init, self.recipe


def read_best(
    files: Sequence[str | Path], runs: pd.DataFrame | None, columns: Sequence[str]
) -> Iterator[RunRows]:
    """Reachable rows at the best checkpoint, one run at a time, ordered by run id.

    Only the columns named are read, and a run's rows are dropped when the next run is asked for,
    so memory holds one run.

    Args:
        files: ".../network=N/dataset=D/init=I/recipe=R/<run_id>.parquet", one per run; those of
            3D runs and controls are skipped.
        runs: run_id, convolution, control; without it every file counts.
        columns: raw columns of `threetconv.schemas.runs.PARAMETERS`.

    Raises:
        InputError: for a file with rows of several runs, or of a run that another file holds as
            well; without rows of a best checkpoint; or without a reachable row.
    """
    seen: set[str] = set()
    for file in sorted((Path(file) for file in files), key=lambda path: (path.stem, str(path))):
        temporal = [name for name in columns if name in RAW.values()]
        starts = [f"{name}_start" for name in temporal]
        starts = [name for name in starts if name in columns_of(file)]
        wanted = ["run_id", "reachable", *columns, *starts]
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
        # after the checks, so that a wrong file of a control is found as well
        if select_runs(frame[["run_id"]].head(1), runs).empty:
            continue
        run_id, network, dataset, init, recipe = (str(frame[key].iloc[0]) for key in CELL)
        # an unreachable row stays at the identity whatever the data, so it tells nothing of them
        reached = frame[frame["reachable"].to_numpy(bool)].reset_index(drop=True)
        rows = reached[list(columns)].copy()
        for name in temporal if starts else ():
            value, start = (reached[c].astype(np.float64) for c in (name, f"{name}_start"))
            rows[name] = value / start if name == "scale" else value - start
        if rows.empty:
            raise InputError(
                file,
                found="no reachable row at the best checkpoint",
                expected="at least one temporal parameter that the clips can move",
                remedy="train on clips with more frames",
            )
        yield RunRows(run_id, network, dataset, init, recipe, rows)
