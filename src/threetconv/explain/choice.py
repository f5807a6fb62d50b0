"""Chooses the channels to show by rule, which rules out cherry-picking.

faithfulness   those whose ablation costs the true class most
displacement   those whose transforms move most (3T)
random         any others, as a sample of ordinary channels
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.errors import InputError
from threetconv.schemas.channels import CHOSEN

__all__ = ["COLUMNS", "RULES", "choose"]

COLUMNS = CHOSEN.names
RULES = ("faithfulness", "displacement", "random")
KEYS = ["layer_index", "layer", "channel"]


def choose(
    channels: pd.DataFrame | None,
    faithfulness: pd.DataFrame,
    *,
    faithful: int,
    displaced: int,
    random: int,
    seed: int,
    first_layer: bool = True,
    ablation: str | None = None,
) -> pd.DataFrame:
    """Choose channels of one run by `RULES`, in that order; no channel is chosen twice.

    Args:
        channels: the run's channels table (layer_index, layer, channel, displacement, reachable),
            or None for a network without transforms: then no channel is chosen by displacement.
        faithfulness: the run's table of `threetconv.explain.trust.faithfulness`.
        faithful, displaced, random: how many by each rule; fewer where there are fewer channels
            with a drop above 0, a displacement above 0, or at all. Equals go by layer and number.
        seed: of the random ones; they do not depend on the order of rows, and asking for more
            keeps those already chosen.
        first_layer: whether one channel at least must be of the first layer, whose filters are
            images. If none is, the one there with the largest drop takes the last place of the
            first rule that has chosen any.
        ablation: whose drops count; by default "identity" where the table has it, else its own.

    Returns:
        Columns `COLUMNS`, by rule and rank (from 1).

    Raises:
        InputError: a number below 0, tables of several runs, or no drops of that ablation.
    """
    asked = dict(zip(RULES, (faithful, displaced, random), strict=True))
    for rule, count in asked.items():
        if count < 0:
            raise InputError(
                f"channels chosen by {rule}",
                found=str(count),
                expected="0 or more",
                remedy="give how many channels to show by this rule",
            )
    run_id = _run_id(channels, faithfulness)
    drops = _drops(faithfulness, ablation)
    everything = _everything(channels, drops)
    orders = {
        "faithfulness": _top(everything, "drop"),
        "displacement": _top(everything, "displacement"),
        # A permutation of all channels, not a draw of `random` of them: its prefix does not change
        # when more are asked for.
        "random": np.random.default_rng(seed).permutation(len(everything)).tolist(),
    }
    chosen: dict[str, list[int]] = {}
    taken: set[int] = set()
    for rule in RULES:
        chosen[rule] = [i for i in orders[rule] if i not in taken][: asked[rule]]
        taken.update(chosen[rule])
    # Only first-layer filters can be drawn as images, so a reader should see at least one.
    if first_layer and taken:
        _see_first_layer(everything, chosen, taken)
    rows = [(i, rule, rank) for rule in RULES for rank, i in enumerate(chosen[rule], 1)]
    table = everything.loc[[i for i, _, _ in rows], KEYS].reset_index(drop=True)
    table["run_id"] = run_id
    table["rule"] = pd.Series([rule for _, rule, _ in rows], dtype="str")
    table["rank"] = np.array([rank for _, _, rank in rows], dtype=np.int32)
    return table[COLUMNS].astype({"layer_index": "int32", "channel": "int32"})


def _run_id(channels: pd.DataFrame | None, faithfulness: pd.DataFrame) -> str:
    """The one run that both tables are of."""
    found: set[str] = set()
    for table in (channels, faithfulness):
        if table is not None:
            found.update(table["run_id"].unique())
    if len(found) != 1:
        raise InputError(
            "channels and faithfulness tables",
            found=f"runs {', '.join(map(str, sorted(found))) or '(none)'}",
            expected="one run, the same in both",
            remedy="choose the channels of one run at a time",
        )
    return found.pop()


def _drops(faithfulness: pd.DataFrame, ablation: str | None) -> pd.DataFrame:
    """KEYS and drop over all clips, a line per channel."""
    kinds = sorted(faithfulness["ablation"].unique())
    if ablation is None:
        ablation = kinds[0] if len(kinds) == 1 else "identity"
    if ablation not in kinds:
        raise InputError(
            "faithfulness table",
            found=f"ablations {', '.join(kinds) or '(none)'}",
            expected=f"drops by {ablation!r}",
            remedy="name an ablation that the table has, or make the table with this one",
        )
    # Rows with a label are drops of one class; channel -1 is the whole layer.
    overall = (faithfulness["label"] == "") & (faithfulness["channel"] >= 0)
    return faithfulness.loc[overall & (faithfulness["ablation"] == ablation), [*KEYS, "drop"]]


def _everything(channels: pd.DataFrame | None, drops: pd.DataFrame) -> pd.DataFrame:
    """Every channel of either table in the order of layers, with drop and displacement or NaN."""
    if channels is None or "displacement" not in channels:
        merged = drops.assign(displacement=np.nan)
    else:
        moving = channels[[*KEYS, "displacement"]].copy()
        # Without a reachable transition the transforms got no gradient, so nothing was learned.
        moving["displacement"] = moving["displacement"].where(channels["reachable"].astype(bool))
        merged = moving.merge(drops, on=KEYS, how="outer", validate="one_to_one")
    return merged.sort_values(KEYS).reset_index(drop=True)


def _top(everything: pd.DataFrame, column: str) -> list[int]:
    """Places of the channels with a positive number there, the largest first."""
    positive = everything.loc[everything[column] > 0, column]
    return [int(i) for i in positive.sort_values(ascending=False, kind="stable").index]


def _see_first_layer(
    everything: pd.DataFrame, chosen: dict[str, list[int]], taken: set[int]
) -> None:
    """Let a channel of the first layer take the last place of the first rule, if there is none."""
    first = everything[everything["layer_index"] == everything["layer_index"].min()]
    if taken.isdisjoint(first.index):
        best = first.sort_values("drop", ascending=False, kind="stable", na_position="last").index
        # Its last place, the weakest channel: the numbers per rule stay those that were asked for.
        rule = next(rule for rule in RULES if chosen[rule])
        chosen[rule][-1] = int(best[0])
