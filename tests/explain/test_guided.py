"""Guided backpropagation against a rule written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from threetconv.explain.channel import Channel
from threetconv.explain.saliency.guided import guided_gradient
from threetconv.explain.saliency.methods import METHODS

SHAPE = (3, 5, 6)


class ByHand(torch.autograd.Function):
    """A rectifier with a cap, whose gradient passes where input and gradient are both positive."""

    @staticmethod
    def forward(ctx, input, cap):
        ctx.save_for_backward(input)
        ctx.cap = cap
        return input.clamp(0, cap)

    @staticmethod
    def backward(ctx, slope):
        (input,) = ctx.saved_tensors
        return slope * (input > 0) * (input < ctx.cap) * (slope > 0), None


def rule(input, cap=float("inf")):
    return ByHand.apply(input, cap)


def plain(input):
    return input.relu()


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Network(nn.Module):
    """Three rectified convolutions; `rectify` is what a test puts between them."""

    def __init__(self, rectify, *, around=False):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv3d(inside, 4, 3, padding=1) for inside in (3, 4, 4)
        )
        for i, parameter in enumerate(self.parameters()):
            parameter.data.copy_(0.3 * noise(*parameter.shape, seed=i))
        self.rectify, self.around = rectify, around

    def forward(self, clips):
        for convolution in self.convolutions:
            clips = convolution(clips)
            clips = self.rectify(clips) + clips if self.around else self.rectify(clips)
        return clips


class Sum(nn.Module):
    """Weighted sum of a network's outputs: gradients of both signs arrive at every rectifier."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, clips):
        found = self.network(clips.clone())
        return (found * noise(*found.shape[1:], seed=9)).sum(dim=(1, 2, 3, 4))


def by_hand(**options):
    clip = noise(1, 3, *SHAPE).requires_grad_()
    return torch.autograd.grad(Sum(Network(**options))(clip).sum(), clip)[0].numpy()


RECTIFIERS = {
    "one module for all, in place": nn.ReLU(inplace=True),
    "one module for all": nn.ReLU(),
    "F.relu": F.relu,
    "F.relu in place": lambda clips: F.relu(clips, inplace=True),
    "by keyword": lambda clips: F.relu(input=clips),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "method": lambda clips: clips.relu(),
    "method in place": lambda clips: clips.relu_(),
    "in place, result not used": lambda clips: (F.relu_(clips), clips)[1],
}


@pytest.mark.parametrize("name", RECTIFIERS)
def test_however_a_network_rectifies(name):
    found, note = guided_gradient(Sum(Network(RECTIFIERS[name])), noise(1, 3, *SHAPE))
    expected = by_hand(rectify=rule)
    assert np.abs(expected - by_hand(rectify=plain)).max() > 0.1 * np.abs(expected).max()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
    assert note == "guided at 3 ReLU"


@pytest.mark.parametrize("module", [nn.ReLU6(), nn.ReLU6(inplace=True), nn.Hardtanh(0, 1), F.relu6])
def test_capped_rectifiers(module):
    cap = getattr(module, "max_val", 6.0)
    clip = 10 * noise(1, 3, *SHAPE)
    found, note = guided_gradient(Sum(Network(module)), clip)
    pixels = clip.clone().requires_grad_()
    network = Network(lambda clips: rule(clips, cap))
    (expected,) = torch.autograd.grad(Sum(network)(pixels).sum(), pixels)
    assert (network(clip) == cap).any()
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert note == f"guided at 3 ReLU{cap:g}"


def test_what_else_reads_a_rectifiers_input_keeps_its_gradient():
    found, _ = guided_gradient(Sum(Network(F.relu, around=True)), noise(1, 3, *SHAPE))
    expected = by_hand(rectify=rule, around=True)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (nn.Hardswish(), "Hardswish"),
        (nn.SiLU(inplace=True), "SiLU"),
        (nn.GELU(), "GELU"),
        (nn.Hardtanh(), "Hardtanh"),
        (nn.LeakyReLU(0.1), "LeakyReLU"),
        (torch.sigmoid, "Sigmoid"),
    ],
)
def test_other_non_linearities_keep_their_gradient_and_are_named(module, name):
    found, note = guided_gradient(Sum(Network(module)), noise(1, 3, *SHAPE))
    np.testing.assert_allclose(found.numpy(), by_hand(rectify=module), rtol=1e-4, atol=1e-6)
    assert note == f"no rectifier to guide at; 3 {name} with their own gradient"


def test_rectifiers_that_the_clip_does_not_reach_are_no_hindrance():
    class Constant(nn.Module):
        def forward(self, clips):
            return clips.sum(dim=(1, 2, 3, 4)) * F.relu(torch.ones(()))

    found, _ = guided_gradient(Constant(), noise(1, 3, *SHAPE))
    assert bool((found == 1).all())


def test_a_channel_of_a_reused_rectifier():
    """The target's own layer is not rectified; what comes before it is."""
    relu = nn.ReLU(inplace=True)
    network, hand = Network(relu), Network(rule)
    clip = noise(1, 3, *SHAPE)
    found = METHODS["guided-backprop"](network, clip, Channel("convolutions.2", 1))
    pixels = clip.clone().requires_grad_()
    hidden = rule(hand.convolutions[1](rule(hand.convolutions[0](pixels))))
    unit = hand.convolutions[2](hidden)[0, 1].max()
    (expected,) = torch.autograd.grad(unit, pixels)
    np.testing.assert_allclose(found.attribution, expected[0].numpy(), rtol=1e-4, atol=1e-6)
    assert found.value == pytest.approx(unit.item(), rel=1e-5)
    assert found.note == "guided at 2 ReLU"
