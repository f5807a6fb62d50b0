"""Saliency against gradients worked out by hand, planted causes, and any lifted network."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from threetconv.errors import InputError
from threetconv.explain.channel import Channel
from threetconv.explain.saliency.grad_cam import grad_cam
from threetconv.explain.saliency.gradient import gradient
from threetconv.explain.saliency.integrated_gradients import integrated_gradients
from threetconv.explain.saliency.methods import METHODS
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.networks.lift import lift

SHAPE = (6, 12, 14)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conv_of(kind, inside, outside, **options):
    """A layer with filled parameters, those of a 3T layer's transforms off the identity."""
    layer = (Conv3T if kind == "3t" else nn.Conv3d)(inside, outside, 3, **options)
    with torch.no_grad():
        for i, (name, parameter) in enumerate(layer.named_parameters()):
            size = 0.1 if name in ("scale", "rotate", "translate_x", "translate_y") else 0.5
            parameter.copy_((name == "scale") + size * noise(*parameter.shape, seed=i + outside))
    return layer


def filters_of(layer):
    return (layer.filters() if isinstance(layer, Conv3T) else layer.weight).detach()


def small(kind, inplace=True):
    """Two convolutions with batch norm and one ReLU for both, as torchvision's blocks have it."""

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = conv_of(kind, 3, 4, padding=1)
            self.norm = nn.BatchNorm3d(4)
            self.second = conv_of(kind, 4, 5, padding=1, stride=2)
            self.relu = nn.ReLU(inplace=inplace)
            self.third = conv_of(kind, 5, 4, padding=1)
            self.drop = nn.Dropout(0.5)
            self.head = nn.Linear(4, 3)
            self.norm.running_mean.copy_(noise(4, seed=1))
            self.norm.running_var.copy_(0.5 + noise(4, seed=2).abs())

        def forward(self, clips):
            clips = self.relu(self.norm(self.first(clips)))
            clips = self.relu(self.second(clips))
            clips = F.relu(self.third(clips), inplace=inplace)
            return self.head(self.drop(clips.mean(dim=(2, 3, 4))))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Small()


@pytest.fixture(params=["3t", "3d"])
def kind(request):
    return request.param


@pytest.mark.parametrize("stride", [1, 2])
def test_gradient_of_one_layer_is_its_filter_at_the_strongest_unit(kind, stride):
    layer = conv_of(kind, 3, 4, padding=1, stride=stride)
    network = nn.Sequential(layer, nn.ReLU(inplace=True))
    clip = noise(1, 3, *SHAPE)
    found = gradient(network, clip, Channel("0", 2))
    response = layer(clip)[0, 2].detach()
    assert found.value == pytest.approx(response.max().item(), rel=1e-6)
    assert response[found.unit] == response.max()
    expected = np.zeros((3, *(n + 2 for n in SHAPE)), np.float32)  # with the layer's padding
    t, y, x = (stride * n for n in found.unit)
    expected[:, t : t + 3, y : y + 3, x : x + 3] = filters_of(layer)[2]
    expected = expected[:, 1:-1, 1:-1, 1:-1]
    np.testing.assert_allclose(found.attribution, expected, atol=1e-6)
    np.testing.assert_allclose(found.map, expected.max(axis=0).clip(0), atol=1e-6)
    assert found.frame == np.unravel_index(expected.max(axis=0).argmax(), SHAPE)[0]
    assert (found.method, found.channel, found.label) == ("gradient", Channel("0", 2), None)


@pytest.mark.parametrize("method", METHODS)
def test_another_unit_than_the_strongest(method, kind):
    network, clip, channel = small(kind).eval(), noise(1, 3, *SHAPE), Channel("second", 2)
    strongest, at = METHODS[method](network, clip, channel), (1, 4, 0)
    assert strongest.unit != at
    found = METHODS[method](network, clip, channel, unit=at)
    kept = []
    network.second.register_forward_hook(lambda *call: kept.append(call[2][0, 2].clone()))
    network(clip)
    assert found.unit == at
    assert found.value == pytest.approx(kept[0][at].item())
    assert not np.array_equal(found.attribution, strongest.attribution)
    again = METHODS[method](network, clip, channel, unit=strongest.unit)
    assert np.array_equal(again.attribution, strongest.attribution)


def test_a_rectifier_in_place_does_not_change_the_raw_output():
    """The strongest of all-negative outputs is still the largest; rectified, all would be 0."""
    layer = conv_of("3d", 3, 1, padding=1)
    with torch.no_grad():
        layer.bias.fill_(-1000)
    clip = noise(1, 3, *SHAPE)
    found = gradient(nn.Sequential(layer, nn.ReLU(inplace=True)), clip, Channel("0", 0))
    assert found.value == pytest.approx(layer(clip).max().item())
    assert found.value < -900
    assert found.map.max() > 0


def test_works_in_evaluation_mode_whatever_the_mode(kind):
    network, clip, channel = small(kind), noise(1, 3, *SHAPE), Channel("third", 1)
    found = gradient(network.train(), clip, channel)
    np.testing.assert_array_equal(found.map, gradient(network.eval(), clip, channel).map)
    # what a forgotten eval() would give: the batch's own statistics, which the pixels move
    careless = copy.deepcopy(network).train()
    pixels = clip.clone().requires_grad_()
    with torch.random.fork_rng(devices=[]):
        hidden = careless.relu(
            careless.second(careless.relu(careless.norm(careless.first(pixels))))
        )
        (slope,) = torch.autograd.grad(careless.third(hidden)[0, 1].max(), pixels)
    other = slope[0].amax(dim=0).clamp_min(0).numpy()
    assert np.abs(other - found.map).max() > 0.05 * found.map.max()
    assert not torch.equal(careless.norm.running_mean, network.norm.running_mean)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("label", [None, 1])
def test_network_clip_and_random_numbers_are_left_as_they_were(method, label, kind):
    network, clip = small(kind).train(), noise(1, 3, *SHAPE)
    network.norm.eval()  # frozen, as in fine-tuning
    network.second.weight.requires_grad_(False)
    network.first.weight.grad = torch.ones_like(network.first.weight)
    before = copy.deepcopy(network.state_dict())
    kept, state = clip.clone(), torch.random.get_rng_state()
    with torch.no_grad():
        found = METHODS[method](network, clip, Channel("third", 1), label=label)
    assert network.training
    assert network.drop.training
    assert not network.norm.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    wants = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert wants == {"second.weight"}
    grads = {name for name, p in network.named_parameters() if p.grad is not None}
    assert grads == {"first.weight"}
    assert bool((network.first.weight.grad == 1).all())
    for module in network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert torch.equal(clip, kept)
    assert not clip.requires_grad
    assert clip.grad is None
    assert torch.equal(state, torch.random.get_rng_state())
    # and a result of the promised kind, the same a second time
    again = METHODS[method](network, clip, Channel("third", 1), label=label)
    np.testing.assert_array_equal(found.map, again.map)
    assert found.map.shape == SHAPE
    assert found.map.dtype == np.float32
    assert found.map.min() >= 0
    assert np.isfinite(found.map).all()
    assert found.map[found.frame].max() == found.map.max()
    assert (found.label, found.unit is None) == (label, label is not None)
    assert found.method == method


def test_works_where_gradients_are_off():
    network, clip = small("3t").eval(), noise(1, 3, *SHAPE)
    found = gradient(network, clip, Channel("third", 1))
    with torch.inference_mode():
        for pixels in (clip, noise(1, 3, *SHAPE)):
            again = gradient(network, pixels, Channel("third", 1))
            np.testing.assert_array_equal(again.map, found.map)


def test_a_failing_network_is_left_as_it_was_too():
    network = small("3t").train()
    with pytest.raises(RuntimeError):
        gradient(network, noise(1, 3, 0, 12, 14), Channel("third", 0))
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad for p in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())


def test_integrated_gradients_of_a_linear_layer_are_known(kind):
    """w x (clip - baseline), whatever the number of steps."""
    layer, clip = conv_of(kind, 3, 4, padding=1), noise(1, 3, *SHAPE)
    network, channel = nn.Sequential(layer), Channel("0", 3)
    slope = gradient(network, clip, channel).attribution
    found = integrated_gradients(network, clip, channel, n_steps=1)
    np.testing.assert_allclose(found.attribution, slope * clip[0].numpy(), atol=1e-6)
    np.testing.assert_allclose(found.map, found.attribution.sum(axis=0).clip(0), atol=1e-6)
    colour = torch.tensor([0.5, -1.0, 2.0]).view(1, 3, 1, 1, 1)
    found = integrated_gradients(network, clip, channel, n_steps=1, baseline=colour)
    np.testing.assert_allclose(found.attribution, slope * (clip - colour)[0].numpy(), atol=1e-6)


@pytest.mark.parametrize("label", [None, 2])
def test_integrated_gradients_are_complete(kind, label):
    network, clip = small(kind).double().eval(), noise(1, 3, *SHAPE).double()
    channel = Channel("third", 1)
    found = integrated_gradients(network, clip, channel, label=label, n_steps=200)
    with torch.no_grad():
        if label is None:
            hidden = network.relu(network.norm(network.first(torch.zeros_like(clip))))
            floor = network.third(network.relu(network.second(hidden)))[0, 1][found.unit]
        else:
            floor = network(torch.zeros_like(clip))[0, label]
            assert found.value == pytest.approx(network(clip)[0, label].item())
    whole = found.value - floor.item()
    assert abs(whole) > 0.05
    assert found.attribution.sum(dtype=float) == pytest.approx(whole, rel=0.01)
    coarse = integrated_gradients(network, clip, channel, label=label, n_steps=7, batch_size=3)
    other = integrated_gradients(network, clip, channel, label=label, n_steps=7, batch_size=7)
    np.testing.assert_allclose(coarse.attribution, other.attribution, rtol=1e-4, atol=1e-7)
    assert coarse.note.startswith("7 steps, sum off by ")


def test_grad_cam_of_a_channel_by_hand(kind):
    """Weight of an input feature: the filter's sum over it, by the size of the map."""
    network, clip = small(kind, inplace=True).eval(), noise(1, 3, *SHAPE)
    found = grad_cam(network, clip, Channel("third", 2))
    with torch.no_grad():
        hidden = network.relu(network.second(network.relu(network.norm(network.first(clip)))))
        response = network.third(hidden)[0, 2]
    slope = np.zeros((5, *(n + 2 for n in hidden.shape[2:])), np.float32)
    t, y, x = found.unit
    slope[:, t : t + 3, y : y + 3, x : x + 3] = filters_of(network.third)[2]
    weights = slope[:, 1:-1, 1:-1, 1:-1].mean(axis=(1, 2, 3))
    coarse = torch.einsum("c,ctyx->tyx", torch.from_numpy(weights), hidden[0]).clamp_min(0)
    full = F.interpolate(coarse[None, None], SHAPE, mode="trilinear")[0, 0]
    assert response[found.unit] == response.max()
    assert full.max() > 0
    np.testing.assert_allclose(found.map, full.numpy(), rtol=1e-4, atol=1e-7)
    assert found.note == "input of third, 3 x 6 x 7"
    assert found.attribution.shape == (1, *SHAPE)


def test_grad_cam_of_a_class_is_the_class_map_of_a_pooled_layer():
    """Before average pooling and a linear head, Grad-CAM is CAM: the head's weights (over n)."""
    first = conv_of("3d", 3, 4, padding=1)
    head = nn.Linear(4, 3)
    head.weight.data.copy_(noise(3, 4, seed=5))
    network = nn.Sequential(first, nn.AdaptiveAvgPool3d(1), nn.Flatten(), head)
    clip = noise(1, 3, *SHAPE)
    found = grad_cam(network, clip, None, label=2)
    with torch.no_grad():
        cam = torch.einsum("c,ctyx->tyx", head.weight[2], first(clip)[0]) / np.prod(SHAPE)
    np.testing.assert_allclose(found.map, cam.clamp_min(0).numpy(), rtol=1e-4, atol=1e-8)
    assert (found.channel, found.label, found.note) == (None, 2, "output of 0, 6 x 12 x 14")


def test_grad_cam_says_when_its_layer_has_one_place_only():
    last = nn.Conv3d(4, 2, 1)
    last.weight.data.copy_(noise(2, 4, 1, 1, 1, seed=5))
    network = nn.Sequential(conv_of("3d", 3, 4), nn.AdaptiveAvgPool3d(1), last)
    found = grad_cam(network, noise(1, 3, *SHAPE), Channel("2", 0))
    assert found.note == "input of 2, 1 x 1 x 1: one place a frame, which does not say where"
    assert found.map.max() > 0
    assert np.ptp(found.map) < 1e-6 * found.map.max()  # the same but for rounding


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_map_says_so(method):
    layer = nn.Conv3d(3, 1, 1, bias=False)
    layer.weight.data.fill_(-1)  # more light, less response
    found = METHODS[method](nn.Sequential(layer), noise(1, 3, *SHAPE).abs(), Channel("0", 0))
    assert not found.map.any()
    assert found.frame == 0
    assert found.note.endswith("nothing positive anywhere")


@pytest.mark.parametrize("quadrant", [(0, 1), (1, 0)])
@pytest.mark.parametrize("method", METHODS)
def test_a_moving_blob_is_found_in_its_quadrant(method, quadrant, kind):
    frames, height, width = 8, 24, 24
    t = torch.arange(frames).view(-1, 1, 1)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centre = (5 + 12 * quadrant[0], 4 + 12 * quadrant[1])
    blob = torch.exp(-((y - centre[0]) ** 2 + (x - centre[1] - t / 3) ** 2) / 4)
    clip = (0.05 * noise(1, 3, frames, height, width) + 3 * blob).float()
    network = nn.Sequential(
        conv_of(kind, 3, 4, padding=1), nn.ReLU(), conv_of(kind, 4, 1, padding=1), nn.ReLU()
    )
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight"):
                parameter.abs_()  # likes brightness
            elif name.endswith("bias"):
                parameter.zero_()
    found = METHODS[method](network, clip, Channel("2", 0))
    across = found.map.reshape(frames, 2, 12, 2, 12).sum(axis=(0, 2, 4))
    assert across[quadrant] > 0.8 * across.sum()


TORCHVISION = {  # clip, layer, what guided backpropagation says
    "resnet18": ((8, 32, 32), "layer2.0.conv1", "guided at 5 ReLU"),
    "googlenet": ((8, 32, 32), "inception3b.branch2.1.conv", "guided at 11 ReLU"),
    "squeezenet1_1": ((20, 40, 40), "features.6.expand3x3", "guided at 9 ReLU"),
    "mobilenet_v2": ((8, 32, 32), "features.3.conv.1.0", "guided at 5 ReLU6"),
    "mobilenet_v3_small": (
        (8, 32, 32),
        "features.5.block.1.0",
        "guided at 7 ReLU; 2 Hardsigmoid, 4 Hardswish with their own gradient",
    ),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_any_lifted_network(name, kind):
    shape, layer, note = TORCHVISION[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
        network = lift(torchvision.models.get_model(name, num_classes=4, **extra), kind).eval()
    clip = noise(1, 3, *shape)
    for method, explain in METHODS.items():
        options = {"n_steps": 2} if method == "integrated-gradients" else {}
        found = explain(network, clip, Channel(layer, 4), **options)
        assert found.map.shape == shape
        assert np.isfinite(found.map).all(), method
        assert found.map.max() > 0, method
        if method == "guided-backprop":
            assert found.note == note


def test_bad_input_is_named():
    network, clip = small("3t"), noise(1, 3, *SHAPE)
    channel = Channel("third", 0)
    with pytest.raises(InputError, match=r"\(2, 3, 6, 12, 14\)"):
        gradient(network, clip.repeat(2, 1, 1, 1, 1), channel)
    with pytest.raises(InputError, match="uint8"):
        gradient(network, clip.to(torch.uint8), channel)
    with pytest.raises(InputError, match="NaN"):
        gradient(network, clip * float("nan"), channel)
    with pytest.raises(InputError, match="one of first, second, third"):
        gradient(network, clip, Channel("fourth", 0))
    with pytest.raises(InputError, match="0 to 3"):
        gradient(network, clip, Channel("third", 4))
    with pytest.raises(InputError, match="neither a channel nor a class"):
        gradient(network, clip, None)
    with pytest.raises(InputError, match="0 to 2, the classes"):
        gradient(network, clip, None, label=3)
    for unit in ((6, 0, 0), (0, -1, 0)):
        with pytest.raises(InputError, match="an output of 3 x 6 x 7"):
            gradient(network, clip, Channel("second", 0), unit=unit)
    with pytest.raises(InputError, match="n_steps"):
        integrated_gradients(network, clip, channel, n_steps=0)
    with pytest.raises(InputError, match="baseline"):
        integrated_gradients(network, clip, channel, baseline=noise(1, 2, *SHAPE))
    for layer in ("nowhere", "head"):
        with pytest.raises(InputError, match=layer):
            grad_cam(network, clip, channel, layer=layer)


def test_a_layer_that_evaluation_does_not_run_is_refused():
    network = build_network("googlenet", num_classes=3, clip_shape=(16, 64, 64), seed=0)
    heads = [name for name, _ in network.named_modules() if name.startswith("aux1.")]
    layer = next(name for name in heads if hasattr(network.get_submodule(name), "out_channels"))
    for explain in METHODS.values():
        with pytest.raises(InputError, match="does not run in evaluation mode"):
            explain(network, noise(1, 3, 16, 64, 64), Channel(layer, 0))


def test_how_often_the_network_is_passed(kind):
    network = build_network(
        "resnet18", num_classes=8, clip_shape=(16, 32, 32), convolution=kind, width=0.25, seed=0
    )
    passed = 0

    def count(_module, inputs):
        nonlocal passed
        passed += len(inputs[0])

    network.register_forward_pre_hook(count)
    clip, clips = noise(1, 3, 16, 32, 32), {}
    for method, explain in METHODS.items():
        passed = 0
        explain(network, clip, Channel("layer4.1.conv2", 0))
        clips[method] = passed
    # 50 steps of integration, and a few passes to find the unit and to hold the result against it
    assert clips.pop("integrated-gradients") <= 50 + 4
    assert max(clips.values()) <= 4
