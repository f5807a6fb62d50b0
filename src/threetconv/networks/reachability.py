"""Which transitions of a network can ever learn, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from torch import nn

__all__ = ["reachable"]


def reachable(network: nn.Module, clip_shape: tuple[int, int, int]) -> pd.DataFrame:
    """Which transitions can ever receive a gradient, from shapes, strides and paddings alone.

    A slice of a filter that meets only padding in time gets no gradient, and a transition that
    shapes only such slices stays where it started for ever. No arithmetic is done: a network on the
    meta device will do.

    Args:
        network: any network that holds `Conv3T` layers; it is not changed.
        clip_shape: (frames, height, width) of its clips.

    Returns:
        A row per transition in forward order: `layer_index` (int32), `layer` (str), `transition`
        (int16, from 0), `reachable` (bool) and `n_channels` (int32), the number of rows of the
        parameter table that it stands for. No rows for a network without temporal parameters.

    Raises:
        RuntimeError: torch's own, for clips too small for the network.

    Example:
        >>> network = build_network("resnet18", num_classes=27, clip_shape=(30, 150, 224))
        >>> table = reachable(network, (30, 150, 224))
        >>> int(table["n_channels"].sum()), int(table.query("not reachable")["n_channels"].sum())
        (8064, 1536)
    """
    from threetconv.networks.trace import trace  # torch only when needed

    rows = [
        (layer.index, layer.name, transition, meets, layer.channels)
        for layer in trace(network, clip_shape)
        for transition, meets in enumerate(layer.reachable)
    ]
    columns = ["layer_index", "layer", "transition", "reachable", "n_channels"]
    return pd.DataFrame(rows, columns=columns).astype(
        {
            "layer_index": "int32",
            "layer": "str",
            "transition": "int16",
            "reachable": "bool",
            "n_channels": "int32",
        }
    )
