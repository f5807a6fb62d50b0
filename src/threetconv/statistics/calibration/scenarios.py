"""The scenarios in which calibration tries a test, and the answers of simulated studies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

__all__ = [
    "ALPHA",
    "EFFECT",
    "EFFECTS",
    "LEVEL",
    "NULL",
    "RUNS",
    "TAU",
    "Answers",
    "Scenario",
    "levels",
    "untestable",
]

ALPHA, LEVEL = 0.05, 0.95
RUNS = (1, 3, 5)  # per arm and block
TAU = 0.1  # SD of D between runs at which run-level tests are tried
EFFECTS = (1.25, 1.5)
NULL, EFFECT = "null", "effect"


@dataclass(frozen=True)
class Scenario:
    """One line of the calibration table, before it is answered."""

    truth: str
    test: str
    unit: str
    design: str
    runs_per_arm: int
    tau: float
    effect: float
    quantity: str
    note: str = ""

    @property
    def nominal(self) -> float:
        """What the estimate should be; NaN for power."""
        return {"type I error": ALPHA, "coverage": LEVEL}.get(self.quantity, math.nan)


class Answers(NamedTuple):
    """Answers of some studies: `hits` (share that rejected or covered), one per study."""

    scenario: Scenario
    hits: np.ndarray
    untestable: bool = False  # no outcome of this design can reach the level


def levels(
    test: str, design: str, runs: int, *, unit: str = "run", note: str = ""
) -> Iterator[tuple[float, Scenario]]:
    """The scenarios of a test of no difference: its level, and its power at each effect."""
    for ratio in (1.0, *EFFECTS):
        null = ratio == 1
        quantity = "type I error" if null else "power"
        truth = NULL if null else EFFECT
        yield (
            math.log(ratio),
            Scenario(truth, test, unit, design, runs, TAU, ratio, quantity, note),
        )


def untestable(scenario: Scenario, studies: int) -> Answers:
    """No rejection in any study, because the design allows none."""
    return Answers(scenario, np.zeros(studies), untestable=True)
