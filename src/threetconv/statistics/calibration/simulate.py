"""Simulated studies with a known truth, in the layout of a real network.

A displacement of run i, layer l, channel c and transition t is

    z = ratio * exp(tau N_i + tau_layer N_il + tau_channel N_ilc) * t_df,

with N standard normal: runs differ as a whole, layers differ between runs, the transitions of a
channel move together, and single values have heavy tails (Student's t). The rows of one run share
its seed effect, so thousands of rows are one observation of it. `ratio` is 1 in arm b and the
effect in arm a. The parameters (s, r, px, py) are drawn independently of each other, and
unreachable rows, which stay at the identity for ever, are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from threetconv.errors import InputError

__all__ = ["Draw", "LayerLayout", "NetworkLayout", "SimulatedStudy", "draw_study"]

# log SD between layers of a run and between channels; degrees of freedom of Student's t
TAU_LAYER, TAU_CHANNEL, DF = 0.1, 0.4, 4.0


@dataclass(frozen=True)
class LayerLayout:
    """One 3T layer: its name, output channels, and which of its transitions can learn."""

    name: str
    channels: int
    reachable: tuple[bool, ...]

    @property
    def rows(self) -> int:
        """Rows of the parameter table."""
        return self.channels * len(self.reachable)

    @property
    def reachable_rows(self) -> int:
        """Rows that can leave the identity."""
        return self.channels * sum(self.reachable)


@dataclass(frozen=True)
class NetworkLayout:
    """How many temporal parameters a network has, and where.

    Attributes:
        network: its name.
        layers: in forward order.
    """

    network: str
    layers: tuple[LayerLayout, ...]

    def __post_init__(self) -> None:
        if not any(layer.reachable_rows for layer in self.layers):
            raise InputError(
                f"layout of {self.network!r}",
                found="no temporal parameter that can learn",
                expected="at least one 3T layer with a reachable transition",
                remedy="use a 3T network, or clips with more frames",
            )

    @property
    def rows(self) -> int:
        """Rows of the parameter table: channels x transitions, over all layers."""
        return sum(layer.rows for layer in self.layers)

    @property
    def reachable_rows(self) -> int:
        """Rows that can leave the identity."""
        return sum(layer.reachable_rows for layer in self.layers)

    @property
    def moving(self) -> tuple[LayerLayout, ...]:
        """Layers with a row that can leave the identity."""
        return tuple(layer for layer in self.layers if layer.reachable_rows)

    @classmethod
    def from_table(cls, parameters: pd.DataFrame, network: str) -> NetworkLayout:
        """The layout of the rows of a parameter table.

        Args:
            parameters: `layer_index`, `layer`, `channel`, `transition`, `reachable` of one run or
                of several of the same network; snapshots repeat a row, which counts once.
            network: the name to give it.

        Raises:
            InputError: when a layer's transitions have different numbers of channels.
        """
        columns = ["layer_index", "layer", "transition", "channel", "reachable"]
        table = parameters[columns].drop_duplicates().sort_values(columns[:4])
        layers = []
        for (_, name), group in table.groupby(["layer_index", "layer"], sort=True):
            channels = group["channel"].nunique()
            by_transition = group.groupby("transition", sort=True)["reachable"]
            reachable = tuple(bool(value) for value in by_transition.first())
            if len(group) != channels * len(reachable):
                raise InputError(
                    f"parameter table, layer {name!r}",
                    found=f"{len(group)} rows, {channels} channels, {len(reachable)} transitions",
                    expected="one row per channel and transition",
                    remedy="pass the parameters of runs of one network and one clip shape",
                )
            layers.append(LayerLayout(str(name), int(channels), reachable))
        return cls(network, tuple(layers))


class SimulatedStudy(NamedTuple):
    """A study as the tests see it; the first arm is a, the second b."""

    rows: np.ndarray  # float32 (parameters, blocks, 2, runs, reachable rows), displacements z
    log_means: np.ndarray  # (parameters, blocks, 2, runs), D = ln mean |z| over the rows
    layer_log_means: np.ndarray  # (parameters, blocks, 2, runs, layers), the same by layer


class Draw(NamedTuple):
    """The random part of a study, before its seed effects are scaled and an effect is put in.

    Both only multiply the rows of a run, so one draw serves for every tau and ratio.
    """

    shape: NetworkLayout
    seeds: np.ndarray  # (parameters, blocks, 2, runs), standard normal seed effects N_i
    rows: np.ndarray  # float32 (parameters, blocks, 2, runs, reachable rows), at tau = 0
    log_means: np.ndarray  # (parameters, blocks, 2, runs), at tau = 0
    layer_log_means: np.ndarray  # (parameters, blocks, 2, runs, layers), at tau = 0

    def shift(self, tau: float, ratio: float) -> np.ndarray:
        """What the seed effects and the ratio add to ln |z|: (parameters, blocks, 2, runs)."""
        return tau * self.seeds + np.log([ratio, 1.0])[:, None]

    def study(self, *, tau: float, ratio: float = 1.0) -> SimulatedStudy:
        """The study with between-run SD `tau` (log units) and arm a moving `ratio` times as far."""
        shift = self.shift(tau, ratio)
        return SimulatedStudy(
            self.rows * np.exp(shift, dtype=np.float32)[..., None],
            self.log_means + shift,
            self.layer_log_means + shift[..., None],
        )


def draw_study(
    shape: NetworkLayout,
    rng: np.random.Generator,
    *,
    runs_per_arm: int,
    blocks: int = 1,
    parameters: int = 4,
    tau_layer: float = TAU_LAYER,
    tau_channel: float = TAU_CHANNEL,
    df: float = DF,
    paired: bool = False,
) -> Draw:
    """Draw the runs of a study of two arms in `blocks` blocks.

    Args:
        shape: the layout of every run's rows.
        rng: the generator to draw from.
        runs_per_arm: runs k of each arm in each block.
        blocks: cells of the design in which the arms are compared.
        parameters: how many independent parameters.
        tau_layer, tau_channel: SD of the log scale between layers of a run and between channels.
        df: degrees of freedom of the t noise.
        paired: run i of arm a and run i of arm b share their seed effect.
    """
    cells = (parameters, blocks, 2, runs_per_arm)
    seeds = rng.standard_normal(cells)
    if paired:
        seeds[:, :, 1] = seeds[:, :, 0]
    layers = shape.moving
    channels = np.array([layer.channels for layer in layers])
    sizes = np.array([layer.reachable_rows for layer in layers])
    # (*cells, channels of all layers)
    log_scale = tau_channel * rng.standard_normal((*cells, channels.sum()), dtype=np.float32)
    log_scale += np.repeat(
        tau_layer * rng.standard_normal((*cells, len(layers)), dtype=np.float32), channels, axis=-1
    )
    rows = _student(rng, (*cells, int(sizes.sum())), df)
    rows *= np.exp(log_scale)[..., _channel_of_row(layers)]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    # sums of |z| by layer, (*cells, layers); summed in float64, since the rows are float32
    sums = np.add.reduceat(np.abs(rows), starts, axis=-1, dtype=np.float64)
    return Draw(shape, seeds, rows, np.log(sums.sum(axis=-1) / sizes.sum()), np.log(sums / sizes))


def _student(rng: np.random.Generator, size: tuple[int, ...], df: float) -> np.ndarray:
    """Student's t in float32: a normal over the root of a mean chi-square."""
    noise = rng.standard_normal(size, dtype=np.float32)
    # chi-square(df) / df is Gamma(df / 2) times 2 / df
    noise /= np.sqrt(rng.standard_gamma(df / 2, size, dtype=np.float32) * np.float32(2 / df))
    return noise


def _channel_of_row(layers: Iterable[LayerLayout]) -> np.ndarray:
    """Index of the channel (counted over all layers) that each reachable row belongs to."""
    parts, first = [], 0
    for layer in layers:
        # rows of a layer lie transition by transition, each with all channels
        parts.append(np.tile(np.arange(first, first + layer.channels), sum(layer.reachable)))
        first += layer.channels
    return np.concatenate(parts)
