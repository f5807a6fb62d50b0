"""Run-level tests in calibration: what they find in simulated studies whose truth is known.

Each function takes some studies at once and yields answers: for each scenario (a test at a number
of runs, with or without an effect) whether it rejected, or covered the truth, in each study. The
four parameters of a study are independent, so a test of one parameter gets four answers from it;
tests of all four take px and py as correlated.
A new test is one function and one entry of `RUN_LEVEL_TESTS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from threetconv.statistics.calibration import vectorised
from threetconv.statistics.calibration.batch import SPREAD, Batch, each
from threetconv.statistics.calibration.scenarios import (
    ALPHA,
    EFFECT,
    LEVEL,
    NULL,
    RUNS,
    TAU,
    Answers,
    Scenario,
    levels,
    untestable,
)
from threetconv.statistics.tests.adjust import benjamini_hochberg, holm
from threetconv.statistics.tests.permutation import attainable_floor

__all__ = ["BLOCKS", "RUN_LEVEL_TESTS"]

MARGIN = 1.25  # largest ratio that counts as equal
BLOCKS = 4  # blocks of the families' overall tests: two networks x two levels of the other factor
RESAMPLES = 1_000
FEWER = 1_999  # labelings of the tests that need more work for each


RunLevelTest = Callable[[Batch], Iterator[Answers]]


def welch_test(batch: Batch) -> Iterator[Answers]:
    """Welch's t on D in one block: level, power and coverage."""
    name = "Welch t on D"
    for runs in RUNS:
        values = each(batch.values(runs))
        for shift, scenario in levels(name, "1 block", runs):
            if runs == 1:
                yield untestable(scenario, len(values))
                continue
            yield Answers(scenario, vectorised.mean_difference(_moved(values, shift)).p() <= ALPHA)
    for runs in (3, 5, 8):
        covered = vectorised.mean_difference(batch.pooled(runs)).covers(0.0, LEVEL)
        yield Answers(_coverage("Welch t interval", "1 block", runs), covered)
    for runs in (3, 5):
        values = each(batch.values(runs, BLOCKS))
        covered = vectorised.mean_difference(values).covers(0.0, LEVEL)
        scenario = _coverage("Satterthwaite t interval", f"{BLOCKS} blocks", runs)
        yield Answers(scenario, covered)


def permutation_test(batch: Batch) -> Iterator[Answers]:
    """Permutation of run labels within blocks, and Holm over four parameters."""
    for runs in RUNS:
        for blocks in (1, BLOCKS):
            design = "1 block" if blocks == 1 else f"{blocks} blocks"
            labels = vectorised.label_runs(blocks, runs, rng=batch.rng)
            values = batch.values(runs, blocks)
            yield from _permuted("permutation of run labels", design, runs, values, labels)
            yield from _permuted_holm(design, runs, batch.together(runs, blocks), labels)
        labels = vectorised.sign_flips(BLOCKS, runs, rng=batch.rng)
        values = batch.values(runs, BLOCKS, paired=True)
        note = "arms share the seed effect of a pair"
        yield from _permuted(
            "sign flips within pairs", f"{BLOCKS} blocks", runs, values, labels, note=note
        )


def _permuted(
    name: str,
    design: str,
    runs: int,
    values: np.ndarray,
    labels: vectorised.Labelings,
    *,
    note: str = "",
) -> Iterator[Answers]:
    shifts, scenarios = zip(*levels(name, design, runs, note=note), strict=True)
    p = vectorised.permutation_p(each(values), labels, shifts)
    for column, scenario in zip(p.T, scenarios, strict=True):
        yield Answers(scenario, column <= ALPHA, labels.floor > ALPHA)


def _permuted_holm(
    design: str, runs: int, values: np.ndarray, labels: vectorised.Labelings
) -> Iterator[Answers]:
    """Any of four parameters rejected under the null; share of four found under an effect."""
    studies, parameters = values.shape[:2]
    name = f"permutation, Holm over {parameters} parameters"
    shifts, scenarios = zip(*levels(name, design, runs), strict=True)
    p = vectorised.permutation_p(each(values), labels, shifts)
    adjusted = np.apply_along_axis(holm, 1, p.reshape(studies, parameters, -1))
    for j, scenario in enumerate(scenarios):
        found = adjusted[..., j] <= ALPHA
        hits = np.asarray(found.any(axis=1) if scenario.truth == NULL else found.mean(axis=1))
        noted = _noted(scenario, "any rejection", "mean share of parameters found")
        # Holm multiplies the smallest p by the number of parameters
        yield Answers(noted, hits, parameters * labels.floor > ALPHA)


def unequal_test(batch: Batch) -> Iterator[Answers]:
    """Arms of unequal size, the larger spread in the smaller one: studentised, and not."""
    for first, second in batch.cells:
        for blocks in (1, BLOCKS):
            values = batch.unequal(first, second, blocks)
            if values is None:
                continue
            design = (
                f"{'1 block' if blocks == 1 else f'{blocks} blocks'}, {first} and {second} runs"
            )
            floor = attainable_floor([(first, second)] * blocks)
            for kind in ("studentised", "not studentised") if min(first, second) > 1 else ():
                note = f"SD of the smaller arm {SPREAD:g} times as large"
                name = f"permutation of unequal arms, {kind}"
                for shift, scenario in levels(name, design, min(first, second), note=note):
                    # the power of a test that does not keep its level means nothing
                    if kind == "not studentised" and shift:
                        continue
                    moved = values + np.where(np.arange(first + second) < first, shift, 0.0)
                    p = vectorised.unequal_p(
                        moved, first, rng=batch.rng, studentised=kind == "studentised", draws=999
                    )
                    yield Answers(scenario, p <= ALPHA, floor > ALPHA)


def joint_test(batch: Batch) -> Iterator[Answers]:
    """All four parameters at once, px and py correlated; an effect moves all of them."""
    for runs in RUNS:
        for blocks in (1, BLOCKS):
            design = "1 block" if blocks == 1 else f"{blocks} blocks"
            labels = _few_labels(batch, blocks, runs)
            note = f"px and py correlated {batch.correlation:.2g}; effects in all four"
            scenarios = levels("joint permutation of four parameters", design, runs, note=note)
            shifts, asked = zip(*scenarios, strict=True)
            p = vectorised.joint_p(batch.together(runs, blocks), labels, shifts)
            for column, scenario in zip(p.T, asked, strict=True):
                yield Answers(scenario, column <= ALPHA, labels.floor > ALPHA)


def depth_test(batch: Batch) -> Iterator[Answers]:
    """Early against late layers; an effect is the ratio of early to late displacement."""
    for runs in RUNS:
        layers = batch.layers(runs, BLOCKS)
        half = layers.shape[-1] // 2
        values = layers[..., :half].mean(axis=-1) - layers[..., -half:].mean(axis=-1)
        labels = _few_labels(batch, BLOCKS, runs)
        yield from _permuted(
            "early against late layers, permutation", f"{BLOCKS} blocks", runs, values, labels
        )


def _few_labels(batch: Batch, blocks: int, runs: int) -> vectorised.Labelings:
    return vectorised.label_runs(blocks, runs, rng=batch.rng, max_enumeration=FEWER, draws=FEWER)


def interaction_test(batch: Batch) -> Iterator[Answers]:
    """Data set x initialisation in two networks, the data set's main effect taken out."""
    signs = np.array([1.0, -1.0] * (BLOCKS // 2)) / (BLOCKS // 2)
    name, note = "permutation of dataset x init, approximate", "effect is a ratio of ratios"
    for runs in RUNS:
        labels = vectorised.label_runs(BLOCKS, runs, rng=batch.rng, weights=signs)
        values = each(batch.values(runs, BLOCKS))
        for shift, scenario in levels(name, f"{BLOCKS} blocks", runs, note=note):
            if runs == 1:  # without a spread within cells there is nothing to permute
                yield untestable(scenario, len(values))
                continue
            moved = values.copy()
            # arm a at the first initialisation only, which changes the interaction by `shift`
            moved[:, ::2, 0] += shift
            p = vectorised.permutation_p(vectorised.interaction_residuals(moved), labels)
            yield Answers(scenario, p <= ALPHA, labels.floor > ALPHA)


def layers_test(batch: Batch) -> Iterator[Answers]:
    """Layer-wise permutation in two blocks, Benjamini-Hochberg across layers."""
    for runs in RUNS:
        labels = vectorised.label_runs(2, runs, rng=batch.rng)
        values = np.moveaxis(each(batch.layers(runs, 2)), -1, 1)  # studies, layers, blocks, ...
        studies, layers = values.shape[:2]
        shifts, scenarios = zip(
            *levels("layer-wise permutation, BH", "2 blocks", runs), strict=True
        )
        p = vectorised.permutation_p(each(values), labels, shifts)
        adjusted = np.apply_along_axis(benjamini_hochberg, 1, p.reshape(studies, layers, -1))
        for j, scenario in enumerate(scenarios):
            found = adjusted[..., j] <= ALPHA
            hits = np.asarray(found.any(axis=1) if scenario.truth == NULL else found.mean(axis=1))
            # under the complete null the false discovery rate is the chance of any rejection
            noted = _noted(scenario, "false discovery rate", "mean share of layers found")
            # Benjamini-Hochberg leaves the floor as it is where every layer attains it
            yield Answers(noted, hits, labels.floor > ALPHA)


def mixed_test(batch: Batch) -> Iterator[Answers]:
    """MixedLM on run x layer log-means, referred to t(2k - 2) and to N(0, 1)."""
    from scipy import stats  # a second to import

    note = "REML in closed form (no layer missing)"
    for runs in RUNS:
        for reference in ("t(2k - 2)", "N(0, 1)"):
            name = f"MixedLM, {reference}"
            for shift, scenario in levels(name, "1 block", runs, unit="run x layer", note=note):
                values = each(batch.layers(runs, 1))[:, 0].copy()
                if runs == 1:
                    yield untestable(scenario, len(values))
                    continue
                values[:, 0] += shift
                t = np.abs(vectorised.mixed_model_t(values))
                normal = reference == "N(0, 1)"
                p = 2 * (stats.norm.sf(t) if normal else stats.t.sf(t, 2 * runs - 2))
                yield Answers(scenario, p <= ALPHA)


def equivalence_test(batch: Batch) -> Iterator[Answers]:
    """TOST: its level at the margin, its power where nothing differs."""
    margin = math.log(MARGIN)
    for runs in RUNS:
        # TOST's null hypothesis is a difference, so its level is tried at the margin
        for ratio, truth, quantity in ((MARGIN, EFFECT, "type I error"), (1.0, NULL, "power")):
            scenario = Scenario(
                truth, f"TOST, margin {MARGIN:g}", "run", "1 block", runs, TAU, ratio, quantity,
                "claims equivalence",
            )  # fmt: skip
            values = _moved(each(batch.values(runs)), math.log(ratio))
            if runs == 1:
                yield untestable(scenario, len(values))
                continue
            yield Answers(scenario, vectorised.equivalence_p(values, margin) <= ALPHA)


def bootstrap_test(batch: Batch) -> Iterator[Answers]:
    """Percentile interval from resampled runs."""
    for runs in (3, 5, 8):
        values = batch.pooled(runs)[:, 0]
        # runs drawn with replacement are multinomial counts; the counts do not depend on the
        # values, so all studies share them
        weights = [
            batch.rng.multinomial(runs, np.full(runs, 1 / runs), RESAMPLES) / runs for _ in "ab"
        ]
        resampled = values[:, 0] @ weights[0].T - values[:, 1] @ weights[1].T
        low, high = np.quantile(resampled, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=1)
        scenario = _coverage("percentile bootstrap over runs", "1 block", runs, "descriptive")
        yield Answers(scenario, (low <= 0) & (high >= 0))


def _coverage(name: str, design: str, runs: int, note: str = "") -> Scenario:
    return Scenario(NULL, name, "run", design, runs, TAU, 1.0, "coverage", note)


def _moved(values: np.ndarray, shift: float) -> np.ndarray:
    """`shift` added to arm a of every block."""
    return values + np.array([shift, 0.0])[:, None]


def _noted(scenario: Scenario, under_null: str, under_effect: str) -> Scenario:
    note = under_null if scenario.truth == NULL else under_effect
    return Scenario(**{**scenario.__dict__, "note": note})


RUN_LEVEL_TESTS: tuple[RunLevelTest, ...] = (
    welch_test,
    permutation_test,
    unequal_test,
    joint_test,
    depth_test,
    interaction_test,
    layers_test,
    mixed_test,
    equivalence_test,
    bootstrap_test,
)
