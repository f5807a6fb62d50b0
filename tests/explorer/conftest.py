"""A small run with every table of the explorer, made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from threetconv.explorer.variant import Variant

LAYERS = [
    {
        "index": i,
        "name": name,
        "kernel": kernel,
        "channels": 4,
        "jump": 1 + i,
        "frames": 8,
        "reachable": [True] * (kernel[0] - 1),
    }
    for i, (name, kernel) in enumerate([("conv1", [5, 7, 7]), ("layer1.conv", [3, 3, 3])])
]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Variant]:
    """Builds a variant; keyword arguments replace its attributes."""
    rng = np.random.default_rng(0)
    where = pd.DataFrame(
        [(x["index"], x["name"], c) for x in LAYERS for c in range(4)],
        columns=["layer_index", "layer", "channel"],
    )
    parameters = pd.DataFrame(
        [
            (x["name"], c, t, True, *(np.array([1, 0, 0, 0]) + rng.normal(0, 0.1, 4)))
            for x in LAYERS
            for t in range(x["kernel"][0] - 1)
            for c in range(4)
        ],
        columns=[
            *("layer", "channel", "transition", "reachable"),
            *("scale", "rotate", "translate_x", "translate_y"),
        ],
    )
    channels = where.assign(
        reachable=True,
        displacement=np.arange(8) / 10,
        moves=np.arange(8) > 5,
        sentence=[f"drifts left {i}" if i > 5 else "no motion beyond noise" for i in range(8)],
    )
    faithfulness = pd.concat(
        [
            where.assign(ablation="identity", label=label, drop=np.arange(8) * k, n_clips=6 // k)
            for k, label in ((1, ""), (2, "left"), (3, "right"))
        ]
        + [
            where[:1].assign(channel=-1, ablation="identity", label="", drop=9.0, n_clips=6),
        ]
    )
    Image.new("RGB", (12, 10), (200, 30, 30)).save(tmp_path / "frame.png")
    Image.fromarray(np.arange(360, dtype=np.uint8).reshape(10, 12, 3)).save(tmp_path / "film.png")
    images = where[:1].merge(
        pd.DataFrame(
            [
                ("frame", "clip 7", "left", 3, 1, "frame.png"),
                ("gradient", "clip 7", "left", 3, 1, "frame.png"),
                ("motion-film", None, None, -1, 3, "film.png"),
                ("pictogram", None, None, -1, 3, "none.png"),
            ],
            columns=["method", "clip_id", "label", "frame", "n_frames", "file"],
        ),
        how="cross",
    )
    attributes: dict[str, Any] = {
        "key": "run-1",
        "network": "resnet18",
        "dataset": "gestures",
        "init": "scratch",
        "convolution": "3t",
        "classes": ["left", "right"],
        "layers": LAYERS,
        "parameters": parameters,
        "channels": channels,
        "faithfulness": faithfulness,
        "chosen": where[:1].assign(rule="faithfulness", rank=1),
        "images": images,
        "image_folder": tmp_path,
        "first_layer_filters": rng.integers(0, 256, (4, 5, 7, 7, 3)).astype(np.uint8),
        "accuracy": {"val": 0.5},
        "noise_floor": 0.01,
    }
    return lambda **changes: Variant(**{**attributes, **changes})
