"""The noise floor: how far temporal parameters move where their gradients are noise alone.

Adam divides a gradient by its own size, so noise makes every raw parameter a random walk: after
updates of sizes lr_1 ... lr_n it is normal about its start with variance V = sum lr_i^2, or less
where gradients fade while Adam's v still remembers larger ones; training adds up the variance that
its own gradients would give (`threetconv.training.step.Walks`), and tables use that. In the
displacements z_s = -ln|s| and z_r = -r the SD is sqrt(V), in z_x = -tx/2 and z_y = ty/2 half of
that (`WALK_SHARE`), and the mean of |z| is sqrt(2 / pi) SDs (half-normal): `noise_floor`.

A channel with m reachable transitions adds up m independent walks, so to first order in its
parameters

    ln(zoom) and turn (radians)     are normal with SD sqrt(m V),
    the path's two coordinates      are normal with SD sqrt(m V) / 2 (fractions of the kernel),
    the path's length               is Rayleigh of that scale,
    the spread of the m steps       sum_t (z_t - mean z)^2 over the four, in units of their SDs, is
                                    chi-squared with 4 (m - 1) degrees of freedom (m > 1),

and the four are independent, because the mean of normal numbers is independent of their spread.
Each is tested at 1 - level^(1/4), so that a channel that only walks passes none of the four with
probability `level`: `channel_floor`. With one transition there is no spread, and the root is the
third. The spread finds channels that move to and fro.

To first order: with V of 0.01 (walks of a tenth) and six transitions, composed exactly, 5.9 % of
6,000 simulated channels lay beyond the floor instead of 5 %; at 0.001 it was 5.4 %. Adam's first
few updates are larger than lr_i: of 2,000 channels trained on noise, 4.3 % lay beyond after 240
updates of a one-cycle schedule, 5.7 % after 400 of one size, but 8.3 % after 400 that only shrank.

It stands among the records because the statistics, the explanations and the explorer all need it,
and none of them may import another. The report prints the formula (report/sections/temporal.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "WALK_SHARE",
    "ChannelFloor",
    "channel_floor",
    "noise_floor",
    "step_spread",
    "step_variance",
]

WALK_SHARE = {"s": 1.0, "r": 1.0, "px": 0.5, "py": 0.5}
"""Parameter -> SD of its displacement z per SD of the raw parameter."""


def noise_floor(variance: Any, share: Any = WALK_SHARE["r"]) -> Any:
    """Mean |z| of one transition under noise alone: share * sqrt(2 / pi * variance).

    Args:
        variance: of a raw parameter under noise alone: its walk, or the sum of the squared
            learning rates of all updates; a number, array or Series.
        share: of the parameter, from `WALK_SHARE`; a number, or as many as `variance` has.
    """
    return share * np.sqrt(2 / np.pi * variance)


def step_variance(document: Mapping[str, Any], parameters: pd.DataFrame) -> float:
    """Variance of a raw parameter at the best checkpoint in a network that learned nothing.

    The variance of its random start, where the run's recipe has one, and of its walk since; means
    over reachable rows and over the four parameters. `channel_floor` and `step_spread` take it.

    Args:
        document: run.json of the run.
        parameters: its parameter table at the best checkpoint.

    Returns:
        NaN where neither walks nor learning rates are known.
    """
    rows = parameters[parameters["reachable"].to_numpy(bool)]
    walks = [name for name in parameters if str(name).endswith("_walk")]
    walk = float(rows[walks].to_numpy(np.float64).mean()) if walks and len(rows) else math.nan
    if math.isnan(walk):
        best = [s["sum_lr2"] for s in document["snapshots"] if s["tag"] == "best"]
        walk = math.nan if not best or best[0] is None else float(best[0])
    recipe = json.loads(document["run"].get("recipe_details") or "{}")
    spread = list(recipe.get("spread", {}).values())
    return walk + float(np.mean(np.square(spread))) if spread else walk


class ChannelFloor(NamedTuple):
    """What a channel with noise alone stays below, with probability `level`; see the module.

    Attributes:
        zoom: a factor of at least 1, either way.
        turn_deg: degrees.
        fraction: length of the path, as a fraction of the kernel.
        spread: of the steps, in squared SDs; infinite with fewer than two transitions.
    """

    zoom: float
    turn_deg: float
    fraction: float
    spread: float


def channel_floor(variance: float | None, transitions: int, *, level: float = 0.95) -> ChannelFloor:
    """The floors of a channel with some reachable transitions.

    Args:
        variance: of a raw parameter under noise alone (`step_variance`); NaN or None where unknown.
        transitions: how many of the channel's transitions are reachable.
        level: the share of noise-only channels that pass none of the floors.

    Returns:
        Floors; NaN where `variance` is unknown, and those of the identity without a transition.

    Raises:
        ValueError: a negative variance, or a level outside 0 to 1.
    """
    from scipy.special import chdtri, ndtri  # only where channels are described

    if not 0 < level < 1:
        raise ValueError(f"level={level} must lie between 0 and 1")
    if variance is None or math.isnan(variance):
        return ChannelFloor(math.nan, math.nan, math.nan, math.nan)
    if variance < 0:
        raise ValueError(f"variance={variance} must not be negative")
    # Sidak (1967): several independent tests together at 1 - level
    alpha = 1 - level ** (1 / (4 if transitions > 1 else 3))
    sd = math.sqrt(transitions * variance)
    # quantiles: two-sided normal, and Rayleigh, exp(-x^2 / 2) = alpha
    normal, rayleigh = float(ndtri(1 - alpha / 2)), math.sqrt(-2 * math.log(alpha))
    spread = float(chdtri(4 * (transitions - 1), alpha)) if transitions > 1 else math.inf
    path = WALK_SHARE["px"] * rayleigh * sd
    return ChannelFloor(math.exp(normal * sd), math.degrees(normal * sd), path, spread)


def step_spread(z: npt.NDArray[np.float64], variance: float | None) -> npt.NDArray[np.float64]:
    """Sum of squared deviations of a channel's steps from their mean, in squared SDs of the walk.

    Args:
        z: (4, m, channels) displacements of the m reachable transitions; s, r, px, py.
        variance: as for `channel_floor`.

    Returns:
        (channels,); 0 with fewer than two transitions or an unknown `variance`.
    """
    if z.shape[1] < 2 or variance is None or math.isnan(variance):
        return np.zeros(z.shape[2])
    squares = ((z - z.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)  # (4, C)
    sd = np.array(list(WALK_SHARE.values()))[:, None] * math.sqrt(variance)
    # before the first update sd = 0, and any spread is beyond what noise could do
    scaled = np.divide(squares, sd**2, out=np.full_like(squares, math.inf), where=sd > 0)
    return np.asarray(np.where(squares > 0, scaled, 0.0).sum(axis=0))
