"""What a study costs before it runs: hours, wall time, disk and jobs, from measured step times.

Pure arithmetic over what is known of each kind of run; `threetconv.study.measure_step` measures an
update. Assumptions: every update takes the same time; an epoch trains on all clips, except a last
batch of a single clip; validation costs forward passes; clips are decoded while the network trains,
so an epoch takes as long as the slower of the two; runs share nothing.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

__all__ = [
    "CHECKPOINTS_KEPT",
    "Data",
    "Kind",
    "data_table",
    "estimate",
    "totals",
    "updates_of",
    "wall_hours",
]

CHECKPOINTS_KEPT = 2  # per run, while it trains
BYTES = 4  # of a float32
STATES = 4  # a checkpoint's weights, Adam's two moments, and the best weights so far
ROW_BYTES = 13  # of a parameter table: measured, four float32 that hardly compress, the rest does
PARAMETERS = 4  # scale, rotate and two translations: four numbers a row


@dataclass(frozen=True)
class Data:
    """A data set as it is stored.

    Attributes:
        name: of the data set.
        train, val, test: clips; val and test count for packing, val for validation.
        clip: (frames, height, width) of what a network sees.
        packed: whether clips are decoded once into a file, or at every epoch.
        decode_rate: clips per second that one training run decodes; None when unknown.
    """

    name: str
    train: int
    val: int
    test: int
    clip: tuple[int, int, int]
    packed: bool
    decode_rate: float | None = None

    @property
    def clips(self) -> int:
        """In all splits."""
        return self.train + self.val + self.test


@dataclass(frozen=True)
class Kind:
    """Runs that cost the same: one network, convolution and data set.

    Attributes:
        network, convolution: names.
        data: what they train on.
        runs: how many, replicates, initialisations and controls together.
        epochs, batch_size, snapshot_every: of training; the last in updates.
        step: seconds per update.
        validation: seconds of a forward pass per validation clip; 0 when `step` includes it.
        source: where `step` is from.
        parameters: of the network; `temporal` of them are temporal.
    """

    network: str
    convolution: str
    data: Data
    runs: int
    epochs: int
    batch_size: int
    snapshot_every: int
    step: float
    validation: float
    source: str
    parameters: int
    temporal: int


def updates_of(clips: int, batch_size: int, epochs: int) -> int:
    """Updates of a run; a last batch of a single clip is left out of its epoch."""
    used = clips - 1 if clips > batch_size > 1 and clips % batch_size == 1 else clips
    return epochs * math.ceil(used / batch_size)


def estimate(kinds: Iterable[Kind]) -> pd.DataFrame:
    """One row per kind of run.

    Returns:
        network, convolution, dataset, runs; updates (per run), step_seconds, source; run_hours,
        of which validation_hours; decode_hours (what decoding alone would take a run; missing when
        unknown, 0 when packed); bound ("step" or "decoding", whichever is longer); hours (of all
        runs); run_gb, parameters_gb (of all runs), checkpoint_gb (of one run, while it trains).
    """
    rows = []
    for kind in kinds:
        data = kind.data
        updates = updates_of(data.train, kind.batch_size, kind.epochs)
        training = updates * kind.step / 3600
        validation = kind.epochs * data.val * kind.validation / 3600
        decode: float | None = 0.0
        if not data.packed:
            rate = data.decode_rate
            clips = kind.epochs * (data.train + data.val)
            decode = None if rate is None else clips / rate / 3600
        hours = max(training + validation, decode or 0.0)
        snapshots = updates // kind.snapshot_every + 3 if kind.temporal else 0  # init, best, last
        weights = BYTES * kind.parameters
        kept = BYTES * kind.temporal * snapshots
        table = ROW_BYTES * kind.temporal // PARAMETERS * snapshots
        rows.append(
            {
                "network": kind.network,
                "convolution": kind.convolution,
                "dataset": data.name,
                "runs": kind.runs,
                "updates": updates,
                "step_seconds": kind.step,
                "source": kind.source,
                "run_hours": hours,
                "validation_hours": validation,
                "decode_hours": decode,
                "bound": "decoding" if (decode or 0.0) > training + validation else "step",
                "hours": kind.runs * hours,
                "run_gb": kind.runs * (weights + kept) / 1e9,
                "parameters_gb": kind.runs * table / 1e9,
                "checkpoint_gb": CHECKPOINTS_KEPT * (STATES * weights + kept) / 1e9,
            }
        )
    table_of = pd.DataFrame(rows)
    return table_of.astype({"decode_hours": "float64"}) if rows else table_of


def data_table(sets: Iterable[Data]) -> pd.DataFrame:
    """One row per data set: dataset, clips, stored, packed_gb, packing_hours (missing if unknown).

    Packing decodes every clip once, at `Data.decode_rate`.
    """
    rows = []
    for data in sets:
        size = math.prod(data.clip) * 3 * data.clips if data.packed else 0
        hours = None
        if not data.packed:
            hours = 0.0
        elif data.decode_rate is not None:
            hours = data.clips / data.decode_rate / 3600
        rows.append(
            (data.name, data.clips, "packed" if data.packed else "streamed", size / 1e9, hours)
        )
    columns = ["dataset", "clips", "stored", "packed_gb", "packing_hours"]
    return pd.DataFrame(rows, columns=columns).astype({"packing_hours": "float64"})


def wall_hours(runs: Sequence[tuple[float, int]], jobs: int) -> float:
    """Hours until the last run ends when `jobs` go on at a time, the longest first.

    Args:
        runs: (hours of a run, how many such runs).
        jobs: at the same time, each at the speed of a run that is alone.
    """
    # longest processing time first (Graham 1969): the next run takes the slot that is free first
    slots = [0.0] * jobs
    for hours in sorted((h for h, n in runs for _ in range(n)), reverse=True):
        heapq.heapreplace(slots, slots[0] + hours)
    return max(slots)


def totals(
    table: pd.DataFrame, sets: pd.DataFrame, *, jobs: int, other_jobs: int
) -> dict[str, float]:
    """Sums over a study.

    Args:
        table: from `estimate`.
        sets: from `data_table`.
        jobs: runs at the same time.
        other_jobs: jobs besides the training runs that are counted.

    Returns:
        runs, jobs (runs and the others), hours, wall_hours, packed_gb, run_gb, parameters_gb,
        checkpoint_gb (at most, while `jobs` of the largest runs train), disk_gb (all four).
    """
    runs = int(table["runs"].sum())
    largest = table.sort_values("checkpoint_gb", ascending=False)
    # the worst moment: the runs with the largest checkpoints all train at once
    left, checkpoints = jobs, 0.0
    for size, count in zip(largest["checkpoint_gb"], largest["runs"], strict=True):
        taken = min(left, int(count))
        checkpoints += taken * size
        left -= taken
    disk = {
        "packed_gb": float(sets["packed_gb"].sum()),
        "run_gb": float(table["run_gb"].sum()),
        "parameters_gb": float(table["parameters_gb"].sum()),
        "checkpoint_gb": checkpoints,
    }
    pairs = list(zip(table["run_hours"].tolist(), table["runs"].tolist(), strict=True))
    return {
        "runs": runs,
        "jobs": runs + other_jobs,
        "hours": float(table["hours"].sum()),
        "wall_hours": wall_hours(pairs, jobs),
        **disk,
        "disk_gb": sum(disk.values()),
    }
