"""The four parameters together, and early against late layers: what single means cannot show.

A data set may move early layers further and late ones less, and leave the mean over the network as
it is. The contrast of depth is, for each run and parameter, the mean over the first half of the
layers of D = ln mean |z| minus that over the second half; its difference between arms is the
logarithm of a ratio of ratios.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import Comparison, as_table, comparisons
from threetconv.statistics.tests.contrasts import PermutationSettings, measure, measure_jointly
from threetconv.statistics.tests.families import TWO_ARMED, with_control
from threetconv.statistics.tests.permutation import DRAWS, MAX_ENUMERATION

__all__ = ["JOINT", "early_less_late", "joint_tests"]

JOINT = ", ".join(PARAMETERS)  # the parameter of a line about all of them
SNAPSHOT = ["run_id", "step", "tag", "rows", "parameter"]


def joint_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: Sequence[str] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    checkpoint: str | Sequence[str] = ("best", "matched"),
    alpha: float = 0.05,
    paired: bool = False,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Test every contrast on all parameters at once, and on early against late layers.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`; reachable rows.
        runs, seed, families, datasets, checkpoint, alpha, paired, max_enumeration, draws: as for
            `threetconv.statistics.tests.contrasts.run_tests`.

    Returns:
        The tests table's columns. Scope "joint": a line per family, contrast, checkpoint and
        stratum, of parameter `JOINT`; `statistic` is that of
        `threetconv.statistics.tests.permutation.permute_jointly`, `estimate` the ratio of mean
        displacements as geometric mean over the parameters, with its interval. Scope "depth": such
        a line, and one for each parameter (Holm over four), of the contrast of depth; `estimate` is
        the ratio of displacement of early to late layers, arm a to arm b.
    """
    label = "reachable rows, pooled"
    plain = PermutationSettings(
        label=f"D = ln mean |z|, {label}", alpha=alpha, paired=paired, seed=seed,
        max_enumeration=max_enumeration, draws=draws,
    )  # fmt: skip
    deep = replace(
        plain,
        label=f"mean D of early less late layers, {label}",
        still="have layers that never moved (D = -inf)",
    )
    table = with_control(summaries, runs)
    table = table[table["rows"] == "reachable"]
    model = table[(table["scope"] == "model") & (table["weighting"] == "pooled")]
    checkpoints = (checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint)
    lines: list[dict[str, object]] = []
    layers = early_less_late(table[table["scope"] == "layer"])
    for scope, values, settings in (("joint", model, plain), ("depth", layers, deep)):
        for comparison in comparisons(values, families, datasets):
            for name in checkpoints:
                lines += _group(comparison.at(name), scope, settings)
    return as_table(lines)


def _group(
    compared: Comparison, scope: str, settings: PermutationSettings
) -> Iterator[dict[str, object]]:
    """The lines of one contrast at one checkpoint."""
    table = compared.values(["parameter"], settings.value).reindex(columns=list(PARAMETERS))
    values = table.to_numpy(np.float64)
    strata = compared.strata
    if not compared.chosen.reason:
        present = ~np.isnan(values).any(axis=1)
        strata = [(name, [b.kept(present) for b in blocks]) for name, blocks in strata]
    for stratum, blocks in strata:
        together = compared.line(stratum, JOINT, blocks, scope=scope)
        measure_jointly(together, blocks, values, compared, settings)
        adjust([together], settings.alpha, holm, "Holm", "tests")
        together["adjustment"] = "none (one test per stratum)"
        yield together
        if scope == "depth":
            lines = [compared.line(stratum, name, blocks, scope=scope) for name in PARAMETERS]
            measure(lines, blocks, values, compared, settings)
            adjust(lines, settings.alpha, holm, "Holm", "parameters of the stratum")
            yield from lines


def early_less_late(layers: pd.DataFrame) -> pd.DataFrame:
    """For every run, snapshot and parameter the mean D of early layers less that of late ones.

    Args:
        layers: lines of scope "layer" of the summaries, of layers that can learn.

    Returns:
        The first layer's line of each, with the contrast as `log_mean_abs`: -inf where a layer
        never moved, no line where a network has one layer. Of an odd number of layers the middle
        one counts for neither half.
    """
    layers = layers.sort_values([*SNAPSHOT, "layer_index"])
    grouped = layers.groupby(SNAPSHOT, sort=False, observed=True)
    place, number = grouped.cumcount(), grouped["layer_index"].transform("size")
    half = number // 2
    sign = np.where(place < half, 1.0, np.where(place >= number - half, -1.0, 0.0))
    moved = np.isfinite(layers["log_mean_abs"])
    share = layers["log_mean_abs"].where(moved, 0.0) * sign / half.where(half > 0)
    keys = [layers[name] for name in SNAPSHOT]
    contrast = share.groupby(keys, observed=True).transform("sum")
    whole = moved.groupby(keys, observed=True).transform("all")
    kept = (place == 0) & (half > 0)
    return layers.assign(log_mean_abs=contrast.where(whole, -np.inf), layer_index=-1)[kept]
