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

from threetconv.errors import InputError
from threetconv.explain.trust.faithfulness import (
    ABLATIONS,
    COLUMNS,
    deep_convolutions,
    faithfulness,
)
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.networks.lift import lift

from ..builders.faithfulness_cases import (
    CLASSES,
    LABELS,
    brute_force,
    lines,
    log_p,
    moved,
    random_clips,
    tiny,
)

NETWORKS = {
    # downsampling beside the main path, in-place relu and addition
    "resnet18": ["conv1", "layer1.1.conv2", "layer2.0.downsample.0"],
    "googlenet": ["conv3.conv", "inception4b.branch3.1.conv"],
}


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
