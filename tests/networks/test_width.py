"""Thin networks: the same architecture with fewer channels."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from threetconv.errors import InputError
from threetconv.networks.width import thin


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: nn.Module = torchvision.models.resnet18(num_classes=5)
    return model


def test_every_channel_count_is_scaled_but_colours_and_classes(resnet: nn.Module) -> None:
    thinned = thin(resnet, 0.25, num_classes=5)
    shapes = {name: tuple(value.shape) for name, value in thinned.state_dict().items()}
    for name, value in resnet.state_dict().items():
        wide, narrow = tuple(value.shape), shapes[name]
        if name == "conv1.weight":
            assert narrow == (16, 3, 7, 7)
        elif name == "fc.weight":
            assert narrow == (5, 128)
        elif name == "fc.bias":
            assert narrow == (5,)
        elif wide:
            assert narrow[0] * 4 == wide[0]
            assert narrow[2:] == wide[2:]
    assert thinned(torch.zeros(2, 3, 32, 32)).shape == (2, 5)


def test_filters_are_the_leading_block_of_the_wide_ones(resnet: nn.Module) -> None:
    thinned = thin(resnet, 0.25, num_classes=5)
    wide, narrow = (dict(m.named_parameters())["layer2.0.conv1.weight"] for m in (resnet, thinned))
    assert torch.equal(narrow, wide[:32, :16] * 2)


def test_width_one_is_the_network_itself(resnet: nn.Module) -> None:
    assert thin(resnet, 1.0, num_classes=5) is resnet


def test_the_variance_of_a_layers_output_is_kept() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        wide = nn.Sequential(nn.Conv2d(64, 64, 3, bias=False))
        images = torch.randn(4, 64, 20, 20)
    narrow = thin(wide, 0.25, num_classes=5)
    ratio = narrow(images[:, :16]).var() / wide(images).var()
    assert float(ratio.detach()) == pytest.approx(1, abs=0.1)


def test_depthwise_convolutions_stay_depthwise() -> None:
    narrow = thin(nn.Sequential(nn.Conv2d(8, 8, 3, groups=8)), 0.5, num_classes=5)
    assert (narrow[0].in_channels, narrow[0].out_channels, narrow[0].groups) == (4, 4, 4)


@pytest.mark.parametrize("width", [0.3, 0.0, -0.5, 2.0])
def test_a_width_that_does_not_come_out_whole_is_refused(resnet: nn.Module, width: float) -> None:
    with pytest.raises(InputError, match="conv1"):
        thin(resnet, width, num_classes=5)


def test_a_grouped_convolution_keeps_its_groups_and_each_a_channel() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=4))
    narrow = thin(model, 0.5, num_classes=5)
    assert (narrow[1].in_channels, narrow[1].out_channels, narrow[1].groups) == (4, 4, 4)
    assert torch.equal(narrow[1].weight, model[1].weight[:4, :1] / 0.5**0.5)
    with pytest.raises(InputError, match="2 -> 2 channels in 4 groups"):
        thin(model, 0.25, num_classes=5)


def test_other_norms_and_factors_per_channel_are_thinned() -> None:
    model = torchvision.models.convnext_tiny(num_classes=5)
    narrow = thin(model, 0.25, num_classes=5).eval()
    block, wide = narrow.features[1][0], model.features[1][0]
    assert torch.equal(block.layer_scale, wide.layer_scale[:24])
    assert block.block[2].normalized_shape == (24,)
    assert narrow(torch.zeros(1, 3, 32, 32)).shape == (1, 5)
    group = thin(nn.Sequential(nn.GroupNorm(2, 8)), 0.5, num_classes=5)[0]
    assert (group.num_groups, group.num_channels, len(group.weight)) == (2, 4, 4)


def test_squeezenets_last_convolution_keeps_its_classes() -> None:
    narrow = thin(torchvision.models.squeezenet1_1(num_classes=5), 0.5, num_classes=5)
    assert narrow.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 5)


def test_training_mode_is_kept(resnet: nn.Module) -> None:
    model = torch.nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    assert not any(m.training for m in thin(model, 0.5, num_classes=5).modules())
    assert all(m.training for m in thin(resnet, 0.5, num_classes=5).modules())
