"""What each filter does from its first slice to its last: one number for each parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd

from threetconv.layer.motion import trajectory
from threetconv.records.parameters import PARAMETERS, RAW

__all__ = ["net_motion"]

PLACE = ["run_id", "layer_index", "layer"]


def net_motion(parameters: pd.DataFrame) -> pd.DataFrame:
    """The whole motion of every channel, its reachable transitions composed exactly.

    Args:
        parameters: rows of one snapshot of each run, columns of
            `threetconv.schemas.runs.PARAMETERS`.

    Returns:
        A line per run, layer and channel: `run_id`, `layer_index`, `layer`, `channel`; `s`, the
        logarithm of the zoom (above 0 it grows); `r`, radians clockwise; `px`, `py`, where the
        kernel's centre has gone, right and up, in fractions of the kernel. Signs are those of
        `threetconv.layer.units`. Layers without a reachable transition have no line.
    """
    rows = parameters[parameters["reachable"].astype(bool)]
    parts = [pd.DataFrame(columns=[*PLACE, "channel", *PARAMETERS])]
    for place, table in rows.groupby(PLACE, sort=True, observed=True):
        steps = table.sort_values(["transition", "channel"], kind="stable")
        channels = np.unique(steps["channel"].to_numpy())
        path = trajectory(
            *(steps[name].to_numpy(np.float64).reshape(-1, channels.size) for name in RAW.values())
        )
        values = (np.log(path.zoom[-1]), path.clockwise[-1], path.x[-1], path.y[-1])
        parts.append(
            pd.DataFrame(
                {
                    **dict(zip(PLACE, place, strict=True)),
                    "channel": channels,
                    **dict(zip(PARAMETERS, values, strict=True)),
                }
            )
        )
    return pd.concat(parts[1:] or parts, ignore_index=True)
