"""How much of a 3D network's filters a 3T filter explains: `nearest_3t` of its layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import nn

from threetconv.layer.conv3t import Conv3T
from threetconv.layer.motion import trajectory
from threetconv.layer.nearest_3t import nearest_3t, sign_twins
from threetconv.schemas.ruler import RULER
from threetconv.tuning.layers import find_layers

__all__ = ["measure_filters"]


def measure_filters(
    network: nn.Module,
    layers: Sequence[str] | None = None,
    clip_shape: tuple[int, int, int] = (17, 32, 32),
    *,
    every: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """The nearest 3T filter of every channel of some 3D convolutions, and its motion.

    Args:
        network: any video network with `nn.Conv3d` layers; not changed.
        layers: names of convolutions; None: the first with extent in time and in space.
        clip_shape: (frames, height, width) of its clips.
        every: without `layers`: all such convolutions, not only the first.
        seed: of random starts and of the twins that tell the chance level.

    Returns:
        Columns of `RULER` but run_id: a row per layer and channel, none of layers that have no
        extent in time or in space, or that are 3T already.

    Raises:
        InputError: no module or clip shape, or no such layer.
    """
    parts = [pd.DataFrame(columns=RULER.names[1:])]
    for layer in find_layers(network, clip_shape, layers):
        module = network.get_submodule(layer.name)
        depth, *size = module.kernel_size  # type: ignore[misc]
        if isinstance(module, Conv3T) or depth < 2 or max(size) < 2:
            continue
        fit = nearest_3t(module.weight, seed=seed)  # type: ignore[arg-type]
        chance = nearest_3t(sign_twins(module.weight, seed=seed), seed=seed).share  # type: ignore[arg-type]
        path = trajectory(*(value.numpy() for value in fit[3:]))
        x, y = path.kernel_pixels((size[0], size[1]))
        parts.append(
            pd.DataFrame(
                {
                    "layer_index": np.int32(layer.index),
                    "layer": layer.name,
                    "channel": np.arange(len(fit.share), dtype=np.int32),
                    "share": fit.share.numpy(),
                    "chance": chance.numpy(),
                    "change": fit.change.numpy(),
                    "path_x": x[-1],
                    "path_y": y[-1],
                    "log_zoom": np.log(path.zoom[-1]),
                    "clockwise": path.clockwise[-1],
                }
            )
        )
        if layers is None and not every:
            break
    return pd.concat(parts[1:] or parts, ignore_index=True)
