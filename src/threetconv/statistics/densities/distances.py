"""How far apart the arms' rows are: distances between distributions, without p-values.

The rows of a run share its training, so a test that takes rows as independent rejects a true null
hypothesis in most cases. Distances between rows describe the arms and are given without a test.
Rows of an arm's runs are pooled.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS, RAW, displacement
from threetconv.schemas.statistics import DISTANCES
from threetconv.statistics.summaries.best_rows import CELL, read_best
from threetconv.statistics.tests import effect_sizes
from threetconv.statistics.tests.comparisons import two_armed
from threetconv.statistics.tests.energy import joint_energy
from threetconv.statistics.tests.families import TWO_ARMED

__all__ = ["COLUMNS", "row_distances"]

COLUMNS = DISTANCES.names
JOINT = "px, py"
MAX_ROWS = 1_000_000  # of both arms together; a second per distance
MAX_JOINT_ROWS = 2_000  # per arm; its distances take rows x rows x 8 bytes
PLACE = ("layer_index", "transition", "channel")
Arms = tuple[Sequence[str], Sequence[str]]  # run ids


def row_distances(
    files: Sequence[str | Path],
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    max_rows: int = MAX_ROWS,
    max_joint_rows: int = MAX_JOINT_ROWS,
) -> pd.DataFrame:
    """Distances between the arms of every block, reachable rows at the best checkpoint.

    Args:
        files: parameter files of the runs, read one at a time; see `best_rows.read_best`.
        runs: run_id, convolution, control; 3D runs and controls are left out.
        seed: of the rows drawn where there are more than the limits.
        families, datasets: see `threetconv.statistics.tests.comparisons.comparisons`.
        max_rows: rows of both arms together that one-dimensional distances are formed on.
        max_joint_rows: rows per arm of the distance of (px, py), shared equally by its runs.

    Returns:
        Columns `COLUMNS`, a line per family, contrast, block and parameter (s, r, px, py and
        "px, py"). `wasserstein`, `energy` (both in the unit of z; energy is the square root
        of 2 E|X - Y| - E|X - X'| - E|Y - Y'|) and `ks` (D, 0 to 1): of the signed z;
        `cliffs_delta`: of |z|, positive when a moved further. "px, py" has the energy distance
        only, in the plane. `n_a`, `n_b`: rows used; `note`: what was drawn or left out.
    """
    cells, rows = [], {}
    for run in read_best(files, runs, (*PLACE, *RAW.values())):
        cells.append(run.cell)
        frame = run.frame.sort_values(list(PLACE))
        rows[run.run_id] = np.column_stack(
            [displacement(name, frame[RAW[name]]) for name in PARAMETERS]
        )
    lines: list[dict[str, object]] = []
    for comparison in two_armed(pd.DataFrame(cells, columns=CELL), families, datasets):
        for block in comparison.blocks:
            arms = comparison.arms(block)
            line: dict[str, object] = {
                "recipe": comparison.recipe, "family": comparison.family.name,
                "contrast": comparison.contrast.text, "stratum": block.name,
                "checkpoint": "best", "unit": "row",
            }  # fmt: skip
            lines += [line | distances for distances in _block(arms, rows, seed, max_rows)]
            lines.append(line | _joint(arms, rows, seed, max_joint_rows))
    if not lines:
        return pd.DataFrame(columns=COLUMNS)
    return pd.DataFrame(lines)[COLUMNS]


def _block(
    arms: Arms, rows: Mapping[str, np.ndarray], seed: int, max_rows: int
) -> list[dict[str, object]]:
    """Distances of the four parameters in one block."""
    a, b = (_pool(names, rows) for names in arms)
    note = "" if len(a) and len(b) else "runs of one arm only"
    total = len(a) + len(b)
    if total > max_rows and not note:
        share = max_rows / total
        a, b = (
            _thin(values, max(1, int(share * len(values))), seed, names)
            for values, names in zip((a, b), arms, strict=True)
        )
        note = f"{len(a):,} + {len(b):,} rows drawn from {total:,}"
    lines = []
    for index, parameter in enumerate(PARAMETERS):
        x, y = a[:, index], b[:, index]
        still = bool(x.size and y.size and not x.any() and not y.any())
        lines.append(
            {
                "parameter": parameter,
                "n_a": x.size,
                "n_b": y.size,
                "wasserstein": effect_sizes.wasserstein(y, x),
                "energy": effect_sizes.energy(y, x),
                "ks": effect_sizes.ks_distance(y, x),
                "cliffs_delta": effect_sizes.cliffs_delta(np.abs(y), np.abs(x)),
                "note": "; ".join(
                    part for part in (note, "no row left the identity" if still else "") if part
                ),
            }
        )
    return lines


def _joint(
    arms: Arms, rows: Mapping[str, np.ndarray], seed: int, max_rows: int
) -> dict[str, object]:
    """The energy distance of (px, py) in one block."""
    columns = [PARAMETERS.index("px"), PARAMETERS.index("py")]
    parts = []
    for names in arms:
        # equally many rows from every run, so that no run weighs more than another
        each = max(1, max_rows // max(1, len(names)))
        thinned = {name: _thin(rows[name], each, seed, (name,)) for name in names}
        parts.append(_pool(names, thinned)[:, columns])
    a, b = parts
    total = sum(len(rows[name]) for names in arms for name in names)
    note = "" if len(a) and len(b) else "runs of one arm only"
    if not note and len(a) + len(b) < total:
        note = f"{len(a):,} + {len(b):,} rows drawn from {total:,}, equally from each run"
    return {
        "parameter": JOINT, "n_a": len(a), "n_b": len(b), "wasserstein": math.nan,
        "energy": math.sqrt(joint_energy(a, b)) if len(a) and len(b) else math.nan, "ks": math.nan,
        "cliffs_delta": math.nan, "note": note,
    }  # fmt: skip


def _pool(names: Sequence[str], rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rows of several runs under each other, in the order of their ids: (n, parameters)."""
    if not names:
        return np.empty((0, len(PARAMETERS)))
    return np.concatenate([rows[name] for name in sorted(names)])


def _thin(values: np.ndarray, wanted: int, seed: int, names: Sequence[str]) -> np.ndarray:
    """`wanted` rows without replacement; seed and names alone decide which."""
    if len(values) <= wanted:
        return values
    # sha256, because `hash` of a text differs between processes
    digest = hashlib.sha256("\n".join(sorted(names)).encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    return values[np.sort(rng.choice(len(values), wanted, replace=False))]
