"""The planned tests of whole networks, with the training run as unit.

The questions are in `threetconv.statistics.tests.families`.

For every contrast and checkpoint there is one blocked test over all blocks (stratum "all") and one
inside each block, each for the four parameters. Holm's adjustment is over the four parameters of
one contrast, checkpoint and stratum: the blocked test is one family of four, and every block is a
family of four of its own. A claim picked from several blocks is therefore not protected against
that choice; the blocked test is the one to rely on.

A test is "untestable" when even the most extreme outcome, all four parameters at their smallest
attainable p, would leave it above alpha after Holm. It then has an estimate but no adjusted p.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.tests import effect_sizes
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import Comparison, as_table, comparisons
from threetconv.statistics.tests.families import TWO_ARMED, Block, with_control
from threetconv.statistics.tests.interaction import oriented, permute_interactions
from threetconv.statistics.tests.intervals import Interval, difference_interval, paired_interval
from threetconv.statistics.tests.permutation import (
    DRAWS,
    MAX_ENUMERATION,
    PermutationResult,
    permute_jointly,
    permute_many,
    studentises,
)

__all__ = ["PermutationSettings", "measure", "measure_jointly", "run_tests", "test_models"]


@dataclass(frozen=True)
class PermutationSettings:
    """What holds for every permutation test of one table.

    Attributes:
        label: the value that is tested, in words.
        alpha: level; decides what is untestable.
        paired: exchange labels only between runs of the same replicate.
        seed, max_enumeration, draws: see `threetconv.statistics.tests.permutation.permute`.
        value: column of the summaries.
        still: words for runs whose value is infinite.
        single_blocks: whether every block is tested alone as well.
    """

    label: str
    alpha: float
    paired: bool
    seed: int
    max_enumeration: int = MAX_ENUMERATION
    draws: int = DRAWS
    value: str = "log_mean_abs"
    still: str = "never left the start (D = -inf)"
    single_blocks: bool = True


def run_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: tuple[str, ...] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    checkpoint: str | Sequence[str] = "best",
    rows: str = "reachable",
    weighting: str = "pooled",
    alpha: float = 0.05,
    paired: bool = False,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Test every contrast of the families on the run-level D = ln mean |z|.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        runs: run_id, convolution, control; 3D runs are left out, and controls in all families but
            "controls". Without it all runs of `summaries` count.
        seed: of Monte Carlo draws; each test starts from it, so no test depends on the others.
        families: names in `FAMILIES`.
        datasets: the two data sets that a dataset factor compares, the ratio's numerator first; all
            pairs, in alphabetical order, without it.
        checkpoint: "best" (each run at its best validation epoch), "matched" (all compared runs at
            equal noise budgets), or several.
        rows, weighting: which summary to test: rows {"reachable", "all"}, weighting {"pooled",
            "layer"}.
        alpha: level of the family; decides what is untestable.
        paired: exchange labels only between runs of the same replicate (sign-flip), for studies
            in which replicate i starts from the same initialisation in both arms.
        max_enumeration, draws: see `threetconv.statistics.tests.permutation.permute_runs`.

    Returns:
        Columns `COLUMNS`, one line per family, contrast ("a / b"; of an interaction
        "a / b, first / second"), checkpoint, stratum ("all" or a block) and parameter.
        `statistic`: mean over blocks of D_a - D_b (interaction: mean over networks of D_a - D_b at
        the first initialisation minus the same at the second);
        `estimate` = exp(statistic), a ratio of mean displacements (a ratio of ratios), with its
        95 % interval; `hedges_g`, `cliffs_delta`, `wasserstein`: on D, positive (the first two)
        when a moved further (interaction: g is the statistic on the SD within cells, the others,
        which compare two groups, are NaN); `status` {"ok", "untestable", "degenerate"} with
        `reason`; `p_adjusted` only where the status is "ok".
    """
    settings = PermutationSettings(
        label=f"D = ln mean |z|, {rows} rows, {weighting}",
        alpha=alpha,
        paired=paired,
        seed=seed,
        max_enumeration=max_enumeration,
        draws=draws,
    )
    table = with_control(summaries, runs)
    table = table[
        (table["scope"] == "model") & (table["rows"] == rows) & (table["weighting"] == weighting)
    ]
    checkpoints = (checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint)
    return test_models(table, settings, families, datasets, checkpoints)


def test_models(
    table: pd.DataFrame,
    settings: PermutationSettings,
    families: Sequence[str],
    datasets: Sequence[str] | None,
    checkpoints: Sequence[str],
) -> pd.DataFrame:
    """The tests of one line per run, snapshot and parameter (with `control`)."""
    return as_table(
        [
            line
            for comparison in comparisons(table, families, datasets)
            for checkpoint in checkpoints
            for line in _group(comparison.at(checkpoint), settings)
        ]
    )


def _group(compared: Comparison, settings: PermutationSettings) -> Iterator[dict[str, object]]:
    """The tests of one contrast: for every stratum four parameters, adjusted together."""
    table = compared.values(["parameter"], settings.value).reindex(columns=list(PARAMETERS))
    values = table.to_numpy(np.float64)
    blocks = compared.blocks
    if not compared.chosen.reason:
        # a run that lacks one parameter is left out of all four: a family shares its runs
        blocks = [block.kept(~np.isnan(values).any(axis=1)) for block in blocks]
    strata = replace(compared, blocks=blocks).strata
    for stratum, some in strata if settings.single_blocks else strata[:1]:
        lines = [compared.line(stratum, parameter, some) for parameter in PARAMETERS]
        measure(lines, some, values, compared, settings)
        adjust(lines, settings.alpha, holm, "Holm", "parameters of the stratum")
        yield from lines


def measure(
    lines: list[dict[str, object]],
    blocks: list[Block],
    values: np.ndarray,
    compared: Comparison,
    settings: PermutationSettings,
) -> None:
    """Fill in estimate, interval, effect sizes and raw p of lines that share their runs.

    Args:
        lines: one for each column of `values`.
        blocks: of the stratum; incomplete ones are left out, with a note.
        values: (runs, columns) of the comparison's runs.
        compared, settings: what is compared and how.
    """
    family = compared.family
    scheme = "within pairs" if settings.paired else "within blocks"
    what = "dataset labels of residuals" if family.moderator else "run labels"
    approximate = ", main effect removed, approximate" if family.moderator else ""
    label = f"{settings.label}{compared.chosen.text}"
    kept, notes = _usable(blocks, compared, settings)
    sizes = [(len(a), len(b)) for block in kept for a, b in block.arms]
    studentised = ", studentised" if studentises(sizes) and not settings.paired else ""
    fill: dict[str, object] = {
        "method": f"permutation of {what} {scheme}{studentised}{approximate} ({label})",
        "rng_seed": settings.seed,
    }
    if compared.chosen.reason:
        fill |= {"status": "untestable", "reason": compared.chosen.reason}
    elif not kept:
        fill |= {"status": "untestable", "reason": compared.nothing}
    for line in lines:
        line.update(fill)
    if "status" in fill:
        return
    n_a, n_b = (sum(block.count(arm) for block in kept) for arm in (0, 1))
    taken = values[np.concatenate([block.rows for block in kept])]
    finite = []
    for column, line in enumerate(lines):
        line.update({"n_a": n_a, "n_b": n_b, "reason": "; ".join(notes)})
        # NaN: the run has no such rows; infinite: it has, and none of them moved
        absent = int(np.count_nonzero(np.isnan(taken[:, column])))
        still = int(np.count_nonzero(~np.isfinite(taken[:, column]))) - absent
        if not absent and not still:
            finite.append(column)
            continue
        why = f"{still} of {n_a} + {n_b} runs {settings.still}"
        if absent:
            why = f"{absent} of {n_a} + {n_b} runs have no such rows"
        line["status"] = "untestable" if absent else "degenerate"
        line["reason"] = "; ".join([why, *notes])
    if finite:
        # all testable columns at once, under the same labelings
        numbers = _numbers(kept, values[:, finite], settings, interaction=bool(family.moderator))
        for column, found in zip(finite, numbers, strict=True):
            lines[column].update(found)


def measure_jointly(
    line: dict[str, object],
    blocks: list[Block],
    values: np.ndarray,
    compared: Comparison,
    settings: PermutationSettings,
) -> None:
    """Fill in a line about all columns of `values` at once, as `measure` does for single ones.

    Estimate, interval and effect sizes are of the mean over columns, statistic and p of
    `permute_jointly`.
    """
    measure([line], blocks, values.mean(axis=1, keepdims=True), compared, settings)
    line["method"] = f"joint {line['method']}"
    if line["status"] != "ok":
        return
    kept, _ = _usable(blocks, compared, settings)
    cells = [[(values[a], values[b]) for a, b in block.arms] for block in kept]
    interaction = bool(compared.family.moderator)
    result = _permuted(cells, settings, interaction=interaction, test=_jointly)[0]
    line.update(
        {
            "statistic": result.statistic if result.n_permutations else math.nan,
            "p_raw": result.p, "p_floor": result.floor,
            "exact": result.exact, "n_permutations": result.n_permutations,
        }
    )  # fmt: skip


def _jointly(
    blocks: Sequence[tuple[np.ndarray, np.ndarray]], **how: int
) -> list[PermutationResult]:
    return [permute_jointly(blocks, **how)]


def _usable(
    blocks: list[Block], compared: Comparison, settings: PermutationSettings
) -> tuple[list[Block], list[str]]:
    """The blocks that can be compared, and a note for each of the others."""
    kept, notes = compared.complete(blocks)
    if settings.paired:
        kept = [block.paired(compared.runs["replicate"].to_numpy()) for block in kept]
        notes += [
            f"block {b.name} left out: no replicate in both arms" for b in kept if not b.complete
        ]
        # pairing may have left a block without runs
        kept = [block for block in kept if block.complete]
    return kept, notes


def _numbers(
    blocks: list[Block], values: np.ndarray, settings: PermutationSettings, *, interaction: bool
) -> list[dict[str, object]]:
    """Everything that is computed from the values, for every column of them."""
    cells = [[(values[a], values[b]) for a, b in block.arms] for block in blocks]
    arms = oriented(cells) if interaction else [pair for block in cells for pair in block]
    factor = 2 if interaction else 1  # the mean over oriented blocks is half the interaction
    results = _permuted(cells, settings, interaction=interaction)
    found = []
    for column, result in enumerate(results):
        pairs = [(a[:, column], b[:, column]) for a, b in arms]
        interval = _interval(pairs, paired=settings.paired)
        statistic = factor * float(np.mean([a.mean() - b.mean() for a, b in pairs]))
        sizes = effect_sizes.blocked([(b, a) for a, b in pairs])
        if interaction:
            # Cliff's delta and Wasserstein compare two groups, and an interaction has four
            sizes = dict.fromkeys(sizes, math.nan) | {"hedges_g": factor * sizes["hedges_g"]}
        found.append(
            {
                "statistic": statistic, "estimate": math.exp(statistic),
                "ci_low": math.exp(factor * interval.low),
                "ci_high": math.exp(factor * interval.high), "ci_method": interval.method,
                "p_raw": result.p, "p_floor": result.floor, "exact": result.exact,
                "n_permutations": result.n_permutations, **sizes,
            }
        )  # fmt: skip
    return found


def _permuted(
    cells: list[list[tuple[np.ndarray, np.ndarray]]],
    settings: PermutationSettings,
    *,
    interaction: bool,
    test: Callable[..., list[PermutationResult]] = permute_many,
) -> list[PermutationResult]:
    how = {
        "seed": settings.seed,
        "max_enumeration": settings.max_enumeration,
        "draws": settings.draws,
    }
    if interaction:
        return permute_interactions(cells, paired=settings.paired, test=test, **how)
    arms = [pair for block in cells for pair in block]
    if settings.paired:  # labels are exchangeable within pairs only
        arms = [(a[i : i + 1], b[i : i + 1]) for a, b in arms for i in range(a.shape[0])]
    return test(arms, **how)


def _interval(arms: list[tuple[np.ndarray, np.ndarray]], *, paired: bool) -> Interval:
    return paired_interval([a - b for a, b in arms]) if paired else difference_interval(arms)
