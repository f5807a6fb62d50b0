"""What the explorer shows of one run: its checked tables, and the layers that they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.errors import InputError

__all__ = ["ShownLayer", "Variant", "best_snapshot", "shown_layers"]

COLUMNS = {
    "parameters": (
        "layer",
        "channel",
        "transition",
        "reachable",
        "scale",
        "rotate",
        "translate_x",
        "translate_y",
    ),
    "channels": ("layer_index", "layer", "channel", "displacement", "sentence"),
    "faithfulness": ("layer_index", "layer", "channel", "ablation", "label", "drop", "n_clips"),
    "chosen": ("layer_index", "layer", "channel", "rule", "rank"),
    "images": ("layer_index", "layer", "channel", "method", "clip_id", "label", "frame", "file"),
    "sanity": ("layer_index", "layer", "channel", "method", "randomised", "flagged"),
    "tuning": ("layer_index", "layer", "channel", "stimulus", "direction", "response", "identity"),
}
KEYS = {
    "parameters": ["layer", "channel", "transition"],
    "channels": ["layer", "channel"],
    "faithfulness": ["layer", "channel", "ablation", "label"],
    "chosen": ["layer", "channel"],
}
WHOLE_LAYER = {"faithfulness", "sanity"}  # where channel -1 means all channels at once


@dataclass(frozen=True)
class ShownLayer:
    """A layer as the page lists it.

    Attributes:
        index: its position in the network, from 0.
        name: its name in the network.
        channels: number of output channels.
        kernel: (D, H, W), or None where it is unknown.
        jump: input pixels per feature pixel before the layer, or None.
        frames: length in time of its input, or None.
        reachable: per transition; empty without transitions.
    """

    index: int
    name: str
    channels: int
    kernel: tuple[int, int, int] | None = None
    jump: int | None = None
    frames: int | None = None
    reachable: tuple[bool, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One run in the explorer. Any table may be empty: the page then says why a part is missing.

    Attributes:
        key: the run's identifier; part of the page's links.
        network, dataset, init, convolution: what was trained on what, from where, "3t", "3d", ....
        control: the negative control that the run is, or "none".
        classes: class names by index.
        layers: the run's layers as `threetconv.networks.layer_info.LayerInfo.to_dict` gives them.
            Layers that only the tables name (a 3D run lists none) are added from the tables.
        parameters: rows of one snapshot of the parameter table
            (`threetconv.schemas.runs.PARAMETERS`); of several snapshots the one with tag "best"
            is taken.
        channels: one row a channel: displacement, sentence, floors.
        faithfulness: drop of log p(true class) in nats per channel, ablation and label.
        chosen: the channels that have pictures, with the rule that chose them.
        images: one row a picture.
        sanity: one row a channel, method and randomisation, with `flagged`.
        tuning: responses of channels to stimuli of known motion
            (`threetconv.schemas.tuning.TUNING_RESPONSES`).
        image_folder: the folder that the files of `images` are relative to.
        first_layer_filters: (channels, D, H, W, 3), uint8, or float in [0, 1]; of layer 0.
        accuracy: split -> share of clips that were right, 0 to 1.
        noise_floor: mean |z| per transition of zoom and turn under noise alone; NaN when unknown.
    """

    key: str
    network: str
    dataset: str
    init: str
    convolution: str
    control: str = "none"
    classes: Sequence[str] = ()
    layers: Sequence[Mapping[str, Any]] = ()
    parameters: pd.DataFrame = field(default_factory=pd.DataFrame)
    channels: pd.DataFrame = field(default_factory=pd.DataFrame)
    faithfulness: pd.DataFrame = field(default_factory=pd.DataFrame)
    chosen: pd.DataFrame = field(default_factory=pd.DataFrame)
    images: pd.DataFrame = field(default_factory=pd.DataFrame)
    sanity: pd.DataFrame = field(default_factory=pd.DataFrame)
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    image_folder: Path = Path()
    first_layer_filters: NDArray[Any] | None = None
    accuracy: Mapping[str, float] = field(default_factory=dict)
    noise_floor: float = float("nan")

    def __post_init__(self) -> None:
        for table, columns in COLUMNS.items():
            frame: pd.DataFrame = getattr(self, table)
            if frame.empty:
                continue
            lacking = [name for name in columns if name not in frame.columns]
            if lacking:
                raise InputError(
                    f"{table} table of run {self.key!r}",
                    found=f"no column {', '.join(lacking)}",
                    expected=f"columns {', '.join(columns)}",
                    remedy="make the table again with this version of threetconv",
                )
        _check_filters(self.key, self.first_layer_filters)

    def table(self, name: str) -> pd.DataFrame:
        """A table by name, checked for contradicting rows of one channel.

        Raises:
            InputError: such rows, or a channel that its layer does not have.
        """
        frame = best_snapshot(self.parameters) if name == "parameters" else getattr(self, name)
        if frame.empty:
            return pd.DataFrame(columns=list(COLUMNS[name]))
        if name in KEYS:
            twice = frame[frame.duplicated(KEYS[name])]
            if len(twice):
                row = twice.iloc[0]
                raise InputError(
                    f"{name} table of run {self.key!r}",
                    found=f"two rows for {', '.join(f'{k} {row[k]}' for k in KEYS[name])}",
                    expected="one",
                    remedy="give the rows of one run and one snapshot only",
                )
        lowest = -1 if name in WHOLE_LAYER else 0
        known = {layer.name: layer.channels for layer in shown_layers(self)}
        bad = frame[
            # An unknown layer has 0 channels, so every row of it is bad.
            (frame["channel"] < lowest) | (frame["channel"] >= frame["layer"].map(known).fillna(0))
        ]
        if len(bad):
            layer, channel = bad.iloc[0][["layer", "channel"]]
            raise InputError(
                f"{name} table of run {self.key!r}",
                found=f"channel {channel} of layer {layer}",
                expected=f"a channel from {lowest} to {known.get(layer, 0) - 1}",
                remedy="make the run's tables again, all from the same run",
            )
        return frame


def best_snapshot(parameters: pd.DataFrame) -> pd.DataFrame:
    """The rows with tag "best" where there are any, else the table as it is."""
    if "tag" in parameters.columns:
        best = parameters[parameters["tag"] == "best"]
        if len(best):
            return best
    return parameters


def shown_layers(variant: Variant) -> list[ShownLayer]:
    """The layers of a run in order: those it lists, then those that only its tables name."""
    found = {
        str(layer["name"]): ShownLayer(
            index=int(layer["index"]),
            name=str(layer["name"]),
            channels=int(layer["channels"]),
            kernel=_triple(layer.get("kernel")),
            jump=layer.get("jump"),
            frames=layer.get("frames"),
            reachable=tuple(bool(x) for x in layer.get("reachable") or ()),
        )
        for layer in variant.layers
    }
    listed = set(found)
    filters = variant.first_layer_filters
    for name in ("channels", "faithfulness", "chosen", "images", "sanity"):
        frame: pd.DataFrame = getattr(variant, name)
        if frame.empty:
            continue
        largest = frame.groupby(["layer_index", "layer"], sort=False)["channel"].max()
        for key, channel in largest.items():
            index, layer = cast("tuple[int, str]", key)
            # Without a listed layer the largest channel in any table tells how many there are at
            # least.
            count = max(int(channel) + 1, found[layer].channels if layer in found else 1)
            if layer not in listed:
                found[str(layer)] = ShownLayer(int(index), str(layer), count)
    if filters is not None:
        for place in [p for p in found.values() if p.index == 0]:
            if place.name not in listed:
                depth, height, width = filters.shape[1:4]
                count = max(place.channels, len(filters))
                found[place.name] = replace(place, channels=count, kernel=(depth, height, width))
        # Neither record nor tables name a layer, but there are filters to show.
        if not found:
            depth, height, width = filters.shape[1:4]
            found[""] = ShownLayer(0, "first layer", len(filters), (depth, height, width))
    return sorted(found.values(), key=lambda place: (place.index, place.name))


def _triple(kernel: Any) -> tuple[int, int, int] | None:
    if kernel is None:
        return None
    depth, height, width = (int(size) for size in kernel)
    return depth, height, width


def _check_filters(key: str, filters: NDArray[Any] | None) -> None:
    if filters is None:
        return
    found = ""
    if filters.ndim != 5 or filters.shape[-1] != 3:
        found = f"an array of shape {filters.shape}"
    elif filters.dtype != np.uint8:
        if not np.issubdtype(filters.dtype, np.floating):
            found = f"an array of {filters.dtype}"
        elif not (np.isfinite(filters).all() and filters.min() >= 0 and filters.max() <= 1):
            found = "values outside 0 to 1"
    if found:
        raise InputError(
            f"first-layer filters of run {key!r}",
            found=found,
            expected="(channels, D, H, W, 3) of uint8, or of floats in [0, 1]",
            remedy="normalise them with threetconv.explain.motion.filter_pictures",
        )
