"""Where a channel's transforms move its content, and whether that exceeds the noise floor.

The columns of the paper's Figure 3: cumulative zoom, turn and path, composed exactly
(`threetconv.layer.motion`), or the paper's own sums. `channel_table` has a line for every channel
of a network, with what noise alone would have done and a sentence
(`threetconv.explain.motion.words`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from threetconv.errors import InputError
from threetconv.explain.motion.words import beyond_noise, describe
from threetconv.layer import motion, units
from threetconv.networks.layer_info import LayerInfo
from threetconv.records.noise_floor import channel_floor, step_spread
from threetconv.records.parameters import PARAMETERS, RAW, displacement
from threetconv.schemas.channels import CHANNELS

if TYPE_CHECKING:
    from torch import nn

    from threetconv.explain.channel import Channel

__all__ = ["channel_table", "steps", "trajectory"]

Array = NDArray[np.float64]

_NUMBERS = (
    "zoom", "turn_deg", "right_px", "up_px", "floor_zoom", "floor_turn_deg", "floor_px",
)  # fmt: skip


def trajectory(
    network: nn.Module,
    channel: Channel,
    *,
    jump: int | None = None,
    paper: bool = False,
    clip_size: tuple[int, int] = (150, 224),
) -> pd.DataFrame:
    """Where a channel's content is at each slice of its filter.

    Args:
        network: any network that holds the channel's `Conv3T`.
        channel: which channel.
        jump: input pixels per feature pixel before the layer
            (`threetconv.networks.trace.trace` finds it); with it the path is given in input
            pixels too.
        paper: the sums of the paper's Figure 3 instead of the exact composition.
        clip_size: (H, W) that `paper` multiplies by; the paper's is the default.

    Returns:
        D rows, the first at the identity; the columns of `steps`.

    Raises:
        InputError: no such channel, or a convolution without transforms.
    """
    from threetconv.explain.channel import convolution_of, transforms_of  # torch only here
    from threetconv.layer.conv3t import Conv3T

    module = convolution_of(network, channel)
    if not isinstance(module, Conv3T):
        raise InputError(
            f"channel {channel}",
            found=f"a {type(module).__name__}, whose slices are free of each other",
            expected="a Conv3T: only its channels have transforms to follow",
            remedy="choose a channel of a 3T layer; look at the filters of other layers",
        )
    height, width = module.kernel_size[1:]
    edges = 0 if module.align_corners else 1  # -1 to 1 spans k steps between taps, not k - 1
    return steps(
        *transforms_of(module, channel.index),
        kernel=(height + edges, width + edges),
        jump=jump,
        dilation=(module.dilation[1], module.dilation[2]),
        paper=paper,
        clip_size=clip_size,
    )


def steps(
    scale: ArrayLike,
    rotate: ArrayLike,
    translate_x: ArrayLike,
    translate_y: ArrayLike,
    *,
    kernel: int | tuple[int, int],
    jump: int | None = None,
    dilation: int | tuple[int, int] = 1,
    paper: bool = False,
    clip_size: tuple[int, int] = (150, 224),
) -> pd.DataFrame:
    """`trajectory` from the raw parameters of one channel, (D - 1,) each.

    Args:
        scale, rotate, translate_x, translate_y: as `Conv3T` stores them.
        kernel: k or (H, W).
        jump: input pixels per feature pixel before the layer, if known.
        dilation: the layer's in space.
        paper, clip_size: as for `trajectory`.

    Returns:
        D rows: `step` 0 to D - 1, `zoom` (factor), `turn_deg` (clockwise, unwrapped), `right_px`,
        `up_px` (kernel pixels from the centre) and, with a jump, `right_input_px`, `up_input_px`.
        With `paper`: `step`, `paper_zoom`, `paper_rotation` (radians, clockwise), `paper_right`,
        `paper_up` ("paper units": fractions of the kernel times W and H of the clip).
    """
    raw = (scale, rotate, translate_x, translate_y)
    if paper:
        curves = motion.paper_curves(*raw, height=clip_size[0], width=clip_size[1])
        columns = dict(zip(("zoom", "rotation", "right", "up"), curves, strict=True))
        table = pd.DataFrame({f"paper_{name}": values for name, values in columns.items()})
    else:
        path = motion.trajectory(*raw)
        right, up = path.kernel_pixels(kernel)
        table = pd.DataFrame(
            {"zoom": path.zoom, "turn_deg": path.clockwise_degrees, "right_px": right, "up_px": up}
        )
        if jump is not None:
            x, y = path.input_pixels(kernel, jump, dilation)
            table = table.assign(right_input_px=x, up_input_px=y)
    table.insert(0, "step", np.arange(len(table)))
    return table


def channel_table(
    parameters: pd.DataFrame,
    layers: Iterable[LayerInfo | Mapping[str, Any]],
    variance: float | None,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """The motion of every channel of a network, its noise floor, and a sentence about it.

    Args:
        parameters: rows of one snapshot of one run, columns of
            `threetconv.schemas.runs.PARAMETERS`.
        layers: the network's 3T layers, as run.json has them.
        variance: of a raw parameter under noise alone
            (`threetconv.records.noise_floor.step_variance`); None or NaN where it is unknown.
        level: the share of noise-only channels about which the table says "no motion beyond noise".

    Returns:
        Columns of `CHANNELS`, a line per channel of each layer, in the layers' order. The motion is
        that over the whole kernel; `displacement` is the mean over reachable transitions of
        sqrt(z_s^2 + z_r^2 + z_x^2 + z_y^2), 0 without any. `floor_px` is along the direction of
        the channel's own path, which matters for kernels that are not square. `moves` is False
        where the noise floor is unknown. No rows for a network without 3T layers.

    Raises:
        InputError: rows of several snapshots, or not one row per transition and channel.
    """
    if len(parameters[["run_id", "step", "tag"]].drop_duplicates()) > 1:
        raise InputError(
            "parameter table",
            found="rows of several runs or snapshots",
            expected="one snapshot of one run",
            remedy='choose one, as by parameters[parameters["tag"] == "best"]',
        )
    known = [
        layer if isinstance(layer, LayerInfo) else LayerInfo.from_dict(dict(layer))
        for layer in layers
    ]
    parts = [_of_layer(parameters, layer, variance, level) for layer in known]
    if not parts:
        return CHANNELS.empty_table().to_pandas()
    return pd.concat(parts, ignore_index=True)[CHANNELS.names]


def _of_layer(
    parameters: pd.DataFrame, layer: LayerInfo, variance: float | None, level: float
) -> pd.DataFrame:
    rows = parameters[parameters["layer"] == layer.name].sort_values(["transition", "channel"])
    # (D - 1, C). An incomplete table would be reshaped into wrong places without an error.
    shape = (layer.kernel[0] - 1, layer.channels)
    if len(rows) != shape[0] * shape[1] or rows.duplicated(["transition", "channel"]).any():
        raise InputError(
            f"parameter table, layer {layer.name!r}",
            found=f"{len(rows)} rows",
            expected=f"one for each of {shape[0]} transitions and {shape[1]} channels",
            remedy="give the table and the layers of the same run",
        )
    raw = [rows[name].to_numpy(np.float64).reshape(shape) for name in RAW.values()]
    # Whether data can reach a transition depends on the layer alone, so one channel answers for
    # all.
    reached = rows["reachable"].to_numpy(bool).reshape(shape)[:, 0]
    floor = channel_floor(variance, int(reached.sum()), level=level)
    path = motion.trajectory(*raw)
    x, y = path.x[-1], path.y[-1]
    right, up = units.kernel_pixels(x, layer.kernel[2]), units.kernel_pixels(y, layer.kernel[1])
    # (4, reachable transitions, C); displacements are the scale that noise is compared on.
    z = np.stack([displacement(p, a[reached]) for p, a in zip(PARAMETERS, raw, strict=True)])
    table = pd.DataFrame(
        {
            "run_id": rows["run_id"].iloc[0],
            "layer_index": np.int32(layer.index),
            "layer": layer.name,
            "channel": np.arange(layer.channels, dtype=np.int32),
            "reachable": bool(reached.any()),
            "displacement": np.sqrt((z**2).sum(axis=0)).sum(axis=0) / max(1, len(z[0])),
            "zoom": path.zoom[-1],
            "turn_deg": path.clockwise_degrees[-1],
            "right_px": right,
            "up_px": up,
            "floor_zoom": floor.zoom,
            "floor_turn_deg": floor.turn_deg,
            "floor_px": floor.fraction * _pixels_per_fraction(x, y, layer.kernel),
        }
    )
    numbers = [dict(zip(_NUMBERS, row, strict=True)) for row in table[[*_NUMBERS]].to_numpy()]
    # Steps may cancel: their spread finds channels that move and come back.
    wanders = step_spread(z, variance) > floor.spread
    moves = [w or any(beyond_noise(**n)) for n, w in zip(numbers, wanders, strict=True)]
    return table.assign(
        moves=table["reachable"] & np.array(moves, dtype=bool),
        sentence=[
            describe(**n, reachable=bool(reached.any()), wanders=bool(w))
            for n, w in zip(numbers, wanders, strict=True)
        ],
    )


def _pixels_per_fraction(x: Array, y: Array, kernel: tuple[int, int, int]) -> Array:
    """Kernel pixels per fraction of the kernel, in the direction of (x, y)."""
    _, height, width = kernel
    length = np.hypot(x, y)
    pixels = np.hypot(units.kernel_pixels(x, width), units.kernel_pixels(y, height))
    mean = math.sqrt((width - 1) * (height - 1))  # no direction: as for a square kernel of its area
    return np.divide(pixels, length, out=np.full_like(length, mean), where=length > 0)
