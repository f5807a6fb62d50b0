"""What is packed comes out again, in its place."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from threetconv.errors import InputError
from threetconv.explorer.payload import encode, payload
from threetconv.explorer.variant import Variant

Make = Callable[..., Variant]


def decode(text: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The format as the module's docstring has it."""
    raw = zlib.decompress(base64.b64decode(text))
    (length,) = struct.unpack("<I", raw[:4])
    words = json.loads(raw[4 : 4 + length])
    start = 4 + -(-length // 4) * 4
    arrays = {}
    for name, entry in words.pop("arrays").items():
        kind = np.dtype({"f": "<f4", "u": "u1"}[entry["type"]])
        assert (start + entry["offset"]) % 4 == 0
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(raw, kind, count, start + entry["offset"])
        arrays[name] = values.reshape(entry["shape"])
    return words, arrays


def test_round_trip() -> None:
    arrays = {"a": np.arange(5, dtype=np.uint8), "b": np.linspace(0, 1, 6).reshape(2, 3)}
    words, found = decode(encode({"text": "é"}, arrays))
    assert words == {"text": "é"}
    np.testing.assert_array_equal(found["a"], arrays["a"])
    np.testing.assert_allclose(found["b"], arrays["b"], rtol=1e-6)


def test_parameters_and_filters(make: Make) -> None:
    variant = make()
    _, arrays = decode(payload(variant))
    rows = variant.parameters.query("layer == 'layer1.conv' and channel == 2 and transition == 1")
    raw = rows[["scale", "rotate", "translate_x", "translate_y"]].to_numpy(np.float32)[0]
    np.testing.assert_array_equal(arrays["parameters/layer1.conv"][:, 1, 2], raw)
    np.testing.assert_array_equal(arrays["filters"], variant.first_layer_filters)


def test_row_order_does_not_matter(make: Make) -> None:
    variant = make()
    mixed = make(
        parameters=variant.parameters.sample(frac=1, random_state=0),
        faithfulness=variant.faithfulness.sample(frac=1, random_state=1),
        channels=variant.channels.sample(frac=1, random_state=2),
    )
    (words, arrays), (other_words, other_arrays) = decode(payload(variant)), decode(payload(mixed))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name])
    assert words["moves"] == other_words["moves"] == [6, 7]
    for one in (words, other_words):
        assert one["sentences"][one["of"][7]] == "drifts left 7"


def test_faithfulness_by_label_and_layer(make: Make) -> None:
    words, arrays = decode(payload(make()))
    assert (words["ablations"], words["labels"]) == (["identity"], ["", "left", "right"])
    assert words["clips"] == [6, 3, 2]
    np.testing.assert_array_equal(arrays["drops"][0, 1], 2 * np.arange(8))
    np.testing.assert_array_equal(arrays["layer_drops"][0, 0], [9, np.nan])


def test_float_filters_become_bytes(make: Make) -> None:
    half = np.full((4, 5, 7, 7, 3), 0.5, np.float32)
    assert (decode(payload(make(first_layer_filters=half)))[1]["filters"] == 128).all()


def test_only_flagged_explanations_are_told(make: Make) -> None:
    table = pd.DataFrame(
        {
            "layer_index": 0,
            "layer": "conv1",
            "channel": [0, 0, 1],
            "method": "gradient",
            "randomised": ["labels", "labels", "labels"],
            "similarity": ["ssim", "spearman", "ssim"],
            "flagged": [True, True, False],
        }
    )
    words, _ = decode(payload(make(sanity=table)))
    assert words["sanity"] == [[0, "gradient", "labels"]]


def test_empty_tables(make: Make) -> None:
    none = dict.fromkeys(("parameters", "channels", "faithfulness", "chosen"), pd.DataFrame())
    words, arrays = decode(payload(make(**none, first_layer_filters=None)))
    assert arrays == {}
    assert (words["labels"], words["chosen"], words["sentences"]) == ([], {}, [])


def test_parameters_of_two_runs(make: Make) -> None:
    table = make().parameters
    with pytest.raises(InputError, match="two rows for layer conv1, channel 0, transition 0"):
        payload(make(parameters=pd.concat([table, table])))


def test_answers_by_direction(make: Make) -> None:
    """Means over wavelengths and speeds of gratings alone, channels of both layers in order."""
    lines = pd.DataFrame(
        [
            (i, name, c, stimulus, direction, wavelength, 10 * i + c + direction / 45 + wavelength)
            for i, name in ((0, "conv1"), (1, "layer1.conv"))
            for c in (0, 3)
            for stimulus in ("grating", "flicker")
            for direction in (90.0, 0.0)
            for wavelength in (-0.5, 0.5)
        ],
        columns=["layer_index", "layer", "channel", "stimulus", "direction", "wavelength",
                 "response"],
    )  # fmt: skip
    lines.loc[lines["stimulus"] == "flicker", "response"] = 99
    lines = lines.assign(identity=lines["response"] / 2)
    elsewhere = lines.assign(layer="fc", channel=99)
    words, arrays = decode(payload(make(tuning=pd.concat([lines, elsewhere]))))
    assert words["directions"] == [0, 90]
    tuning = arrays["tuning"]
    assert tuning.shape == (2, 2, 8)
    assert tuning[0, :, 7].tolist() == [13, 15]
    assert tuning[1, :, 4].tolist() == [5, 6]
    assert np.isnan(tuning[:, :, [1, 2, 5, 6]]).all()
    assert decode(payload(make()))[0]["directions"] == []
