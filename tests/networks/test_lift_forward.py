"""Functional 2D calls in a forward pass are answered by their video counterparts."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.networks.lift import lift
from threetconv.networks.lift_counterparts import COUNTERPARTS, NAMES
from threetconv.networks.lift_forward import (
    VideoForward,
    makes_2d_calls,
)
from threetconv.networks.lift_pooling import in_time, max_pool


class Calls(nn.Module):
    """One call on the input; written out in `forward` of the classes below."""


class MaxPool(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


class MaxPoolFlat(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(input=x, kernel_size=(1, 3), stride=(1, 2), padding=(0, 1))


class MaxPoolIndices(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 2, 1, return_indices=True)[0]


class TorchMaxPool(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return torch.max_pool2d(x, 2)


class AvgPool(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, kernel_size=3, stride=2, divisor_override=4)


class AdaptiveAvg(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, (2, 3))


class AdaptiveMax(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_max_pool2d(x, 2)


class AdaptiveMaxIndices(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_max_pool2d(x, 2, return_indices=True)[0]


class Mean(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean([2, 3])


class MeanFromBehind(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return torch.mean(x, dim=(-1, -2), keepdim=True)


class Amax(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return x.amax(dim=(2, 3))


class ChannelsLast(Calls):
    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],))
        return torch.permute(x, dims=(0, 3, 1, 2))


def helper(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


class Helped(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return helper(x)


class Nested(Calls):
    def forward(self, x: Tensor) -> Tensor:
        def pool(y: Tensor) -> Tensor:
            return F.avg_pool2d(y, 2)

        return pool(x)


class ChannelMean(Calls):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1, keepdim=True) + x.mean()


EVERY = Calls.__subclasses__()
POOLS_TIME = (Mean, MeanFromBehind, Amax, AdaptiveAvg, AdaptiveMax, AdaptiveMaxIndices)


@pytest.mark.parametrize("kind", EVERY)
def test_on_a_still_clip_each_gives_what_it_gives_on_the_frame(kind: type[nn.Module]) -> None:
    frame = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    expected = kind()(frame)
    network = lift(kind())
    assert isinstance(network, VideoForward)
    got = network(frame.unsqueeze(2).expand(-1, -1, 9, -1, -1))
    if expected.ndim == 4:
        if kind in POOLS_TIME:
            assert got.shape[2] == 1
        elif kind in (MaxPoolFlat, MaxPoolIndices):
            assert got.shape[2] == 5
        elif kind in (ChannelsLast, ChannelMean):
            assert got.shape[2] == 9
        else:
            assert got.shape[2] == 4
        expected = expected.unsqueeze(2).expand_as(got)
    torch.testing.assert_close(got, expected)


def test_time_is_reduced_too() -> None:
    """Not only on still clips: the counterparts see every frame."""
    clip = torch.randn(2, 4, 9, 9, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lift(Mean())(clip), clip.mean((2, 3, 4)))
    torch.testing.assert_close(lift(MaxPool())(clip), F.max_pool3d(clip, 2))
    torch.testing.assert_close(lift(AdaptiveAvg())(clip), F.adaptive_avg_pool3d(clip, (1, 2, 3)))
    normalised = F.layer_norm(clip.movedim(1, -1), (4,)).movedim(-1, 1)
    torch.testing.assert_close(lift(ChannelsLast())(clip), normalised)


@pytest.mark.parametrize("size", [(3, 3), (1, 3)])
def test_average_pooling_of_clips_smaller_than_the_window(size: tuple[int, int]) -> None:
    """torch's 3D version refuses what its 2D version does; a single frame has zeros beside it."""
    pool = nn.AvgPool2d(size, stride=1, padding=(size[0] // 2, 1))
    frame = torch.rand(1, 2, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lift(pool)(frame.unsqueeze(2))[:, :, 0], pool(frame) / 3)


class FiveDimensional(nn.Module):
    """Calls that already are meant for five dimensions stay what they are."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 1, 4, 3, 2).sum(1) + x.mean((2, 3, 4)).sum()


def test_other_calls_are_left_alone() -> None:
    clip = torch.randn(2, 4, 5, 5, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(lift(FiveDimensional())(clip), FiveDimensional()(clip))
    frame = torch.randn(2, 4, 9, 9)
    assert torch.equal(lift(MaxPool())(frame), MaxPool()(frame))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.gain = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1))
        self.register_buffer("shift", torch.arange(4.0).view(4, 1, 1))
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv(x)), 2) * self.gain + self.shift
        return self.fc(F.dropout2d(x, 0.5, self.training).mean((2, 3)))


def test_a_network_of_ones_own() -> None:
    model = Network()
    network: Any = lift(model, "3d")
    assert isinstance(network, Network)
    assert network.gain.shape == (1, 4, 1, 1, 1)
    assert network.shift.shape == (4, 1, 1, 1)
    clip = torch.randn(2, 3, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    network(clip).sum().backward()
    assert network.gain.grad.abs().sum() > 0
    network.eval()
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert type(twin) is type(network)
        assert torch.equal(twin(clip), network(clip))
    assert type(model) is Network
    assert model(clip[:, :, 0]).shape == (2, 2)


def test_which_classes_make_2d_calls() -> None:
    assert all(makes_2d_calls(kind) for kind in EVERY)
    assert not makes_2d_calls(nn.Sequential)
    assert not makes_2d_calls(nn.MaxPool2d)


def test_every_counterpart_can_be_found_by_name() -> None:
    def called(function: Callable[..., Any]) -> set[str]:
        homes = (torch, F, Tensor, torch.linalg)
        return {n for home in homes for n in dir(home) if getattr(home, n, None) is function}

    assert all(called(function) & NAMES for function in COUNTERPARTS)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3, 2, None), [3, 2, None]),
        (((3, 3), (1, 2)), [(3, 3, 3), (1, 1, 2)]),
        (((1, 7), (2, 1), (0, 3)), [(7, 1, 7), (1, 2, 1), (3, 0, 3)]),
        (((7, 1), 2), [(7, 7, 1), 2]),
    ],
)
def test_in_time(sizes: tuple[Any, ...], expected: list[Any]) -> None:
    assert in_time(*sizes) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("stride", [1, (1, 1, 1), 2, (2, 1, 2), None])
@pytest.mark.parametrize(
    "shape", [(2, 5, 6, 7, 8), (1, 1, 4, 4, 4), (3, 8, 2, 3, 2), (0, 4, 4, 4, 4), (4, 5, 6, 7)]
)
def test_max_pool_is_torchs_to_the_bit(dtype, stride, shape) -> None:
    """Ties, NaN and infinities too, and the gradients."""
    rng = torch.Generator().manual_seed(0)
    clip = torch.randint(-2, 3, shape, generator=rng).to(dtype)
    if clip.numel():
        clip.view(-1)[3], clip.view(-1)[7] = float("nan"), float("-inf")
    sizes = [(3, stride, 1, 1, ceil) for ceil in (False, True)]
    if min(shape[-3:]) > 2:
        sizes.append((2, stride, 0, 2, False))
    for size in sizes:
        found, gradients = [], []
        for pool in (max_pool, F.max_pool3d):
            for wanted in (False, True):
                given = clip.clone().requires_grad_(wanted)
                out = pool(given, *size)
                assert out.is_contiguous()
                found.append(out.detach())
                if wanted:
                    (out * torch.arange(1, out.numel() + 1).view(out.shape)).sum().backward()
                    gradients.append(given.grad)
        for other in found[1:]:
            torch.testing.assert_close(found[0], other, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(*gradients, rtol=0, atol=0, equal_nan=True)
