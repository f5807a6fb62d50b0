"""Lifted networks in `torch.fx` graphs, and 2D states in lifted networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.feature_extraction import create_feature_extractor

from threetconv import lift
from threetconv.networks.build import build_2d


def small(name: str, seed: int = 0) -> nn.Module:
    return build_2d(name, num_classes=5, width=0.125, seed=seed).eval()


@pytest.mark.parametrize("convolution", ["3t", "3d", "r2plus1d"])
def test_features_of_a_lifted_network(convolution: str) -> None:
    network = lift(small("resnet18"), convolution).eval()
    clip = torch.randn(1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    seen: dict[str, Tensor] = {}
    hook = network.layer2.register_forward_hook(lambda *call: seen.update(layer2=call[-1]))
    with torch.no_grad():
        seen["fc"] = network(clip)
        hook.remove()
        found = create_feature_extractor(network, {"layer2": "layer2", "fc": "fc"})(clip)
    torch.testing.assert_close(found, seen)


def test_a_block_with_2d_calls_is_one_node() -> None:
    """DenseNet's layers, in which torchvision asks for the number of axes."""
    network = nn.Sequential(lift(models.densenet121(weights=None).features.denseblock1)).eval()
    clip = torch.randn(1, 64, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network(clip)
        torch.testing.assert_close(torch.fx.symbolic_trace(network)(clip), expected)


def test_hooks_are_refused() -> None:
    """They would run on the proxies, and again in the graph."""
    network = lift(small("resnet18"))
    network.conv1.register_forward_hook(lambda _module, _inputs, output: 2 * output)
    with pytest.raises(TypeError, match="with hooks"):
        torch.fx.symbolic_trace(network)


class Calls(nn.Module):
    """2D calls of its own: means and deviations over the frame."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-3)
        return self.linear(x.relu().mean((2, 3)))


@pytest.mark.parametrize("convolution", ["3t", "3d", "2d"])
def test_2d_calls_are_the_same_when_compiled(convolution: str) -> None:
    network = lift(Calls(), convolution, check=(6, 9, 10)).eval()
    clip = torch.randn(2, 3, 6, 9, 10, generator=torch.Generator().manual_seed(0))
    torch._dynamo.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(network, backend="eager")(clip), network(clip))


def test_clips_at_once_by_vmap() -> None:
    network = lift(small("resnet18")).eval()
    clips = torch.randn(2, 1, 3, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = torch.func.vmap(network)(clips)
        torch.testing.assert_close(found, torch.stack([network(clip) for clip in clips]))


@pytest.mark.parametrize("convolution", ["3t", "2d"])
def test_a_network_with_2d_calls_is_refused(convolution: str) -> None:
    """Its graph would keep the 2D calls."""
    with pytest.raises(TypeError, match="cannot trace VideoGoogLeNet: its forward pass makes 2D"):
        torch.fx.symbolic_trace(lift(small("googlenet"), convolution))


def test_a_2d_state_loads_strictly() -> None:
    image, network = small("resnet18", seed=1), lift(small("resnet18"))
    network.load_state_dict(image.state_dict())
    assert torch.equal(network.layer2[0].conv1.weight, image.layer2[0].conv1.weight)
    shortcut = network.layer2[0].downsample[0].weight
    assert torch.equal(shortcut, image.layer2[0].downsample[0].weight.unsqueeze(2))
