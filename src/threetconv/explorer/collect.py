"""Reads the files of a run into what the explorer shows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.explain.tables import TABLES
from threetconv.explorer.variant import Variant
from threetconv.records.noise_floor import noise_floor, step_variance
from threetconv.records.run_folder import read_run
from threetconv.support.files import read_parquet

__all__ = ["collect"]


def collect(
    folder: str | Path,
    explanations: str | Path,
    parameters: str | Path | None,
    tuning: str | Path | None = None,
) -> Variant:
    """Everything about one run.

    Args:
        folder: of the run.
        explanations: the folder that `threetconv.explain.run.explain_run` has written.
        parameters: the run's parameter table; None for a run without 3T layers.
        tuning: the run's responses to stimuli of known motion; None where they were not measured.
    """
    folder, explanations = Path(folder), Path(explanations)
    document = read_run(folder)
    run = document["run"]
    tables = {name: read_parquet(explanations / f"{name}.parquet") for name in TABLES}
    rows = pd.DataFrame()
    if parameters is not None:
        # Only the best snapshot is shown; the filter keeps the others out of memory.
        rows = read_parquet(parameters, filters=[("tag", "=", "best")])
    answers = pd.DataFrame()
    if tuning is not None:
        answers = read_parquet(tuning, filters=[("stimulus", "=", "grating")])
    return Variant(
        key=run["run_id"],
        network=run["network"],
        dataset=run["dataset"],
        init=run["init"],
        convolution=run["convolution"],
        control=run["control"],
        classes=document["classes"],
        layers=document["layers"],
        parameters=rows,
        tuning=answers,
        image_folder=explanations,
        first_layer_filters=_first_filters(folder),
        accuracy=_accuracy(folder, run["best_epoch"]),
        noise_floor=float(noise_floor(step_variance(document, rows))) if len(rows) else math.nan,
        **tables,
    )


def _accuracy(folder: Path, best_epoch: int) -> dict[str, float]:
    """Split -> accuracy of the best epoch's network."""
    metrics = read_parquet(folder / "metrics.parquet")
    best = metrics[(metrics["metric"] == "accuracy") & (metrics["epoch"] == best_epoch)]
    return dict(zip(best["split"], best["value"], strict=True))


def _first_filters(folder: Path) -> NDArray[np.float64] | None:
    """(channels, D, H, W, 3) in [0, 1] of the first convolution, on one common scale.

    None for R(2+1)D, where channels of the layer are those of its second, temporal part.
    """
    from threetconv.explain.channel import Channel, convolutions  # torch only where needed
    from threetconv.explain.motion.filter_pictures import filter_limit, filter_slices, sees_colour
    from threetconv.records.load_model import load_model

    network = load_model(folder)
    # The first registered convolution is the stem in all networks of the package.
    name, module = next(iter(convolutions(network).items()))
    if name.endswith(".spatial"):
        return None
    channels = [Channel(name, i) for i in range(module.out_channels)]
    assert sees_colour(network, channels[0])
    # One scale for all channels, so that weak filters look weak.
    limit = filter_limit(network, channels)
    return np.stack([filter_slices(network, channel, limit=limit) for channel in channels])
