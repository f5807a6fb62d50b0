"""Layers of torch beside convolutions and pools: each is what the 2D layer is on equal frames."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from threetconv.layer.conv3t import Conv3T
from threetconv.networks.freeze import freeze_filters
from threetconv.networks.lift import lift
from threetconv.networks.lift_check import verify_lift
from threetconv.networks.lift_convolutions import CONVOLUTIONS

LAYERS: dict[str, nn.Module] = {
    "transposed": nn.ConvTranspose2d(4, 3, 2, stride=2),
    "transposed_uneven": nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2),
    "transposed_flat": nn.ConvTranspose2d(4, 3, (1, 4), (1, 2), (0, 1), bias=False),
    "transposed_dilated": nn.ConvTranspose2d(4, 3, 3, 2, 2, 1, dilation=3),
    "zeros": nn.ZeroPad2d(1),
    "zeros_uneven": nn.ZeroPad2d((0, 1, -1, 2)),
    "constant": nn.ConstantPad2d(2, 0.5),
    "reflection": nn.ReflectionPad2d(2),
    "replication": nn.ReplicationPad2d((1, 2, 0, 1)),
    "circular": nn.CircularPad2d(1),
    "bilinear": nn.UpsamplingBilinear2d(scale_factor=2),
    "nearest": nn.UpsamplingNearest2d(size=(9, 12)),
    "upsample": nn.Upsample(scale_factor=(2, 1.5), mode="bicubic"),
    "softmax": nn.Softmax2d(),
    "powers": nn.LPPool2d(2, 3, stride=2),
    "powers_ceil": nn.LPPool2d(4, (2, 3), ceil_mode=True),
    "frozen_norm": FrozenBatchNorm2d(4),
    "average_alone": nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
    "average_ceil": nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=True),
    "average_divided": nn.AvgPool2d(5, 3, 2, divisor_override=7),
}


def network(name: str) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = copy.deepcopy(LAYERS[name])
        for tensor in (*layer.parameters(), *layer.buffers()):
            nn.init.uniform_(tensor, 0.5, 1.5)
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), layer)


@pytest.mark.parametrize("symmetric_time", [False, True])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_on_equal_frames(name: str, convolution: str, symmetric_time: bool) -> None:
    model = network(name)
    for carry in ("all", "nothing"):
        video = lift(model, convolution, carry=carry, symmetric_time=symmetric_time)
        for frames in (4, 5, 7):
            verify_lift(video, model, (frames, 8, 10))
    twin = pickle.loads(pickle.dumps(video))
    clip = torch.randn(1, 3, 5, 8, 10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(twin.eval()(clip), video.eval()(clip))


@pytest.mark.parametrize(
    ("name", "frames"),
    {
        "transposed": 10,
        "transposed_uneven": 10,
        "transposed_flat": 10,
        "zeros": 7,
        "zeros_uneven": 5,
        "reflection": 9,
        "bilinear": 10,
        "nearest": 5,
        "upsample": 10,
        "powers": 2,
    }.items(),
)
def test_how_long_clips_become(name: str, frames: int) -> None:
    clip = torch.zeros(1, 3, 5, 8, 10)
    assert lift(network(name))(clip).shape[2] == frames
    assert lift(network(name), "2d")(clip).shape[2] == 5


@pytest.mark.parametrize("name", ["transposed", "transposed_uneven", "transposed_dilated"])
def test_a_transposed_convolution_is_symmetric_in_time_if_told(name: str) -> None:
    video: Any = lift(network(name)[1], symmetric_time=True).double()
    clip = torch.randn(2, 4, 5, 6, 7, generator=torch.Generator().manual_seed(0)).double()
    expected = video(clip).flip(2)
    turned = copy.deepcopy(video)
    turned.weight.data = video.weight.data.flip(2)
    torch.testing.assert_close(turned(clip.flip(2)), expected)


def test_a_transposed_convolution_of_a_given_size() -> None:
    """A decoder that comes back to the size of what it began with, of odd sides too."""

    class Decoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(3, 4, 3, 2, 1)
            self.up = nn.ConvTranspose2d(4, 3, 3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.up(self.down(x), output_size=x.shape[-2:])

    for shape in ((7, 9, 12), (8, 10, 13)):
        assert lift(Decoder(), check=shape)(torch.zeros(1, 3, *shape)).shape[2:] == shape


def test_a_kernel_smaller_than_its_stride_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"layer '1' .ConvTranspose2d.*frames empty. Instead: a ker"
    ):
        lift(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 3, 1, stride=2)))


def test_average_pooling_of_clips_smaller_than_the_window_is_torchs_own() -> None:
    """By comparison with longer frames in 2D, where torch takes all of these."""
    clip = torch.randn(2, 3, 1, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    for k, s, p in ((2, 2, 0), (3, 2, 1), (4, 3, 2), (3, 1, 1)):
        for ceil in (False, True):
            for counted in (False, True):
                options: Any = {"ceil_mode": ceil, "count_include_pad": counted}
                pool = nn.AvgPool2d(k, s, p, **options)
                frame = clip[:, :, 0]
                try:
                    expected = pool(frame)
                    # the same along time, of which there is one frame
                    along = F.avg_pool2d(
                        torch.ones(1, 1, 1, 4 * k), (k, 1), (s, 1), (p, 0), **options
                    )
                except RuntimeError:
                    continue
                got = lift(pool)(clip)
                assert got.shape[2] == along.shape[2]
                factor = along[0, 0, :, 0].double().view(-1, 1, 1)
                torch.testing.assert_close(got, expected.unsqueeze(2) * factor)
    with pytest.raises(ValueError, match=r"2 places .* needs more than 1: clips .* \(1, 2, 3\)"):
        lift(nn.AvgPool2d(2))(clip)


class Blocks(nn.Module):
    """A block in a block, both with calls that name axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.pad = nn.ZeroPad2d(1)  # torch's layers are not the block's own code
        self.inner = Flipped()

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.pad(self.conv(x))) * x.mean((1, 2, 3), keepdim=True)


class Flipped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flip(2).roll(1, 2)


def test_a_call_in_a_nested_block_is_extended_once() -> None:
    lift(Blocks(), check=(5, 6, 7))
    lift(Blocks(), "2d", check=(5, 6, 7))


class Refused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 1))
        self.shuffle = Shuffled()

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.stem(x))


class Shuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        return x.view(b, c * 4, h // 2, w // 2)


def test_a_refused_call_names_layer_line_operation_and_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"layer 'shuffle' \(Shuffled\), .*test_lift_layers.py:\d+: "
    ):
        lift(Refused())(torch.zeros(1, 3, 4, 8, 8))
    with pytest.raises(
        ValueError, match=r"the call of 'view' .*handed on as they are, or as h \* w"
    ):
        lift(Refused(), check=(4, 8, 8))


@pytest.mark.parametrize(
    "layer",
    [
        *(nn.PixelShuffle(2), nn.FractionalMaxPool2d(2, output_size=3), nn.MaxUnpool2d(2)),
        *(nn.LayerNorm((4, 8, 8)), nn.MultiheadAttention(4, 2)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_refused_layer_has_a_remedy(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"layer 'body.1' .*cannot be lifted: .*\. Instead: nn|a "):
        lift(nn.ModuleDict({"body": nn.Sequential(nn.Conv2d(3, 4, 1), layer)}))


def test_frames_padded_by_need_are_frozen_with_their_filters() -> None:
    video: Any = lift(nn.Sequential(nn.Conv2d(3, 4, 3, 2)))
    video[0].same_frames = True
    clip = torch.randn(1, 3, 5, 8, 11, generator=torch.Generator().manual_seed(0))
    assert isinstance(video[0], Conv3T)
    assert "same_frames=True" in repr(video)
    frozen = freeze_filters(video)
    assert video(clip).shape == (1, 4, 2, 4, 6)
    torch.testing.assert_close(frozen(clip), video(clip))
