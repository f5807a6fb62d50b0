"""Films of a channel's motion: directions and speeds of planted filters, and what they excite."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from threetconv import build_network
from threetconv.errors import InputError
from threetconv.explain.activation.maximise import response_to_frames
from threetconv.explain.activation.robustness import STILL
from threetconv.explain.channel import Channel
from threetconv.explain.motion.film import MotionFilm, film_maps, motion_film
from threetconv.layer.conv3t import Conv3T
from threetconv.layer.motion import content_maps, trajectory
from threetconv.networks.trace import trace

CHANNEL = Channel("0", 1)
PIXEL = 1 / 3  # translation of one pixel in a kernel of 7: half-extents of 3 pixels


def planted(
    scale: float = 1, rotate: float = 0, tx: float = 0, ty: float = 0, **options: Any
) -> nn.Sequential:
    """A layer whose channel 1 moves a blob beside the centre by the same transform at each step."""
    options = {"kernel_size": (5, 7, 7), "padding": (2, 3, 3), "bias": False} | options
    layer = Conv3T(3, 2, **options)
    size = layer.kernel_size[1]
    y, x = np.mgrid[:size, :size] - size // 2
    blob = np.exp(-((x + 1) ** 2 + (y - 1.5) ** 2)) - np.exp(-((x - 1.5) ** 2 + y**2) / 2)
    values = {"scale": scale, "rotate": rotate, "translate_x": tx, "translate_y": ty}
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[1] = torch.from_numpy(blob) * torch.tensor([1.0, 0.6, -0.8]).view(3, 1, 1)
        for name, value in values.items():
            getattr(layer, name)[:, 1] = value
    return nn.Sequential(layer)


def film_of(network: nn.Module, channel: Channel = CHANNEL, **options: Any) -> MotionFilm:
    options = {"clip_shape": (9, 18, 20), "seed": 0, "steps": 25, "lr": 0.05} | options
    return motion_film(network, channel, **options)


@pytest.mark.parametrize(
    ("tx", "ty", "down", "right"),
    [(-PIXEL, 0, 0, 1), (PIXEL, 0, 0, -1), (0, PIXEL, -1, 0), (-PIXEL, -PIXEL, 1, 1)],
)
def test_content_moves_as_the_filter_does(tx: float, ty: float, down: int, right: int) -> None:
    network = planted(tx=tx, ty=ty)
    found = film_of(network, steps=5)
    frames = found.frames.astype(int)
    assert found.frames.dtype == np.uint8
    assert frames.shape == (9, 18, 20, 3)
    for earlier, later in pairwise(frames):
        assert np.abs(np.roll(earlier, (down, right), (0, 1)) - later).max() <= 1
    # and that is how the slices of the filter themselves move
    first, second = network[0].filters()[1, :, :2].detach().unbind(1)
    inner = torch.roll(first, (down, right), (1, 2))[:, 1:-1, 1:-1]
    torch.testing.assert_close(inner, second[:, 1:-1, 1:-1], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("transform", "frames"),
    [
        ({"tx": -PIXEL}, 9),
        ({"ty": 0.6 * PIXEL}, 9),
        ({"tx": PIXEL, "ty": PIXEL, "rotate": 0.1}, 8),
        ({"rotate": 0.5}, 8),
        ({"rotate": -0.5}, 9),
        ({"scale": 0.75}, 9),
        ({"scale": 1.3, "tx": 0.2}, 8),
    ],
)
def test_excites_more_than_backwards_and_than_the_still(
    transform: dict[str, float], frames: int
) -> None:
    network = planted(**transform)
    found = film_of(network, clip_shape=(frames, 18, 20), robustness=STILL)
    assert found.end > 2 * abs(found.start)
    assert found.end > 1.15 * found.backwards
    assert found.end > 1.02 * found.still
    middle = found.frames[frames // 2]
    still = response_to_frames(network, CHANNEL, middle[None], length=frames, objective="unit")
    assert still == pytest.approx(found.still, rel=1e-5)  # that frame is the picture unmoved
    if frames % 2:  # the middle frame is the same when the film is turned round
        turned = response_to_frames(network, CHANNEL, found.frames[::-1], objective="unit")
        assert turned == pytest.approx(found.backwards, rel=1e-3)


def test_a_filter_without_motion_makes_a_still() -> None:
    found = film_of(planted(), steps=5)
    assert np.array_equal(found.frames, np.broadcast_to(found.frames[:1], found.frames.shape))
    assert found.end == pytest.approx(found.still, rel=1e-5)
    assert found.end == pytest.approx(found.backwards, rel=1e-5)


def test_maps_are_the_exact_composition_in_pixels() -> None:
    transform = {"scale": 0.9, "rotate": 0.2, "tx": -0.3, "ty": 0.1}
    network = planted(**transform)
    maps = film_maps(network, CHANNEL, (5, 18, 20))
    steps = np.full((4, 4), [[0.9], [0.2], [-0.3], [0.1]])
    assert maps.shape == (5, 3, 3)
    np.testing.assert_allclose(maps[2], np.eye(3), atol=1e-12)
    pixels = np.diag([3.0, 3.0, 1.0])
    content = content_maps(*steps)  # from the first slice on
    for later in range(5):
        expected = pixels @ content[later] @ np.linalg.inv(content[2]) @ np.linalg.inv(pixels)
        np.testing.assert_allclose(np.linalg.inv(maps[later]), expected, atol=1e-6)
    backwards = film_maps(network, CHANNEL, (5, 18, 20), backwards=True)
    np.testing.assert_allclose(backwards, maps[::-1], atol=1e-9)


def test_transitions_are_repeated_in_a_circle() -> None:
    network = planted()
    with torch.no_grad():
        network[0].translate_x[:, 1] = -PIXEL * torch.tensor([1.0, 2.0, 3.0, 4.0])
    maps = film_maps(network, CHANNEL, (11, 18, 20))
    right = -maps[:, 0, 2]
    # the filter's own four transitions lie around the middle frame, 5: from frame 3 to frame 7
    np.testing.assert_allclose(np.diff(right), [2, 3, 4, 1, 2, 3, 4, 1, 2, 3], atol=1e-5)


@pytest.mark.parametrize("align", [True, False])
def test_strides_and_dilation_stretch_the_motion(align: bool) -> None:
    options = {"kernel_size": (3, 5, 5), "dilation": (1, 2, 2), "padding": 2}
    deep = planted(tx=-0.25, align_corners=align, **options)[0]
    network = nn.Sequential(nn.Conv3d(3, 3, 3, stride=(2, 4, 4), padding=1), deep)
    maps = film_maps(network, Channel("1", 1), (12, 64, 64))
    step = 0.25 * (2 if align else 2.5) * 2 * 4  # taps, dilation, stride
    right = -maps[:, 0, 2]
    np.testing.assert_allclose(right[2:] - right[:-2], step, atol=1e-6)
    np.testing.assert_allclose(right[1:] - right[:-1], step / 2, atol=1e-6)
    whole = film_maps(network, Channel("1", 1), (12, 64, 64), amplify=3.0)
    np.testing.assert_allclose(whole[:, 0, 2], 3 * maps[:, 0, 2], atol=1e-6)


def test_shifts_in_a_network_are_those_of_its_trajectories() -> None:
    shape = (16, 32, 48)
    network = build_network("resnet18", num_classes=3, clip_shape=shape, width=0.125, seed=0)
    layer = {entry.name: entry for entry in trace(network, shape)}["layer2.0.conv2"]
    module = network.get_submodule(layer.name)
    with torch.no_grad():
        module.translate_y[:, 2] = 0.5
    path = trajectory([1, 1], [0, 0], [0, 0], [0.5, 0.5])
    up = path.input_pixels(3, layer.jump)[1]
    maps = film_maps(network, Channel(layer.name, 2), shape)
    between = shape[0] // layer.frames  # frames of the clip to a frame of the layer's input
    np.testing.assert_allclose(maps[between, 1, 2] - maps[0, 1, 2], up[1] - up[0], atol=1e-6)


def test_a_half_turn_and_amplified_zoom() -> None:
    maps = film_maps(planted(scale=-1.0), CHANNEL, (5, 18, 20))
    np.testing.assert_allclose(maps[3, :2, :2], -np.eye(2), atol=1e-9)
    np.testing.assert_allclose(maps[4], np.eye(3), atol=1e-9)
    zoomed = film_maps(planted(scale=0.9), CHANNEL, (5, 18, 20), amplify=2.0)
    np.testing.assert_allclose(zoomed[3], np.diag([0.81, 0.81, 1]), atol=1e-6)


def test_network_and_generators_are_left_alone_and_the_seed_decides() -> None:
    shape = (8, 16, 16)
    network = build_network("resnet18", num_classes=3, clip_shape=shape, width=0.125, seed=0)
    network.requires_grad_(False)
    network.layer1.requires_grad_(True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    flags = [p.requires_grad for p in network.parameters()]
    random = torch.random.get_rng_state()
    channel = Channel("layer1.0.conv1", 1)
    first, again = (film_of(network, channel, clip_shape=shape, steps=2) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), random)
    assert np.array_equal(first.frames, again.frames)
    other = film_of(network, channel, clip_shape=shape, steps=2, seed=1)
    assert not np.array_equal(first.frames, other.frames)
    assert all(module.training and not module._forward_hooks for module in network.modules())
    assert [p.requires_grad for p in network.parameters()] == flags
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_only_channels_with_transforms_have_a_film() -> None:
    for layer, kind in (
        (nn.Conv3d(3, 1, 3), "Conv3d of 3x3x3"),
        (Conv3T(3, 1, 1), "Conv3T of 1x1x1"),
        (Conv3T(3, 1, (3, 1, 1)), "Conv3T of 3x1x1"),
    ):
        with pytest.raises(InputError, match=kind):
            film_of(nn.Sequential(layer), Channel("0", 0))


def test_robustness_moves_the_picture_not_the_motion() -> None:
    network = planted(tx=-PIXEL)
    plain, shaken = film_of(network, robustness=STILL, steps=4), film_of(network, steps=4)
    assert not np.array_equal(plain.frames, shaken.frames)
    for found in (plain, shaken):
        moved = np.roll(found.frames[0].astype(int), 1, axis=1)
        assert np.abs(moved - found.frames[1]).max() <= 1
