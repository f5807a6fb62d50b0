"""Hierarchical bootstrap of the ratio of mean displacements: runs, then channels.

In every cell runs are drawn with replacement; in every run drawn, channels are drawn with
replacement inside each layer, and a channel's transitions travel with it. Layers are a census and
are never resampled. The percentile interval is a description, for two reasons: drawing from a few
runs shows too little of their spread (runs alone, a nominal 95 % covers .80, .875 and .895 at 3, 5
and 8 runs per arm), and drawing channels as well adds a spread that the difference between runs
already holds, which matters in narrow networks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.records.parameters import PARAMETERS, RAW, displacement
from threetconv.schemas.statistics import BOOTSTRAP
from threetconv.statistics.summaries.best_rows import CELL, read_best
from threetconv.statistics.tests.comparisons import Comparison, two_armed
from threetconv.statistics.tests.families import TWO_ARMED, Block

__all__ = ["COLUMNS", "ChannelSums", "channel_sums", "hierarchical_bootstrap", "resample_cell"]

COLUMNS = BOOTSTRAP.names
METHOD = (
    "percentile bootstrap of runs, then of channels inside each layer; descriptive: covers less "
    "than its level with few runs (nominal 95 %: about .80/.875/.895 at 3/5/8 runs per arm in a "
    "wide network)"
)
READ = ("layer_index", "channel", *RAW.values())
CHUNK = 2_000_000  # draws held at once


class ChannelSums(NamedTuple):
    """One layer of one run: what resampling its channels needs."""

    sums: np.ndarray  # (channels, parameters) sum of |z| over the channel's reachable transitions
    counts: np.ndarray  # (channels,) reachable transitions


def hierarchical_bootstrap(
    files: Sequence[str | Path],
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    level: float = 0.95,
    n_resamples: int = 1_000,
) -> pd.DataFrame:
    """Bootstrap every contrast of the families at the best checkpoint.

    Args:
        files: parameter files of the runs, read one at a time; see `best_rows.read_best`.
        runs: run_id, convolution, control; 3D runs and controls are left out.
        seed: of the draws. A cell (network x dataset x init) has its own stream, made from the
            seed and the ids of its runs, so no cell depends on the others; a cell that takes part
            in several contrasts is resampled once.
        families, datasets: see `threetconv.statistics.tests.comparisons.comparisons`.
        level: of the percentile interval.
        n_resamples: resamples of every cell.

    Returns:
        Columns `COLUMNS`, a line per family, contrast, stratum ("all" or a block) and parameter.
        `estimate`: exp of the mean over blocks of (mean D of arm a - mean D of arm b), D = ln mean
        |z| over reachable rows; `status` "descriptive", "untestable" (an arm with one run: its
        spread is unknown, so there is no interval) or "degenerate" (a run never moved).

    Raises:
        InputError: for a level outside (0, 1) or less than one resample.
    """
    if not (0 < level < 1 and n_resamples >= 1):
        raise InputError(
            "bootstrap settings",
            found=f"level {level:g}, {n_resamples} resamples",
            expected="a level between 0 and 1 and at least one resample",
            remedy="use for example level 0.95 and 1000 resamples",
        )
    cells, layers = [], {}
    for run in read_best(files, runs, READ):
        cells.append(run.cell)
        layers[run.run_id] = channel_sums(run.frame)
    resampled: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]] = {}
    lines: list[dict[str, object]] = []
    for comparison in two_armed(pd.DataFrame(cells, columns=CELL), families, datasets):
        for block in comparison.blocks:
            for arm in _sorted_arms(comparison, block):
                if arm and arm not in resampled:
                    rng = np.random.default_rng([seed, _digest(arm)])
                    resampled[arm] = resample_cell([layers[name] for name in arm], n_resamples, rng)
        for stratum, blocks in comparison.strata:
            lines += _stratum(comparison, stratum, blocks, resampled, level)
    result = pd.DataFrame(lines).assign(
        checkpoint="best", level=level, n_resamples=n_resamples, method=METHOD, rng_seed=seed
    )
    return result[COLUMNS] if lines else pd.DataFrame(columns=COLUMNS)


def _stratum(
    comparison: Comparison,
    stratum: str,
    blocks: Sequence[Block],
    resampled: dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]],
    level: float,
) -> list[dict[str, object]]:
    """The lines of one stratum, one per parameter."""
    whole, notes = comparison.complete(blocks)
    arms = [_sorted_arms(comparison, block) for block in whole]
    fewest = min((len(arm) for pair in arms for arm in pair), default=0)
    lines = []
    for index, parameter in enumerate(PARAMETERS):
        line: dict[str, object] = {
            "recipe": comparison.recipe, "family": comparison.family.name,
            "contrast": comparison.contrast.text, "stratum": stratum, "parameter": parameter,
            "estimate": math.nan, "ci_low": math.nan, "ci_high": math.nan,
        }  # fmt: skip
        lines.append(line)
        if not whole:
            line |= {"status": "untestable", "reason": comparison.nothing}
            continue
        pairs = [(resampled[a], resampled[b]) for a, b in arms]
        means = np.array([(a[0][index], b[0][index]) for a, b in pairs])
        if not np.isfinite(means).all():
            why = "a run never left the start (D = -inf)"
            line |= {"status": "degenerate", "reason": "; ".join([why, *notes])}
            continue
        line["estimate"] = math.exp(float(np.mean(means[:, 0] - means[:, 1])))
        if fewest < 2:
            why = "one run in an arm: the spread between runs is unknown"
            line |= {"status": "untestable", "reason": "; ".join([why, *notes])}
            continue
        with np.errstate(invalid="ignore"):  # -inf - -inf where only still channels were drawn
            draws = np.mean([a[1][:, index] - b[1][:, index] for a, b in pairs], axis=0)
        if not np.isfinite(draws).all():
            why = "some resamples hold no channel that moved"
            line |= {"status": "degenerate", "reason": "; ".join([why, *notes])}
            continue
        low, high = np.exp(np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2]))
        line |= {"ci_low": float(low), "ci_high": float(high)}
        line |= {"status": "descriptive", "reason": "; ".join(notes)}
    return lines


def _sorted_arms(comparison: Comparison, block: Block) -> tuple[tuple[str, ...], tuple[str, ...]]:
    a, b = comparison.arms(block)
    return tuple(sorted(a)), tuple(sorted(b))


def channel_sums(frame: pd.DataFrame) -> list[ChannelSums]:
    """Sum of |z| and number of rows of every channel of every layer.

    Args:
        frame: raw rows of one run: layer_index, channel, scale, rotate (radians), translate_x,
            translate_y (half-extents); in any order.

    Returns:
        The layers in order, parameters as in `PARAMETERS`.
    """
    key = ["layer_index", "channel"]
    z = {name: np.abs(displacement(name, frame[RAW[name]])) for name in PARAMETERS}
    table = frame[key].assign(**z).sort_values([*key, *PARAMETERS])  # sums by increasing value
    grouped = table.groupby(key, sort=True)
    sums, counts = grouped.sum(), grouped.size()
    index = sums.index.get_level_values("layer_index").to_numpy()
    return [
        ChannelSums(sums.to_numpy()[index == layer], counts.to_numpy()[index == layer])
        for layer in np.unique(index)
    ]


def resample_cell(
    runs: Sequence[Sequence[ChannelSums]], n_resamples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mean D of a cell's runs, as observed and in every resample.

    Args:
        runs: the layers of each run.
        n_resamples: number of resamples R.
        rng: the source of all draws.

    Returns:
        (parameters,) observed mean over runs of D = ln mean |z|, and the same for the resamples,
        (R, parameters). A run that is drawn twice in a resample has its channels drawn twice.
    """
    k = len(runs)
    chosen = rng.integers(k, size=(n_resamples, k))  # the run in each of the k places
    drawn = np.empty((n_resamples, k, len(PARAMETERS)))
    observed = []
    with np.errstate(divide="ignore"):
        for number, layers in enumerate(runs):
            total = sum(layer.sums.sum(axis=0) for layer in layers)
            observed.append(np.log(total / sum(int(layer.counts.sum()) for layer in layers)))
            here = chosen == number
            drawn[here] = np.log(_resample_channels(layers, int(here.sum()), rng))
    return np.mean(observed, axis=0), drawn.mean(axis=1)


def _resample_channels(
    layers: Sequence[ChannelSums], draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Mean |z| of one run with channels drawn anew inside each layer: (draws, parameters)."""
    sums, rows = np.zeros((draws, len(PARAMETERS))), np.zeros((draws, 1))
    for layer in layers:
        channels = len(layer.counts)
        values = np.column_stack([layer.sums, layer.counts])
        step = max(1, CHUNK // channels)
        for start in range(0, draws, step):
            stop = min(start + step, draws)
            picked = rng.integers(channels, size=(stop - start, channels))
            offset = channels * np.arange(stop - start)[:, None]
            times = np.bincount((picked + offset).ravel(), minlength=picked.size)
            totals = times.reshape(picked.shape).astype(np.float64) @ values
            sums[start:stop] += totals[:, :-1]
            rows[start:stop] += totals[:, -1:]
    return sums / rows


def _digest(names: Sequence[str]) -> int:
    """64 bits that depend on the names alone."""
    return int.from_bytes(hashlib.sha256("\n".join(names).encode()).digest()[:8], "big")
