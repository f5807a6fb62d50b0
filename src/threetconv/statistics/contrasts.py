"""The planned tests: families F1 (dataset) and F2 (initialisation), with the run as unit.

For every pair of levels of the family's factor there is one blocked test over all blocks
(stratum "all") and one test inside each block, each for the four parameters. Holm's adjustment
is over the four parameters of one contrast and stratum: the blocked test is one family of four,
and every block is a family of four of its own. A claim picked from several blocks is therefore
not protected against that choice; the blocked test is the one to rely on.

A test is "untestable" when even the most extreme outcome, all four parameters at their smallest
attainable p, would leave it above alpha after Holm. It then has an estimate but no adjusted p.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.parameters import PARAMETERS
from threetconv.statistics import effects
from threetconv.statistics.adjust import holm
from threetconv.statistics.intervals import Interval, difference_interval, paired_interval
from threetconv.statistics.permutation import DRAWS, MAX_ENUMERATION, permute_runs

__all__ = ["COLUMNS", "FAMILIES", "Family", "run_tests", "select_runs"]

COLUMNS = [
    "family", "contrast", "stratum", "parameter", "scope", "layer_index", "checkpoint", "unit",
    "n_a", "n_b", "method", "library_version", "statistic", "estimate", "ci_low", "ci_high",
    "ci_method", "p_raw", "p_floor", "exact", "n_permutations", "p_adjusted", "adjustment",
    "hedges_g", "cliffs_delta", "wasserstein", "status", "reason", "rng_seed",
]  # fmt: skip
CHECKPOINTS = {"best": "best"}  # checkpoint of the tests table -> tag of the summaries table
OVERALL = "all"


@dataclass(frozen=True)
class Family:
    """A question asked of the study: does `factor` matter, other things (`blocks`) being equal?"""

    name: str
    factor: str
    blocks: tuple[str, ...]
    order: tuple[str, ...] = ()  # levels in this order: the earlier one is the ratio's numerator


FAMILIES = {
    "F1": Family("F1", "dataset", ("network", "init")),
    "F2": Family("F2", "init", ("network", "dataset"), order=("scratch", "pretrained")),
}


@dataclass(frozen=True)
class Settings:
    """What holds for every test of one table."""

    checkpoint: str
    label: str
    alpha: float
    paired: bool
    seed: int
    max_enumeration: int
    draws: int


@dataclass
class Block:
    """Runs of both arms in one block: D by run, and the replicate that pairs them."""

    name: str
    a: pd.Series = field(default_factory=lambda: pd.Series(dtype=np.float64))
    b: pd.Series = field(default_factory=lambda: pd.Series(dtype=np.float64))

    @property
    def complete(self) -> bool:
        """Both arms have a run."""
        return len(self.a) > 0 and len(self.b) > 0


def run_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: tuple[str, ...] = ("F1", "F2"),
    datasets: Sequence[str] | None = None,
    checkpoint: str = "best",
    rows: str = "reachable",
    weighting: str = "pooled",
    alpha: float = 0.05,
    paired: bool = False,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Test every contrast of the families on the run-level D = ln mean |z|.

    Args:
        summaries: from `threetconv.statistics.summarise`.
        runs: run_id, convolution, control; 3D runs and controls are left out. Without it all runs
            of `summaries` count.
        seed: of Monte Carlo draws; each test starts from it, so no test depends on the others.
        families: names in `FAMILIES`.
        datasets: the two data sets that F1 compares, the ratio's numerator first; all pairs, in
            alphabetical order, without it.
        checkpoint: "best" (each run at its best validation epoch).
        rows, weighting: which summary to test: rows {"reachable", "all"}, weighting {"pooled",
            "layer"}.
        alpha: level of the family; decides what is untestable.
        paired: exchange labels only between runs of the same replicate (sign-flip), for studies
            in which replicate i starts from the same initialisation in both arms.
        max_enumeration, draws: see `threetconv.statistics.permutation.permute_runs`.

    Returns:
        Columns `COLUMNS`, one line per family, contrast ("a / b"), stratum ("all" or a block) and
        parameter. `statistic`: mean over blocks of D_a - D_b; `estimate` = exp(statistic), a ratio
        of mean displacements, with its 95 % interval; `hedges_g`, `cliffs_delta`, `wasserstein`:
        on D, positive (the first two) when a moved further; `status` {"ok", "untestable",
        "degenerate"} with `reason`; `p_adjusted` only where the status is "ok".
    """
    settings = Settings(
        checkpoint=checkpoint,
        label=f"D = ln mean |z|, {rows} rows, {weighting}",
        alpha=alpha,
        paired=paired,
        seed=seed,
        max_enumeration=max_enumeration,
        draws=draws,
    )
    tag = look_up(CHECKPOINTS, checkpoint, what="checkpoint")
    table = select_runs(summaries, runs)
    table = table[
        (table["tag"] == tag)
        & (table["scope"] == "model")
        & (table["rows"] == rows)
        & (table["weighting"] == weighting)
    ]
    if table.duplicated(["run_id", "parameter"]).any():
        raise InputError(
            "summaries table",
            found=f"more than one {tag!r} snapshot of a run",
            expected="one line per run, scope, parameter, rows and weighting",
            remedy="pass the summaries of each run once",
        )
    table = table[
        ["run_id", "network", "dataset", "init", "replicate", "parameter", "log_mean_abs"]
    ]
    groups = [
        pd.DataFrame(_group(table, family, pair, settings))
        for family in (_family(name, datasets) for name in families)
        for pair in _contrasts(table, family)
        if datasets is None or family.factor != "dataset" or pair == tuple(datasets)
    ]
    if not groups:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(groups, ignore_index=True)[COLUMNS].astype({"layer_index": np.int32})


def _family(name: str, datasets: Sequence[str] | None) -> Family:
    family = look_up(FAMILIES, name, what="family")
    if datasets is None or family.factor != "dataset":
        return family
    return replace(family, order=tuple(datasets))


def select_runs(table: pd.DataFrame, runs: pd.DataFrame | None) -> pd.DataFrame:
    """Lines of 3T runs that are no negative controls."""
    if runs is None:
        return table
    wanted = runs[(runs["convolution"] == "3t") & (runs["control"] == "none")]
    return table[table["run_id"].isin(wanted["run_id"])]


def _contrasts(table: pd.DataFrame, family: Family) -> list[tuple[str, str]]:
    """All pairs of levels, in the family's order and then alphabetically."""
    present = set(table[family.factor].unique())
    levels = [level for level in family.order if level in present]
    levels += sorted(present - set(levels))
    return list(combinations(levels, 2))


def _group(
    table: pd.DataFrame, family: Family, pair: tuple[str, str], settings: Settings
) -> Iterator[dict[str, object]]:
    """The tests of one contrast: for every stratum four parameters, adjusted together."""
    in_pair = table[table[family.factor].isin(pair)]
    names = sorted(set(in_pair[list(family.blocks)].itertuples(index=False, name=None)))
    strata = [OVERALL] + [", ".join(name) for name in names]
    for stratum in strata:
        lines = []
        for parameter in PARAMETERS:
            values = in_pair[in_pair["parameter"] == parameter]
            blocks = [_block(values, family, pair, name) for name in names]
            if stratum != OVERALL:
                blocks = [block for block in blocks if block.name == stratum]
            line = {
                "family": family.name,
                "contrast": " / ".join(pair),
                "stratum": stratum,
                "parameter": parameter,
            }
            lines.append(line | _test(blocks, pair, settings))
        _adjust(lines, settings.alpha)
        yield from lines


def _block(
    values: pd.DataFrame, family: Family, pair: tuple[str, str], name: tuple[str, ...]
) -> Block:
    inside = np.ones(len(values), dtype=bool)
    for column, level in zip(family.blocks, name, strict=True):
        inside &= (values[column] == level).to_numpy()
    cell = values[inside].sort_values("replicate").set_index("replicate")
    arms = [cell.loc[cell[family.factor] == level, "log_mean_abs"] for level in pair]
    return Block(", ".join(name), *arms)


def _test(blocks: list[Block], pair: tuple[str, str], settings: Settings) -> dict[str, object]:
    """One line of the table, before adjustment."""
    scheme = "within pairs" if settings.paired else "within blocks"
    line: dict[str, object] = {
        "scope": "model", "layer_index": -1, "checkpoint": settings.checkpoint, "unit": "run",
        "n_a": sum(len(b.a) for b in blocks), "n_b": sum(len(b.b) for b in blocks),
        "method": f"permutation of run labels {scheme} ({settings.label})",
        "library_version": _versions(), "statistic": math.nan, "estimate": math.nan,
        "ci_low": math.nan, "ci_high": math.nan, "ci_method": "none", "p_raw": math.nan,
        "p_floor": math.nan, "exact": False, "n_permutations": 0, "p_adjusted": math.nan,
        "adjustment": "none", "hedges_g": math.nan, "cliffs_delta": math.nan,
        "wasserstein": math.nan, "status": "ok", "reason": "", "rng_seed": settings.seed,
    }  # fmt: skip
    notes = [f"block {b.name} left out: runs of one arm only" for b in blocks if not b.complete]
    blocks = [block for block in blocks if block.complete]
    if settings.paired:
        blocks = [_pairs(block) for block in blocks]
        notes += [
            f"block {b.name} left out: no replicate in both arms" for b in blocks if b.a.empty
        ]
        blocks = [block for block in blocks if block.complete]
    if not blocks:
        nothing = f"no block has runs of both {pair[0]} and {pair[1]}"
        return line | {"status": "untestable", "reason": nothing}
    arms = [(block.a.to_numpy(np.float64), block.b.to_numpy(np.float64)) for block in blocks]
    line |= {"n_a": sum(a.size for a, _ in arms), "n_b": sum(b.size for _, b in arms)}
    still = sum(int(np.count_nonzero(~np.isfinite(v))) for arm in arms for v in arm)
    if still:
        why = f"{still} of {line['n_a']} + {line['n_b']} runs never left the identity (D = -inf)"
        return line | {"status": "degenerate", "reason": "; ".join([why, *notes])}
    interval, units = _interval(arms, paired=settings.paired)
    result = permute_runs(
        units,
        seed=settings.seed,
        max_enumeration=settings.max_enumeration,
        draws=settings.draws,
    )
    statistic = float(np.mean([a.mean() - b.mean() for a, b in arms]))
    return line | {
        "statistic": statistic, "estimate": math.exp(statistic),
        "ci_low": math.exp(interval.low), "ci_high": math.exp(interval.high),
        "ci_method": interval.method, "p_raw": result.p, "p_floor": result.floor,
        "exact": result.exact, "n_permutations": result.n_permutations,
        "reason": "; ".join(notes), **effects.blocked([(b, a) for a, b in arms]),
    }  # fmt: skip


def _pairs(block: Block) -> Block:
    """Keep the replicates that both arms have, in the same order."""
    both = block.a.index.intersection(block.b.index)
    return Block(block.name, block.a.loc[both], block.b.loc[both])


def _interval(
    arms: list[tuple[np.ndarray, np.ndarray]], *, paired: bool
) -> tuple[Interval, list[tuple[np.ndarray, np.ndarray]]]:
    """The interval, and the units within which labels are exchangeable."""
    if not paired:
        return difference_interval(arms), arms
    units = [(a[i : i + 1], b[i : i + 1]) for a, b in arms for i in range(a.size)]
    return paired_interval([a - b for a, b in arms]), units


def _adjust(lines: list[dict[str, object]], alpha: float) -> None:
    """Holm over the lines; those that could never pass are marked untestable instead."""
    floors = np.array([line["p_floor"] for line in lines], dtype=np.float64)
    adjusted = holm(np.array([line["p_raw"] for line in lines], dtype=np.float64))
    for line, raw, least, p in zip(lines, floors, holm(floors), adjusted, strict=True):
        line["adjustment"] = f"Holm over {len(lines)} parameters of the stratum"
        if line["status"] != "ok":
            continue
        if least > alpha:
            line["status"] = "untestable"
            why = (
                f"the smallest attainable p is {raw:.3g}"
                + (f" ({least:.3g} after Holm)" if least > raw else "")
                + f", above alpha = {alpha:g}: more runs per arm are needed"
            )
            line["reason"] = "; ".join(part for part in (why, str(line["reason"])) if part)
        else:
            line["p_adjusted"] = p


def _versions() -> str:
    from threetconv import __version__  # noqa: PLC0415 (avoids a circular import)

    return f"threetconv {__version__}, numpy {np.__version__}"
