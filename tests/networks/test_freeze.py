"""Frozen networks: plain convolutions, the same outputs, in every format that deployment takes."""

from __future__ import annotations

import copy
import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import threetconv
from threetconv.layer.conv3t import Conv3T, to_conv3d
from threetconv.networks.build import NETWORKS, build_network
from threetconv.networks.freeze import freeze_filters
from threetconv.networks.lift import lift

CLIP = (16, 32, 32)


def clips(seed: int = 0, number: int = 2) -> Tensor:
    return torch.randn(number, 3, *CLIP, generator=torch.Generator().manual_seed(seed))


def stir(network: nn.Module, seed: int = 1) -> nn.Module:
    """Move every number away from where it starts, batch norm's statistics included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Conv3T):
                for name, spread in (("scale", 0.3), ("rotate", 0.8), ("translate_x", 0.7)):
                    value = getattr(module, name)
                    value.add_(spread * torch.randn(value.shape, generator=generator))
                shift = torch.randn(module.translate_y.shape, generator=generator)
                module.translate_y.add_(shift.to(module.translate_y))
            elif isinstance(module, nn.BatchNorm3d):
                for value in (module.weight, module.running_var):
                    value.add_(torch.rand(value.shape, generator=generator))
                for value in (module.bias, module.running_mean):
                    value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return network


def build(name: str, *, width: float = 0.125) -> nn.Module:
    return stir(build_network(name, num_classes=5, clip_shape=CLIP, width=width, seed=0))


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request: pytest.FixtureRequest) -> nn.Module:
    """In evaluation; a test that changes it works on a copy."""
    return build(request.param).eval()


def tuples(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (output,) if isinstance(output, Tensor) else tuple(output)


# ---------------------------------------------------------------------------------- one layer


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)),
    padding=st.one_of(
        st.sampled_from(["same", "valid"]),
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
    ),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 4]),
    bias=st.booleans(),
    padding_mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    training=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_layer_of_any_kind_keeps_its_outputs(seed: int, training: bool, **options: Any) -> None:
    if options["padding"] == "same":
        options["stride"] = (1, 1, 1)
    options["kernel_size"] = options.pop("kernel")
    layer = stir(Conv3T(4, 8, dtype=torch.float64, **options), seed).train(training)
    assert isinstance(layer, Conv3T)
    plain = to_conv3d(layer)
    assert type(plain) is nn.Conv3d
    assert plain.training == training
    clip = torch.randn(2, 4, 9, 10, 11, generator=torch.Generator().manual_seed(seed)).double()
    torch.testing.assert_close(plain(clip), layer(clip), rtol=1e-10, atol=1e-10)


def test_the_layer_and_its_copy_share_nothing() -> None:
    layer = Conv3T(3, 4, 3).eval()
    plain, before = to_conv3d(layer), layer.filters().detach().clone()
    with torch.no_grad():
        assert torch.equal(to_conv3d(layer).weight, plain.weight)
        for parameter in plain.parameters():
            parameter.fill_(7)
    assert torch.equal(layer.filters(), before)
    assert layer.bias is not None
    assert not bool((layer.bias == 7).any())
    with torch.no_grad():
        layer.weight.fill_(2)
    assert bool((plain.weight == 7).all())
    assert bool((to_conv3d(layer).weight[:, :, 0] == 2).all())


def test_a_3d_layer_and_its_copy_share_nothing() -> None:
    layer: Any = lift(nn.Conv2d(3, 4, 3), "3d")
    plain, before = to_conv3d(layer), layer.weight.detach().clone()
    assert torch.equal(plain.weight, before)
    with torch.no_grad():
        plain.weight.fill_(7)
    assert torch.equal(layer.weight, before)


def test_what_a_plain_layer_keeps() -> None:
    layer = Conv3T(3, 4, 3, bias=False, dtype=torch.float64)
    layer.weight.requires_grad_(False)
    state = torch.get_rng_state()
    plain = to_conv3d(layer)
    assert torch.equal(torch.get_rng_state(), state)
    assert plain.weight.dtype == torch.float64
    assert plain.weight.is_contiguous()
    assert not plain.weight.requires_grad
    assert plain.weight.grad_fn is None
    assert plain.bias is None
    with torch.device("meta"):
        assert to_conv3d(Conv3T(3, 4, 3)).weight.device.type == "meta"


# ------------------------------------------------------------------------------ whole networks


@pytest.mark.parametrize("training", [False, True])
def test_frozen_networks_compute_the_same(network: nn.Module, training: bool) -> None:
    """In training too: batch statistics, running averages, auxiliary heads (same dropout mask)."""
    # float64: slices that are left out change rounding, which batch norm over few values enlarges
    original = copy.deepcopy(network).double().train(training)
    frozen = freeze_filters(original)
    assert all(module.training == training for module in frozen.modules())
    outputs = []
    for model in (original, frozen):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            outputs.append(tuples(model(clips().double())))
    for mine, theirs in zip(*outputs, strict=True):
        torch.testing.assert_close(theirs, mine, rtol=1e-9, atol=1e-9)
    buffers = dict(frozen.named_buffers())
    for name, value in original.named_buffers():
        torch.testing.assert_close(buffers[name], value, rtol=1e-9, atol=1e-9)


def test_frozen_networks_hold_plain_layers_only(network: nn.Module) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    frozen = freeze_filters(network)
    kinds = {type(m) for m in frozen.modules() if isinstance(m, Conv3T | nn.Conv3d)}
    assert kinds == {nn.Conv3d}
    assert any(isinstance(m, Conv3T) for m in network.modules())
    assert [n for n, _ in frozen.named_modules()] == [n for n, _ in network.named_modules()]
    with torch.no_grad():
        for value in frozen.state_dict().values():
            value.zero_()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_modes_of_single_layers_are_kept() -> None:
    model = nn.Sequential(Conv3T(3, 3, 3), nn.BatchNorm3d(3), Conv3T(3, 3, 3)).train()
    model[1].eval()
    model[2].eval()
    assert [m.training for m in freeze_filters(model)] == [True, False, False]


def test_a_layer_used_twice_stays_one_layer() -> None:
    layer = Conv3T(3, 3, 3, padding=1)
    frozen: Any = freeze_filters(nn.ModuleDict({"a": layer, "b": nn.Sequential(layer)}))
    assert frozen["a"] is frozen["b"][0]
    assert type(frozen["a"]) is nn.Conv3d


def test_a_layer_and_a_3d_network_freeze_too() -> None:
    assert type(freeze_filters(Conv3T(3, 3, 3))) is nn.Conv3d
    three_d = build_network(
        "resnet18", convolution="3d", num_classes=5, clip_shape=CLIP, width=0.125, seed=0
    ).eval()
    frozen = freeze_filters(three_d)
    assert {type(m) for m in frozen.modules() if isinstance(m, nn.Conv3d)} == {nn.Conv3d}
    with torch.no_grad():
        torch.testing.assert_close(frozen(clips()), three_d(clips()), rtol=1e-4, atol=1e-5)


def test_the_public_names() -> None:
    assert threetconv.freeze_filters is freeze_filters
    assert "freeze_filters" in threetconv.__all__


# ----------------------------------------------------------------- copies, files, state dicts


def copies(network: nn.Module) -> dict[str, nn.Module]:
    """A network after each of the trips that people send one on."""
    state, whole = io.BytesIO(), io.BytesIO()
    torch.save(network.state_dict(), state)
    torch.save(network, whole)
    state.seek(0)
    whole.seek(0)
    reloaded = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in reloaded.parameters():
            parameter.zero_()
    reloaded.load_state_dict(torch.load(state, weights_only=True))
    return {
        "deepcopy": copy.deepcopy(network),
        "pickle": pickle.loads(pickle.dumps(network)),
        "state dict": reloaded,
        "whole": torch.load(whole, weights_only=False),
    }


@pytest.mark.parametrize("frozen", [False, True])
def test_copies_compute_the_same(network: nn.Module, frozen: bool) -> None:
    original = freeze_filters(network) if frozen else network
    with torch.no_grad():
        expected = original(clips())
        for trip, model in copies(original).items():
            assert torch.equal(model(clips()), expected), trip
            assert model.state_dict().keys() == original.state_dict().keys()


def test_no_entry_of_a_state_dict_is_hidden_or_new_after_use(network: nn.Module) -> None:
    """Whatever a layer remembers between passes is not part of its state."""
    original = copy.deepcopy(network)
    before = list(original.state_dict())
    with torch.no_grad():
        original(clips())
    assert list(original.state_dict()) == before
    assert not [name for name in before if "cache" in name]


def test_a_frozen_state_dict_loads_into_a_3d_network(network: nn.Module) -> None:
    name = "googlenet" if hasattr(network, "inception3a") else "resnet18"
    three_d = build_network(name, convolution="3d", num_classes=5, clip_shape=CLIP, width=0.125)
    three_d.load_state_dict(freeze_filters(network).state_dict())
    with torch.no_grad():
        expected = network(clips())
        torch.testing.assert_close(three_d.eval()(clips()), expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------------------ other formats


@pytest.mark.parametrize("frozen", [True, False])
def test_exported_programs_compute_the_same(network: nn.Module, frozen: bool) -> None:
    """Frozen, and as a 3T network, whose filters the program then builds with torch's operators."""
    model = freeze_filters(network) if frozen else network
    program = torch.export.export(model, (clips(),))
    other = clips(seed=7)
    with torch.no_grad():
        expected = network(other)
        torch.testing.assert_close(program.module()(other), expected, rtol=1e-4, atol=1e-5)
    operators = {str(node.target) for node in program.graph.nodes}
    assert any("conv3d" in name for name in operators)
    if frozen:
        assert not [name for name in operators if "cos" in name or "floor" in name]


@pytest.mark.parametrize("frozen", [True, False])
def test_compiled_networks_compute_the_same(frozen: bool) -> None:
    """Traced by torch.compile, run without generated code."""
    layers = (nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3))
    network = stir(lift(nn.Sequential(*layers))).eval()
    model = freeze_filters(network) if frozen else network
    with torch.no_grad():
        expected = network(clips())
        compiled = torch.compile(model, backend="aot_eager")
        torch.testing.assert_close(compiled(clips()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("name", NETWORKS)
def test_compiled_code_computes_the_same(name: str) -> None:
    network = build(name).eval()
    with torch.no_grad():
        expected = network(clips())
        compiled = torch.compile(freeze_filters(network))
        torch.testing.assert_close(compiled(clips()), expected, rtol=1e-3, atol=1e-4)


def test_onnx_computes_the_same(network: nn.Module, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file = tmp_path / "network.onnx"
    torch.onnx.export(freeze_filters(network), (clips(),), str(file), dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    other = clips(seed=7)
    (output,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
    with torch.no_grad():
        expected = network(other)
    torch.testing.assert_close(torch.from_numpy(output), expected, rtol=1e-3, atol=1e-4)


def test_another_lifted_network_freezes() -> None:
    """Depthwise and pointwise convolutions, with a bias."""
    flat = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 6, 5, padding=2, groups=6, padding_mode="replicate"),
        nn.Conv2d(6, 8, 1),
    )
    network = stir(lift(flat)).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            freeze_filters(network)(clips()), network(clips()), rtol=1e-5, atol=1e-5
        )


def test_a_layer_turns_itself_into_a_plain_one():
    layer = Conv3T(3, 4, 3, padding=1)
    with torch.no_grad():
        layer.rotate.fill_(0.3)
    plain = layer.to_conv3d()
    assert type(plain) is nn.Conv3d
    clip = torch.randn(2, 3, 5, 6, 7)
    torch.testing.assert_close(plain(clip), layer(clip))
