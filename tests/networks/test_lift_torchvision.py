"""Every classification ConvNet of torchvision becomes a video network, or says why it cannot."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from threetconv.layer.conv3t import Conv3T
from threetconv.networks.freeze import freeze_filters
from threetconv.networks.lift import lift
from threetconv.networks.lift_convolutions import CONVOLUTIONS
from threetconv.networks.trace import trace
from threetconv.networks.width import thin
from threetconv.records.extract import extract_parameters


class Case(NamedTuple):
    """A network, thinned to fit a test, and the smallest clip (with 8 or more frames) it takes."""

    name: str
    clip: tuple[int, int, int]
    width: float = 1.0
    options: tuple[tuple[str, Any], ...] = ()
    still: bool = True  # whether a still clip gives what its frame gives


PLAIN = (("init_weights", False),)
FAST = [
    Case("alexnet", (63, 63, 63), 0.125),
    Case("vgg11", (32, 32, 32), 0.125, PLAIN),
    Case("vgg11_bn", (32, 32, 32), 0.125, PLAIN),
    Case("resnet18", (8, 32, 32), 0.25),
    Case("resnet50", (8, 32, 32), 0.25),
    Case("resnext50_32x4d", (8, 32, 32), 0.25),
    Case("wide_resnet50_2", (8, 32, 32), 0.125),
    Case("densenet121", (29, 32, 32), 0.25),
    Case("squeezenet1_0", (21, 32, 32), 0.25),
    Case("squeezenet1_1", (17, 32, 32), 0.25),
    Case("mobilenet_v2", (8, 32, 32), 0.5),
    Case("mobilenet_v3_small", (8, 32, 32)),
    Case("mobilenet_v3_large", (8, 32, 32), 0.5),
    Case("efficientnet_b0", (8, 32, 32)),
    Case("shufflenet_v2_x1_0", (8, 32, 32)),
    Case("regnet_x_400mf", (8, 32, 32)),
    Case("regnet_y_400mf", (8, 32, 32)),
    Case("mnasnet1_0", (8, 32, 32), 0.5),
    Case("googlenet", (15, 32, 32), 0.5, PLAIN),
    Case("convnext_tiny", (32, 32, 32), 0.25),
]
# Inception's own average pooling counts the zeros beside the clip, in time too.
SLOW = [
    Case("inception_v3", (75, 75, 75), 0.25, (*PLAIN, ("aux_logits", False)), still=False),
    Case("efficientnet_v2_s", (8, 64, 64)),
    *(case._replace(width=1.0, clip=(case.clip[0], 64, 64)) for case in FAST[3:]),
]
ALL = [*FAST, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)]


def name_of(case: Case) -> str:
    return case.name if case in FAST else f"{case.name}-large"


def make_2d(case: Case) -> nn.Module:
    """The 2D network, 5 classes: norms and factors not at their start, signals pass through."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(torchvision.models, case.name)(num_classes=5, **dict(case.options))
        model = thin(model, case.width, num_classes=5)
        for name, value in model.named_parameters():
            if name.endswith("layer_scale"):
                nn.init.uniform_(value, 0.1, 0.4)
        for module in model.modules():
            if isinstance(module, StochasticDepth):
                module.p = 0.0  # where it drops both clips of a batch, no gradient comes back
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.uniform_(module.bias, -0.1, 0.1)
                module.momentum = 1.0
        with torch.no_grad():
            model.train()(torch.randn(4, 3, *case.clip[1:]))  # running statistics
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 75, 75, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("case", ALL, ids=name_of)
def test_a_clip_runs_backward_and_parameters_come_out(case: Case) -> None:
    model = make_2d(case).train()
    network = lift(model)
    assert [n for n, _ in network.named_modules()] == [n for n, _ in model.named_modules()]
    assert not any(isinstance(m, nn.Conv2d | nn.BatchNorm2d) for m in network.modules())
    clip = torch.randn(2, 3, *case.clip, generator=torch.Generator().manual_seed(1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        logits = network(clip)
        logits = tuple(logits) if isinstance(logits, tuple) else (logits,)
        sum((out * torch.randn_like(out)).sum() for out in logits).backward()
    assert {tuple(out.shape) for out in logits} == {(2, 5)}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name

    table = extract_parameters(network, case.clip)
    convolutions = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, Conv3T) and module.kernel_size[0] > 1
    }
    wide = [m for m in model.modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1]
    assert len(convolutions) == len(wide)
    assert len(table) == sum(m.scale.numel() for m in convolutions.values())
    for layer in trace(network, case.clip):
        module = convolutions[layer.name]
        transforms = (module.scale, module.rotate, module.translate_x, module.translate_y)
        moved = sum(p.grad.abs().sum(1) for p in transforms) > 0
        assert moved.tolist() == list(layer.reachable), layer.name


@pytest.mark.parametrize("convolution", ["3d", "3t"])
@pytest.mark.parametrize("case", [case for case in FAST if case.still], ids=name_of)
def test_a_still_clip_gives_what_its_frame_gives(
    case: Case, convolution: str, images: Tensor
) -> None:
    """Whole networks, exactly: with borders replicated and 3T filters divided by their depth."""
    model = make_2d(case).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and max(module.padding) > 0:  # type: ignore[type-var]
            module.padding_mode = "replicate"
            module._reversed_padding_repeated_twice = [
                int(p) for p in reversed(module.padding) for _ in range(2)
            ]
    network = lift(model, convolution)
    for module in network.modules():
        if isinstance(module, Conv3T):
            module.weight.data /= module.kernel_size[0]
    frames, height, width = case.clip
    frame = images[..., :height, :width]
    with torch.no_grad():
        expected = model(frame)
        got = network(frame.unsqueeze(2).expand(-1, -1, frames, -1, -1))
    assert float((expected[0] - expected[1]).abs().max()) > 1e-3 * float(expected.abs().max())
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


CHECKED_ALWAYS = ("resnet18", "googlenet", "convnext_tiny")


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if case.name in CHECKED_ALWAYS else pytest.mark.slow)
        for case in (*FAST, *SLOW[:2])
    ],
    ids=name_of,
)
def test_networks_pass_the_comparison_that_users_have(case: Case, convolution: str) -> None:
    """Without any change of the network, Inception's average pooling included."""
    lift(make_2d(case), convolution, check=case.clip)


@pytest.mark.parametrize("case", [*FAST, SLOW[0]], ids=name_of)
def test_2d_is_the_mean_of_the_frames_logits(case: Case, images: Tensor) -> None:
    """Whatever follows the global pooling, and with gates (squeeze and excitation) per frame."""
    model = make_2d(case).eval().double()  # some enlarge rounding errors
    network = lift(model, "2d")
    height, width = case.clip[1:]
    frames = torch.stack([images, images.flip(3), images * 0.5], 1)[..., :height, :width].double()
    with torch.no_grad():
        expected = model(frames.flatten(0, 1)).unflatten(0, (2, 3)).mean(1)
        got = network(frames.transpose(1, 2))
    size = float(expected.abs().max())
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-9 * size)
    assert float((expected[0] - expected[1]).abs().max()) > 1e-3 * size
    assert [n for n, _ in network.named_modules()] == [n for n, _ in model.named_modules()]
    assert network.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(network.state_dict()[name].reshape(value.shape), value), name


@pytest.mark.parametrize("case", [c for c in FAST if c.clip[0] < 20], ids=name_of)
def test_r2plus1d_gives_the_sizes_and_at_most_the_weights_of_3d(case: Case) -> None:
    model = getattr(torchvision.models, case.name)(num_classes=5, **dict(case.options))
    model = thin(model, case.width, num_classes=5).to("meta")
    convolutions = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    shapes: list[dict[str, Any]] = []
    weights = []
    for convolution in ("3d", "r2plus1d"):
        network, found = lift(model, convolution).to("meta"), dict[str, Any]()
        for name in convolutions:
            network.get_submodule(name).register_forward_hook(
                lambda m, a, out, name=name, found=found: found.update({name: out.shape})
            )
        network(torch.zeros(2, 3, *case.clip, device="meta"))
        shapes.append(found)
        kinds = [m for m in network.modules() if isinstance(m, nn.Conv3d)]
        weights.append(sum(m.weight.numel() for m in kinds))
    assert set(shapes[0]) == set(convolutions)
    assert shapes[1] == shapes[0]
    # a depthwise filter has few weights, of which rounding down costs a larger share
    grouped = any(module.groups > 1 for module in convolutions.values())
    assert (0.9 if grouped else 0.99) < weights[1] / weights[0] <= 1


@pytest.mark.parametrize("convolution", ["2d", "r2plus1d"])
def test_baselines_are_copied_exported_and_frozen(convolution: str) -> None:
    network = lift(make_2d(Case("mobilenet_v3_small", (8, 32, 32))), convolution).eval()
    clip = torch.randn(2, 3, 8, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(clip)
        for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
            assert [type(m) for m in twin.modules()] == [type(m) for m in network.modules()]
            assert torch.equal(twin(clip), expected)
        frozen = freeze_filters(network)
        torch.testing.assert_close(frozen(clip), expected, rtol=1e-4, atol=1e-5)
    assert {type(m) for m in frozen.modules() if isinstance(m, nn.Conv3d)} == {nn.Conv3d}
    exported = torch.export.export(frozen, (clip,)).module()
    torch.testing.assert_close(exported(clip), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "convnext_tiny", "mnasnet0_5"])
def test_copies_files_and_export(name: str) -> None:
    case = Case(name, (32, 32, 32) if name == "convnext_tiny" else (8, 32, 32), 0.5)
    network = lift(make_2d(case), "3d").eval()
    clip = torch.randn(2, 3, *case.clip, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(clip)
        pickled = pickle.loads(pickle.dumps(network))
        for twin in (copy.deepcopy(network), pickled):
            assert [type(m) for m in twin.modules()] == [type(m) for m in network.modules()]
            assert torch.equal(twin(clip), expected)
        other = lift(make_2d(case._replace(options=())), "3d", carry="nothing").eval()
        assert not torch.equal(other(clip), expected)
        other.load_state_dict(network.state_dict())
        assert torch.equal(other(clip), expected)
    exported = torch.export.export(network, (clip,)).module()
    torch.testing.assert_close(exported(clip), expected)


def test_what_a_classifier_is() -> None:
    """Carrying convolutions alone: SqueezeNet's last one is its classifier; ConvNeXt's Linear
    layers within blocks are convolutions."""
    squeeze = make_2d(Case("squeezenet1_1", (17, 32, 32), 0.5))
    network: Any = lift(squeeze, "3t", carry="convolutions")
    last, before = (
        squeeze.get_parameter("classifier.1.weight"),
        squeeze.get_parameter("features.0.weight"),
    )
    assert not torch.equal(network.classifier[1].weight.squeeze(2), last)
    assert torch.equal(network.features[0].weight, before)
    assert torch.equal(lift(squeeze).get_parameter("classifier.1.weight").squeeze(2), last)

    convnext: Any = make_2d(Case("convnext_tiny", (32, 32, 32), 0.25))
    for norm in (m for m in convnext.modules() if isinstance(m, nn.LayerNorm)):
        nn.init.uniform_(norm.weight, 2, 3)
    network = lift(convnext, carry="convolutions")
    old, new = convnext.features[1][0], network.features[1][0]
    for layer in (0, 3, 5):
        assert torch.equal(new.block[layer].weight, old.block[layer].weight)
        assert torch.equal(new.block[layer].bias, old.block[layer].bias)
    assert torch.equal(new.layer_scale, old.layer_scale.unsqueeze(-1))
    assert not torch.equal(network.classifier[2].weight, convnext.classifier[2].weight)
    norms = [m for m in network.modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 23
    assert all(bool((m.weight == 1).all()) for m in norms)


@pytest.mark.parametrize(
    ("name", "layer", "kind"),
    [
        ("vit_b_32", "encoder.layers.encoder_layer_0.self_attention", "MultiheadAttention"),
        ("swin_t", "features.1.0.attn", "ShiftedWindowAttention"),
        ("swin_v2_t", "features.1.0.attn", "ShiftedWindowAttentionV2"),
        ("maxvit_t", "blocks.0.layers.0.layers.window_attention.attn_layer.1", "RelativePosition"),
    ],
)
def test_attention_over_a_fixed_grid_is_refused(name: str, layer: str, kind: str) -> None:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(num_classes=5)
    with pytest.raises(ValueError, match=f"'{layer}' .{kind}.*attention over a fixed 2D grid"):
        lift(model)


def test_inceptions_flat_filters_are_as_deep_as_their_longer_side() -> None:
    model = torchvision.models.inception_v3(num_classes=5, init_weights=False)
    network: Any = lift(model)
    block = network.Mixed_6b
    assert block.branch7x7_2.conv.kernel_size == (7, 1, 7)
    assert block.branch7x7_2.conv.padding == (3, 0, 3)
    assert block.branch7x7_3.conv.kernel_size == (7, 7, 1)
    assert block.branch7x7_3.conv.padding == (3, 3, 0)
    assert network.Mixed_7b.branch3x3_2a.conv.kernel_size == (3, 1, 3)
    assert block.branch1x1.conv.kernel_size == (1, 1, 1)
