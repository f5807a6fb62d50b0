"""Activation maximisation: known answers on linear filters, and networks left as they were."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from threetconv import build_network
from threetconv.clips.dataset import IMAGENET_SD, normalise
from threetconv.errors import InputError
from threetconv.explain.activation.maximise import activation, maximise, response_to_frames
from threetconv.explain.activation.robustness import PAPER, STILL
from threetconv.explain.channel import Channel
from threetconv.networks.lift import lift

SHAPE = (8, 16, 16)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.set_num_threads(1)
    made = build_network(
        "resnet18", num_classes=3, clip_shape=SHAPE, width=0.125, convolution="3t", seed=0
    )
    return made.eval()


def state_of(network: nn.Module) -> list[Any]:
    parameters = [(p.requires_grad, p.grad) for p in network.parameters()]
    modules = [(m.training, len(m._forward_hooks)) for m in network.modules()]
    return [*parameters, *modules]


def test_defaults_are_the_papers() -> None:
    defaults = {k: v.default for k, v in inspect.signature(maximise).parameters.items()}
    assert defaults["steps"] == 500
    assert defaults["lr"] == 0.004
    assert defaults["weight_decay"] == 0.1
    assert defaults["robustness"] is PAPER
    assert defaults["objective"] == "mean"


def test_converges_to_a_linear_filters_own_pattern() -> None:
    size = 12
    layer = nn.Conv3d(3, 2, (1, size, size), bias=False)
    y, x = np.mgrid[:size, :size] / size * 2 * np.pi
    waves = np.sin(x + y) + np.cos(2 * x - y)
    pattern = np.stack([waves, waves, 0.9 * waves])
    with torch.no_grad():
        layer.weight[0].normal_()
        layer.weight[1, :, 0] = torch.from_numpy(pattern)
    found = maximise(
        nn.Sequential(layer),
        Channel("0", 1),
        clip_shape=(1, size, size),
        video=False,
        seed=0,
        steps=30,
        lr=0.05,
        robustness=STILL,
    )
    seen = found.frames[0].transpose(2, 0, 1) / 255 - 0.5
    wanted = pattern / np.array(IMAGENET_SD)[:, None, None]  # the gradient by the pixels
    cosine = (seen * wanted).sum() / np.linalg.norm(seen) / np.linalg.norm(wanted)
    assert cosine > 0.75
    # what a picture of black and white alone would give, the most there is
    best = np.where(wanted > 0, 1.0, 0.0) - np.array([0.485, 0.456, 0.406])[:, None, None]
    assert found.end > 0.7 * (best * wanted).sum()
    assert found.start < 0.1 * found.end


@pytest.mark.parametrize("convolution", ["3t", "3d"])
@pytest.mark.parametrize("video", [False, True])
def test_excites_the_channel_of_a_network(convolution: str, video: bool) -> None:
    network = build_network(
        "resnet18", num_classes=3, clip_shape=SHAPE, width=0.125, convolution=convolution, seed=1
    )
    channel = Channel("layer2.0.conv1", 1)
    options: dict[str, Any] = {"clip_shape": SHAPE, "video": video, "steps": 25, "lr": 0.02}
    found = maximise(network, channel, seed=0, robustness=STILL, **options)
    assert found.frames.dtype == np.uint8
    assert found.frames.shape == (8 if video else 1, 16, 16, 3)
    assert found.history.shape == (25,)
    assert found.end > found.start
    assert found.history[-1] > found.history[0]
    assert found.end == pytest.approx(found.history[-1], rel=0.2)
    if video:
        assert np.abs(np.diff(found.frames.astype(int), axis=0)).max() > 2


def test_robust_ascent_rises_too(network: nn.Module) -> None:
    channel = Channel("layer1.0.conv1", 2)
    found = maximise(network, channel, clip_shape=SHAPE, video=False, steps=60, lr=0.01, seed=3)
    assert found.end > found.start
    assert len(set(found.history)) == 60


def test_the_same_seed_gives_the_same_bytes(network: nn.Module) -> None:
    def run(seed: int) -> Any:
        return maximise(
            network, Channel("conv1", 1), clip_shape=SHAPE, video=True, steps=3, lr=0.05, seed=seed
        )

    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.random.get_rng_state()  # noqa: NPY002
    first, again, other = run(0), run(0), run(1)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.history, again.history)
    assert not np.array_equal(first.frames, other.frames)


def test_start_and_end_can_be_measured_again(network: nn.Module) -> None:
    channel = Channel("layer1.1.conv2", 3)
    for objective in ("mean", "unit"):
        found = maximise(
            network,
            channel,
            clip_shape=SHAPE,
            video=False,
            steps=4,
            lr=0.05,
            seed=0,
            objective=objective,
        )
        clip = normalise(np.repeat(found.frames, 8, axis=0)[None])
        again = activation(network, channel, clip, objective=objective)
        assert again.item() == pytest.approx(found.end, rel=1e-5)
        shown = response_to_frames(network, channel, found.frames, length=8, objective=objective)
        assert shown == pytest.approx(found.end, rel=1e-5)


def test_responses_are_those_of_the_raw_convolution(network: nn.Module) -> None:
    clips = torch.randn(2, 3, *SHAPE, generator=torch.Generator().manual_seed(0))
    outputs: list[Tensor] = []
    layer = network.get_submodule("layer2.0.conv2")
    handle = layer.register_forward_hook(lambda _m, _i, output: outputs.append(output.clone()))
    with torch.no_grad():
        network(clips)
    handle.remove()
    channel = Channel("layer2.0.conv2", 5)
    _, _, time, height, width = outputs[0].shape
    clips.requires_grad_()
    mean = activation(network, channel, clips)
    torch.testing.assert_close(mean, outputs[0][:, 5].mean(dim=(1, 2, 3)))
    unit = activation(network, channel, clips, objective="unit")
    torch.testing.assert_close(unit, outputs[0][:, 5, time // 2, height // 2, width // 2])
    assert torch.autograd.grad(mean.sum(), clips)[0].abs().sum() > 0


def test_the_network_is_left_as_it_was() -> None:
    network = build_network("resnet18", num_classes=3, clip_shape=SHAPE, width=0.125, seed=0)
    network.layer1.eval()
    network.fc.weight.requires_grad_(False)
    network.conv1.weight.grad = torch.ones_like(network.conv1.weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = state_of(network)
    options: dict[str, Any] = {"clip_shape": SHAPE, "video": False, "seed": 0}
    maximise(network, Channel("layer1.0.conv1", 0), steps=2, **options)
    with pytest.raises(RuntimeError):
        maximise(network, Channel("layer1.0.conv1", 0), steps=2, progress=_stop, **options)
    assert all(
        a is b
        for x, y in zip(state, state_of(network), strict=True)
        for a, b in zip(x, y, strict=True)
    )
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def _stop(done: int, total: int) -> None:
    raise RuntimeError("enough")


class _Refuses(nn.Module):
    def forward(self, clip: Tensor) -> Tensor:
        raise AssertionError("the forward pass went on beyond the layer")


def test_nothing_runs_beyond_the_layer_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    maximise(
        nn.Sequential(nn.Conv3d(3, 1, 3), _Refuses()),
        Channel("0", 0),
        clip_shape=(3, 5, 6),
        video=True,
        seed=0,
        steps=3,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


class _WithHead(nn.Module):
    """A network with a head for training only."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Conv3d(3, 1, 1), nn.Conv3d(1, 1, 1)

    def forward(self, clip: Tensor) -> Tensor:
        return self.head(self.body(clip)) if self.training else self.body(clip)


def test_any_lifted_network() -> None:
    vgg = torchvision.models.mobilenet_v3_small(num_classes=3)
    channel = Channel("features.3.block.1.0", 4)  # a depthwise convolution
    found = maximise(lift(vgg, "3t"), channel, clip_shape=(8, 24, 32), video=False, seed=0, steps=2)
    assert found.frames.shape == (1, 24, 32, 3)


def test_bad_input_is_explained(network: nn.Module) -> None:
    options: dict[str, Any] = {"clip_shape": SHAPE, "video": False, "seed": 0, "steps": 2}
    with pytest.raises(InputError, match=r"conv7"):
        maximise(network, Channel("conv7", 0), **options)
    with pytest.raises(InputError, match="mean, unit"):
        maximise(network, Channel("conv1", 0), objective="sum", **options)
    with pytest.raises(ValueError, match="steps=0"):
        maximise(network, Channel("conv1", 0), **{**options, "steps": 0})
    with pytest.raises(ValueError, match="clip_shape"):
        maximise(network, Channel("conv1", 0), **{**options, "clip_shape": (0, 16, 16)})
    unused = _WithHead()
    with pytest.raises(InputError, match="does not run in evaluation mode"):
        maximise(unused, Channel("head", 0), **options)
    broken = nn.Sequential(nn.Conv3d(3, 1, 1))
    with torch.no_grad():
        broken[0].weight.fill_(float("nan"))
    with pytest.raises(InputError, match="nan"):
        maximise(broken, Channel("0", 0), **options)
