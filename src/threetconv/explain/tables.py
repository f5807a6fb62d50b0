"""Explanations of several runs as single tables, and the paths of their chosen channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from threetconv.explain.motion.trajectories import steps
from threetconv.records.run_folder import read_run
from threetconv.schemas.channels import TRAJECTORIES
from threetconv.support.files import read_parquet

__all__ = ["TABLES", "chosen_trajectories", "together"]

TABLES = ("channels", "faithfulness", "chosen", "images", "sanity")
COLUMNS = TRAJECTORIES.names


def together(folders: Sequence[str | Path]) -> dict[str, pd.DataFrame]:
    """The tables of runs, one below another, by name; files of `images` get their run's folder.

    Args:
        folders: what `threetconv.explain.run.explain_run` has written, all in one folder.
    """
    found = {}
    for name in TABLES:
        parts = [read_parquet(Path(folder) / f"{name}.parquet") for folder in folders]
        # Empty tables (3D runs have no channels) would make concat guess other dtypes; one is kept
        # for the columns if all are empty.
        kept = [part for part in parts if len(part)] or parts[:1]
        found[name] = pd.concat(kept, ignore_index=True)
    images = found["images"]
    found["images"] = images.assign(file=images["run_id"] + "/" + images["file"])
    return found


def chosen_trajectories(
    chosen: pd.DataFrame, parameters: Mapping[str, str | Path], runs: Mapping[str, str | Path]
) -> pd.DataFrame:
    """Zoom, turn and path of chosen channels over the slices of their filters.

    Args:
        chosen: run_id, layer, channel; those of runs without parameters are passed over.
        parameters: run id -> its parameter table.
        runs: run id -> the run's folder.

    Returns:
        Columns run_id, layer, channel, step, zoom, turn_deg, right_px, up_px; exact composition.
    """
    parts = []
    for run_id, lines in chosen.groupby("run_id", sort=True):
        if run_id not in parameters:
            continue
        rows = read_parquet(parameters[str(run_id)], filters=[("tag", "=", "best")])
        kernels = {
            layer["name"]: layer["kernel"] for layer in read_run(runs[str(run_id)])["layers"]
        }
        by_channel = rows.sort_values("transition").groupby(["layer", "channel"], observed=True)
        for layer, channel in lines[["layer", "channel"]].itertuples(index=False):
            # Rows are in order of transition, since groupby keeps the order within groups.
            own = by_channel.get_group((layer, channel))
            _, height, width = kernels[layer]
            path = steps(
                own["scale"],
                own["rotate"],
                own["translate_x"],
                own["translate_y"],
                kernel=(height, width),
            )
            parts.append(path.assign(run_id=run_id, layer=layer, channel=channel))
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True)[COLUMNS]
