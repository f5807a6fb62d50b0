"""Displacement by depth: which layers differ, and the profile of every cell of the study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from threetconv.records.parameters import PARAMETERS
from threetconv.schemas.statistics import LAYER_PROFILE
from threetconv.statistics.summaries.snapshot_choice import at_checkpoint
from threetconv.statistics.tests.adjust import adjust, benjamini_hochberg
from threetconv.statistics.tests.comparisons import Comparison, as_table, comparisons
from threetconv.statistics.tests.contrasts import PermutationSettings, measure
from threetconv.statistics.tests.families import TWO_ARMED, Block, with_control, with_recipe
from threetconv.statistics.tests.permutation import DRAWS, MAX_ENUMERATION

__all__ = ["PROFILE_COLUMNS", "layer_profile", "layer_tests"]

CELL = ["network", "dataset", "init", "recipe", "control"]
PROFILE_COLUMNS = LAYER_PROFILE.names


def layer_tests(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    seed: int,
    families: tuple[str, ...] = TWO_ARMED,
    datasets: Sequence[str] | None = None,
    checkpoint: str | Sequence[str] = ("best", "matched"),
    alpha: float = 0.05,
    paired: bool = False,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Test every layer of every network on its own D = ln mean |z| over reachable rows.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        runs, seed, datasets, checkpoint, alpha, paired, max_enumeration, draws: as for
            `threetconv.statistics.tests.contrasts.run_tests`; matched snapshots are those of the
            same contrast there.
        families: names in `threetconv.statistics.tests.families.FAMILIES`.

    Returns:
        The tests table's columns, scope "layer", stratum the network: a line per family, contrast,
        checkpoint, network, parameter and layer. Blocks are those inside the network (of family
        "dataset": init; of "init": dataset). `p_adjusted` is Benjamini and Hochberg's, over the
        layers of one network and parameter; a line is "untestable" where even all layers at their
        smallest attainable p would leave it above alpha, "degenerate" where a run never moved the
        layer. Layers without reachable rows have no line.
    """
    settings = PermutationSettings(
        label="D = ln mean |z| of the layer, reachable rows",
        alpha=alpha,
        paired=paired,
        seed=seed,
        max_enumeration=max_enumeration,
        draws=draws,
    )
    table = with_control(summaries, runs)
    table = table[(table["scope"] == "layer") & (table["rows"] == "reachable")]
    checkpoints = (checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint)
    return as_table(
        [
            line
            for comparison in comparisons(table, families, datasets)
            for name in checkpoints
            for line in _networks(comparison.at(name), settings)
        ]
    )


def _networks(compared: Comparison, settings: PermutationSettings) -> Iterator[dict[str, object]]:
    """The tests of one contrast, network by network."""
    owner = compared.runs["network"].to_numpy()
    networks: dict[str, list[Block]] = {}
    for block in compared.blocks:
        networks.setdefault(block.key[compared.family.blocks.index("network")], []).append(block)
    # without a common checkpoint there are no values, and so no layers to list
    wide = None
    if not compared.chosen.reason:
        wide = compared.values(["parameter", "layer_index"], settings.value)
    for network, blocks in networks.items():
        if wide is None:
            yield from _without_lines(compared, network, blocks, settings)
        else:
            # layer indices start anew in every network: keep the layers that this one has
            here = wide.loc[:, wide[owner == network].notna().any()]
            yield from _network(compared, network, blocks, here, settings)


def _network(
    compared: Comparison,
    network: str,
    blocks: list[Block],
    table: pd.DataFrame,
    settings: PermutationSettings,
) -> Iterator[dict[str, object]]:
    """All layers and parameters of one network; adjusted over the layers of each parameter.

    Args:
        table: a row per run of the comparison, columns (parameter, layer index).
    """
    order = {name: i for i, name in enumerate(PARAMETERS)}
    columns = [(str(column[0]), int(column[1])) for column in table.columns]
    columns.sort(key=lambda column: (order[column[0]], column[1]))
    if not columns:
        return
    values = table[columns].to_numpy(np.float64)
    # a run without any value at this checkpoint is left out; one that lacks single layers makes
    # those layers untestable in `measure`
    kept = [block.kept(~np.isnan(values).all(axis=1)) for block in blocks]
    lines = []
    for parameter, layer in columns:
        at = {"scope": "layer", "layer_index": layer}
        lines.append(compared.line(network, parameter, kept, **at))
    measure(lines, kept, values, compared, settings)
    for parameter in PARAMETERS:
        group = [line for line in lines if line["parameter"] == parameter]
        # dozens of layers: control the false discovery rate (Benjamini and Hochberg 1995) and not,
        # as Holm would, the chance of any error
        over = f"layers of {network}"
        adjust(group, settings.alpha, benjamini_hochberg, "Benjamini-Hochberg", over)
    yield from lines


def _without_lines(
    compared: Comparison, network: str, blocks: list[Block], settings: PermutationSettings
) -> Iterator[dict[str, object]]:
    """One line per parameter (layer -1) that says why no layer can be compared."""
    lines = [compared.line(network, parameter, blocks, scope="layer") for parameter in PARAMETERS]
    measure(lines, blocks, np.empty((len(compared.runs), len(lines))), compared, settings)
    yield from lines


def layer_profile(
    summaries: pd.DataFrame,
    runs: pd.DataFrame | None = None,
    *,
    checkpoint: str | Sequence[str] = ("best", "matched"),
) -> pd.DataFrame:
    """Mean displacement of every layer in every cell of the study, beside its noise floor.

    Args:
        summaries: from `threetconv.statistics.summaries.summarise.summarise`.
        runs: run_id, convolution, control; all 3T runs, real and controls, are shown.
        checkpoint: "best", "matched" (the largest noise budget at which all these runs have a
            snapshot; no lines if there is none), or both.

    Returns:
        Columns `PROFILE_COLUMNS`, a line per cell, checkpoint, layer and parameter, over reachable
        rows. `mean` = exp of the mean over runs of D = ln mean |z|, with a 95 % t interval on D
        over runs, exponentiated (NaN for one run, or where a run never moved the layer);
        `n_rows`: reachable rows per run; `noise_floor`: mean over runs; `floor_ratio` = mean /
        noise_floor; `reachable_share` of the layer's rows. Layers without reachable rows have no
        line.
    """
    table = with_recipe(with_control(summaries, runs))
    table = table[table["scope"] == "layer"]
    names = (checkpoint,) if isinstance(checkpoint, str) else tuple(checkpoint)
    chosen = [
        (name, at_checkpoint(of_recipe, None, name, compared=set(of_recipe["run_id"])).lines)
        for _, of_recipe in table.groupby("recipe", observed=True)
        for name in names
    ]
    parts = [_profile(lines).assign(checkpoint=name) for name, lines in chosen if len(lines)]
    if not parts:
        return pd.DataFrame(columns=PROFILE_COLUMNS)
    order = {name: i for i, name in enumerate([*names, *PARAMETERS])}
    return pd.concat(parts)[PROFILE_COLUMNS].sort_values(
        [*CELL, "checkpoint", "layer_index", "parameter"],
        key=lambda c: c.map(order) if c.name in ("checkpoint", "parameter") else c,
        ignore_index=True,
    )


def _profile(lines: pd.DataFrame) -> pd.DataFrame:
    """One checkpoint's profile, in no particular order of lines."""
    from scipy.stats import t  # a second to import

    keys = [*CELL, "layer_index", "layer", "parameter"]
    lines = lines.sort_values("run_id")  # sums do not depend on the order of the lines
    sizes = lines[lines["rows"] == "all"].groupby(keys, sort=True, observed=True)["n"].mean()
    reachable = lines[lines["rows"] == "reachable"]
    finite = reachable["log_mean_abs"].where(np.isfinite(reachable["log_mean_abs"]))
    grouped = reachable.assign(finite=finite).groupby(keys, sort=True, observed=True)
    table = grouped.agg(
        n_runs=("run_id", "nunique"),
        moved=("finite", "count"),
        n_rows=("n", "mean"),
        centre=("finite", "mean"),
        sd=("finite", "std"),
        noise_floor=("noise_floor", "mean"),
    )
    all_moved = table["moved"] == table["n_runs"]
    centre = table["centre"].where(all_moved, -np.inf)  # a run that never moved has D = -inf
    # one run has no spread, so no interval
    several = all_moved & (table["n_runs"] > 1)
    df = (table["n_runs"] - 1).where(several, np.nan).to_numpy(np.float64)
    half = t.ppf(0.975, df) * table["sd"] / np.sqrt(table["n_runs"])
    mean = np.exp(centre)
    floor = table["noise_floor"].astype(np.float64)
    return table.assign(
        mean=mean,
        ci_low=np.exp(table["centre"] - half),
        ci_high=np.exp(table["centre"] + half),
        floor_ratio=mean / floor.where(floor > 0),
        reachable_share=table["n_rows"] / sizes.reindex(table.index),
    ).reset_index()
