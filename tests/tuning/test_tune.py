"""Tuning with known answers: drifting Gabors, planted transforms, filters that do not move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from scipy.stats import spearmanr
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.layer import units
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.networks.trace import trace
from threetconv.schemas.tuning import TUNING, TUNING_RESPONSES
from threetconv.tuning import tune as tuning
from threetconv.tuning.layers import find_layers
from threetconv.tuning.tune import INDICES, tune

SHAPE = (13, 16, 16)


def gabor(direction: float, speed: float, wavelength: float = 7.0) -> Tensor:
    """(7, 7, 7), drifting: `direction` in degrees counter-clockwise, `speed` in px a slice."""
    t, y, x = torch.meshgrid(*[torch.arange(7.0) - 3] * 3, indexing="ij")
    angle = math.radians(direction)
    across = x * math.cos(angle) - y * math.sin(angle) - speed * t
    envelope = torch.exp(-(x**2 + y**2 + t**2) / (2 * 2.0**2))
    return envelope * torch.cos(2 * math.pi * across / wavelength + 1)


def conv3d(filters: Tensor) -> nn.Conv3d:
    """One channel per filter (C, D, H, W), grey."""
    layer = nn.Conv3d(3, len(filters), filters.shape[1:], padding="same", bias=False)
    with torch.no_grad():
        layer.weight.copy_(filters[:, None].expand_as(layer.weight))
    return layer


def conv3t(channels: int, *, repeat: int = 1, **planted: Any) -> Conv3T:
    """K1 of smooth noise; `planted` are the transforms of all steps, a number or one a channel."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(channels // repeat, 1, 9, 9, generator=generator)
    smooth = nn.functional.avg_pool2d(noise, 3, 1).repeat(repeat, 1, 1, 1)
    layer = Conv3T(3, channels, 7, stride=(1, 2, 2), padding=3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(smooth.expand_as(layer.weight))
        for name, value in planted.items():
            getattr(layer, name).copy_(torch.as_tensor(value).expand(6, channels))
    return layer


def channels_of(network: nn.Module, **options: Any) -> pd.DataFrame:
    return tune(network, clip_shape=SHAPE, **options).channels


def test_a_drifting_gabor_has_its_direction_and_speed():
    wanted = [(0, 7 / 6), (45, 7 / 6), (100, 7 / 3), (200, 7 / 6), (270, 7 / 3), (340, 7 / 12)]
    found = channels_of(conv3d(torch.stack([gabor(*motion) for motion in wanted])))
    for (direction, speed), row in zip(wanted, found.itertuples(), strict=True):
        away = (row.direction_deg - direction + 180) % 360 - 180
        assert abs(away) < 8
        assert row.speed == pytest.approx(speed)
        assert row.dsi > 0.25
        assert row.dsi == pytest.approx(math.hypot(row.direction_x, row.direction_y))
        assert math.degrees(math.atan2(row.direction_y, row.direction_x)) % 360 == pytest.approx(
            row.direction_deg
        )
    # but for the slowest, still gratings say less to them than those that drift
    assert (found["motion_share"][:5] > 0.2).all()


def test_a_filter_that_stays_has_no_direction():
    noise = torch.randn(3, 1, 7, 7, generator=torch.Generator().manual_seed(1))
    found = channels_of(conv3d(noise.expand(3, 5, 7, 7)))
    assert found[["dsi", "turn_index", "zoom_index"]].abs().to_numpy().max() < 1e-6
    assert found[["direction_deg", "speed"]].isna().all(axis=None)
    assert (found["motion_share"] < 0).all()
    assert (found["note"] == "").all()


def test_filters_backwards_answer_to_the_opposite():
    filters = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    found, mirrored = (channels_of(conv3d(f)) for f in (filters, filters.flip(1)))
    signed = ["direction_x", "direction_y", "turn_index", "zoom_index"]
    np.testing.assert_allclose(found[signed], -mirrored[signed], atol=1e-5)
    assert found[signed].abs().to_numpy().max() > 0.05
    alike = ["dsi", "motion_share", "flicker_share"]
    np.testing.assert_allclose(found[alike], mirrored[alike], atol=1e-5)


@pytest.mark.parametrize(
    ("parameter", "value", "words", "index"),
    [
        ("translate_x", 0.2, units.right, "direction_x"),
        ("translate_y", 0.2, units.up, "direction_y"),
        ("rotate", 0.2, units.clockwise, "turn_index"),
        ("scale", 0.85, units.log_zoom, "zoom_index"),
    ],
)
def test_signs_are_those_of_the_words_for_motion(parameter, value, words, index):
    """What moves right, up, clockwise, or grows by the layer's units, is tuned to just that."""
    # the same eight first slices three times: moved one way, the other way, and a quarter as far
    z = torch.tensor([1.0, -1.0, 0.25]).repeat_interleave(8)
    planted = value**z if parameter == "scale" else value * z
    found = channels_of(conv3t(24, repeat=3, **{parameter: planted}))
    names = ["direction_x", "direction_y", "turn_index", "zoom_index"]
    one, other, small = np.split(found[names].to_numpy(), 3)
    sign = np.sign(words(value))
    apart = dict(zip(names, (one - other).T * sign, strict=True))
    assert (apart[index] > 0).mean() > 0.8
    means = {name: abs(values.mean()) for name, values in apart.items()}
    assert max(means, key=means.get) == index, means
    k = names.index(index)
    assert np.sign(one[:, k].mean()) == sign == -np.sign(other[:, k].mean())
    assert 0 < small[:, k].mean() * sign < one[:, k].mean() * sign
    # a first slice that does not move has no tuning: all of it is the layer's own
    own = found[[f"own_{name}" for name in names]]
    np.testing.assert_allclose(own, found[names], atol=1e-4)


def test_parameters_predict_their_own_tuning_best():
    random = np.random.default_rng(3)
    planted = {
        "scale": np.exp(random.normal(0, 0.1, 40)),
        "rotate": random.normal(0, 0.1, 40),
        "translate_x": random.normal(0, 0.1, 40),
        "translate_y": random.normal(0, 0.1, 40),
    }
    found = channels_of(conv3t(40, **planted))
    motions = [
        units.log_zoom(planted["scale"]), units.clockwise(planted["rotate"]),
        units.right(planted["translate_x"]), units.up(planted["translate_y"]),
    ]  # fmt: skip
    indices = ["own_zoom_index", "own_turn_index", "own_direction_x", "own_direction_y"]
    agreement = np.array([[spearmanr(m, found[i]).statistic for i in indices] for m in motions])
    own = agreement.diagonal()
    foreign = np.abs(agreement - np.diag(own)).max(axis=1)
    assert (own > 0.5).all(), agreement
    assert (own > foreign).all(), agreement


def test_the_own_contribution_is_against_the_layers_own_input():
    """A second layer at the identity answers to motion that the first one has put there."""
    first = conv3t(4, translate_x=-0.3)
    network = nn.Sequential(first, nn.BatchNorm3d(4), nn.ReLU(), Conv3T(4, 3, 3, padding=1))
    found = channels_of(network)
    deep = found[found["layer"] == "3"]
    assert deep["dsi"].max() > 0.05
    own = [f"own_{name}" for name in INDICES]
    assert (deep[own] == 0).all(axis=None)
    assert channels_of(network, own=False)[own].isna().all(axis=None)


def test_indices_do_not_depend_on_the_scale_of_an_output():
    layer = conv3t(4, translate_x=-0.3)
    norm = nn.BatchNorm3d(4)
    network = nn.Sequential(layer, norm, nn.ReLU())
    found = channels_of(network)
    nn.init.constant_(norm.weight, 7.0)
    pd.testing.assert_frame_equal(channels_of(network), found, rtol=1e-4)
    plain = channels_of(nn.Sequential(layer))
    with torch.no_grad():
        layer.weight.mul_(0.01)
    pd.testing.assert_frame_equal(channels_of(nn.Sequential(layer)), plain, rtol=1e-3)


def test_channels_that_answer_to_nothing_say_so():
    filters = torch.stack([gabor(0, 1), torch.zeros(7, 7, 7), gabor(0, 1)])
    network = nn.Sequential(conv3d(filters), nn.BatchNorm3d(3))
    with torch.no_grad():
        network[1].bias.copy_(torch.tensor([0.0, 0.0, -1e6]))
    found = channels_of(network)
    assert found["note"].tolist() == ["", "no response", "no response"]
    assert found.loc[1:, list(INDICES)].isna().all(axis=None)
    assert found.loc[0, list(INDICES)].notna().all()
    bare = channels_of(conv3d(filters))
    assert bare["note"].tolist() == ["", "no response", ""]


def test_tables_have_the_columns_and_types_that_are_declared():
    found = tune(conv3t(2, rotate=0.1), clip_shape=SHAPE)
    assert ["run_id", *found.channels] == TUNING.names
    assert ["run_id", *found.responses] == TUNING_RESPONSES.names
    assert found.channels["layer_index"].dtype == np.int32
    counts = found.responses.groupby(["channel", "stimulus"]).size()
    assert counts[1].to_dict() == {
        "grating": 48, "still": 8, "flicker": 8, "turn": 4, "zoom": 4, "still_texture": 1,
    }  # fmt: skip
    # indices follow from the responses
    rows = found.responses[found.responses["channel"] == 1].set_index("stimulus")
    turn = rows.loc["turn"]
    one, other = (turn.loc[s * turn["speed"] > 0, "response"].mean() for s in (1, -1))
    assert found.channels["turn_index"][1] == pytest.approx((one - other) / (one + other), abs=1e-5)
    still, moving = (rows.loc[kind, "identity"].mean() for kind in ("still", "grating"))
    motion = found.channels["motion_share"] - found.channels["own_motion_share"]
    assert motion[1] == pytest.approx((moving - still) / (moving + still), abs=1e-5)


def test_the_same_twice_and_the_network_as_it_was(monkeypatch):
    network = build_network("resnet18", num_classes=3, clip_shape=(8, 32, 32), width=0.125, seed=0)
    network.layer1.eval()
    modes = [m.training for m in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    layers = ["conv1", "layer1.0.conv1"]
    sizes: list[int] = []
    handle = network.conv1.register_forward_pre_hook(lambda _m, x: sizes.append(x[0].numel()))
    behind: list[str] = []
    network.layer2.register_forward_pre_hook(lambda _m, x: behind.append(x[0].device.type))
    monkeypatch.setattr(tuning, "NUMBERS", 500_000)
    first = tune(network, layers, (8, 32, 32))
    handle.remove()
    again = tune(network, layers, (8, 32, 32))
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    # bounded memory: a batch has so many numbers, and nothing runs behind the last layer
    assert max(sizes) <= 500_000
    assert len(sizes) >= 4
    assert set(behind) == {"meta"}
    assert [m.training for m in network.modules()] == modes
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize("name", ["resnet18", "googlenet"])
def test_layers_of_our_networks_are_the_traced_ones(name):
    shape = (17, 32, 32)
    network = build_network(name, num_classes=3, clip_shape=shape, width=0.125, seed=0)
    found = find_layers(network, shape)
    traced = trace(network, shape)
    assert [(f.index, f.name, f.channels) for f in found] == [
        (t.index, t.name, t.channels) for t in traced
    ]
    norms = network.named_modules()
    known = {n for n, m in norms if isinstance(m, nn.BatchNorm3d)}
    assert all(layer.norm in known for layer in found)
    first = found[0]
    assert (first.scale.extent, first.scale.step, first.scale.centre) == (7, 1, (16, 16))


def test_norms_are_found_by_what_they_are_given():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = (nn.Conv3d(3, 3, 3, padding=1) for _ in range(2))
            self.norm = nn.BatchNorm3d(3)  # registered behind `two`, used behind `one`

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.norm(self.one(x)))

    assert {f.name: f.norm for f in find_layers(Odd(), (5, 9, 9))} == {"one": "norm", "two": None}


TORCHVISION = {
    "r3d_18": ["stem.0"],
    "mc3_18": ["stem.0"],
    "r2plus1d_18": ["stem.3"],
    "s3d": ["features.0.1.0"],
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(name):
    network = getattr(torchvision.models.video, name)(weights=None, num_classes=4)
    shape = (6, 24, 24)
    if name == "s3d":  # its last pool wants a clip of 224 px, and is behind what is asked for
        with pytest.raises(RuntimeError):
            find_layers(network, shape)
        network = network.features
    deep = find_layers(network, (16, 64, 64))
    assert len(deep) == {"r3d_18": 17, "mc3_18": 5, "r2plus1d_18": 17, "s3d": 20}[name]
    assert all(network.get_submodule(layer.name).kernel_size[0] > 1 for layer in deep)
    assert all(layer.norm for layer in deep)
    layers = [layer.removeprefix("features.") for layer in TORCHVISION[name]]
    found = tune(network, layers, shape).channels
    assert found["dsi"].notna().any()
    assert found["own_dsi"].isna().all()


def test_a_network_of_single_frames_is_measured_and_has_no_direction():
    network = nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(4), nn.ReLU(),
        nn.Conv3d(4, 2, 1),
    )  # fmt: skip
    found = channels_of(network)
    assert found["layer"].unique().tolist() == ["0"]
    assert found[["dsi", "turn_index", "zoom_index"]].abs().to_numpy().max() < 1e-6


def test_wrong_layers_are_refused():
    network = conv3t(2)
    with pytest.raises(InputError, match="conv9"):
        tune(nn.Sequential(network), ["conv9"], SHAPE)
    with pytest.raises(InputError, match="clip_shape"):
        tune(network, clip_shape=(3, 3))
    unused = nn.Sequential(network)
    unused.forward = lambda x: x  # type: ignore[method-assign]
    with pytest.raises(InputError, match="does not call"):
        tune(unused, ["0"], SHAPE)
