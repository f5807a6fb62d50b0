"""Telling a clip from its reverse with filters that are constant in time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from threetconv import leak_free_lengths, order_leak
from threetconv.errors import InputError
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.build import NETWORKS, build_network
from threetconv.networks.freeze import freeze_filters
from threetconv.networks.lift import lift
from threetconv.networks.order_leak import leak_table
from threetconv.networks.registry import leaks_order, lengths_without_leak
from threetconv.networks.trace import reachable
from threetconv.schemas.runs import ORDER_LEAK

ROUNDING = 1e-10
LENGTHS = (7, 16, 17, 30, 33, 40)
# of ResNet18 only the last shortcut leaks at 17 frames, and nothing at 33; at 7, one frame is left
# before it. No length serves both networks
EXACT = {"resnet18": {33}, "googlenet": set()}


def build(name: str, convolution: str = "3t", frames: int = 40, **options: Any) -> nn.Module:
    network = build_network(
        name,
        convolution=convolution,
        num_classes=5,
        clip_shape=(frames, 16, 16),
        width=0.125,
        seed=0,
        **options,
    )
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):  # what is learned must not matter
                for parameter in TEMPORAL_PARAMETERS:
                    getattr(module, parameter).add_(0.2)
    return network


@pytest.mark.parametrize("convolution", ["3t", "3d"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_leak_and_its_cure(name: str, convolution: str) -> None:
    network, cured = build(name, convolution), build(name, convolution, symmetric_time=True)
    assert cured.state_dict().keys() == network.state_dict().keys()
    for frames in LENGTHS:
        found = order_leak(network, (frames, 16, 16)).iloc[-1]
        assert found["leaks"] == (frames not in EXACT[name])
        assert (found["difference"] > 1e-4) == found["leaks"], frames
        found = order_leak(cured, (frames, 16, 16)).iloc[-1]
        assert not found["leaks"]
        assert found["difference"] < ROUNDING, frames


@pytest.mark.slow
@pytest.mark.parametrize("convolution", ["3t", "3d"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_length_by_sizes(name: str, convolution: str) -> None:
    cured = build(name, convolution, symmetric_time=True)
    lengths = leak_free_lengths(cured, 7, size=(16, 16), count=34)
    assert lengths == list(range(7, 41))


def test_auxiliary_heads_do_not_tell_either() -> None:
    """In training they see several moments of long clips, each with weights of its own."""
    for symmetric in (False, True):
        network: Any = build("googlenet", frames=40, symmetric_time=symmetric)
        head = network.aux1.double().eval()
        x = torch.rand(2, head.conv.conv.in_channels, 9, 2, 2, dtype=torch.float64)
        same = torch.allclose(head(x.flip(2)), head(x), rtol=1e-12, atol=1e-14)
        assert same == symmetric


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "lengths", [(9, 16, 33), pytest.param(range(7, 41), marks=pytest.mark.slow)], ids=["few", "all"]
)
def test_planning_without_torch_knows_what_is_traced(name: str, lengths: Any) -> None:
    network = build(name)
    for frames in lengths:
        table = order_leak(network, (frames, 16, 16), measure=False)
        assert leaks_order(name, frames) == table["leaks"].iloc[-1], frames


def test_lengths_for_several_networks() -> None:
    assert lengths_without_leak(["resnet18"], 16) == [33]
    assert lengths_without_leak(["googlenet"], 10) == [13, 21]
    assert lengths_without_leak(NETWORKS, 16) == []


def test_the_table_of_a_study() -> None:
    cells = [
        {"network": "resnet18", "dataset": name, "convolution": kind, "clip_shape": [16, 16, 16]}
        for name, kind in (("a", "3t"), ("b", "3d"))
    ]
    for symmetric in (False, True):
        table = leak_table(cells, width=0.125, symmetric_time=symmetric)
        assert table.columns.tolist() == ORDER_LEAK.names
        whole = table[table["kind"] == "network"]
        assert whole[["dataset", "convolution"]].to_numpy().tolist() == [["a", "3t"], ["b", "3d"]]
        assert (whole["leaks"] != symmetric).all()
        assert ((whole["difference"] < ROUNDING) == symmetric).all()
        assert table.loc[table["symmetric"], "leaks"].sum() == 0


def test_stages_of_resnet_at_17_frames() -> None:
    table = order_leak(build("resnet18", frames=17), (17, 32, 32), measure=False)
    assert table["difference"].isna().all()
    assert table["layer"].tolist() == [
        "conv1",
        "maxpool",
        *(f"layer{n}.0.{part}" for n in (2, 3, 4) for part in ("conv1", "downsample.0")),
        "",
    ]
    last = table.iloc[7]
    assert last[["frames", "kernel", "stride", "remainder"]].tolist() == [2, 1, 2, 1]
    assert last[["padding_before", "padding_after"]].tolist() == [0, 0]
    assert table["leaks"].tolist() == [False] * 7 + [True, True]
    assert table["kind"].unique().tolist() == ["convolution", "max pooling", "network"]
    assert table["stage"].tolist() == list(range(9))
    assert table.dtypes["leaks"] == "bool"


def test_the_network_stays_as_it_is() -> None:
    network = build("resnet18", frames=16).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    order_leak(network, (16, 16, 16), clips=2)
    assert network.training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not any(module._forward_hooks for module in network.modules())
    first = order_leak(network, (16, 16, 16), clips=2)
    pd.testing.assert_frame_equal(order_leak(network, (16, 16, 16), clips=2), first)


class Functional(nn.Module):
    """Pools and pads in `forward`, with a filter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, 0, 0, 1))  # as TensorFlow's "same"
        x = F.conv3d(x, self.weight, stride=(2, 1, 1))
        x = F.max_pool3d(x, (3, 1, 1), stride=(2, 1, 1), ceil_mode=True)
        x = F.avg_pool3d(x, (2, 1, 1))
        x = F.max_pool3d(x, 1)
        return F.adaptive_avg_pool3d(x, (2, 1, 1)).mean(2).flatten(1)


def test_calls_without_layers_count() -> None:
    table = order_leak(Functional(), (16, 8, 8))
    assert table["kind"].tolist() == [
        "padding",
        "convolution",
        "max pooling",
        "average pooling",
        "network",
    ]
    assert table["frames"].tolist() == [16, 17, 8, 4, 16]
    assert table["kernel"].tolist() == [1, 3, 3, 2, 0]
    assert table["stride"].tolist() == [1, 2, 2, 2, 0]
    assert table["padding_after"].tolist() == [1, 0, 0, 0, 0]
    assert table["remainder"].tolist() == [-1, 0, -1, 0, 0]
    assert table["leaks"].tolist() == [True, False, True, False, True]
    assert table["difference"].iloc[-1] > 1e-3


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_each_kind_of_layer_leaks_exactly_if_it_says_so() -> None:
    makes: list[Any] = [
        lambda: nn.Conv3d(3, 4, (4, 3, 3), padding="same"),
        lambda: nn.Conv3d(3, 4, 3, stride=(2, 1, 1), padding=1, padding_mode="replicate"),
        lambda: nn.Conv3d(3, 4, 3, stride=(2, 1, 1), padding=1, padding_mode="reflect"),
        lambda: Conv3T(3, 4, 3, stride=(3, 1, 1), padding=1, dilation=(2, 1, 1)),
        lambda: Conv3T(3, 4, 5, stride=(2, 1, 1), padding=2, padding_mode="circular"),
        lambda: nn.AvgPool3d((3, 1, 1), (2, 1, 1), ceil_mode=True),
        lambda: nn.MaxPool3d((3, 1, 1), (3, 1, 1), (1, 0, 0)),
        lambda: nn.AdaptiveAvgPool3d((3, 4, 4)),
        lambda: nn.AdaptiveMaxPool3d((4, 4, 4)),
    ]
    told = set()
    for make in makes:
        for frames in range(5, 11):
            torch.manual_seed(0)
            whole = order_leak(nn.Sequential(make()), (frames, 8, 8)).iloc[-1]
            assert (whole["difference"] > ROUNDING) == whole["leaks"], (make(), frames)
            told.add(bool(whole["leaks"]))
    assert told == {False, True}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18", "s3d"])
def test_torchvisions_video_networks(name: str) -> None:
    network = getattr(torchvision.models.video, name)(weights=None, num_classes=4)
    side = 224 if name == "s3d" else 32  # S3D's last pooling is 7 x 7
    lengths = leak_free_lengths(network, 16, size=(side, side), count=1)
    for frames in (16, *lengths):
        shape = (frames, side, side)
        whole = order_leak(network, shape, clips=2).iloc[-1]
        assert whole["leaks"] == (frames not in lengths)
        assert (whole["difference"] > ROUNDING) == whole["leaks"]


# what their forward passes do: pooling with ceil_mode, average pooling with stride, functional
# pooling
@pytest.mark.parametrize(
    ("name", "frames"), [("squeezenet1_1", 22), ("densenet121", 34), ("inception_v3", 78)]
)
@pytest.mark.slow
def test_other_networks_are_cured_too(name: str, frames: int) -> None:
    more = {"aux_logits": False, "init_weights": False} if name == "inception_v3" else {}
    torch.manual_seed(0)
    image = getattr(torchvision.models, name)(num_classes=4, **more)
    assert order_leak(lift(image), (frames, 80, 80), measure=False)["leaks"].iloc[-1]
    cured = order_leak(lift(image, symmetric_time=True), (frames, 80, 80), clips=1)
    assert not cured["leaks"].any()
    # a hundred layers add up more rounding than small networks do; leaks are of order .1 to 1
    assert cured["difference"].iloc[-1] < 100 * ROUNDING


def test_functional_pooling_of_lifted_networks_is_cured() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            x = F.max_pool2d(self.conv(x), 3, stride=2, ceil_mode=True)
            return F.avg_pool2d(x, 2, padding=1).mean([2, 3])

    for frames in (16, 20):
        assert order_leak(lift(Net()), (frames, 16, 16))["leaks"].iloc[-1]
        cured = order_leak(lift(Net(), symmetric_time=True), (frames, 16, 16))
        assert not cured["leaks"].any()
        assert cured["difference"].iloc[-1] < ROUNDING


def test_pooling_that_returns_indices_is_refused() -> None:
    with pytest.raises(ValueError, match=r"layer '1' .* indices"):
        lift(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, return_indices=True)),
            symmetric_time=True,
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_networks_keep_it(name: str) -> None:
    network = build(name, frames=16, symmetric_time=True).eval()
    frozen = freeze_filters(network)
    assert not any(isinstance(module, Conv3T) for module in frozen.modules())
    clip = torch.randn(2, 3, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(frozen(clip), network(clip), rtol=1e-4, atol=1e-5)
    assert not order_leak(frozen, (16, 16, 16), measure=False)["leaks"].any()


def test_exported_programs_have_it_and_take_no_other_length() -> None:
    network = nn.Sequential(Conv3T(3, 4, 3, stride=2, padding=1, symmetric_time=True)).eval()
    frozen = freeze_filters(network)
    x = torch.randn(1, 3, 8, 9, 9)
    program = torch.export.export(frozen, (x,)).module()
    torch.testing.assert_close(program(x), network(x))
    frames = torch.export.Dim("frames", min=4, max=64)
    with pytest.raises(Exception, match="Constraints violated"):  # not silently at the others
        torch.export.export(frozen, (x,), dynamic_shapes=({2: frames},))


def test_a_slice_is_reachable_if_it_meets_data_in_either_placement() -> None:
    """Spatially 3 x 3 with one tap set, so that a change of scale shows in every slice."""
    gained = 0
    for sizes in ((3, 3, 1), (5, 4, 3), (3, 4, 3)):
        depth, stride, edge = sizes
        layer = Conv3T(3, 2, (depth, 3, 3), (stride, 1, 1), (edge, 1, 1), bias=False)
        for frames in range(1, 7):
            for symmetric in (False, True):
                layer.symmetric_time = symmetric
                clip = torch.rand(1, 3, frames, 4, 4) + 1
                if frames + 2 * edge < depth:
                    continue
                layer.zero_grad()
                with torch.no_grad():
                    layer.scale.fill_(0.9)
                layer(clip).sum().backward()
                assert layer.scale.grad is not None
                met = layer.scale.grad.abs().sum(1) > 0
                table = reachable(nn.Sequential(layer), (frames, 4, 4))
                assert table["reachable"].tolist() == met.tolist(), (layer, frames)
                gained += int(met.sum()) * (1 if symmetric else -1)
    assert gained > 0


def test_lengths_and_wrong_arguments() -> None:
    network = build("resnet18")
    assert leak_free_lengths(network, 31, size=(16, 16), count=1) == [33]
    assert leak_free_lengths(network, 16, size=(16, 16), within=3) == []

    def googlenet(frames: int) -> nn.Module:
        return build("googlenet", frames=frames)

    assert leak_free_lengths(googlenet, 20, size=(16, 16), count=1) == [21]
    wrong: Any = "resnet18"
    with pytest.raises(InputError, match="network"):
        order_leak(wrong, (16, 16, 16))
    with pytest.raises(InputError, match="clip_shape"):
        order_leak(network, (16, 16))  # type: ignore[arg-type]
