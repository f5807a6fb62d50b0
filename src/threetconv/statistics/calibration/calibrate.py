"""Calibration: do the tests keep their nominal level and coverage in a real network's layout?

Studies with a known truth are simulated (`threetconv.statistics.calibration.simulate`), every test
is run on them, and the table says how often it rejected a true null hypothesis (type I error,
nominal .05), found an effect (power), or held the truth in its interval (coverage, nominal .95).
The naive tests on pooled rows are tried as well, under the null only: the power of a test that
does not keep its level means nothing.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.schemas.statistics import CALIBRATION
from threetconv.statistics.calibration.batch import UNEQUAL, Batch
from threetconv.statistics.calibration.row_level_tests import ENERGY, HIERARCHICAL, ROW_LEVEL_TESTS
from threetconv.statistics.calibration.run_level_tests import BLOCKS, RUN_LEVEL_TESTS
from threetconv.statistics.calibration.scenarios import Answers, Scenario
from threetconv.statistics.calibration.simulate import NetworkLayout, draw_study

__all__ = ["COLUMNS", "calibrate", "validity", "wilson"]

COLUMNS = CALIBRATION.names
MOST_RUNS = 5  # per arm and block
AT_ONCE = 20  # studies in one piece of work; the result depends on it, not on the workers
Piece = tuple[NetworkLayout, int, int, int, tuple[tuple[int, int], ...]]
Progress = Callable[[int, int], None]


class Count(NamedTuple):
    """Answers to one scenario so far."""

    hits: float = 0.0
    studies: int = 0
    untestable: int = 0

    def plus(self, other: Count) -> Count:
        """Both together."""
        return Count(
            self.hits + other.hits,
            self.studies + other.studies,
            self.untestable + other.untestable,
        )


Counts = dict[Scenario, Count]


def wilson(hits: float, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927); NaN for n = 0."""
    if n == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # at 0 or n hits a bound equals the share; rounding must not push it past the share
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def validity(quantity: str, low: float, high: float, nominal: float, *, untestable: bool) -> str:
    """How an interval of the estimate compares with the nominal value.

    Returns:
        "untestable" where no outcome could have rejected; "valid" where the interval holds the
        nominal value; "liberal" where the test rejects too often or the interval covers too
        little; "conservative" in the opposite case; "" for power, which has no nominal value.
    """
    if untestable:
        return "untestable"
    if math.isnan(nominal):
        return ""
    if low <= nominal <= high:
        return "valid"
    above = low > nominal
    return "liberal" if above == (quantity == "type I error") else "conservative"


def calibrate(
    layouts: Sequence[NetworkLayout],
    *,
    replicates: int = 1_000,
    seed: int = 1,
    workers: int = 1,
    cells: Sequence[tuple[int, int]] = (),
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Simulate studies in each layout and try every test on them.

    Args:
        layouts: of the networks, each with a name of its own.
        replicates: studies per network. `n_replicates` counts answers: one per study for tests on
            rows and for Holm's, one per study and parameter for other run-level tests; the energy
            test uses every fifth study, the hierarchical bootstrap every tenth.
        seed: the same seed gives the same table, whatever the workers.
        workers: processes.
        cells: runs of arms a and b in blocks of the study at hand, where they are unequal; tried
            beside 3 and 5.
        progress: called with (studies done, studies in all).

    Returns:
        Columns `COLUMNS`, naive tests first. `estimate` with Wilson's 95 % interval `ci_low`,
        `ci_high`; `nominal` .05, .95, or NaN for power; `n_untestable`: studies whose design
        cannot reach the level at all; `valid`: see `validity`. `effect` is the ratio of arm a
        to arm b; a TOST's type I error is at its margin, its power at ratio 1. Power has no line
        where the design cannot reach the level. Where `note` says that the estimate is a mean
        share, Wilson's interval takes every study for one trial and is wider than it need be.

    Raises:
        InputError: for no layout, two of one name, or fewer than one replicate or worker.
    """
    _check(layouts, replicates, workers)
    own = tuple(dict.fromkeys((*UNEQUAL, *((a, b) for a, b in cells if a != b))))
    pieces = [
        (shape, start, min(AT_ONCE, replicates - start), seed, own)
        for shape in layouts
        for start in range(0, replicates, AT_ONCE)
    ]
    totals: dict[str, Counts] = {shape.network: {} for shape in layouts}
    done = 0
    for (shape, _, studies, *_), counts in zip(pieces, _work(pieces, workers), strict=True):
        total = totals[shape.network]
        for scenario, count in counts.items():
            sofar = total.get(scenario, Count())
            total[scenario] = sofar.plus(count)
        done += studies
        if progress is not None:
            progress(done, replicates * len(layouts))
    lines = [
        _line(network, scenario, totals[network][scenario])
        for network in totals
        for scenario in _ordered(totals[network])
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def _ordered(counts: Counts) -> list[Scenario]:
    """Naive tests first, then one test after the other; no power of what cannot be tested."""
    tests = list(dict.fromkeys(scenario.test for scenario in counts))
    quantities = {"type I error": 0, "power": 1, "coverage": 2}
    asked = [
        scenario
        for scenario, count in counts.items()
        if scenario.quantity != "power" or count.untestable < count.studies
    ]
    return sorted(
        asked,
        key=lambda q: (
            q.unit != "row", q.test in (HIERARCHICAL, ENERGY), tests.index(q.test), q.design,
            q.runs_per_arm, q.tau, quantities[q.quantity], q.effect,
        ),
    )  # fmt: skip


def _work(pieces: list[Piece], workers: int) -> Iterator[Counts]:
    """The pieces' counts, in the pieces' order."""
    if workers == 1:
        yield from (_piece(*piece) for piece in pieces)
        return
    from threetconv.support.processes import pool  # only where it is used

    with pool(workers) as processes:
        futures = [processes.submit(_piece, *piece) for piece in pieces]
        # in order of submission: the sums are floats and depend on the order of their terms
        for future in futures:
            yield future.result()


def _piece(
    shape: NetworkLayout, start: int, studies: int, seed: int, cells: tuple[tuple[int, int], ...]
) -> Counts:
    """Counts of studies `start` to `start + studies`; each study has a generator of its own."""
    counts: Counts = {}
    # crc32, because `hash` of a text differs between processes
    key = [seed, zlib.crc32(shape.network.encode())]
    draws = []
    for study in range(start, start + studies):
        rng = np.random.default_rng([*key, 0, study])  # 0: studies; 1, below: batches
        draw = draw_study(shape, rng, runs_per_arm=MOST_RUNS, blocks=BLOCKS)
        # rows without any shared effect: the one case in which tests on rows must keep their level
        independent = draw_study(
            shape, rng, runs_per_arm=1, parameters=1, tau_layer=0, tau_channel=0
        )
        for row_test in ROW_LEVEL_TESTS:
            _count(counts, row_test(draw, independent, study))
        draws.append(draw._replace(rows=np.empty(0)))  # run-level tests need none
    batch = Batch.of(draws, np.random.default_rng([*key, 1, start]), cells)
    for run_test in RUN_LEVEL_TESTS:
        _count(counts, run_test(batch))
    return counts


def _count(counts: Counts, found: Iterator[Answers]) -> None:
    for answers in found:
        studies = answers.hits.size
        count = Count(float(answers.hits.sum()), studies, studies * answers.untestable)
        counts[answers.scenario] = counts.get(answers.scenario, Count()).plus(count)


def _line(network: str, scenario: Scenario, count: Count) -> dict[str, object]:
    low, high = wilson(count.hits, count.studies)
    return {
        "network": network, "truth": scenario.truth, "test": scenario.test,
        "unit": scenario.unit, "design": scenario.design,
        "runs_per_arm": scenario.runs_per_arm, "tau": scenario.tau, "effect": scenario.effect,
        "quantity": scenario.quantity, "estimate": count.hits / count.studies,
        "ci_low": low, "ci_high": high, "n_replicates": count.studies,
        "nominal": scenario.nominal, "n_untestable": count.untestable,
        "valid": validity(
            scenario.quantity, low, high, scenario.nominal,
            untestable=count.untestable == count.studies,
        ),
        "note": scenario.note,
    }  # fmt: skip


def _check(layouts: Sequence[NetworkLayout], replicates: int, workers: int) -> None:
    names = [shape.network for shape in layouts]
    if not names or len(set(names)) < len(names):
        raise InputError(
            "layouts to calibrate",
            found=", ".join(names) or "none",
            expected="at least one, each with a name of its own",
            remedy="name every network once",
        )
    for what, value in (("replicates", replicates), ("workers", workers)):
        if value < 1:
            raise InputError(
                what, found=str(value), expected="a whole number of at least 1",
                remedy=f"ask for more {what}",
            )  # fmt: skip
