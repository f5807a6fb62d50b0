"""The study's networks of single frames ("2d") and of factorised filters ("r2plus1d")."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from threetconv.networks.build import NETWORKS, build_2d, build_network
from threetconv.networks.lift import lift
from threetconv.networks.trace import trace
from threetconv.networks.weight_files import load_into

CLIP = (9, 32, 32)


def build(name: str, convolution: str, **options: Any) -> Any:
    common: dict[str, Any] = {"num_classes": 5, "clip_shape": CLIP, "width": 0.125, "seed": 0}
    return build_network(name, convolution=convolution, **common | options)


@pytest.fixture(scope="module")
def clips() -> Tensor:
    return torch.randn(2, 3, *CLIP, generator=torch.Generator().manual_seed(0))


# ----------------------------------------------------------------------------------------- 2d


def test_resnet_with_all_weights_is_the_2d_network_on_every_frame(clips: Tensor) -> None:
    flat = build_2d("resnet18", num_classes=5, width=0.125, seed=1).train()
    for norm in (m for m in flat.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        flat(clips[:, :, 0])  # running statistics
    network = build("resnet18", "2d", weights=flat.state_dict(), carry="all").eval()
    with torch.no_grad():
        expected = torch.stack([flat.eval()(frame) for frame in clips.unbind(2)]).mean(0)
        torch.testing.assert_close(network(clips), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_are_the_mean_over_frames_in_any_order(name: str, clips: Tensor) -> None:
    """GoogLeNet's own pooling and heads too."""
    network = build(name, "2d")
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm3d)):
        norm.momentum = 1.0
    with torch.no_grad():
        network(clips)  # running statistics
        for module in network.modules():  # heads run in training only
            if isinstance(module, nn.Dropout | nn.BatchNorm3d):
                module.eval()
        whole, frames = network(clips), [network(frame) for frame in clips.split(1, dim=2)]
        mirrored = network(clips.flip(2))
    if name == "resnet18":
        whole, mirrored, frames = (whole,), (mirrored,), [(frame,) for frame in frames]
    assert len(whole) == {"resnet18": 1, "googlenet": 3}[name]
    for i, logits in enumerate(whole):
        expected = torch.stack([frame[i] for frame in frames]).mean(0)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(logits, mirrored[i], rtol=1e-4, atol=1e-5)
        assert float((frames[0][i] - frames[1][i]).abs().max()) > 1e-3


def test_layers_of_single_frames_have_no_extent_in_time(clips: Tensor) -> None:
    network = build("googlenet", "2d").eval()
    shapes = []
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            assert (module.kernel_size[0], module.stride[0], module.padding[0]) == (1, 1, 0)
            module.register_forward_hook(lambda m, a, out: shapes.append(out.shape))
    network(clips)
    assert {(shape[0], shape[2]) for shape in shapes} == {(2, CLIP[0])}
    assert trace(network, CLIP) == []


# ----------------------------------------------------------------------------------- r2plus1d


def test_channels_between_are_those_of_the_papers_code() -> None:
    """In a stage's first convolutions, whose inputs decide; its code lets them decide for both."""
    ours: Any = lift(torchvision.models.resnet18(), "r2plus1d")
    theirs = torchvision.models.video.r2plus1d_18()
    for stage in ("layer1", "layer2", "layer3", "layer4"):
        mine, same = ours.get_submodule(stage)[0].conv1, theirs.get_submodule(stage)[0].conv1[0]
        assert [m.weight.shape for m in (mine.spatial, mine.temporal)] == [
            same[0].weight.shape,
            same[3].weight.shape,
        ]
        assert [type(part) for part in same][1:3] == [type(mine.norm), type(mine.relu)]
        assert (mine.spatial.stride, mine.temporal.stride) == (same[0].stride, same[3].stride)
        assert (mine.spatial.padding, mine.temporal.padding) == (same[0].padding, same[3].padding)
    assert ours.conv1.spatial.out_channels == 7**3 * 3 * 64 // (7**2 * 3 + 7 * 64)


@pytest.mark.parametrize(
    ("name", "width", "clip", "counts"),
    [
        ("resnet18", 1.0, (30, 150, 224), (11190363, 33217755, 33229815)),
        ("googlenet", 1.0, (30, 150, 224), (7391473, 14078833, 14083311)),
        ("resnet18", 0.25, (16, 32, 32), (703128, 2090424, 2093895)),
        ("googlenet", 0.25, (16, 32, 32), (386000, 814544, 815223)),
    ],
)
def test_parameter_counts(
    name: str, width: float, clip: tuple[int, int, int], counts: tuple[int, ...]
) -> None:
    """Of 2D, 3D and R(2+1)D; but for the norms between, the last has no more than 3D."""
    found, classes = [], 27 if width == 1 else 8
    for convolution in ("2d", "3d", "r2plus1d"):
        with torch.device("meta"):
            network = build(
                name, convolution, num_classes=classes, clip_shape=clip, width=width, seed=None
            )
        found.append(sum(p.numel() for p in network.parameters()))
    assert tuple(found) == counts
    between = sum(
        p.numel() for n, m in network.named_modules() if n.endswith(".norm") for p in m.parameters()
    )
    assert counts[2] - between <= counts[1]
    assert counts[2] == pytest.approx(counts[1], rel=2e-3)


def test_the_start_reads_the_2d_filters_rectified_and_averaged() -> None:
    """No inflation: of a still clip, away from its ends, the rectified 2D responses come out."""
    flat: Any = nn.Conv2d(4, 6, 3, padding=1, stride=2, groups=2)
    layer: Any = lift(flat, "r2plus1d").eval()
    layer.norm.eps = 0.0
    frame = torch.randn(1, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    output = layer(frame.unsqueeze(2).expand(-1, -1, 8, -1, -1))
    bias = flat.bias.view(1, -1, 1, 1)
    assert output.shape[2] == 4
    for t in (1, 2, 3):
        torch.testing.assert_close(output[:, :, t], (flat(frame) - bias).relu() + bias)
    # a fresh start has nothing of them
    weight = lift(flat, "r2plus1d", carry="nothing").spatial.weight
    assert not torch.isclose(weight[:3, :, 0], flat.weight[:3]).any()


def test_more_than_six_outputs_per_input() -> None:
    """Fewer channels between than outputs: the first outputs read the 2D filters."""
    layer: Any = lift(nn.Conv2d(1, 16, 3), "r2plus1d")
    middle = layer.spatial.out_channels
    assert middle == 7
    assert bool((layer.temporal.weight.detach().flatten(1)[:middle].sum(1) - 1 < 1e-6).all())
    assert float(layer.temporal.weight.detach()[middle:].abs().min()) > 0


def test_frozen_2d_filters_stay_frozen() -> None:
    layer = lift(nn.Conv2d(3, 4, 3).requires_grad_(False), "r2plus1d")
    trainable = {name for name, p in layer.named_parameters() if p.requires_grad}
    assert trainable == {"norm.weight", "norm.bias", "temporal.weight"}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("convolution", ["2d", "r2plus1d"])
def test_state_dicts_load_strictly(name: str, convolution: str, clips: Tensor) -> None:
    one, other = build(name, convolution).eval(), build(name, convolution, seed=1).eval()
    assert not torch.equal(one(clips), other(clips))
    load_into(other, one.state_dict(), "file")
    assert torch.equal(one(clips), other(clips))
