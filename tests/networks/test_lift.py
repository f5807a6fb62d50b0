"""2D networks become video networks: layers, numbers, names, refusals."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T
from threetconv.networks.lift import CARRY, lift
from threetconv.networks.lift_convolutions import CONVOLUTIONS


def small_2d(seed: int = 0) -> nn.Sequential:
    """A 2D network with batch norm that is not at its start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 4, 3, padding=1),
                norm=nn.BatchNorm2d(4, eps=1e-3, momentum=0.2),
                act=nn.ReLU(),
                pool=nn.MaxPool2d(3, stride=2, padding=1),
                mix=nn.Conv2d(4, 6, 1, bias=False),
                conv2=nn.Conv2d(6, 6, (5, 3), stride=(2, 1), padding=(2, 1), groups=3),
                squeeze=nn.AdaptiveAvgPool2d(1),
                flat=nn.Flatten(),
                drop=nn.Dropout(0.5),
                fc=nn.Linear(6, 5),
            )
        )
        for value in (model.norm.weight, model.norm.bias):
            nn.init.uniform_(value, 0.5, 1.5)
        model.norm.running_mean.uniform_(-1, 1)
        model.norm.running_var.uniform_(0.5, 2)
    return model.eval()


def test_layers_become_their_counterparts() -> None:
    video = lift(small_2d(), "3t")
    assert [type(m).__name__ for m in video] == [
        "Conv3T",
        "BatchNorm3d",
        "ReLU",
        "MaxPool3d",
        "Conv3d",
        "Conv3T",
        "AdaptiveAvgPool3d",
        "Flatten",
        "Dropout",
        "Linear",
    ]
    assert video.conv1.kernel_size == (3, 3, 3)
    assert video.mix.kernel_size == (1, 1, 1)
    assert video.conv2.kernel_size == (5, 5, 3)  # time follows the larger side
    assert video.conv2.stride == (2, 2, 1)
    assert video.conv2.padding == (2, 2, 1)
    assert video.conv2.groups == 3
    assert (video.norm.eps, video.norm.momentum) == (1e-3, 0.2)
    assert (video.pool.kernel_size, video.pool.stride, video.pool.padding) == (3, 2, 1)
    assert video(torch.zeros(2, 3, 8, 10, 12)).shape == (2, 5)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_names_and_the_2d_network_stay(convolution: str) -> None:
    model = small_2d()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    video = lift(model, convolution)
    parts = {"spatial", "norm", "relu", "temporal"}  # of a factorised convolution
    names = [
        n for n, _ in video.named_modules() if not ({n.rpartition(".")[2]} & parts and "." in n)
    ]
    assert names == [n for n, _ in model.named_modules()]
    if convolution == "r2plus1d":
        assert {n for n, _ in video.conv2.named_children()} == parts
    else:
        temporal = {n for n in video.state_dict() if n.rpartition(".")[2] in TEMPORAL_PARAMETERS}
        assert set(video.state_dict()) - temporal == set(before)
        assert bool(temporal) == (convolution == "3t")
    with torch.no_grad():
        for parameter in video.parameters():
            parameter.add_(1)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("carry", ["all", "convolutions"])
def test_carried_filters(carry: str) -> None:
    """3T: the first slice is the 2D filter; 3D: the slices sum to it."""
    model = small_2d()
    for name in ("conv1", "conv2"):
        flat = getattr(model, name)
        three_t = getattr(lift(model, "3t", carry=carry), name)
        three_d = getattr(lift(model, "3d", carry=carry), name)
        assert torch.equal(three_t.weight, flat.weight)
        assert torch.equal(three_t.bias, flat.bias)
        torch.testing.assert_close(three_t.filters()[:, :, 0], flat.weight)
        torch.testing.assert_close(three_d.weight.sum(2), flat.weight)
        torch.testing.assert_close(three_d.weight[:, :, 0], flat.weight / flat.weight.shape[2])
        assert torch.equal(three_d.bias, flat.bias)
    for convolution in CONVOLUTIONS:
        mix = lift(model, convolution, carry=carry).mix
        assert torch.equal(mix.weight.squeeze(2), model.mix.weight)


def test_what_carry_means_for_batch_norm_and_classifier() -> None:
    model = small_2d()
    everything, filters_only = lift(model, carry="all"), lift(model, carry="convolutions")
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(getattr(everything.norm, name), getattr(model.norm, name))
    assert torch.equal(everything.fc.weight, model.fc.weight)
    norm = filters_only.norm
    assert bool((norm.weight == 1).all())
    assert bool((norm.running_var == 1).all())
    for value in (norm.bias, norm.running_mean):
        assert bool((value == 0).all())
    assert not torch.equal(filters_only.fc.weight, model.fc.weight)


def test_from_scratch_nothing_of_a_3d_filter_repeats() -> None:
    """Every slice is drawn anew; sum over depth keeps the 2D filter's spread."""
    flat = nn.Conv2d(32, 64, 3, bias=False)
    weight = lift(flat, "3d", carry="nothing").weight.detach()
    assert not torch.allclose(weight[:, :, 0], weight[:, :, 1])
    assert float(weight.sum(2).std() / flat.weight.detach().std()) == pytest.approx(1, abs=0.03)
    assert torch.equal(lift(flat, "3t", carry="nothing").weight, flat.weight)


@pytest.mark.parametrize("convolution", ["3t", "3d", "2d"])
def test_a_still_clip_gives_what_the_frame_gives(convolution: str) -> None:
    """Away from the borders in time 3D and 2D layers give the 2D one's output, a 3T one D times."""
    frame = torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    model = small_2d()
    video = lift(model, convolution)
    output = video.conv1(frame.unsqueeze(2).expand(-1, -1, 6, -1, -1))
    factor = 3 if convolution == "3t" else 1
    expected = factor * F.conv2d(frame, model.conv1.weight, padding=1)
    bias = model.conv1.bias.view(1, -1, 1, 1)
    for t in range(1, 5):
        torch.testing.assert_close(output[:, :, t] - bias, expected, rtol=1e-5, atol=1e-5)


def test_training_mode_is_kept() -> None:
    model = small_2d().train()
    model.norm.eval()
    video = lift(model)
    assert video.training
    assert video.conv1.training
    assert not video.norm.training


def test_precision_is_kept() -> None:
    video = lift(small_2d().double())
    assert {v.dtype for v in video.state_dict().values() if v.is_floating_point()} == {
        torch.float64
    }
    assert video(torch.zeros(1, 3, 6, 8, 8, dtype=torch.float64)).dtype == torch.float64


def test_a_layer_used_twice_stays_one_layer() -> None:
    pool, conv = nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=1)
    video: Any = lift(nn.Sequential(conv, pool, conv, pool))
    assert video[0] is video[2]
    assert video[1] is video[3]
    assert isinstance(video[2], Conv3T)
    assert video(torch.zeros(1, 3, 8, 8, 8)).shape == (1, 3, 2, 2, 2)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.AvgPool2d(2), (1, 4, 4, 4, 4)),
        (nn.AvgPool2d((2, 4), stride=(2, 1), ceil_mode=True), (1, 4, 5, 4, 5)),
        (nn.MaxPool2d(3, ceil_mode=True), (1, 4, 3, 3, 3)),
        (nn.AdaptiveAvgPool2d((2, 3)), (1, 4, 1, 2, 3)),
        (nn.AdaptiveMaxPool2d(2), (1, 4, 1, 2, 2)),
        (nn.Dropout2d(0.3), (1, 4, 8, 8, 8)),
        (nn.InstanceNorm2d(4, affine=True), (1, 4, 8, 8, 8)),
        (nn.BatchNorm2d(4, affine=False, track_running_stats=False), (1, 4, 8, 8, 8)),
        (nn.Conv2d(4, 4, 3, padding="same", padding_mode="circular"), (1, 4, 8, 8, 8)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_single_layers(layer: nn.Module, shape: tuple[int, ...]) -> None:
    clip = torch.randn(1, 4, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    video = lift(layer)
    assert type(video) is not type(layer)
    assert video(clip).shape == shape


@pytest.mark.parametrize(
    "pool",
    [nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d((2, 3), 2, divisor_override=5)],
)
def test_pooling_a_still_clip_is_pooling_the_frame(pool: nn.Module) -> None:
    frame = torch.rand(1, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    video: Tensor = lift(pool)(frame.unsqueeze(2).expand(-1, -1, 9, -1, -1))
    torch.testing.assert_close(video[:, :, 2], pool(frame))


def test_time_takes_the_larger_side_of_a_layer_with_all_that_belongs_to_it() -> None:
    conv = nn.Conv2d(3, 4, (1, 7), stride=(2, 3), padding=(0, 6), dilation=(1, 2))
    video: Any = lift(conv)
    assert (video.kernel_size, video.stride) == ((7, 1, 7), (3, 2, 3))
    assert (video.padding, video.dilation) == ((6, 0, 6), (2, 1, 2))
    pool: Any = lift(nn.MaxPool2d((3, 1), stride=(2, 1), padding=(1, 0)))
    assert (pool.kernel_size, pool.stride, pool.padding) == ((3, 3, 1), (2, 2, 1), (1, 1, 0))


def test_what_is_frozen_stays_frozen() -> None:
    model = small_2d().requires_grad_(False)
    video = lift(model)
    trainable = {name for name, p in video.named_parameters() if p.requires_grad}
    assert trainable == {f"{c}.{p}" for c in ("conv1", "conv2") for p in TEMPORAL_PARAMETERS}


def test_other_norms_start_afresh_without_carrying() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True))
    for norm in model[1:]:
        nn.init.constant_(norm.weight, 3.0)
    for carry, value in {"all": 3, "convolutions": 1, "nothing": 1}.items():
        video: Any = lift(model, carry=carry)
        assert bool((video[1].weight == value).all())
        assert bool((video[2].weight == value).all())
        alone: Any = lift(model[2], carry=carry)
        assert bool((alone.weight == value).all())


def test_refusals() -> None:
    with pytest.raises(InputError, match="did you mean '3t'"):
        lift(small_2d(), "3tt")
    with pytest.raises(InputError, match="convolutions"):
        lift(small_2d(), carry="convolution")
    assert set(CARRY) == {"all", "convolutions", "nothing"}


class Standardised(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(input, weight, self.bias)


class Renamed(nn.Conv2d):
    """A subclass that computes what its base does."""


class Ceiling(nn.MaxPool2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).clamp_max(1)


def hooked() -> nn.Module:
    layer = nn.Conv2d(3, 3, 3)
    layer.register_forward_hook(lambda module, inputs, output: output + 1)
    return layer


@pytest.mark.parametrize(
    ("layer", "cause"),
    [
        (nn.FractionalMaxPool2d(2, output_size=3), "FractionalMaxPool2d.*no rule"),
        (nn.PixelShuffle(2), "PixelShuffle.*grid"),
        (nn.LayerNorm((3, 8, 8)), "LayerNorm.*frames of size .8, 8"),
        (Standardised(3, 3, 3), "Standardised.*its forward is not that of Conv2d"),
        (Ceiling(2), "Ceiling.*its forward is not that of MaxPool2d"),
        (hooked(), "Conv2d.*hooks"),
        (
            nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3)),
            "ParametrizedConv2d.*parametrised",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_layers_that_cannot_be_lifted_are_named(layer: nn.Module, cause: str) -> None:
    with pytest.raises(ValueError, match=f"layer '1' .{cause}"):
        lift(nn.Sequential(nn.ReLU(), layer))


def test_a_subclass_that_computes_what_its_base_does_lifts() -> None:
    video: Any = lift(nn.Sequential(Renamed(3, 4, 3)))
    assert isinstance(video[0], Conv3T)
