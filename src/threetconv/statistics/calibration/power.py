"""Planning: which effects a study with k seeds can find, before anything is trained.

D = ln mean |z| of a run is taken as normal with SD tau between the runs of a cell, a ratio of
mean displacements is a shift of ln(ratio), and the permutation tests of the plan are run on
simulated values. The level is alpha / 4: Holm's bound for the smallest of four p-values, so the
power is that of finding one parameter when the other three show no effect. The joint test of four
parameters is tried at alpha, with the same effect in each, px and py correlated between runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.calibration import vectorised
from threetconv.statistics.calibration.batch import CORRELATION
from threetconv.statistics.calibration.calibrate import wilson
from threetconv.statistics.tests import permutation
from threetconv.statistics.tests.permutation import attainable_floor, labelings
from threetconv.support.levels import passes

__all__ = ["COLUMNS", "TAU", "power_table"]

COLUMNS = [
    "family", "design", "blocks", "seeds", "runs", "p_floor", "level", "testable", "ratio", "tau",
    "d", "power", "ci_low", "ci_high", "detectable_ratio", "labelings", "reason",
]  # fmt: skip
TAU = 0.1  # SD of D between runs when no finished study says otherwise
WANTED = 0.8  # power that makes an effect detectable
DRAWS = 3_999  # random labelings where there are too many to list
FEWER = 999  # of the joint test, which is held against alpha itself
LARGEST_D = 20.0  # detectable effects are looked for up to here (SDs of D)


class Design(NamedTuple):
    """One planned test: `blocks` blocks of two arms; the interaction has two blocks per network."""

    family: str
    name: str
    blocks: int
    interaction: bool = False
    joint: bool = False

    def level(self, alpha: float) -> float:
        """What the smallest p is held against: Holm's bound, or alpha for one test of all four."""
        return alpha if self.joint else alpha / len(PARAMETERS)


class Power(NamedTuple):
    """What simulation says of a design with k seeds."""

    power: float
    detectable_d: float
    labelings: str


def power_table(
    *,
    networks: Sequence[str],
    datasets: int = 2,
    inits: int = 2,
    seeds: Sequence[int] = (3, 5, 8),
    ratio: float = 1.25,
    tau: float = TAU,
    correlation: float = CORRELATION,
    alpha: float = 0.05,
    replicates: int = 2_000,
    seed: int = 1,
) -> pd.DataFrame:
    """Power of the families' tests for studies of networks x data sets x initialisations.

    Args:
        networks: names; only their number matters.
        datasets, inits: how many of each.
        seeds: runs per cell, several to compare.
        ratio: the effect: one arm moves `ratio` times as far (interaction: a ratio of
            ratios).
        tau: SD of D between runs of one cell, in log units.
        correlation: of px and py between runs of a cell; only the joint test feels it.
        alpha: level of a family of four parameters.
        replicates: simulated studies per design.
        seed: the same seed gives the same table.

    Returns:
        Columns `COLUMNS`; for every number of seeds "dataset" and "init" over all blocks, for one
        parameter and for all four jointly, a single block of either, and "dataset x init", as far
        as the study has them. `runs`: of the whole
        study; `p_floor`: the smallest attainable p; `testable`: whether four parameters at that
        floor would pass Holm;
        `d` = |ln ratio| / tau; `power` at the level alpha / 4 with Wilson's 95 % interval (0 where
        untestable); `detectable_ratio`: the smallest ratio above 1 found in 80 % of studies, NaN
        where there is none; `labelings`: all, or how many were drawn.

    Raises:
        InputError: for numbers out of range, a network named twice, or nothing to compare.
    """
    _check(
        networks=networks, datasets=datasets, inits=inits, seeds=seeds, ratio=ratio, tau=tau,
        alpha=alpha, replicates=replicates,
    )  # fmt: skip
    d = abs(math.log(ratio)) / tau
    known: dict[tuple[int, int, bool, bool], Power] = {}
    lines = []
    for k in seeds:
        for design in _designs(len(networks), datasets, inits):
            floor = _floor(design.blocks, k)
            # with one seed there is no spread within cells, which the interaction's test permutes
            possible = not (design.interaction and k == 1)
            level = design.level(alpha)
            testable = possible and passes(floor / level, 1.0)
            key = (design.blocks, k, design.interaction, design.joint)
            # families with equally many blocks have the same power: simulate it once
            if testable and key not in known:
                rng = np.random.default_rng([seed, *map(int, key)])
                known[key] = _simulate(
                    design, k, d=d, level=level, replicates=replicates, rng=rng, rho=correlation
                )
            result = known[key] if testable else Power(0.0, math.nan, "none")
            low, high = (
                wilson(result.power * replicates, replicates) if testable else (math.nan,) * 2
            )
            lines.append(
                {
                    "family": design.family, "design": design.name, "blocks": design.blocks,
                    "seeds": k, "runs": len(networks) * datasets * inits * k,
                    "p_floor": floor if possible else 1.0, "level": level,
                    "testable": testable, "ratio": ratio, "tau": tau, "d": d,
                    "power": result.power, "ci_low": low, "ci_high": high,
                    "detectable_ratio": math.exp(result.detectable_d * tau),
                    "labelings": result.labelings,
                    "reason": "" if testable else _reason(floor, level, alpha, possible=possible),
                }
            )  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS)


def _floor(blocks: int, k: int) -> float:
    """Smallest attainable p of the test as the study runs it, random labelings included."""
    sizes = [(k, k)] * blocks
    drawn = labelings(sizes) > permutation.MAX_ENUMERATION
    return max(attainable_floor(sizes), 1 / (permutation.DRAWS + 1) if drawn else 0.0)


def _reason(floor: float, level: float, alpha: float, *, possible: bool) -> str:
    if not possible:
        return "one run per cell: no spread to permute"
    adjusted = min(1.0, floor * alpha / level)
    after = f" ({adjusted:.3g} after Holm)" if level < alpha else ""
    return f"the smallest attainable p is {floor:.3g}{after}, above alpha = {alpha:g}"


def _designs(networks: int, datasets: int, inits: int) -> list[Design]:
    designs = []
    if datasets > 1:
        designs.append(Design("dataset", "all blocks", networks * inits))
    if inits > 1:
        designs.append(Design("init", "all blocks", networks * datasets))
    if any(design.blocks > 1 for design in designs):
        names = " or ".join(design.family for design in designs)
        designs.append(Design(names, "one block", 1))
    if datasets > 1 and inits > 1:
        designs.append(Design("dataset x init", "all blocks", 2 * networks, interaction=True))
    joint = [
        design._replace(name="all blocks, joint", joint=True)
        for design in designs
        if design.name == "all blocks" and not design.interaction
    ]
    return designs + joint


def _simulate(
    design: Design,
    k: int,
    *,
    d: float,
    level: float,
    replicates: int,
    rng: np.random.Generator,
    rho: float,
) -> Power:
    """Power at the standardised effect d, and the effect that is found in 80 % of studies."""
    weights = None
    if design.interaction:
        # mean over networks of (difference at the first init - difference at the second)
        weights = np.array([1.0, -1.0] * (design.blocks // 2)) / (design.blocks // 2)
    draws = FEWER if design.joint else DRAWS
    labels = vectorised.label_runs(
        design.blocks, k, rng=rng, weights=weights, max_enumeration=draws, draws=draws
    )
    # drawn once: all effects share the noise, so power changes with the effect alone when `_bisect`
    # compares them
    values = rng.standard_normal((replicates, design.blocks, 2, k))
    count = "all" if labels.exact else f"{draws:,} drawn"
    if design.joint:
        four = rng.standard_normal((replicates, len(PARAMETERS), design.blocks, 2, k))
        four[:, 3] = rho * four[:, 2] + math.sqrt(1 - rho**2) * four[:, 3]

        def found(effect: float) -> float:
            return float((vectorised.joint_p(four, labels, effect) <= level).mean())

        return Power(found(d), _bisect(found), count)

    def power(effect: float) -> float:
        if not design.interaction:
            return float((vectorised.permutation_p(values, labels, effect) <= level).mean())
        moved = values.copy()
        # arm a at the first initialisation only, which changes the interaction by `effect`
        moved[:, ::2, 0] += effect
        p = vectorised.permutation_p(vectorised.interaction_residuals(moved), labels)
        return float((p <= level).mean())

    return Power(power(d), _bisect(power), count)


def _bisect(power: Callable[[float], float]) -> float:
    """The smallest effect (to .02 SD) with the wanted power; NaN when it is not reached."""
    low, high = 0.0, 0.5
    # double until the power is reached, then halve the bracket
    while power(high) < WANTED:
        low, high = high, 2 * high
        if high > LARGEST_D:
            return math.nan
    while high - low > 0.02:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= WANTED else (middle, high)
    return high


def _check(
    *,
    networks: Sequence[str],
    datasets: int,
    inits: int,
    seeds: Sequence[int],
    ratio: float,
    tau: float,
    alpha: float,
    replicates: int,
) -> None:
    """InputError for the first argument that makes no sense."""
    names = ", ".join(networks) or "none"
    seeds_text = " ".join(map(str, seeds)) or "none"
    positive = math.isfinite(ratio) and ratio > 0 and ratio != 1
    for wrong, what, found, expected, remedy in (
        (not networks or len(set(networks)) < len(networks), "networks", names,
         "at least one, each named once", "name every network once"),
        (datasets < 1 or inits < 1 or datasets * inits < 2, "data sets and initialisations",
         f"{datasets} and {inits}", "at least two of one of them",
         "plan two data sets or two initialisations"),
        (not seeds or min(seeds) < 1 or len(set(seeds)) < len(seeds), "seeds", seeds_text,
         "whole numbers of at least 1, each once", "for example --seeds 3 5 8"),
        (not positive, "effect", f"{ratio:g}", "a ratio of mean displacements above 0, not 1",
         "for example --effect 1.25"),
        (not (math.isfinite(tau) and tau > 0), "tau", f"{tau:g}",
         "an SD between runs above 0, in log units", "for example --tau 0.1"),
        (not 0 < alpha < 1, "alpha", f"{alpha:g}", "a level between 0 and 1",
         "for example --alpha 0.05"),
        (replicates < 1, "replicates", str(replicates), "at least 1",
         "for example --replicates 2000"),
    ):  # fmt: skip
        if wrong:
            raise InputError(what, found=found, expected=expected, remedy=remedy)
