"""Where 3T layers stand, and which transitions can learn: checked against autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.build import NETWORKS, build_network
from threetconv.networks.layer_info import LayerInfo
from threetconv.networks.order_leak import order_leak
from threetconv.networks.trace import reachable, temporal_state, trace
from threetconv.records.extract import extract_parameters


def full_size(name: str, clip_shape: tuple[int, int, int]) -> list[LayerInfo]:
    with torch.device("meta"):
        network = build_network(name, num_classes=27, clip_shape=clip_shape)
    return trace(network, clip_shape)


def unreachable(layers: list[LayerInfo]) -> int:
    return sum(layer.channels * layer.reachable.count(False) for layer in layers)


def transitions(layers: list[LayerInfo]) -> int:
    return sum(layer.channels * len(layer.reachable) for layer in layers)


def test_resnet18_at_the_papers_size() -> None:
    layers = full_size("resnet18", (30, 150, 224))
    assert len(layers) == 17
    assert (unreachable(layers), transitions(layers)) == (1536, 8064)
    blocks = [4] * 5 + [8] * 3 + [8, 16, 16, 16, 16, 32, 32, 32]
    expected = [1, *blocks[:4], 4, 8, 8, 8, 8, 16, 16, 16, 16, 32, 32, 32]
    assert [layer.jump for layer in layers] == expected
    assert [layer.frames for layer in layers][:2] == [30, 8]
    assert layers[0].name == "conv1"
    assert layers[0].kernel == (7, 7, 7)
    assert [layer.index for layer in layers] == list(range(17))


def test_googlenet_at_the_papers_size() -> None:
    layers = full_size("googlenet", (30, 150, 224))
    assert len(layers) == 20
    assert (unreachable(layers), transitions(layers)) == (0, 6912)
    jumps = {layer.name.split(".")[0]: layer.jump for layer in layers}
    assert jumps["conv1"] == 1
    assert jumps["conv3"] == 4
    assert jumps["inception3a"] == 8
    assert jumps["inception4a"] == 16
    assert jumps["inception5b"] == 32


def test_sixteen_frames_leave_more_of_resnet18_unreachable() -> None:
    layers = full_size("resnet18", (16, 64, 64))
    assert unreachable(layers) == 2816


def gradients(network: nn.Module, layers: list[LayerInfo], clips: torch.Tensor) -> dict[str, Any]:
    """The largest gradient of each layer's transitions, (D - 1,), over several random passes."""
    largest: dict[str, Any] = {layer.name: 0.0 for layer in layers}
    for seed in range(3):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network.zero_grad()
            output = network(clips)
            heads = [output] if isinstance(output, torch.Tensor) else list(output)
            sum((h * torch.randn(h.shape)).sum() for h in heads).backward()
        for layer in layers:
            module = network.get_submodule(layer.name)
            size = torch.stack([getattr(module, n).grad.abs().amax(1) for n in TEMPORAL_PARAMETERS])
            largest[layer.name] = torch.maximum(size.amax(0), torch.as_tensor(largest[layer.name]))
    return largest


SHAPES = [(16, 32, 32), (8, 32, 40), (7, 16, 16), (30, 32, 32), (33, 40, 32)]


@pytest.mark.parametrize("clip_shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_transition_is_reachable_where_autograd_says_so(
    name: str, clip_shape: tuple[int, int, int]
) -> None:
    """Random weights, transforms off the identity: exactly zero, or not."""
    network = build_network(name, num_classes=5, clip_shape=clip_shape, width=0.125, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):
                for parameter in TEMPORAL_PARAMETERS:
                    value = getattr(module, parameter)
                    value += 0.1 * torch.randn(value.shape, generator=generator)
    layers = trace(network, clip_shape)
    clips = torch.randn(6, 3, *clip_shape, generator=generator)
    for layer_name, size in gradients(network, layers, clips).items():
        layer = next(one for one in layers if one.name == layer_name)
        assert tuple(bool(v > 0) for v in size) == layer.reachable, layer


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 5, "padding": 2, "stride": 2},
        {"kernel_size": (3, 3, 3), "dilation": (2, 1, 1), "padding": (2, 1, 1)},
        {"kernel_size": (3, 3, 3), "padding": "same", "dilation": (3, 1, 1)},
        {"kernel_size": (5, 3, 3), "padding": "same"},
        {"kernel_size": (1, 3, 3), "padding": "valid"},
        {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "dilation": (1, 1, 1)},
        {"kernel_size": 3, "padding": 3, "padding_mode": "replicate", "dilation": (3, 1, 1)},
        {"kernel_size": 5, "padding": (4, 2, 2)},
        {"kernel_size": 5, "padding": (5, 2, 2), "stride": (4, 1, 1)},
        {"kernel_size": (3, 1, 1), "padding": (1, 0, 0)},
        {"kernel_size": (3, 1, 1), "padding": (1, 0, 0), "filter_padding": "border"},
        {"kernel_size": (3, 1, 1), "padding": (1, 0, 0), "align_corners": False},
        {"kernel_size": (3, 1, 3), "padding": (1, 0, 1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_single_layers_agree_with_autograd(arguments: dict[str, Any], frames: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = Conv3T(3, 4, **arguments)
        clip = torch.randn(2, 3, frames, 5, 5)
    with torch.no_grad():
        for name in TEMPORAL_PARAMETERS:
            getattr(layer, name).add_(0.05)
    traced = trace(nn.Sequential(layer), (frames, 5, 5))
    if layer.kernel_size[0] == 1:
        assert traced == []
        return
    layer(clip).square().sum().backward()
    grads = torch.stack([getattr(layer, n).grad.abs().amax(1) for n in TEMPORAL_PARAMETERS])
    assert tuple((grads.amax(0) > 0).tolist()) == traced[0].reachable


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("kernel", [2, 3, 4, 6])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_padding_same_agrees_with_torchs_own_convolution(
    kernel: int, dilation: int, frames: int
) -> None:
    """Even kernels get one zero more after than before: which slices of a plain filter learn?"""
    arguments = {"padding": "same", "dilation": (dilation, 1, 1)}
    plain = nn.Conv3d(3, 2, (kernel, 3, 3), **arguments)
    plain(torch.ones(1, 3, frames, 5, 5)).sum().backward()
    learns = plain.weight.grad.abs().amax((0, 1, 3, 4)) > 0
    layer = Conv3T(3, 2, (kernel, 3, 3), **arguments)
    expected = tuple(bool(learns[t + 1 :].any()) for t in range(kernel - 1))
    assert trace(nn.Sequential(layer), (frames, 5, 5))[0].reachable == expected


class Twice(nn.Module):
    """One layer on the whole clip, then on a single moment of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = Conv3T(channels, channels, 3, padding=1)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.layer(self.layer(clip)[:, :, :1])


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_a_layer_called_twice_stands_once_with_both_reaches(channels: int) -> None:
    """Of clips with any number of channels."""
    network = Twice(channels)
    table = reachable(network, (4, 5, 5))
    assert table["layer"].tolist() == ["layer", "layer"]
    assert table["reachable"].tolist() == [True, True]
    rows = extract_parameters(network, (4, 5, 5))
    assert len(rows) == 2 * channels
    alone = order_leak(network, (4, 5, 5)).iloc[-1]
    assert not alone["leaks"]


def test_the_jump_follows_strides_pools_and_views() -> None:
    model = nn.Sequential(
        nn.AvgPool3d((1, 2, 2)),
        nn.Conv3d(3, 4, 1, stride=(1, 3, 3)),
        nn.ReLU(inplace=True),
        nn.MaxPool3d(3, stride=(1, 1, 2), padding=1),
        Conv3T(4, 4, 3, padding=1),
        nn.AdaptiveAvgPool3d(4),
        Conv3T(4, 4, 3, padding=1),
    )
    layers = trace(model, (8, 36, 36))
    assert [layer.jump for layer in layers] == [12, 12]


def test_trace_leaves_the_network_alone() -> None:
    model = nn.Sequential(Conv3T(3, 4, 3, padding=1), nn.BatchNorm3d(4)).double().eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    layers = trace(model, (4, 8, 8))
    assert [layer.name for layer in layers] == ["0"]
    assert not model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not model[0]._forward_pre_hooks


def test_temporal_state_is_a_copy_of_every_temporal_parameter() -> None:
    model = nn.Sequential(Conv3T(3, 4, 3), Conv3T(4, 5, (1, 3, 3)), nn.Conv3d(5, 2, 3))
    state = temporal_state(model)
    assert sorted(state) == sorted(f"0.{name}" for name in TEMPORAL_PARAMETERS)
    assert state["0.scale"].shape == (2, 4)
    assert state["0.scale"].dtype == np.float32
    with torch.no_grad():
        model[0].scale.fill_(7)
    assert (state["0.scale"] == 1).all()
