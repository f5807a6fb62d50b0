"""A lifted network gives on equal frames what the 2D network gives on one, or it is found out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.errors import InputError
from threetconv.layer.conv3t import Conv3T
from threetconv.networks import build, lift_counterparts
from threetconv.networks.lift import lift
from threetconv.networks.lift_check import verify_lift
from threetconv.networks.lift_convolutions import CONVOLUTIONS
from threetconv.records import load_model

CHANNELS, SIZE = 4, (6, 7)
Code = Callable[[Any, Tensor], Tensor]


class Head(nn.Module):
    """A convolution, a piece of code under test, a classifier of what it gives."""

    code: Code

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CHANNELS, 1)
        # all constant, as at the start of training
        self.gain = nn.Parameter(torch.ones(CHANNELS))
        self.places = nn.Parameter(torch.zeros(CHANNELS, *SIZE))
        self.gate = nn.Linear(CHANNELS, CHANNELS)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.kernel = nn.Parameter(torch.randn(CHANNELS, CHANNELS // 2, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return type(self).code(self, self.conv(x)) + 0


def network(code: Code) -> Any:
    """A network whose class holds the code as a method, as classes do."""
    made = type("Net", (Head,), {"code": code, "__module__": __name__})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return made().eval()


def squeeze(net: Any, x: Tensor) -> Tensor:
    return x * net.gate(x.mean((2, 3)))[:, :, None, None].sigmoid()


def squeeze_by_view(net: Any, x: Tensor) -> Tensor:
    return x * net.gate(x.mean((2, 3))).view(-1, CHANNELS, 1, 1).expand_as(x)


def shuffle(net: Any, x: Tensor) -> Tensor:
    """ShuffleNet's, as torchvision writes it."""
    b, c, h, w = x.size()
    x = torch.transpose(x.view(b, 2, c // 2, h, w), 1, 2).contiguous()
    return x.view(b, -1, h, w)


def everywhere(net: Any, x: Tensor) -> Tensor:
    """Attention over all places of the frame."""
    b, c, h, w = x.shape
    flat = x.reshape(b, c, h * w)
    weights = (flat.transpose(1, 2) @ flat).softmax(-1)
    return x + (flat @ weights.transpose(1, 2)).view(b, c, h, w)


def split_attention(net: Any, x: Tensor) -> Tensor:
    """ResNeSt's, as timm writes it, of which every step names its size."""
    b, c, h, w = x.shape
    x = x.reshape((b, 2, c // 2, h, w))
    gap = x.sum(dim=1).mean((2, 3), keepdim=True)
    gate = torch.cat((gap, gap * gap), 1).view(b, 2, 2, -1).softmax(1).reshape(b, -1)
    return (x * gate.view(b, -1, 1, 1).reshape((b, 2, c // 2, 1, 1))).sum(dim=1)


def group_norm_by_hand(net: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    y = x.reshape(b, 2, c // 2, h, w)
    mean, std = y.mean((2, 3, 4), keepdim=True), y.std((2, -2, -1), keepdim=True, unbiased=False)
    return x / (std + mean.abs() + 1).expand(y.shape).reshape(b, c, h, w)


def back_to_its_size(net: Any, x: Tensor) -> Tensor:
    """Gates at half the size: time must come back with the frame."""
    small = F.avg_pool2d(x, 2, ceil_mode=True)
    nearest = F.interpolate(small, size=(x.shape[-2], x.shape[-1]))
    return x * nearest + F.interpolate(small, size=x.shape[2:], mode="bilinear")


def twice(net: Any, x: Tensor) -> Tensor:
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
    return F.interpolate(x, (5, 9), mode="bicubic", align_corners=False)


def pixel(net: Any, x: Tensor) -> Tensor:
    """What is viewed as an image of one pixel goes into a layer."""
    return x * net.conv2(x.mean((2, 3)).view(x.shape[0], -1, 1, 1))


def padded_shortcut(net: Any, x: Tensor) -> Tensor:
    """Of residual networks for CIFAR: more channels, half the size."""
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))


def masked(net: Any, x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, 2:4, 3:] = 0
    return x


def channels_first_norm(net: Any, x: Tensor) -> Tensor:
    x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1).sqrt()
    return net.gain[:, None, None] * x + net.gain[None, :, None, None]


HANDLED: dict[str, Code] = {
    "var": lambda net, x: x.var((2, 3)),
    "var_keepdim": lambda net, x: torch.var(x, dim=(-2, -1), keepdim=True, unbiased=False) * x,
    "std": lambda net, x: x.std([2, 3], correction=2),
    "std_positional": lambda net, x: x.std((2, 3), False, True) + x,
    "norm": lambda net, x: x.norm(dim=(2, 3)),
    "norm_3": lambda net, x: torch.norm(x, 3, (2, 3)),
    "norm_inf": lambda net, x: x.norm(float("inf"), (2, 3)),
    "vector_norm": lambda net, x: torch.linalg.vector_norm(x, dim=(2, 3)),
    "logsumexp": lambda net, x: x.logsumexp((2, 3)),
    "sum": lambda net, x: x.sum((2, 3)),
    "sum_axis": lambda net, x: x.sum(axis=(2, 3)),
    "amin": lambda net, x: x.amin((2, 3)),
    "mean_of_all_but_batch": lambda net, x: x - x.mean((1, 2, 3), keepdim=True),
    "mean_rows_kept": lambda net, x: x + x.mean(2, keepdim=True) * x.mean(-1, keepdim=True),
    "extremes_kept": lambda net, x: x.max(2, True)[0] - x.min(dim=3, keepdim=True).values,
    "median_and_product": lambda net, x: x.median(-1, keepdim=True)[0] + x.prod(3, keepdim=True),
    "cummax": lambda net, x: torch.cummax(x, 2)[0] + x.max(1, keepdim=True)[0] + x.max(),
    "crop": lambda net, x: x[:, :, 1:-1, 1:-1],
    "stride": lambda net, x: x[:, :, ::2, ::2],
    "rows": lambda net, x: x[:, :, 1:],
    "listed": lambda net, x: x[:, :, [0, 2, 3]],
    "from_behind": lambda net, x: x[..., 1:, :-2],
    "pooled_pixel": lambda net, x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0],
    "flip": lambda net, x: x.flip(2) - x.flip((3,)) + torch.flip(x, dims=(2, 3)),
    "flip_several": lambda net, x: x.flip(2, 3),
    "roll": lambda net, x: x.roll(1, 2) + x.roll((1, 2), dims=(2, 3)),
    "cumsum": lambda net, x: x.cumsum(2) + x.cumsum(dim=3),
    "softmax": lambda net, x: x.softmax(2) + F.softmax(x, dim=3),
    "transpose": lambda net, x: x.transpose(2, 3),
    "transpose_permuted": lambda net, x: x.permute(0, 1, 3, 2),
    "channels_behind": lambda net, x: F.layer_norm(x.transpose(1, 3), (4,)).transpose(1, 3),
    "rot90": lambda net, x: x.rot90(1, (2, 3)),
    "halves": lambda net, x: x.chunk(2, 2)[0] + x.split(3, dim=2)[1],
    "gain": lambda net, x: net.gain[:, None, None] * x,
    "gain_view": lambda net, x: x.mul(net.gain.view(1, -1, 1, 1)),
    "gain_unsqueezed": lambda net, x: x * net.gain.unsqueeze(-1).unsqueeze(-1),
    "places": lambda net, x: x + net.places,
    "places_first": lambda net, x: net.places - x,
    "places_batch": lambda net, x: torch.add(x, other=net.places[None]),
    "squeeze": squeeze,
    "squeeze_by_view": squeeze_by_view,
    "padded_shortcut": padded_shortcut,
    "reflected": lambda net, x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "masked": masked,
    "channels_first_norm": channels_first_norm,
    "area": lambda net, x: x.sum((2, 3)) / (x.shape[2] * x.shape[3]),
    "axes": lambda net, x: x if x.ndim == 4 and x.dim() == 4 and len(x.shape) == 4 else x.sum(),
    "channels_last_mean": lambda net, x: x.permute(0, 2, 3, 1).mean((1, 2)),
    "channels_last_norm": lambda net, x: x.permute(0, 2, 3, 1).norm(dim=(1, 2), keepdim=True),
    "joined": lambda net, x: torch.cat((x, x), 2),
    "repeated": lambda net, x: x.repeat(1, 1, 2, 3),
    "whole_window": lambda net, x: F.avg_pool2d(x, x.shape[2:]) * F.max_pool2d(x, x.shape[-2:]),
    "whole_grid": lambda net, x: x - F.adaptive_avg_pool2d(x, x.shape[2:]),
    "expanded": lambda net, x: x.mean((2, 3), keepdim=True).expand(x.shape) - x,
    "convolved": lambda net, x: F.conv2d(x, net.kernel[..., :1, :], net.gain, groups=2),
    "powers": lambda net, x: F.lp_pool2d(x.abs(), 3, (2, 1), ceil_mode=True),
    "shuffle": shuffle,
    "everywhere": everywhere,
    "split_attention": split_attention,
    "group_norm_by_hand": group_norm_by_hand,
    "back_to_its_size": back_to_its_size,
    "twice": twice,
    "pixel": pixel,
    "flattened": lambda net, x: F.adaptive_avg_pool2d(x, 2).view(x.size(0), -1),
}
REFUSED: dict[str, tuple[Code, str]] = {
    "mean_rows": (lambda net, x: x.mean(2), "'mean' cannot be lifted: it drops one axis"),
    "mean_columns": (lambda net, x: x.mean(3), "'mean' cannot be lifted: it drops one axis"),
    "max_columns": (lambda net, x: x.amax(-1).mean(-1), "'amax' cannot be lifted"),
    "max_rows": (lambda net, x: x.max(2)[0].max(2)[0], "'max' cannot be lifted: it drops one"),
    "one_row": (lambda net, x: x[:, :, 0], "'__getitem__' cannot be lifted: it picks single"),
    "pixel_shuffle": (lambda net, x: F.pixel_shuffle(x, 2), "'pixel_shuffle' cannot be lifted"),
    "batch_view": (
        lambda net, x: x.view(-1, x.shape[1] * x.shape[2] * x.shape[3]),
        "'view' cannot be lifted: it makes time",
    ),
    "constant_view": (lambda net, x: x.reshape(-1, 4 * 6 * 7), "'reshape' cannot be lifted"),
}
# neither handled nor refused: only the comparison finds them
FOUND: dict[str, Code] = {
    "flat_roll": lambda net, x: x.roll(3),
    "third": lambda net, x: x.kthvalue(3, 3, keepdim=True)[0],
    "norm_of_all": lambda net, x: x / x.norm(),
}


def frames_of(images: Tensor, frames: int) -> Tensor:
    return images.unsqueeze(2).repeat(1, 1, frames, 1, 1)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("frames", [1, CHANNELS, 5])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("convolution", ["3t", "2d"])
@pytest.mark.parametrize("name", HANDLED)
def test_a_call_that_addresses_the_frame_leaves_time_alone(
    name: str, convolution: str, batch: int, frames: int, images: Tensor
) -> None:
    """Not by `verify_lift`: convolutions are 1 x 1, so no border in time has to be replaced."""
    model = network(HANDLED[name])
    nn.init.uniform_(model.gain, 0.5, 1.5)
    nn.init.uniform_(model.places)
    video = lift(model, convolution)
    with torch.no_grad():
        expected = model(images[:batch])
        got = video(frames_of(images[:batch], frames))
    if expected.ndim == 4:
        expected = expected.unsqueeze(2).expand_as(got)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    verify_lift(video, model, (frames, *SIZE))


def test_reductions_see_every_frame() -> None:
    clip = torch.randn(2, 3, 5, *SIZE, generator=torch.Generator().manual_seed(0))
    for name, expected in {
        "sum": lambda x: x.sum((3, 4)).mean(2),
        "norm": lambda x: x.norm(dim=(3, 4)).square().mean(2).sqrt(),
        "logsumexp": lambda x: x.logsumexp((3, 4)).exp().mean(2).log(),
        "std": lambda x: (
            (x - x.mean((2, 3, 4), keepdim=True)).square().sum((2, 3, 4)).div(5 * (42 - 2)).sqrt()
        ),
    }.items():
        video = lift(network(HANDLED[name]))
        with torch.no_grad():
            torch.testing.assert_close(video(clip), expected(video.conv(clip)))


@pytest.mark.parametrize("frames", [1, CHANNELS, 5])
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_with_its_line(name: str, frames: int) -> None:
    code, cause = REFUSED[name]
    model = network(code)
    if frames == 1 and name.endswith("_view"):  # a single frame is no other axis of the batch
        lift(model, check=(frames, *SIZE))
        return
    line = f"test_lift_check.py:{code.__code__.co_firstlineno}"
    with pytest.raises((ValueError, RuntimeError), match=cause):
        lift(model)(torch.zeros(1, 3, frames, *SIZE))
    with pytest.raises(InputError, match=line):
        lift(model, check=(frames, *SIZE))


@pytest.mark.parametrize("name", FOUND)
def test_the_rest_is_found_by_the_comparison(name: str) -> None:
    code = FOUND[name]
    line = f"lifted network, forward of Net, .*test_lift_check.py:{code.__code__.co_firstlineno}"
    with pytest.raises(InputError, match=line):
        lift(network(code), check=(5, *SIZE))


@pytest.mark.parametrize("name", HANDLED)
def test_without_a_counterpart_every_case_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is handled would be found, too, were it not, as many frames as channels included."""
    model = network(HANDLED[name])
    monkeypatch.setattr(lift_counterparts, "network_code", lambda frame=None: None)
    monkeypatch.setattr("threetconv.networks.lift_forward.network_code", lambda frame=None: None)
    found = []
    for frames in (CHANNELS, 5):
        try:
            lift(model, check=(frames, *SIZE))
        except InputError:
            found.append(frames)
    # these mean the same on clips as they are, or are known by more than one axis
    right = {"from_behind", "flattened", "var_keepdim", "transpose_permuted"}
    right |= {"convolved", "powers"}  # no layer of clips makes these calls
    assert found == ([] if name in right else [CHANNELS, 5])


class Deep(nn.Module):
    """Layers of all kinds whose time must be padded by replication."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        )
        self.same = nn.Conv2d(4, 6, 4, padding="same", groups=2)
        self.mirror = nn.Conv2d(6, 4, 3, padding=2, dilation=2, padding_mode="circular")
        self.pool = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.average = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.drop = nn.Dropout2d(0.5)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.average(self.pool(self.mirror(F.relu(self.same(self.stem(x))))))
        x = F.avg_pool2d(self.drop(F.max_pool2d(x, 3, 1, padding=1)), 2, ceil_mode=True, padding=1)
        return self.fc(F.dropout(x.mean((2, 3)), 0.5))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("symmetric_time", [False, True])
@pytest.mark.parametrize("frames", [4, 7])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_whole_networks(convolution: str, frames: int, symmetric_time: bool) -> None:
    lift(Deep(), convolution, symmetric_time=symmetric_time, check=(frames, 13, 12))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_weights_and_what_else_is_outside_stay(convolution: str) -> None:
    model = Deep().train()
    model.stem[1].eval()
    seen: list[str] = []
    model.fc.register_forward_hook(lambda *args: seen.append("a hook"))
    video = lift(model, convolution)
    before = {
        network: (
            copy.deepcopy(network.state_dict()),
            [module.training for module in network.modules()],
            [len(module._forward_hooks) for module in network.modules()],
        )
        for network in (model, video)
    }
    state = torch.get_rng_state()
    verify_lift(video, model, (4, 13, 12))
    assert torch.equal(torch.get_rng_state(), state)
    assert not seen
    for network, (weights, training, hooks) in before.items():
        assert all(torch.equal(network.state_dict()[k], value) for k, value in weights.items())
        assert [module.training for module in network.modules()] == training
        assert [len(module._forward_hooks) for module in network.modules()] == hooks


def test_the_video_networks_own_weights_do_not_matter() -> None:
    model = Deep()
    video: Any = lift(model, carry="nothing")
    nn.init.normal_(video.stem[0].translate_x)
    verify_lift(video, model, (4, 13, 12))
    other: Any = lift(model)
    other.stem[0].stride = (1, 2, 1)  # a layer that does something else
    with pytest.raises(InputError, match=r"layer 'stem.0' \(Conv2d\).*\n.*its output differs"):
        verify_lift(other, model, (4, 13, 12))


def test_what_does_not_belong_together_is_told() -> None:
    with pytest.raises(InputError, match=r"'stem' of the video network"):
        verify_lift(lift(nn.Conv2d(3, 4, 1)), Deep(), (4, *SIZE))
    with pytest.raises(InputError, match=r"2D network\n.*RuntimeError on frames"):
        lift(nn.Sequential(nn.Conv2d(3, 4, 5)), check=(8, 4, 4))
    with pytest.raises(InputError, match="clip_shape"):
        lift(Deep(), check=(8, 13))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="meta device"):
        lift(Deep().to("meta"), check=(8, 13, 12))


# -------------------------------------------------------------------- what copies used to lose


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("carry", ["all", "nothing"])
def test_tied_weights_stay_tied(convolution: str, carry: str) -> None:
    model: Any = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    )
    model[1].weight, model[2].bias = model[0].weight, model[0].bias
    video: Any = lift(model, convolution, carry=carry)
    first, second = (getattr(layer, "spatial", layer) for layer in video[:2])
    assert first.weight is second.weight
    assert getattr(video[0], "temporal", video[0]).bias is video[2].bias
    assert model[0].weight is model[1].weight
    if convolution == "3t":  # each has a motion of its own
        assert isinstance(second, Conv3T)
        assert first.scale is not second.scale
    lift(model, convolution, check=(5, 6, 7))


def test_ties_that_cannot_be_kept_are_refused() -> None:
    """A (C, 1, 1) parameter gets an axis for time in a class of one's own, not in torch's."""
    model: Any = nn.Sequential(nn.Linear(3, 3), network(squeeze))
    model[1].free = model[0].free = nn.Parameter(torch.ones(3, 1, 1))
    with pytest.raises(ValueError, match=r"'0.free' and '1.free' are tied"):
        lift(model)


def test_parameters_with_hooks_are_refused() -> None:
    for register in ("register_hook", "register_post_accumulate_grad_hook"):
        model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Linear(4, 4))
        getattr(model[1].weight, register)(lambda gradient: None)
        with pytest.raises(ValueError, match=r"parameter '1.weight' .* hooks would be lost"):
            lift(model)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 4)), "nothing in it is 2D"),
        (lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4)), "nothing in it is 2D"),
        (lambda: lift(Deep()), "video network already"),
    ],
)
def test_a_network_without_anything_2d_is_refused(make: Callable[[], Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        lift(make())


class Slices(nn.Module):
    """Its own slices are the frame's; those of hooks are of clips."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.cut(self.conv(x)).mean((2, 3))

    def cut(self, x: Tensor) -> Tensor:
        return x[:, :, 1:-1, ::2]


def test_hooks_see_clips_where_the_network_sees_frames() -> None:
    network, clip = lift(Slices()).eval(), torch.randn(2, 3, 6, 8, 10)
    expected, seen = network(clip), []
    network.conv.register_forward_hook(lambda m, given, out: seen.append(out[:, :, 1:3].shape))

    def replaced(module: nn.Module, given: Any, out: Tensor) -> Tensor:
        mixed = out.clone()
        mixed[:, [0], 2] = out[:, [0], 2]  # the same frame of one channel
        return mixed

    network.conv.register_forward_hook(replaced)
    assert torch.equal(network(clip), expected)
    assert seen == [(2, 4, 2, 8, 10)]


# --------------------------------------------------------------------------- networks of studies


def test_networks_of_studies_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def counted(*args: Any, check: Any = None, **options: Any) -> Any:
        checked.append(check)
        return lift(*args, check=check, **options)

    monkeypatch.setattr(build, "lift", counted)
    build._check_lift.cache_clear()
    sizes: dict[str, Any] = {"num_classes": 2, "clip_shape": (8, 32, 32), "width": 0.125}
    for device in ("meta", "cpu"):
        with torch.device(device):
            build.build_network("resnet18", **sizes)
    build.build_network("resnet18", convolution="2d", **sizes)
    assert checked == [build.CHECKED_CLIP, None, None, build.CHECKED_CLIP, None]


def test_a_network_that_was_trained_is_not_verified_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the many jobs that load a run, none has to pay for it."""
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(build, "_check_lift", lambda *about: called.append(about))
    shape: dict[str, Any] = {"num_classes": 4, "clip_shape": (8, 32, 32), "width": 0.0625}
    build.build_network("resnet18", **shape)
    assert called == [("resnet18", "3t")]
    record = {"network": "resnet18", "convolution": "3t", "init": "scratch", "carry": "nothing"}
    sizes = {"num_classes": 4, "width_factor": 0.0625, "frames": 8, "height": 32, "width": 32}
    load_model.network_of(record | sizes)
    assert len(called) == 1
