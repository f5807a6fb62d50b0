"""The nearest 3T filter, with known answers: 3T filters, noise, a mean that is repeated."""

from __future__ import annotations

import math

import pytest
import torch

from threetconv.layer.build_filters import build_filters
from threetconv.layer.conv3t import Conv3T
from threetconv.layer.nearest_3t import nearest_3t, sign_twins

PARAMETERS = ("scale", "rotate", "translate_x", "translate_y")


def planted(depth: int, size: int, inputs: int = 3, seed: int = 0) -> Conv3T:
    """Five channels with motions that a filter of this depth can show."""
    generator = torch.Generator().manual_seed(seed)
    layer = Conv3T(inputs, 5, (depth, size, size)).double()
    with torch.no_grad():
        layer.weight.normal_(generator=generator)
        for name, spread in zip(PARAMETERS, (0.15, 0.3, 0.6, 0.6), strict=True):
            parameter = getattr(layer, name)
            moved = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(moved * spread / math.sqrt(depth - 1))
    return layer


@pytest.mark.parametrize(("depth", "size"), [(3, 3), (4, 5)])
def test_a_3t_filter_is_explained_and_its_transforms_found(depth: int, size: int) -> None:
    layer = planted(depth, size)
    filters = layer.filters().detach()
    found = nearest_3t(filters)
    torch.testing.assert_close(found.share, torch.ones_like(found.share), atol=1e-4, rtol=0)
    for name in PARAMETERS:
        own = getattr(layer, name).detach()
        torch.testing.assert_close(getattr(found, name), own, atol=0.02, rtol=0)
    torch.testing.assert_close(build_filters(*found[2:]), filters, atol=0.05, rtol=0)


def test_a_shift_by_whole_taps_stands_on_a_kink_and_is_found() -> None:
    layer = planted(3, 3)
    with torch.no_grad():
        layer.scale.fill_(1)
        layer.rotate.zero_()
        layer.translate_x.fill_(-1)  # a tap to the right in every step
        layer.translate_y.zero_()
    found = nearest_3t(layer.filters().detach())
    assert found.share.min() > 0.99
    torch.testing.assert_close(
        found.translate_x[0], layer.translate_x[0].detach(), atol=0.1, rtol=0
    )


def test_the_share_is_of_the_change_over_time() -> None:
    filters = torch.randn(4, 2, 3, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    found = nearest_3t(filters)
    fit = build_filters(*found[2:])
    mean = filters.mean(2, keepdim=True)
    change = (filters - mean).square().sum((1, 2, 3, 4))
    by_hand = 1 - (filters - fit).square().sum((1, 2, 3, 4)) / change
    torch.testing.assert_close(found.share, by_hand)
    torch.testing.assert_close(found.change, change / filters.square().sum((1, 2, 3, 4)))
    # neither the size of a filter, nor its neighbours matter
    torch.testing.assert_close(nearest_3t(7 * filters[2:3]).share, found.share[2:3])


def test_the_repeated_mean_is_the_zero() -> None:
    """Slices that change signs about a mean: no motion explains any of it, and none is made up."""
    mean = torch.randn(2, 3, 1, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    still = nearest_3t(mean.expand(-1, -1, 3, -1, -1))
    assert still.share.isnan().all()
    assert still.change.abs().max() < 1e-30
    flicker = nearest_3t(mean * torch.tensor([1.0, -2.0, 1.0]).view(1, 1, 3, 1, 1).double())
    assert (flicker.share >= 0).all()
    assert flicker.change.min() == pytest.approx(1)


def test_noise_is_explained_in_part_and_far_less_than_motion() -> None:
    noise = torch.randn(8, 8, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    share = nearest_3t(noise).share
    assert share.mean() < 0.35
    assert torch.equal(share, nearest_3t(noise).share)
    layer = planted(3, 3, inputs=8)
    twins = nearest_3t(sign_twins(layer.filters().detach())).share
    assert twins.max() < 0.7 < nearest_3t(layer.filters()).share.min()


def test_twins_keep_the_mean_and_the_size_of_every_change() -> None:
    filters = torch.randn(4, 2, 3, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    twins = sign_twins(filters, seed=3)
    torch.testing.assert_close(twins.mean(2), filters.mean(2))
    changes = [(f - f.mean(2, keepdim=True)) for f in (filters, twins)]
    torch.testing.assert_close(changes[0].abs(), changes[1].abs())
    assert not torch.equal(*changes)
    assert torch.equal(twins, sign_twins(filters, seed=3))


@pytest.mark.parametrize("shape", [(2, 3, 1, 3, 3), (2, 3, 3, 1, 1), (2, 3, 3, 3)])
def test_filters_without_time_or_space_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="depth and extent in space"):
        nearest_3t(torch.zeros(shape))


def test_filters_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        nearest_3t(torch.full((1, 1, 3, 3, 3), math.nan))
