"""Which class a channel prefers; and that a 3T filter prefers the motion its transforms make."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from threetconv.clips.dataset import normalise
from threetconv.errors import InputError
from threetconv.explain.class_preferences import channel_responses, class_preferences
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.records.parameters import derive
from threetconv.records.plan import Run
from threetconv.schemas.channels import PREFERENCES
from threetconv.training.settings import Settings

from ..builders import trained_runs

SHAPE = (8, 16, 16)
DEPTH, SIDE = 5, 9
GRID = torch.arange(SIDE) - SIDE // 2
Y, X = torch.meshgrid(GRID, GRID, indexing="ij")


def spot(x, y, width):
    """A soft round spot, (SIDE, SIDE); y points down."""
    return torch.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * width**2))


def clip_of(path):
    """A clip of a spot that follows `path`: (x, y, width) by frame; (1, 1, T, H, W)."""
    return torch.stack([spot(*place) for place in path])[None, None]


STEPS = range(DEPTH)
# the transforms of every step, the clip that does the same, and the displacement that says so;
# one kernel step is a fraction 1 / (SIDE - 1) of its extent
PIXEL = 1 / (SIDE - 1)
TOYS = {
    "right": ({"translate_x": -2 * PIXEL}, [(t - 2, 0, 1.2) for t in STEPS], "z_x", "right"),
    "up": ({"translate_y": 2 * PIXEL}, [(0, 2 - t, 1.2) for t in STEPS], "z_y", "up"),
    "clockwise": (
        {"rotate": -0.3},
        [(3 * np.cos(0.3 * t), 3 * np.sin(0.3 * t), 1.2) for t in STEPS],
        "z_r",
        "clockwise",
    ),
    "growing": ({"scale": 0.8}, [(0, 0, 0.9 * 1.25**t) for t in STEPS], "z_s", "growing"),
}


@pytest.mark.parametrize("motion", list(TOYS))
def test_a_filter_responds_most_to_what_its_transforms_do(motion):
    """The sign of every axis: z > 0 goes with a preference for right, up, clockwise, growing."""
    transforms, path, z, _ = TOYS[motion]
    layer = Conv3T(1, 1, (DEPTH, SIDE, SIDE), bias=False)
    with torch.no_grad():
        layer.weight[0, 0] = spot(*path[0])
        for name, value in transforms.items():
            getattr(layer, name).fill_(value)
        filters = layer.filters()[0, 0]
        # a unit with a threshold: without one, a clip and its reverse sum to the same
        threshold = 0.7 * float(filters.square().sum())
        clip = nn.functional.pad(clip_of(path), (4, 4, 4, 4))
        forwards, backwards = (
            float((layer(c) - threshold).clamp_min(0).sum()) for c in (clip, clip.flip(2))
        )
    assert forwards > 2 * backwards + 1
    raw = {"scale": 1.0, "rotate": 0.0, "translate_x": 0.0, "translate_y": 0.0} | transforms
    derived = derive(
        pd.DataFrame({k: [v] for k, v in raw.items()} | {"kernel_hw": [SIDE], "jump": [1]})
    )
    assert float(derived[z].iloc[0]) > 0


class _Toy(nn.Module):
    """One 3T layer, with or without a batch norm."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.conv = Conv3T(3, 2, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm3d(2) if norm else nn.Identity()
        self.other = nn.BatchNorm3d(5)

    def forward(self, clips):
        return self.bn(self.conv(clips))


@pytest.mark.parametrize("norm", [False, True])
def test_responses_are_pooled_rectified_outputs(norm):
    torch.manual_seed(0)
    network = _Toy(norm)
    if norm:
        with torch.no_grad():
            network.bn.running_mean.copy_(torch.tensor([0.3, -0.2]))
            network.bn.bias.copy_(torch.tensor([0.1, 0.2]))
    clips = torch.randn(5, 3, 4, 6, 6)
    found = channel_responses(network, clips.split([2, 3]), ["conv"])["conv"]
    with torch.no_grad():
        expected = network(clips).clamp_min(0).mean(dim=(2, 3, 4)).numpy()
    assert found.shape == (5, 2)
    assert found == pytest.approx(expected, rel=1e-5)
    assert not network.training
    assert not network.conv._forward_hooks
    assert not network.bn._forward_hooks


RUN = Run("resnet18-toy-scratch-3t-r1", "resnet18", "toy", "scratch", "3t", "none", 1, 7)
SETTINGS = Settings(epochs=1, batch_size=4, learning_rate=1e-3, snapshot_every=10)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, Path]:
    """A run's folder, its table (not in the array's order) and its packed clips."""
    root = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    labels = np.arange(14) % 2
    array = rng.integers(0, 120, (14, *SHAPE, 3), dtype=np.uint8)
    array[labels == 1] += 120
    np.save(root / "clips.npy", array)
    order = rng.permutation(14)
    table = pd.DataFrame(
        {
            "clip_id": [f"c{i}" for i in order],
            "path": [f"nowhere/c{i}.avi" for i in order],
            "label": [("dark", "bright")[labels[i]] for i in order],
            "split": ["train" if i < 8 else "val" for i in order],
            "row": order,
        }
    )
    for run in (RUN, Run("3d", "resnet18", "toy", "scratch", "3d", "none", 1, 7)):
        trained_runs.train(
            run, table, root / run.convolution, packed=root / "clips.npy", clip_shape=SHAPE,
            width=0.0625, settings=SETTINGS,
        )  # fmt: skip
    return root, table, root / "clips.npy"


def test_preferences_of_a_run(study):
    root, table, packed = study
    found = class_preferences(root / "3t", table, packed, batch_size=4)
    assert list(found.columns) == PREFERENCES.names
    document = json.loads((root / "3t" / "run.json").read_text())
    layers = {layer["name"]: layer for layer in document["layers"]}
    counts = found.groupby("layer", sort=False).size()
    assert list(counts.index) == list(layers)
    assert counts.to_dict() == {name: 2 * layer["channels"] for name, layer in layers.items()}
    assert set(found["n_clips"]) == {3}
    # two classes of equal size, in SDs from the common mean: one is minus the other
    wide = found.pivot_table(index=["layer_index", "channel"], columns="label", values="preference")
    assert wide["bright"].to_numpy() == pytest.approx(-wide["dark"].to_numpy(), abs=1e-5)
    assert wide["bright"].abs().max() > 0.5  # bright and dark clips are told apart


def test_a_channel_by_hand(study):
    root, table, packed = study
    from safetensors.torch import load_file

    found = class_preferences(root / "3t", table, packed)
    network = build_network(
        "resnet18", convolution="3t", num_classes=2, clip_shape=SHAPE, width=0.0625
    )
    network.load_state_dict(load_file(root / "3t" / "best.safetensors"))
    network.eval()
    held_out = table[table["split"] == "val"]
    clips = normalise(np.load(packed)[held_out["row"].to_numpy()])
    with torch.no_grad():
        out = network.bn1(network.conv1(clips)).clamp_min(0).mean(dim=(2, 3, 4)).numpy()
    bright = (held_out["label"] == "bright").to_numpy()
    expected = (out[bright].mean(0) - out.mean(0)) / out.std(0)
    line = found[(found["layer"] == "conv1") & (found["label"] == "bright")]
    assert line["preference"].to_numpy() == pytest.approx(expected, abs=1e-3)


def test_some_classes_and_some_clips_of_each(study):
    root, table, packed = study
    few = class_preferences(root / "3t", table, packed, labels=["bright", "dark"], most=2)
    assert set(few["n_clips"]) == {2}
    held_out = table[table["split"] == "val"]
    first = table.loc[held_out.groupby("label").head(2).index]
    pd.testing.assert_frame_equal(few, class_preferences(root / "3t", first, packed))
    one = class_preferences(root / "3t", table, packed, labels=["bright", "elsewhere"])
    assert one[one["label"] == "dark"]["preference"].isna().all()
    # a data set may lack whatever has an opposite
    none = class_preferences(root / "3t", table, packed, labels=["elsewhere"])
    assert set(none["n_clips"]) == {3}


def test_order_of_the_table_batches_and_repeats_do_not_matter(study):
    root, table, packed = study
    one = class_preferences(root / "3t", table, packed, batch_size=4)
    again = class_preferences(root / "3t", table, packed, batch_size=4)
    pd.testing.assert_frame_equal(one, again, check_exact=True)
    other = class_preferences(root / "3t", table.iloc[::-1], packed, batch_size=5)
    pd.testing.assert_frame_equal(one, other, atol=1e-4)


def test_bad_input(study):
    root, table, packed = study
    with pytest.raises(InputError, match="no 3T layers"):
        class_preferences(root / "3d", table, packed)
    with pytest.raises(InputError, match="no clips of split"):
        class_preferences(root / "3t", table[table["split"] == "train"], packed)
