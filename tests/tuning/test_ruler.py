"""The ruler held to networks: which layers, and the motion of what was planted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.schemas.ruler import RULER
from threetconv.tuning.ruler import measure_filters

from ..builders.conv_layers import disturb

SHAPE = (5, 12, 12)


def network() -> nn.Sequential:
    moving = Conv3T(3, 4, 3, padding=1)
    with torch.no_grad():
        moving.translate_x[:, 0] = -0.5  # half a tap to the right in every step
        moving.translate_y[:, 1] = 0.5  # half a tap up
        moving.rotate[:, 2] = -0.3  # clockwise
        moving.scale[:, 3] = 1 / 1.2  # grows
    plain = moving.to_conv3d()
    plain.weight.requires_grad_(requires_grad=False)
    return nn.Sequential(
        nn.Conv3d(3, 3, (3, 1, 1), padding=(1, 0, 0)), plain, Conv3T(4, 2, 3), nn.Conv3d(2, 2, 2)
    )


def test_the_first_3d_filters_are_measured_and_their_motion_found() -> None:
    found = measure_filters(network(), clip_shape=SHAPE)
    table = pa.Table.from_pandas(found.assign(run_id="r"), RULER, preserve_index=False)
    assert table.num_rows == 4
    assert set(found["layer"]) == {"1"}
    assert found["share"].min() > 0.999
    assert found["chance"].max() < 0.9
    still = {"path_x": 0, "path_y": 0, "log_zoom": 0, "clockwise": 0}
    moved = [{"path_x": 1.0}, {"path_y": 1.0}, {"clockwise": 0.6}, {"log_zoom": 2 * np.log(1.2)}]
    for (_, line), motion in zip(found.iterrows(), moved, strict=True):
        for name, value in (still | motion).items():
            assert abs(line[name] - value) < 0.03, (name, line)


def test_all_layers_or_those_that_are_named() -> None:
    assert measure_filters(network(), clip_shape=SHAPE, every=True)["layer"].unique().tolist() == [
        "1",
        "3",
    ]
    assert set(measure_filters(network(), ["3"], SHAPE)["layer"]) == {"3"}


def test_networks_without_3d_filters_have_no_lines() -> None:
    layers = build_network("resnet18", num_classes=2, clip_shape=(8, 32, 32), width=0.125, seed=0)
    disturb(layers.conv1, 1, 0.1)
    found = measure_filters(layers, clip_shape=(8, 32, 32))
    assert found.empty
    assert list(found) == RULER.names[1:]
