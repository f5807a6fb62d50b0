"""Layers as plain types."""

from __future__ import annotations

import json

from threetconv.networks.layer_info import LayerInfo


def test_layers_survive_json() -> None:
    layer = LayerInfo(3, "a.b", (3, 5, 5), 8, 4, 16, (True, False))
    assert LayerInfo.from_dict(json.loads(json.dumps(layer.to_dict()))) == layer
