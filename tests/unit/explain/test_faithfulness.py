"""What the true class loses: against brute force, and where the answer is known by construction."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from threetconv.conv import Conv3T
from threetconv.errors import InputError
from threetconv.explain.faithfulness import (
    ABLATIONS,
    COLUMNS,
    deep_convolutions,
    faithfulness,
)
from threetconv.lift import lift
from threetconv.networks import build_network

CLASSES = ["a", "b", "c", "without clips"]
LABELS = [0, 1, 2, 1, 0]


def moved(network, spread=0.1, seed=0):
    """The network with transforms off the identity and running statistics of its own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):
                for name in ("scale", "rotate", "translate_x", "translate_y"):
                    parameter = getattr(module, name)
                    parameter.add_(spread * torch.randn(parameter.shape, generator=generator))
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.add_(
                    0.1 * torch.randn(module.running_mean.shape, generator=generator)
                )
    return network


def random_clips(n=5, shape=(8, 16, 16), seed=1):
    return torch.randn(n, 3, *shape, generator=torch.Generator().manual_seed(seed))


def log_p(network, clips, labels=LABELS):
    with torch.no_grad():
        found = network(clips.clone()).double().log_softmax(1)
    return found[range(len(clips)), labels].numpy()


def brute_force(network, layer, channel, clips, ablation):
    """Drops clip by clip, from a changed copy of the network."""
    changed = copy.deepcopy(network).eval()
    module = changed.get_submodule(layer)
    which = slice(None) if channel < 0 else channel
    if ablation == "identity":
        with torch.no_grad():
            module.scale[:, which] = 1
            for name in ("rotate", "translate_x", "translate_y"):
                getattr(module, name)[:, which] = 0
    else:
        outputs = []
        handle = module.register_forward_hook(lambda *call: outputs.append(call[2].clone()))
        log_p(changed, clips)
        handle.remove()
        mean = torch.cat(outputs).mean(dim=(0, 2, 3, 4))

        def silence(_module, _arguments, output):
            output = output.clone()
            output[:, which] = mean[which].view(-1, 1, 1, 1)
            return output

        module.register_forward_hook(silence)
    network = copy.deepcopy(network).eval()
    return log_p(network, clips) - log_p(changed, clips)


NETWORKS = {
    # downsampling beside the main path, in-place relu and addition
    "resnet18": ["conv1", "layer1.1.conv2", "layer2.0.downsample.0"],
    "googlenet": ["conv3.conv", "inception4b.branch3.1.conv"],
}


def lines(table, channel, layer, label=""):
    chosen = (table.channel == channel) & (table.layer == layer) & (table.label == label)
    return float(table.loc[chosen, "drop"].item())


@pytest.mark.parametrize("convolution", ["3t", "3d"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_drops_are_those_of_a_changed_copy(name, convolution):
    network = moved(
        build_network(
            name,
            convolution=convolution,
            num_classes=4,
            clip_shape=(8, 16, 16),
            width=1 / 8,
            seed=0,
        )
    )
    clips = random_clips()
    with torch.no_grad():  # running statistics that fit, or next to nothing comes through
        for module in network.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.momentum = None
        network(clips)
    network, clips = network.eval().double(), clips.double()
    for ablation in ["mean"] if convolution == "3d" else ABLATIONS:
        layers = [
            n
            for n in NETWORKS[name]
            if ablation == "mean" or isinstance(network.get_submodule(n), Conv3T)
        ]
        table = faithfulness(network, layers, clips, LABELS, CLASSES, ablation=ablation)
        assert table["drop"].abs().max() > 1e-4
        for layer in layers:
            for channel in (-1, 0, network.get_submodule(layer).out_channels - 1):
                expected = brute_force(network, layer, channel, clips, ablation)
                assert lines(table, channel, layer) == pytest.approx(expected.mean(), abs=1e-9)
                for k, label in enumerate(CLASSES[:3]):
                    of_class = expected[np.array(LABELS) == k].mean()
                    assert lines(table, channel, layer, label) == pytest.approx(of_class, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("densenet121", marks=pytest.mark.slow),
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
    ],
)
def test_any_lifted_network(name):
    """Lists of features, in-place hard-swish, squeeze and excitation, channels dealt out anew."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(num_classes=4)
    network = moved(lift(model), spread=0.2).eval()
    clips = random_clips(3, (29, 32, 32) if name == "densenet121" else (8, 24, 24))
    found = deep_convolutions(network, clips)
    layers = [found[1], found[-2]]
    small = pd.DataFrame({"layer": layers, "channel": [1, 2], "displacement": 1.0})
    table = faithfulness(
        network, layers, clips, LABELS[:3], CLASSES, limit=2, displacement=small, batch_size=6
    )
    for layer, channel in zip(layers, (1, 2), strict=True):
        for which in (-1, channel):
            with_copy = copy.deepcopy(network)
            module = with_copy.get_submodule(layer)
            index = slice(None) if which < 0 else which
            with torch.no_grad():
                module.scale[:, index] = 1
                for parameter in ("rotate", "translate_x", "translate_y"):
                    getattr(module, parameter)[:, index] = 0
            labels = LABELS[:3]
            expected = log_p(network, clips, labels) - log_p(with_copy, clips, labels)
            assert lines(table, which, layer) == pytest.approx(expected.mean(), abs=2e-6)


class Directions(nn.Module):
    """Tells left from right: two channels follow a bright column, the third one sees no motion.

    Channel 0's filter moves right, channel 1's left, channel 2's transforms are the identity.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = Conv3T(3, 3, 3, padding=1, bias=False)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, :, :, 0] = 1.0  # starts at the left edge of the kernel
            self.conv.weight[1, :, :, 2] = 1.0
            self.conv.weight[2, :, 1, 1] = 1.0
            self.conv.translate_x[:, 0] = -1.0  # one tap to the right
            self.conv.translate_x[:, 1] = 1.0

    def forward(self, clips):
        peaks = F.relu(self.conv(clips) - 20.0, inplace=True).amax(dim=(2, 3, 4))
        return peaks[:, [1, 0]]  # left, right


def columns(direction, start, frames=6, side=12):
    clip = torch.zeros(3, frames, side, side)
    for t in range(frames):
        clip[:, t, :, start + direction * t] = 1.0
    return clip


def test_the_channel_that_carries_a_class_by_its_motion_ranks_first():
    network = Directions()
    clips = torch.stack([columns(-1, 9), columns(1, 2), columns(-1, 8), columns(1, 3)])
    labels, classes = [0, 1, 0, 1], ["Swiping Left", "Swiping Right"]
    table = faithfulness(network, ["conv"], clips, labels, classes)
    assert log_p(network, clips, labels).min() > np.log(0.9)
    of_class = table.pivot_table(index="label", columns="channel", values="drop")
    assert of_class.loc["Swiping Right"].drop(-1).idxmax() == 0
    assert of_class.loc["Swiping Left"].drop(-1).idxmax() == 1
    assert of_class.loc["Swiping Right", 0] > 0.6  # from nearly 0 to about log 1/2
    assert of_class.loc["Swiping Left", 0] <= 0  # the other class loses a rival
    assert (of_class[2] == 0).all()
    overall = of_class.loc[""]
    assert overall[0] == pytest.approx(of_class[0].drop("").mean())


def tiny(seed=0):
    return moved(
        build_network(
            "resnet18", num_classes=4, clip_shape=(8, 16, 16), width=1 / 16, seed=seed
        ).eval()
    )


def test_columns_and_order():
    network, clips = tiny(), random_clips()
    table = faithfulness(network, ["layer1.0.conv1", "conv1"], clips, LABELS, CLASSES, run_id="r")
    assert list(table) == COLUMNS
    assert set(table.run_id) == {"r"}
    assert set(table.ablation) == {"identity"}
    assert dict(zip(table.layer, table.layer_index, strict=True)) == {
        "layer1.0.conv1": 0,
        "conv1": 1,
    }
    first = table[table.layer == "conv1"]
    assert first.channel.tolist() == [c for c in (-1, 0, 1, 2, 3) for _ in range(4)]
    assert first.label[:4].tolist() == ["", "a", "b", "c"]
    assert first.n_clips[:4].tolist() == [5, 2, 2, 1]
    assert not table.isna().any().any()


def test_nothing_depends_on_the_size_of_a_batch():
    network, clips = tiny(), random_clips()
    for ablation in ABLATIONS:
        tables = [
            faithfulness(
                network,
                ["conv1", "layer1.1.conv1"],
                clips,
                torch.tensor(LABELS),
                CLASSES,
                ablation=ablation,
                batch_size=size,
            )
            for size in (2, 40)
        ]
        for table in tables[1:]:
            pd.testing.assert_frame_equal(table, tables[0], atol=2e-6, rtol=0)


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


def test_unreachable_transitions_change_nothing():
    """One frame in, three slices: only the middle one meets data, so transition 1 is never seen."""
    network = build_network(
        "resnet18", num_classes=4, clip_shape=(8, 16, 16), width=1 / 16, seed=0
    ).eval()
    layer = network.layer4[1].conv1
    with torch.no_grad():
        layer.translate_x[1] = 0.7
        layer.scale[1] = 1.4
    clips = random_clips()
    table = faithfulness(network, ["layer4.1.conv1"], clips, LABELS, CLASSES)
    assert (table["drop"] == 0).all()
    with torch.no_grad():
        layer.translate_x[0] = 0.7
    table = faithfulness(network, ["layer4.1.conv1"], clips, LABELS, CLASSES)
    assert (table["drop"] != 0).any()


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


def test_limit_runs_the_most_displaced():
    network, clips = tiny(), random_clips()
    known = pd.DataFrame(
        {
            "layer": ["conv1"] * 4 + ["layer1.0.conv1"] * 4 + ["elsewhere"],
            "channel": [0, 1, 2, 3, 0, 1, 2, 3, 0],
            "displacement": [0.1, 0.5, 0.2, 0.3, 0.0, 0.4, 0.05, 0.02, 9.0],
        }
    ).sample(frac=1, random_state=0)
    steps = []
    table = faithfulness(
        network,
        ["conv1", "layer1.0.conv1"],
        clips,
        LABELS,
        CLASSES,
        limit=3,
        displacement=known,
        progress=lambda *step: steps.append(step),
    )
    found = table[table.label == ""][["layer", "channel"]].to_numpy().tolist()
    assert found == [
        ["conv1", -1],
        ["conv1", 1],
        ["conv1", 3],
        ["layer1.0.conv1", -1],
        ["layer1.0.conv1", 1],
    ]
    assert steps == [(1, 2), (2, 2)]
    whole = faithfulness(network, ["conv1"], clips, LABELS, CLASSES)
    assert lines(table, 3, "conv1") == pytest.approx(lines(whole, 3, "conv1"), abs=2e-6)


def test_layers_are_found_in_forward_order():
    clip = random_clips(1)
    for convolution in ("3t", "3d"):
        network = build_network(
            "googlenet",
            convolution=convolution,
            num_classes=4,
            clip_shape=(8, 16, 16),
            width=1 / 8,
        )
        names = deep_convolutions(network, clip)
        assert names[:3] == ["conv1.conv", "conv3.conv", "inception3a.branch2.1.conv"]
        assert len(names) == 20
        assert network.training


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ablation": "zero"}, "ablation 'zero'"),
        ({"layers": ["layer9"]}, "no convolution named"),
        ({"layers": ["layer2.0.downsample.0"]}, "which has no transforms"),
        ({"labels": [0, 1]}, "for 5 clips"),
        ({"labels": [0, 1, 2, 3, 4]}, "0 to 3"),
        ({"labels": [0.5] * 5}, "float64"),
        ({"limit": 3}, "without displacement"),
    ],
)
def test_bad_input(change, message):
    arguments = {"layers": ["conv1"], "labels": LABELS} | change
    layers, labels = arguments.pop("layers"), arguments.pop("labels")
    with pytest.raises(InputError, match=message):
        faithfulness(tiny(), layers, random_clips(), labels, CLASSES, **arguments)
