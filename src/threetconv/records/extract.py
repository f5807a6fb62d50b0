"""The parameter table of a network in memory; `parameters` has the table itself, without torch."""

from __future__ import annotations

import pandas as pd
from torch import nn

from threetconv.networks.trace import temporal_state, trace
from threetconv.records.parameters import tabulate

__all__ = ["extract_parameters"]


def extract_parameters(
    network: nn.Module, clip_shape: tuple[int, int, int], *, run_id: str = "network"
) -> pd.DataFrame:
    """The parameter table of a network in memory.

    Args:
        network: any network that holds `Conv3T` layers.
        clip_shape: (frames, height, width) of its clips; decides which transitions are reachable.
        run_id: a name for the rows.

    Returns:
        One row per (layer, transition, channel); see `threetconv.schemas.runs.PARAMETERS`.
    """
    return tabulate(temporal_state(network), trace(network, clip_shape), run_id=run_id)
