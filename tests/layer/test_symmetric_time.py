"""Windows placed from both ends of a clip: the mean of a stage and its mirror image in time."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3d, Conv3T, to_conv3d
from threetconv.networks.build import FittingPool3d
from threetconv.networks.lift_layers import AvgPool3d, MaxPool3d

OPTIONS = {
    "frames": st.integers(3, 12),
    "depth": st.integers(1, 5),
    "stride": st.integers(1, 3),
    "dilation": st.integers(1, 2),
    "mode": st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    "padding": st.sampled_from([0, 1, 2, "same", "valid"]),
    "groups": st.sampled_from([1, 2]),
    "bias": st.booleans(),
}


def clip(frames: int, channels: int = 4, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, frames, 6, 5, generator=generator, dtype=torch.float64)


def layers(  # noqa: PLR0917
    depth: int, stride: int, dilation: int, mode: str, padding: Any, groups: int, bias: bool
) -> tuple[Conv3T, Conv3d]:
    """A 3T layer with stirred transforms, and a 3D layer, with `symmetric_time`."""
    arguments: dict[str, Any] = {
        "kernel_size": (depth, 3, 3),
        "stride": (1 if padding == "same" else stride, 1, 1),
        "padding": padding if isinstance(padding, str) else (padding, 1, 1),
        "dilation": (dilation, 1, 1),
        "padding_mode": mode,
        "groups": groups,
        "bias": bias,
        "dtype": torch.float64,
    }
    torch.manual_seed(0)
    threet = Conv3T(4, 6, symmetric_time=True, **arguments)
    with torch.no_grad():
        for name in TEMPORAL_PARAMETERS:
            value = getattr(threet, name)
            value.add_(0.3 * torch.randn_like(value))
    threed = Conv3d(4, 6, **arguments)
    threed.symmetric_time = True
    return threet, threed


def by_definition(layer: nn.Module, x: Tensor) -> Tensor:
    """(outputs + the mirror image of those of the mirrored filter for the mirrored clip) / 2."""
    plain = to_conv3d(copy.deepcopy(layer))  # type: ignore[arg-type]
    plain = nn.Conv3d(
        plain.in_channels,
        plain.out_channels,
        plain.kernel_size,  # type: ignore[arg-type]
        plain.stride,  # type: ignore[arg-type]
        plain.padding,  # type: ignore[arg-type]
        plain.dilation,  # type: ignore[arg-type]
        plain.groups,
        plain.bias is not None,
        plain.padding_mode,
        dtype=torch.float64,
    )
    plain.load_state_dict(to_conv3d(layer).state_dict())  # type: ignore[arg-type]
    first = plain(x)
    plain.weight.data = plain.weight.data.flip(2)
    return (first + plain(x.flip(2)).flip(2)) / 2


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=150, deadline=None)
@given(**OPTIONS)
def test_convolutions_give_the_mean_of_both_placements(frames: int, **options: Any) -> None:
    extent = options["dilation"] * (options["depth"] - 1) + 1
    edge = options["padding"]
    if edge != "same" and frames + 2 * (edge if isinstance(edge, int) else 0) < extent:
        return
    if options["mode"] == "reflect" and frames <= extent:
        return  # torch cannot reflect that far
    if options["mode"] == "circular" and edge == "same" and frames < extent // 2:
        return  # nor wrap more than once
    x = clip(frames)
    for layer in layers(**options):
        for training in (True, False):  # eval: filters from the cache
            layer.train(training)
            torch.testing.assert_close(layer(x), by_definition(layer, x), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(to_conv3d(layer)(x), layer(x), rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=40, deadline=None)
@given(**OPTIONS)
def test_a_filter_constant_in_time_cannot_tell_a_clip_from_its_reverse(
    frames: int, **options: Any
) -> None:
    if options["mode"] == "reflect" or frames < 9:
        return
    layer, _ = layers(**options)
    with torch.no_grad():
        layer.scale.fill_(1)
        for name in TEMPORAL_PARAMETERS[1:]:
            getattr(layer, name).zero_()
    x = clip(frames)
    torch.testing.assert_close(layer(x.flip(2)).flip(2), layer(x), rtol=1e-12, atol=1e-12)


POOLS: dict[str, Callable[[bool], nn.Module]] = {
    "max": lambda ceil: MaxPool3d(3, 2, 1, ceil_mode=ceil),
    "max dilated": lambda ceil: MaxPool3d((2, 1, 1), 3, dilation=2, ceil_mode=ceil),
    "average": lambda ceil: AvgPool3d(3, 2, 1, ceil_mode=ceil),
    "average of data": lambda ceil: AvgPool3d(3, 2, 1, ceil_mode=ceil, count_include_pad=False),
    "default stride": lambda ceil: AvgPool3d((3, 2, 2), ceil_mode=ceil),
    "fitting max": lambda _: FittingPool3d("max", 3, 2),
    "fitting average": lambda _: FittingPool3d("average", 5, 3),
}


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("name", POOLS)
def test_poolings_give_the_mean_of_both_placements(name: str, ceil: bool) -> None:
    told = False
    for frames in range(4, 12):
        pool: Any = POOLS[name](ceil)
        x = clip(frames)
        first = pool(x)
        mean = (first + pool(x.flip(2)).flip(2)) / 2
        told |= not torch.allclose(mean, first)
        pool.symmetric_time = True
        torch.testing.assert_close(pool(x), mean, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(pool(x.flip(2)).flip(2), mean, rtol=1e-13, atol=1e-13)
    assert told


@pytest.mark.parametrize("frames", [7, 9, 11])
def test_symmetric_windows_are_left_alone_bit_for_bit(frames: int) -> None:
    x = clip(frames).float()
    torch.manual_seed(0)
    plain = Conv3T(4, 6, 3, stride=2, padding=1)
    symmetric = Conv3T(4, 6, 3, stride=2, padding=1, symmetric_time=True)
    symmetric.load_state_dict(plain.state_dict())
    assert torch.equal(symmetric(x), plain(x))
    for gradient, other in zip(
        torch.autograd.grad(symmetric(x).square().sum(), list(symmetric.parameters())),
        torch.autograd.grad(plain(x).square().sum(), list(plain.parameters())),
        strict=True,
    ):
        assert torch.equal(gradient, other)
    threed, same = nn.Conv3d(4, 6, 3, 2, 1), Conv3d(4, 6, 3, 2, 1)
    same.symmetric_time = True
    same.load_state_dict(threed.state_dict())
    assert torch.equal(same(x), threed(x))


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_gradients_are_those_of_the_definition(frames: int) -> None:
    """Short clips too, where slices that meet only padding are left out."""
    x = clip(frames).requires_grad_()
    layer, _ = layers(5, 2, 1, "zeros", 2, 1, True)
    weights = torch.randn_like(layer(x))

    def mirrored(x: Tensor) -> Tensor:
        filters = layer.filters()
        sizes: Any = {"stride": (2, 1, 1), "padding": (2, 1, 1)}
        first = nn.functional.conv3d(x, filters, layer.bias, **sizes)
        last = nn.functional.conv3d(x.flip(2), filters.flip(2), layer.bias, **sizes)
        return (first + last.flip(2)) / 2

    inputs = [x, *layer.parameters()]
    expected = torch.autograd.grad((mirrored(x) * weights).sum(), inputs)
    found = torch.autograd.grad((layer(x) * weights).sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_state_copies_and_description() -> None:
    layer = Conv3T(3, 4, 3, stride=2, symmetric_time=True)
    assert layer.state_dict().keys() == Conv3T(3, 4, 3, stride=2).state_dict().keys()
    assert "symmetric_time=True" in repr(layer)
    assert "symmetric_time" not in repr(Conv3T(3, 4, 3, stride=2))
    assert pickle.loads(pickle.dumps(layer)).symmetric_time
    assert copy.deepcopy(layer).symmetric_time
    frozen = to_conv3d(layer)
    assert isinstance(frozen, Conv3d)
    assert frozen.symmetric_time
    assert "symmetric_time=True" in repr(frozen)
    # where it can never matter, a plain convolution is all that is needed
    assert type(to_conv3d(Conv3T(3, 4, 3, padding=1, symmetric_time=True))) is nn.Conv3d


def test_half_precision_stays_half() -> None:
    layer = Conv3T(4, 4, 3, stride=2, padding=1, symmetric_time=True, dtype=torch.bfloat16)
    assert layer(clip(8).bfloat16()).dtype == torch.bfloat16
