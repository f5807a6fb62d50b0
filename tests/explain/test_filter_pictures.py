"""Filters as images, of both kinds of convolution; pictograms that move as the layer does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.motion.filter_pictures import (
    DOT,
    FIELD,
    OUTSIDE,
    energy_strip,
    filter_limit,
    filter_of,
    filter_slices,
    filter_strip,
    letter_and_dot,
    pictogram,
    sees_colour,
    slice_energy,
)
from threetconv.explain.saliency.overlay import strip
from threetconv.layer.conv3t import Conv3T


def net(*, first: nn.Module, second: nn.Module) -> nn.Module:
    network = nn.Sequential()
    network.add_module("first", first)
    network.add_module("second", second)
    return network.eval()


@pytest.fixture(params=["3t", "3d"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    make: Any = Conv3T if request.param == "3t" else nn.Conv3d
    torch.manual_seed(5)
    made = net(first=make(3, 4, 5), second=make(4, 6, 3, groups=2))
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("scale", "rotate", "translate_x", "translate_y")):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return made


FIRST, SECOND = Channel("first", 2), Channel("second", 4)


def whole(network: Any, channel: Channel) -> torch.Tensor:
    module = network.get_submodule(channel.layer)
    filters = module.filters() if isinstance(module, Conv3T) else module.weight
    return filters[channel.index].detach()


def test_the_filter_is_the_one_convolved_with(network: nn.Module) -> None:
    for channel in (FIRST, SECOND):
        found = filter_of(network, channel)
        torch.testing.assert_close(found, whole(network, channel))
        assert not found.requires_grad
        found.zero_()
        assert whole(network, channel).abs().max() > 0


def test_the_network_is_left_as_it_was(network: nn.Module) -> None:
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    filter_strip(network, FIRST)
    energy_strip(network, SECOND)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    network.eval()
    filter_strip(network, FIRST)
    assert getattr(network.get_submodule("first"), "_cache", None) is None


def test_slices_are_symmetric_about_zero(network: nn.Module) -> None:
    weights = whole(network, FIRST).double().permute(1, 2, 3, 0).numpy()
    slices = filter_slices(network, FIRST)
    assert slices.shape == (5, 5, 5, 3)
    largest = np.abs(weights).max()
    np.testing.assert_allclose((slices - 0.5) * 2 * largest, weights, atol=1e-12)
    assert np.abs(slices - 0.5).max() == 0.5  # one range: a single tap and colour reaches its end


def test_one_range_for_several_filters(network: nn.Module) -> None:
    channels = [Channel("first", i) for i in range(4)]
    limit = filter_limit(network, channels)
    spans = [np.abs(filter_slices(network, c, limit=limit) - 0.5).max() for c in channels]
    assert max(spans) == pytest.approx(0.5)
    assert min(spans) < 0.5
    ratio = [float(whole(network, c).abs().max()) for c in channels]
    np.testing.assert_allclose(np.array(spans) * 2 * limit, ratio, rtol=1e-6)
    clipped = filter_slices(network, FIRST, limit=limit / 1e3)
    assert (clipped.min(), clipped.max()) == (0, 1)
    with pytest.raises(ValueError, match="above 0"):
        filter_slices(network, FIRST, limit=0.0)
    with pytest.raises(InputError, match="no channels"):
        filter_limit(network, [])


def test_strip_runs_in_time_and_shows_colours() -> None:
    layer = nn.Conv3d(3, 1, (2, 1, 2), bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 0, 0, 1] = 2.0  # red, first slice, right tap
        layer.weight[0, 2, 1, 0, 0] = -1.0  # less blue, second slice, left tap
    strip = filter_strip(
        net(first=layer, second=nn.Identity()), Channel("first", 0), pixels=2, gap=1
    )
    assert strip.shape == (2, 9, 3)
    assert strip.dtype == np.uint8
    for column, colour in {
        0: (128, 128, 128), 2: (255, 128, 128), 4: (255, 255, 255),
        5: (128, 128, 64), 7: (128, 128, 128),
    }.items():  # fmt: skip
        np.testing.assert_array_equal(strip[0, column], colour)
        if column != 4:
            np.testing.assert_array_equal(strip[1, column + 1], colour)


def test_a_filter_of_zeros_is_grey() -> None:
    layer = nn.Conv3d(3, 1, 3)
    nn.init.zeros_(layer.weight)
    made = net(first=layer, second=nn.Identity())
    assert (filter_slices(made, Channel("first", 0)) == 0.5).all()
    assert (energy_strip(made, Channel("first", 0)) == 255).all()


def test_deep_filters_are_no_images(network: nn.Module) -> None:
    assert sees_colour(network, FIRST)
    assert not sees_colour(network, SECOND)
    with pytest.raises(InputError, match="over 2 input channels, which is no image"):
        filter_slices(network, SECOND)
    with pytest.raises(InputError, match="no convolution named"):
        filter_slices(network, Channel("third", 0))


def test_three_of_many_channels_are_not_colours() -> None:
    made = net(first=nn.Conv3d(6, 2, 3, groups=2), second=nn.Identity())
    assert not sees_colour(made, Channel("first", 0))


def test_energy_is_the_norm_over_inputs(network: nn.Module) -> None:
    energy = slice_energy(network, SECOND)
    weights = whole(network, SECOND).double().numpy()
    np.testing.assert_allclose(energy, np.sqrt((weights**2).sum(axis=0)))
    strip = energy_strip(network, SECOND, pixels=1, gap=0)
    assert strip.shape == (3, 9, 3)
    assert (strip == strip[..., :1]).all()
    d, h, w = np.unravel_index(energy.argmax(), energy.shape)
    assert (strip[h, 3 * d + w] == 0).all()
    quiet = np.unravel_index(energy.argmin(), energy.shape)
    assert strip[quiet[1], 3 * quiet[0] + quiet[2], 0] == strip.max()


# --- pictograms ----------------------------------------------------------------------


def set_(layer: Conv3T, **values: float) -> Conv3T:
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).fill_(value)
    return layer


def dot(frame: np.ndarray) -> np.ndarray:
    """(right, down) of the dot's centre from the picture's, in pixels."""
    near = np.abs(frame.astype(int) - np.array(DOT)).sum(axis=-1) < 60
    y, x = np.nonzero(near)
    return np.array([x.mean(), y.mean()]) - (frame.shape[0] - 1) / 2


def test_the_pictogram_is_unlike_its_turns_and_mirror_images() -> None:
    letter = letter_and_dot(32).sum(axis=0)
    views = [np.rot90(m, k) for m in (letter, letter[:, ::-1]) for k in range(4)]
    for view in views[1:]:
        assert np.abs(view - letter).mean() > 0.05
    assert letter_and_dot(32).shape == (2, 32, 32)
    assert (letter_and_dot(33) >= 0).all()
    assert (letter_and_dot(33).sum(axis=0) <= 1).all()


def test_identity_keeps_the_pictogram() -> None:
    frames = pictogram(Conv3T(8, 2, 3), 1, 48)
    assert frames.shape == (3, 48, 48, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames[2], frames[0])
    np.testing.assert_array_equal(frames[0][0, 0], FIELD)


@pytest.mark.parametrize(
    ("values", "moved"),
    [
        ({"translate_x": 0.25}, lambda p: p - [8.1, 0]),
        ({"translate_y": 0.25}, lambda p: p - [0, 8.1]),
        ({"scale": 1.25}, lambda p: p / 1.25),
        ({"scale": 0.9}, lambda p: p / 0.9),
        ({"rotate": 0.3}, lambda p: [[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]] @ p),
        ({"scale": -1.0}, lambda p: -p),
    ],
)
def test_the_dot_moves_as_the_layer_moves_it(values: dict[str, float], moved: Any) -> None:
    frames = pictogram(set_(Conv3T(8, 2, (2, 3, 3)), **values), 1, 66)
    np.testing.assert_allclose(dot(frames[1]), moved(dot(frames[0])), atol=0.6)


def test_outside_shows_and_border_padding_draws_out() -> None:
    shifted = set_(Conv3T(8, 2, 2), translate_x=-0.5)
    np.testing.assert_array_equal(pictogram(shifted, 0, 40)[1][20, 2], OUTSIDE)
    border = set_(Conv3T(8, 2, 2, filter_padding="border"), translate_x=-0.5)
    np.testing.assert_array_equal(pictogram(border, 0, 40)[1][20, 2], FIELD)


def test_exaggeration_multiplies_logs_turns_and_shifts() -> None:
    small = set_(Conv3T(1, 1, 3), scale=1.1, rotate=0.1, translate_x=0.05)
    large = set_(Conv3T(1, 1, 3), scale=1.1**2, rotate=0.2, translate_x=0.1)
    twice = pictogram(small, 0, 40, exaggerate=2.0)
    assert np.abs(twice.astype(int) - pictogram(large, 0, 40)).max() <= 1
    assert (pictogram(small, 0, 40) != twice).any()


def test_only_the_channels_own_transforms() -> None:
    layer = Conv3T(1, 2, 3)
    with torch.no_grad():
        layer.rotate[:, 1] = 0.5
    still, turned = pictogram(layer, 0, 32), pictogram(layer, 1, 32)
    np.testing.assert_array_equal(still[2], still[0])
    assert (turned[2] != turned[0]).any()
    assert strip(turned, gap=3).shape == (32, 3 * 32 + 6, 3)


def test_pictograms_are_refused_to_3d_and_to_absent_channels() -> None:
    with pytest.raises(InputError, match="without transforms"):
        pictogram(nn.Conv3d(3, 2, 3), 0)
    with pytest.raises(InputError, match="0 to 1"):
        pictogram(Conv3T(3, 2, 3), 2)
