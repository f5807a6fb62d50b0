"""The numbers and words of a variant as one compressed block of text.

A block is base64 of a zlib stream of: the length of a JSON text (uint32, little-endian), the JSON
(UTF-8), zeros up to a multiple of four, and raw little-endian arrays. The JSON's ``arrays`` says
of each array its type, its shape and where it begins, in bytes after the zeros.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from threetconv.explorer.variant import ShownLayer, Variant, shown_layers
from threetconv.records.parameters import RAW

__all__ = ["encode", "payload"]

# Little-endian, whatever the machine: the page's typed arrays read the bytes in place.
TYPES: Mapping[str, Any] = {"f": np.dtype("<f4"), "u": np.dtype("u1")}
NUMBERS = (
    "displacement",
    "zoom",
    "turn_deg",
    "right_px",
    "up_px",
    "floor_zoom",
    "floor_turn_deg",
    "floor_px",
)
OVERALL = ""  # the label of "all clips"


def encode(words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Words (JSON) and arrays (float32 or uint8) as one block of base64 text."""
    directory, raw, offset = {}, [], 0
    for name, array in arrays.items():
        kind = "u" if array.dtype == np.uint8 else "f"
        data = np.ascontiguousarray(array, TYPES[kind]).tobytes()
        directory[name] = {"type": kind, "shape": list(array.shape), "offset": offset}
        # A Float32Array must start at a multiple of four bytes.
        padding = -len(data) % 4
        raw += [data, bytes(padding)]
        offset += len(data) + padding
    text = json.dumps(
        {**words, "arrays": directory}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()
    head = struct.pack("<I", len(text)) + text + bytes(-len(text) % 4)
    return base64.b64encode(zlib.compress(head + b"".join(raw), 9)).decode("ascii")


def payload(variant: Variant) -> str:
    """Everything about a variant but its pictures, encoded.

    Channels are numbered through the network in the order of its layers; arrays have one column or
    line a channel, NaN where a table says nothing:

    - ``parameters/<layer>``: (4, T, channels), raw s, r, tx, ty;
    - ``displacement``, ``zoom``, ...: (all channels,), as the channels table has them;
    - ``drops``: (ablations, labels, all channels), ``layer_drops``: (ablations, labels, layers);
    - ``tuning``: (2, directions, all channels), mean response to gratings that drift in each
      direction, as the layer is and with its transforms at the identity; ``directions`` in words;
    - ``filters``: (channels, D, H, W, 3) uint8.

    Raises:
        InputError: tables that do not fit the layers or each other.
    """
    layers = shown_layers(variant)
    total, first = 0, {}
    for p in layers:
        first[p.name] = total
        total += p.channels
    words: dict[str, Any] = {"sentences": [], "moves": None}
    arrays: dict[str, NDArray[Any]] = {}
    _parameters(variant, layers, arrays)
    channels = variant.table("channels")
    if len(channels):
        # Number in the network = number of the layer's first channel + number within the layer.
        place = channels["layer"].map(first).to_numpy(np.int64) + channels["channel"].to_numpy()
        for name in NUMBERS:
            if name in channels.columns:
                # The table may lack channels (a limited study); they stay NaN.
                arrays[name] = np.full(total, np.nan, np.float32)
                arrays[name][place] = channels[name]
        words["sentences"], words["of"] = _coded(channels["sentence"], place, total)
        if "moves" in channels.columns:
            words["moves"] = sorted(place[channels["moves"].to_numpy(bool)].tolist())
    words |= _faithfulness(variant, layers, arrays)
    words["directions"] = _tuning(variant, layers, first, arrays)
    chosen = variant.table("chosen")
    words["chosen"] = {
        int(first[row["layer"]] + row["channel"]): [str(row["rule"]), int(row["rank"])]
        for row in chosen.to_dict("records")
    }
    words["sanity"] = _sanity(variant.table("sanity"), first)
    filters = variant.first_layer_filters
    if filters is not None:
        whole = filters.dtype == np.uint8
        arrays["filters"] = filters if whole else np.rint(filters * 255).astype(np.uint8)
    return encode(words, arrays)


def _parameters(
    variant: Variant, layers: list[ShownLayer], arrays: dict[str, NDArray[Any]]
) -> None:
    table = variant.table("parameters")
    for name, rows in table.groupby("layer", sort=False):
        place = next(p for p in layers if p.name == name)
        values = np.full((4, int(rows["transition"].max()) + 1, place.channels), np.nan, np.float32)
        at = (rows["transition"].to_numpy(), rows["channel"].to_numpy())
        for i, column in enumerate(RAW.values()):
            values[i][at] = rows[column]
        arrays[f"parameters/{name}"] = values


def _tuning(
    variant: Variant,
    layers: list[ShownLayer],
    first: Mapping[str, int],
    arrays: dict[str, NDArray[Any]],
) -> list[float]:
    """Fill ``tuning``, and return its directions, counter-clockwise from the right."""
    table = variant.tuning
    if table.empty:
        return []
    # all channels were measured, of which the page lists those that other tables know
    sizes = table["layer"].map({p.name: p.channels for p in layers}).fillna(0)
    gratings = table[(table["stimulus"] == "grating") & (table["channel"] < sizes)]
    if gratings.empty:
        return []
    names = ["response", "identity"]
    means = gratings.groupby(["layer", "channel", "direction"], sort=True)[names].mean()
    lines = means.reset_index()
    directions = sorted(lines["direction"].unique())
    place = lines["layer"].map(first).to_numpy(np.int64) + lines["channel"].to_numpy()
    at = np.searchsorted(directions, lines["direction"])
    total = sum(p.channels for p in layers)
    values = np.full((len(names), len(directions), total), np.nan, np.float32)
    for i, name in enumerate(names):
        values[i, at, place] = lines[name]
    arrays["tuning"] = values
    return [float(direction) for direction in directions]


def _faithfulness(
    variant: Variant,
    layers: list[ShownLayer],
    arrays: dict[str, NDArray[Any]],
) -> dict[str, Any]:
    """Fill ``drops`` and ``layer_drops``, and return the labels of their axes."""
    table = variant.table("faithfulness")
    ablations = sorted(table["ablation"].unique())
    seen = set(table["label"])
    known = [label for label in variant.classes if label in seen]
    labels = [OVERALL, *known, *sorted(seen - {OVERALL, *known})] if len(table) else []
    # Equal on all lines of a label; max is a way to take one.
    clips = table.groupby("label")["n_clips"].max().to_dict()
    axes = {
        "ablations": ablations,
        "labels": labels,
        "clips": [int(clips.get(label, 0)) for label in labels],
    }
    if not len(table):
        return axes
    a = table["ablation"].map({x: i for i, x in enumerate(ablations)}).to_numpy(np.int64)
    b = table["label"].map({x: i for i, x in enumerate(labels)}).to_numpy(np.int64)
    channel, drop = table["channel"].to_numpy(np.int64), table["drop"].to_numpy(np.float32)
    whole = channel < 0
    order = {p.name: i for i, p in enumerate(layers)}
    sizes = [p.channels for p in layers]
    total = sum(sizes)
    arrays["drops"] = np.full((len(ablations), len(labels), total), np.nan, np.float32)
    arrays["layer_drops"] = np.full((len(ablations), len(labels), len(layers)), np.nan, np.float32)
    layer = table["layer"].map(order).to_numpy(np.int64)
    # cumsum - sizes: the first channel of each layer.
    single = (np.cumsum(sizes) - sizes)[layer] + channel
    arrays["drops"][a[~whole], b[~whole], single[~whole]] = drop[~whole]
    arrays["layer_drops"][a[whole], b[whole], layer[whole]] = drop[whole]
    return axes


def _coded(sentences: pd.Series, place: NDArray[Any], total: int) -> tuple[list[str], list[int]]:
    """The different sentences, and for each channel the number of its own (-1: none)."""
    # Most channels share a few sentences ("no motion beyond noise"); each is stored once.
    codes, unique = pd.factorize(sentences.fillna("").astype(str))
    of = np.full(total, -1)
    of[place] = codes
    return [str(text) for text in unique], of.tolist()


def _sanity(table: pd.DataFrame, first: Mapping[str, int]) -> list[list[Any]]:
    """[channel, method, what was randomised] of each explanation that did not change."""
    flagged = table[table["flagged"].astype(bool)] if len(table) else table
    # Both similarities may flag the same explanation.
    rows = flagged[flagged["channel"] >= 0].drop_duplicates(
        ["layer", "channel", "method", "randomised"]
    )
    return [
        [int(first[row["layer"]] + row["channel"]), str(row["method"]), str(row["randomised"])]
        for row in rows.to_dict("records")
    ]
