"""Measure alternatives side by side: interleaved rounds, medians, ratios of one run."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

# Before it is timed an alternative runs for so long (s): caches become its own, and the threads of
# the one before, which go on spinning for a moment, fall asleep.
WARM_UP = 0.02


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        measure: what the number is ("times faster", "3T / 3D", ...).
        value: the number.
        must, aim: what it has to reach, and what would be good.
        more_is_better: whether higher numbers are better.
        medians: milliseconds (or other units, see `measure`) of each alternative.
    """

    what: str
    measure: str
    value: float
    must: float | None
    aim: float | None
    more_is_better: bool
    medians: dict[str, float]

    @property
    def verdict(self) -> str:
        if self.must is None:
            return ""
        for limit, word in ((self.aim, "aim"), (self.must, "yes")):
            if limit is not None and (
                self.value >= limit if self.more_is_better else self.value <= limit
            ):
                return word
        return "NO"


def keep_memory() -> None:
    """Have glibc keep memory that is freed, for all alternatives alike.

    Otherwise it gives large tensors back to the operating system now and then, and pages fresh from
    there cost as much as building the filters that are written to them: what is measured would be
    chance.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # <malloc.h>
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def interleaved(
    alternatives: Mapping[str, Callable[[], object]], *, rounds: int, calls: int = 1
) -> dict[str, float]:
    """Median milliseconds per call of each alternative.

    In each round each alternative is warmed up and then called `calls` times. What else happens on
    the machine hits all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, alternative in alternatives.items():
            start = time.perf_counter()
            while time.perf_counter() < start + WARM_UP:
                alternative()
            start = time.perf_counter()
            for _ in range(calls):
                alternative()
            times[name].append((time.perf_counter() - start) / calls)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def print_table(rows: list[Row]) -> None:
    """The rows as plain text, aligned."""
    cells = [["what", "value", "must", "aim", "reached", "medians"]]
    for row in rows:
        unit = f"{row.value:.2f} {row.measure}"
        limits = ["" if limit is None else f"{limit:g}" for limit in (row.must, row.aim)]
        medians = ", ".join(f"{name} {value:.3g}" for name, value in row.medians.items())
        cells.append([row.what, unit, *limits, row.verdict, medians])
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    for line in cells:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )


def write_json(path: Path, rows: list[Row], **facts: object) -> None:
    """The rows, the versions and the machine's kind."""
    content = {
        "rows": [asdict(row) | {"reached": row.verdict} for row in rows],
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "machine": {"architecture": platform.machine(), "processors": os.cpu_count()},
        "threads": torch.get_num_threads(),
        **facts,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
