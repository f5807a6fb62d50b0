"""What networks need, with known answers: planted translations, filters that do not move."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from threetconv.data.synthetic.opposites import OPPOSITES
from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.networks.build import build_network
from threetconv.records.plan import Run
from threetconv.schemas.need import NEED
from threetconv.training.need import ABLATIONS, CLIPS, measure_need, need_of_run, norm_statistics
from threetconv.training.settings import Settings

from ..builders import trained_runs
from ..builders.conv_layers import disturb

CLASSES = ["left", "right", "still"]
PAIRS = OPPOSITES["translation"]
SHAPE = (8, 16, 16)


class Planted(nn.Module):
    """Sees dots that move a pixel to the left or right in every frame, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Conv3T(3, 2, kernel_size=(3, 3, 3))
        with torch.no_grad():
            self.layer.weight.zero_()
            # a tap that starts at one side and moves by one tap in every step; tx > 0 moves left
            self.layer.weight[0, :, 1, 2] = self.layer.weight[1, :, 1, 0] = 1
            self.layer.translate_x.copy_(torch.tensor([[1.0, -1.0]] * 2))
            self.layer.bias.fill_(-2.5 * 3)  # three frames of three colours together

    def forward(self, clips: Tensor) -> Tensor:
        moving = self.layer(clips).relu().amax((2, 3, 4))
        return torch.cat((moving, torch.full((len(clips), 1), 0.5)), 1)


def dots() -> Iterator[tuple[Tensor, Tensor]]:
    """Clips of every class, in two batches."""
    for places in ((3, 4), (5, 6, 7)):
        clips = torch.zeros(len(places) * 3, 3, 5, 9, 16)
        for i, place in enumerate(places):
            for label, step in enumerate((-1, 1, 0)):
                for t in range(5):
                    clips[3 * i + label, :, t, place, place + step * (t - 2)] = 1
        yield clips, torch.arange(3).repeat(len(places))


def shares(table: pd.DataFrame, **condition: object) -> dict[str, float]:
    """Class -> share that is recognised, under a condition."""
    for name, value in condition.items():
        table = table[table[name] == value]
    assert table["label"].is_unique
    return dict(zip(table["label"], table["n_correct"] / table["n"], strict=True))


@pytest.fixture(scope="module")
def planted() -> pd.DataFrame:
    return measure_need(Planted(), dots(), CLASSES, opposites=PAIRS, layers=["layer"])


def test_a_planted_translation_is_what_the_classes_need(planted: pd.DataFrame) -> None:
    intact = planted[planted["transforms"] == "intact"]
    assert shares(intact, clips="forwards") == {"left": 1, "right": 1, "still": 1}
    assert shares(intact, clips="backwards") == {"left": 0, "right": 0, "still": 1}
    assert shares(intact, clips="frozen") == {"left": 0, "right": 0, "still": 1}
    backwards = intact[intact["clips"] == "backwards"].set_index("label")
    assert backwards["opposite"].tolist() == ["right", "left", ""]
    assert backwards["n_opposite"].tolist() == [5, 5, 0]
    assert (intact["n"] == 5).all()


@pytest.mark.parametrize("kind", ["forwards", "backwards"])
def test_without_its_translations_the_network_is_lost(planted: pd.DataFrame, kind: str) -> None:
    lost = {"left": 0, "right": 0, "still": 0}  # filters that stand answer to dots that stand
    whole = planted[planted["layer_index"] < 0]
    for name in ABLATIONS:
        found = shares(whole, clips=kind, transforms=name)
        as_it_was = shares(whole, clips=kind, transforms="intact")
        assert found == (lost if name in {"all", "translation"} else as_it_was)
    of_layer = planted[planted["layer"] == "layer"]
    assert set(of_layer["clips"]) == {"forwards"}
    assert shares(of_layer, clips="forwards") == lost


def test_conditions_are_those_that_are_promised() -> None:
    network = nn.Sequential(nn.BatchNorm3d(3), Planted())
    clips = [clips for clips, _ in dots()]
    table = measure_need(network, dots(), CLASSES, norm_clips=clips, layers=["1.layer"])
    keys = ["transforms", "batch_norm", "layer_index"]
    found = table.groupby(keys)["clips"].agg(lambda kinds: ",".join(dict.fromkeys(kinds)))
    both = "forwards,backwards"
    whole = {(name, norm, -1): both for name in ABLATIONS for norm in ("trained", "recomputed")}
    assert found.to_dict() == whole | {
        ("intact", "trained", -1): ",".join(CLIPS),
        ("intact", "recomputed", -1): both,
        ("all", "recomputed", 0): "forwards",
    }


def test_other_convolutions_are_measured_intact() -> None:
    network = nn.Sequential(nn.Conv3d(3, 3, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    table = measure_need(network, dots(), CLASSES, norm_clips=[torch.zeros(1)])
    assert set(table["transforms"]) == {"intact"}
    assert set(table["clips"]) == set(CLIPS)
    assert set(table["opposite"]) == {""}


def test_backwards_is_forwards_of_reversed_clips() -> None:
    network = small_network()
    generator = torch.Generator().manual_seed(1)
    clips = torch.randn(12, 3, *SHAPE, generator=generator)
    labels = network(clips).argmax(1)  # all right forwards
    one = measure_need(network, [(clips, labels)], CLASSES)
    other = measure_need(network, [(clips.flip(2), labels)], CLASSES)
    kinds = ["forwards", "backwards"]
    for kind, twin in zip(kinds, kinds[::-1], strict=True):
        columns = ["transforms", "label", "n_correct"]
        a, b = one[one["clips"] == kind][columns], other[other["clips"] == twin][columns]
        assert a.to_numpy().tolist() == b.to_numpy().tolist()
    assert min(shares(one, clips="forwards", transforms="intact").values()) == 1
    assert min(shares(one, clips="backwards", transforms="intact").values()) < 1


def test_static_filters_cannot_use_direction() -> None:
    """With transforms at the identity and `symmetric_time`, a reverse is taken for the same."""
    network = small_network(symmetric_time=True)
    clips = torch.randn(12, 3, *SHAPE, generator=torch.Generator().manual_seed(1))
    labels = network(clips).argmax(1)
    table = measure_need(network, [(clips, labels)], CLASSES, norm_clips=[clips])
    for norm in ("trained", "recomputed"):
        still = table[(table["transforms"] == "all") & (table["batch_norm"] == norm)]
        both = [shares(still, clips=kind) for kind in ("forwards", "backwards")]
        assert both[0] == both[1]
    whole = [shares(table, clips=k, transforms="intact", batch_norm="trained") for k in CLIPS]
    assert whole[0] != whole[1]


def test_frames_are_shuffled_by_seed_and_number_of_the_clip() -> None:
    seen: list[Tensor] = []

    class Watching(nn.Module):
        def forward(self, clips: Tensor) -> Tensor:
            seen.append(clips[:, 0, :, 0, 0])
            return clips.new_zeros(len(clips), 2)

    def shuffled(seed: int, sizes: list[int]) -> list[list[float]]:
        seen.clear()
        clips = torch.arange(9.0).view(1, 1, 9, 1, 1).expand(4, 3, 9, 2, 2)
        labels = torch.zeros(4, dtype=torch.long)
        parts = zip(clips.split(sizes), labels.split(sizes), strict=True)
        measure_need(Watching(), parts, ["a", "b"], seed=seed)
        frozen, orders = (torch.cat(seen[k::4]).tolist() for k in (2, 3))
        assert frozen == [[4.0] * 9] * 4
        assert all(sorted(order) == list(range(9)) for order in orders)
        assert len({tuple(order) for order in orders}) == 4
        return orders

    assert shuffled(1, [4]) == shuffled(1, [1, 3])
    assert shuffled(1, [4]) != shuffled(2, [4])


def small_network(symmetric_time: bool = False) -> nn.Module:
    network = build_network(
        "resnet18",
        num_classes=3,
        clip_shape=SHAPE,
        width=0.125,
        seed=3,
        symmetric_time=symmetric_time,
    )
    for layer in network.modules():
        if isinstance(layer, Conv3T):
            disturb(layer, 1, 0.3)
    clips = torch.randn(12, 3, *SHAPE, generator=torch.Generator().manual_seed(2))
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(clips)
        network.eval()
        # classes that some clips each are taken for
        network.fc.bias -= network(clips).mean(0)
    return network


def test_batch_norms_are_computed_anew_as_torch_does_it() -> None:
    network, twin = small_network(), small_network()
    clips = [torch.randn(6, 3, *SHAPE) for _ in range(3)]
    before = copy.deepcopy(network.state_dict())
    found = norm_statistics(network, clips)
    update_bn(clips, twin)  # all in training mode: there is no dropout
    norms = {n: m for n, m in twin.named_modules() if isinstance(m, nn.BatchNorm3d)}
    assert set(found) == set(norms)
    for name, (mean, variance) in found.items():
        torch.testing.assert_close(mean, norms[name].running_mean, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(variance, norms[name].running_var, rtol=1e-4, atol=1e-5)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(module.training for module in network.modules())
    assert all(m.momentum == 0.1 for m in network.modules() if isinstance(m, nn.BatchNorm3d))


def test_an_ablated_network_is_judged_with_its_own_statistics() -> None:
    network = small_network()
    clips = torch.randn(12, 3, *SHAPE, generator=torch.Generator().manual_seed(4))
    labels = torch.arange(12) % 3
    before = copy.deepcopy(network.state_dict())
    table = measure_need(network, [(clips, labels)], CLASSES, norm_clips=[clips])
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    twin = copy.deepcopy(network)
    for layer in twin.modules():
        if isinstance(layer, Conv3T):
            layer.load_state_dict(layer.state_dict() | {"scale": torch.ones_like(layer.scale)})
    update_bn([clips], twin)
    with torch.no_grad():
        right = twin(clips).argmax(1) == labels
    found = table[(table["transforms"] == "scale") & (table["batch_norm"] == "recomputed")]
    by_hand = {label: float(right[labels == i].float().mean()) for i, label in enumerate(CLASSES)}
    assert shares(found, clips="forwards") == pytest.approx(by_hand)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A trained run, and the table of its clips."""
    folder = tmp_path_factory.mktemp("need")
    clips = np.random.default_rng(0).integers(0, 256, (14, *SHAPE, 3), dtype=np.uint8)
    np.save(folder / "clips.npy", clips)
    names = [f"c{i}" for i in range(14)]
    table = pd.DataFrame({"clip_id": names, "path": names, "label": ["left", "right"] * 7})
    table = table.assign(split=["train"] * 6 + ["val"] * 8, row=range(14))
    settings = Settings(epochs=1, batch_size=3, learning_rate=1e-2)
    options = {"packed": folder / "clips.npy", "clip_shape": SHAPE, "settings": settings}
    plan = Run("run", "resnet18", "toy", "scratch", "3t", "none", 1, 7)
    return trained_runs.train(plan, table, folder / "run", **options), table


def test_a_run_is_measured_on_its_validation_clips(run: tuple[Path, pd.DataFrame]) -> None:
    folder, table = run
    packed = folder.parent / "clips.npy"
    found = need_of_run(folder, table, packed, opposites=PAIRS, layers=True)
    assert pa.Table.from_pandas(found, NEED, preserve_index=False).num_rows == len(found)
    assert found["layer_index"].max() == 16
    assert (found["n"] == 4).all()
    assert found["opposite"].tolist() == [PAIRS[0][label == "right"] for label in found["label"]]
    other = need_of_run(folder, table, packed, opposites=PAIRS, batch_size=3, norm_clips=3, most=4)
    assert (other.groupby(["clips", "transforms", "batch_norm"])["n"].sum() == 4).all()
    whole = found[found["layer_index"] < 0].reset_index(drop=True)
    again = need_of_run(folder, table, packed, opposites=PAIRS)
    pd.testing.assert_frame_equal(whole, again)


def test_without_clips_there_is_nothing_to_measure(run: tuple[Path, pd.DataFrame]) -> None:
    folder, table = run
    with pytest.raises(InputError, match="no clips of split 'test'"):
        need_of_run(folder, table, folder.parent / "clips.npy", split="test")
    with pytest.raises(InputError, match="no clip"):
        measure_need(Planted(), [], CLASSES)
