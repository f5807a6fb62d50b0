"""Where a planted motion is lost between the classes of a data set and the sizes of parameters.

A network may not have learned the motion; it may read it with another kind of parameter, or in
other layers; its channels may not point the way they prefer; or they do, but no further than those
of the controls. Each of these is seen in a table that is already there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from threetconv.schemas.statistics import PLANTED_WHERE
from threetconv.schemas.truth import INDEX_OF
from threetconv.statistics.planted.against_controls import CELL
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.intervals import paired_interval
from threetconv.statistics.tests.permutation import permute_runs
from threetconv.support.levels import passes

__all__ = ["KIND", "planted_where", "where_lost"]

KIND = {"s": "scale", "r": "rotation", "px": "translation", "py": "translation"}
"""Parameter -> the kind of transforms whose need is measured."""
HALF = 0.5  # of what all transforms cost: less, and the classes are read from other ones


def planted_where(
    planted: pd.DataFrame,
    need_runs: pd.DataFrame,
    tuning: pd.DataFrame | None = None,
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """A line per cell and planted parameter: what the network needs, and where the motion is lost.

    Args:
        planted: from `threetconv.statistics.planted.recovery.planted_table`; its lines of the
            whole network are read.
        need_runs: from `threetconv.statistics.truth.need.need_runs`, of real runs and controls.
        tuning: from `threetconv.statistics.planted.tuned.planted_tuning`; its lines of the first
            layer are read.
        alpha: level at which direction use has to exceed that of label-shuffled runs.
        seed: of draws, where not all relabellings are enumerated.

    Returns:
        Columns of `PLANTED_WHERE`. Drops are means over real runs, with batch norms computed anew
        where the network has such. The test of direction use permutes labels of runs, one-sided
        and without adjustment: it decides where to look further and is no finding of its own.
        `lost` and `reason` are those of `where_lost`.
    """
    whole = with_recipe(planted[planted["layer_index"] < 0])
    lines = whole[whole["expected"].astype(bool)].drop_duplicates([*CELL, "parameter"])
    needs = with_recipe(need_runs[need_runs["convolution"] == "3t"])
    answers = _tuned(tuning)
    rows = []
    for line in lines.to_dict("records"):
        key = tuple(line[name] for name in CELL)
        here = needs[(needs[CELL] == list(key)).all(axis=1)]
        row: dict[str, Any] = {str(name): line[name] for name in [*CELL, "motion", "parameter"]}
        row |= {name: line[name] for name in ("beyond_controls", "in_direction", "recovered")}
        row |= _use(here, seed) | _drops(here[here["control"] == "none"], KIND[line["parameter"]])
        row["tuning"] = answers.get((*key, INDEX_OF[line["parameter"]]), "")
        lost, reason = where_lost(row, alpha)
        rows.append(row | {"lost": lost, "reason": reason})
    table = pd.DataFrame(rows, columns=PLANTED_WHERE.names)
    return table.astype({"layer_index": np.int32}) if len(table) else table


def where_lost(line: Mapping[str, Any], alpha: float) -> tuple[str, str]:
    """Where a planted parameter is lost, and what that could not be told for.

    The rules, of which the first that holds decides. Each asks something that only makes sense
    where the rules before it did not hold: what was not learned is in no parameter, what is in
    another kind of parameter is in no layer of this one, and where the first layer is not what
    carries the motion, its channels need not point anywhere.

    1. "": recovered.
    2. "unknown": direction use of real or of label-shuffled runs was not measured, or by too few
       runs to be tested.
    3. "not learned": direction use does not exceed that of label-shuffled runs (`use_p`).
    4. "unknown": no accuracy with transforms at the identity.
    5. "not in this parameter": this kind of transforms at the identity costs less than half of
       what all of them cost, or all of them cost nothing.
    6. "in other layers": the first layer's transforms cost less than those of another layer, and
       its channels do not point the way they prefer.
    7. "unknown": whether it moved beyond the controls, or the direction, could not be tested.
    8. "direction", "size", or "direction and size": which of both failed.

    Args:
        line: columns of `PLANTED_WHERE` but lost and reason.
        alpha: level of the test of direction use.

    Returns:
        The rule's word, and for "unknown" what is lacking.
    """
    moved, pointing = line["beyond_controls"], line["in_direction"]
    open_ = [n for n, v in (("size", moved), ("direction", pointing)) if v == "untestable"]
    least = (
        f"direction use cannot be tested: the smallest attainable p is {line['use_p_floor']:.3g}"
    )
    nothing = "accuracy with transforms at the identity was not measured"
    alone = "direction use was not measured in real and label-shuffled runs"
    elsewhere = line["drop_all"] <= 0 or line["drop"] < HALF * line["drop_all"]
    deeper = line["drop_first"] < line["drop_layer"]
    rules = (
        (line["recovered"] == "yes", "", ""),
        (not math.isfinite(line["use_p"]), "unknown", alone),
        (not passes(line["use_p_floor"], alpha), "unknown", least),
        (not passes(line["use_p"], alpha), "not learned", ""),
        (not math.isfinite(line["drop"] + line["drop_all"]), "unknown", nothing),
        (elsewhere, "not in this parameter", ""),
        (deeper and pointing == "no", "in other layers", ""),
        (bool(open_), "unknown", f"{' and '.join(open_)} cannot be tested"),
        (pointing == "no" and moved == "no", "direction and size", ""),
        (pointing == "no", "direction", ""),
        (moved == "no", "size", ""),
    )
    return next((lost, reason) for holds, lost, reason in rules if holds)


def _use(needs: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Accuracy and direction use of a cell's real runs beside label-shuffled ones."""
    intact = needs[(needs["transforms"] == "intact") & (needs["batch_norm"] == "trained")]

    def values(control: str, measure: str, clips: str) -> np.ndarray:
        keep = (intact["control"] == control) & (intact["measure"] == measure)
        chosen = intact[keep & (intact["clips"] == clips)].sort_values("run_id")
        return chosen["value"].to_numpy(np.float64)

    real, shuffled = (values(c, "direction use", "") for c in ("none", "label-shuffled"))
    right, wrong = (values(c, "accuracy", "forwards") for c in ("none", "label-shuffled"))
    interval = paired_interval([real])
    found = {
        "n_runs": real.size,
        "n_shuffled": shuffled.size,
        "accuracy": _mean(right),
        "accuracy_shuffled": _mean(wrong),
        "chance": _mean(intact["chance"].to_numpy(np.float64)),
        "direction_use": _mean(real),
        "use_low": interval.low,
        "use_high": interval.high,
        "use_p": math.nan,
        "use_p_floor": math.nan,
    }
    if real.size and shuffled.size:
        result = permute_runs([(real, shuffled)], two_sided=False, seed=seed)
        found |= {"use_p": result.p, "use_p_floor": result.floor}
    return found


def _drops(real: pd.DataFrame, kind: str) -> dict[str, Any]:
    """What real runs lose with this kind of transforms, with all, and with a layer's."""
    drops = real[real["measure"] == "drop"]
    anew = drops["batch_norm"] == "recomputed"
    # networks without batch norms have drops with what they were trained with alone
    drops = drops[anew] if anew.any() else drops
    of_all = drops[drops["transforms"] == "all"]
    single = of_all[of_all["layer_index"] >= 0]
    layers = single.groupby(["layer_index", "layer"])["value"].mean().reset_index()
    whole = drops[drops["layer_index"] < 0].groupby("transforms")["value"].mean()
    drop, drop_all = (float(whole.get(name, math.nan)) for name in (kind, "all"))
    found = {
        "kind": kind, "drop": drop, "drop_all": drop_all,
        "share": drop / drop_all if drop_all > 0 else math.nan,
        "drop_first": math.nan, "layer": "", "layer_index": -1, "drop_layer": math.nan,
    }  # fmt: skip
    if len(layers):
        most = layers.iloc[int(layers["value"].to_numpy().argmax())]
        first = layers.loc[layers["layer_index"] == 0, "value"]
        found |= {
            "drop_first": float(first.sum()) if len(first) else math.nan,
            "layer": most["layer"],
            "layer_index": most["layer_index"],
            "drop_layer": float(most["value"]),
        }
    return found


def _tuned(tuning: pd.DataFrame | None) -> dict[tuple[str, ...], str]:
    """(*cell, index) -> whether the first layer answers to it beyond the controls."""
    if tuning is None or tuning.empty:
        return {}
    first = tuning[tuning["layer_index"] == 0].drop_duplicates([*CELL, "parameter"])
    keys = first[[*CELL, "parameter"]].astype(str).itertuples(index=False, name=None)
    return dict(zip(keys, first["beyond_controls"].astype(str), strict=True))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
