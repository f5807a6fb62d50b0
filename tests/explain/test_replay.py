"""Runs from one layer on: what is run again and what is not, in networks of awkward build."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from threetconv.explain.trust.faithfulness import ABLATIONS, deep_convolutions, faithfulness
from threetconv.layer.conv3t import Conv3T

from ..builders.faithfulness_cases import (
    CLASSES,
    LABELS,
    brute_force,
    lines,
    moved,
    random_clips,
    tiny,
)


def test_the_network_is_left_as_it_was():
    network, clips = tiny().train(), random_clips()
    network.layer1.eval()
    network.conv1.weight.grad = torch.ones_like(network.conv1.weight)
    handle = network.conv1.register_forward_hook(lambda *call: None)
    state = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    kept = clips.clone()
    drawn = torch.random.get_rng_state()
    for ablation in ABLATIONS:
        faithfulness(network, ["conv1"], clips, LABELS, CLASSES, ablation=ablation)
    assert torch.equal(drawn, torch.random.get_rng_state())
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all("forward" not in module.__dict__ for module in network.modules())
    assert torch.equal(network.conv1.weight.grad, torch.ones_like(network.conv1.weight))
    assert all(p.grad is None for n, p in network.named_parameters() if n != "conv1.weight")
    assert len(network.conv1._forward_hooks) == 1
    assert torch.equal(clips, kept)
    handle.remove()


def test_a_network_in_trouble_gets_its_forwards_back():
    network = tiny()
    with pytest.raises(RuntimeError):
        faithfulness(network, ["conv1"], torch.zeros(1, 4, 8, 16, 16), [0], CLASSES)
    assert all("forward" not in module.__dict__ for module in network.modules())


def test_channels_at_the_identity_are_not_run():
    network, clips = tiny(), random_clips()
    layer = network.conv1
    with torch.no_grad():
        layer.scale[:, 1:] = 1
        for name in ("rotate", "translate_x", "translate_y"):
            getattr(layer, name)[:, 1:] = 0
    runs = []
    handle = network.fc.register_forward_hook(lambda *call: runs.append(len(call[2])))
    table = faithfulness(network, ["conv1"], clips, LABELS, CLASSES)
    handle.remove()
    assert runs == [5, 10, 10]  # as it is; a look; channel -1 beside channel 0
    assert (table.loc[table.channel > 0, "drop"] == 0).all()
    assert lines(table, 0, "conv1") == pytest.approx(lines(table, -1, "conv1"), abs=1e-9)


def test_what_comes_before_the_layer_is_not_run_again():
    network, clips = tiny(), random_clips()
    runs = []
    handle = network.fc.register_forward_hook(lambda *_call: runs.append(1))
    inside = []
    layer = network.layer2[0].conv1  # within a block within a stage
    given = layer.filters
    layer.filters = lambda slices=None: (inside.append(1), given(slices))[1]
    faithfulness(network, ["layer3.0.conv1"], clips, LABELS, CLASSES, batch_size=5)
    handle.remove()
    del layer.filters
    assert len(runs) > 10
    assert len(inside) == 1


class Twice(nn.Module):
    """One 3T layer called twice, changes in place, even of the clips, and a head not called."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 4, 1)
        self.conv = Conv3T(4, 4, 3, padding=1)
        self.spare = Conv3T(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 4)

    def forward(self, clips):
        clips -= 0.1
        x = self.stem(clips)
        y = self.conv(x)
        x += y
        return self.fc(F.relu(self.conv(x)).mean(dim=(2, 3, 4)) * 3)


def test_a_layer_called_twice_and_one_never_called():
    torch.manual_seed(0)
    network, clips = moved(Twice(), spread=0.3), random_clips()
    kept = clips.clone()
    assert deep_convolutions(network, clips) == ["conv"]
    for size in (5, 40):
        table = faithfulness(network, ["conv", "spare"], clips, LABELS, CLASSES, batch_size=size)
        for channel in (-1, 0, 3):
            expected = brute_force(network, "conv", channel, clips, "identity").mean()
            assert abs(expected) > 1e-4
            assert lines(table, channel, "conv") == pytest.approx(expected, abs=2e-6)
        assert (table.loc[table.layer == "spare", "drop"] == 0).all()
    faithfulness(network, ["conv"], clips, LABELS, CLASSES, ablation="mean")
    assert torch.equal(clips, kept)


class Growing(nn.Module):
    """A 3T layer that sees one frame first, and then the whole clip."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv3T(3, 4, 3, padding=1)

    def forward(self, clips):
        return sum(F.relu(self.conv(part)).mean(dim=(2, 3, 4)) for part in (clips[:, :, :1], clips))


def test_what_the_first_call_cannot_see_the_second_can():
    torch.manual_seed(0)
    network, clips = Growing(), random_clips()
    with torch.no_grad():
        network.conv.translate_x[1, 2] = 0.6  # shapes the last slice, which one frame never meets
    table = faithfulness(network, ["conv"], clips, LABELS, CLASSES)
    expected = brute_force(network, "conv", 2, clips, "identity").mean()
    assert abs(expected) > 1e-5
    assert lines(table, 2, "conv") == pytest.approx(expected, abs=2e-6)
    assert (table.loc[table.channel.isin([0, 1, 3]), "drop"] == 0).all()


class Mixing(nn.Module):
    """Compares each clip with the others of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv3T(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 4)

    def forward(self, clips):
        x = F.relu(self.conv(clips)).mean(dim=(2, 3, 4))
        return self.fc(x * torch.arange(len(x))[:, None])


def test_clips_that_are_mixed_are_run_one_ablation_at_a_time():
    torch.manual_seed(0)
    network, clips = moved(Mixing(), spread=0.3), random_clips()
    table = faithfulness(network, ["conv"], clips, LABELS, CLASSES)
    for channel in (-1, 2):
        expected = brute_force(network, "conv", channel, clips, "identity").mean()
        assert lines(table, channel, "conv") == pytest.approx(expected, abs=2e-6)
