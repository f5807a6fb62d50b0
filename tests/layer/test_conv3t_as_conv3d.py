"""What `nn.Conv3d` can do around its arithmetic: tools and transforms of torch, and conversions."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call
from torch.nn.utils.parametrize import register_parametrization

from threetconv import Conv3T
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3d

from ..builders.conv_layers import make

# torch scripts formulas of its own when it first computes forward
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated:FutureWarning")

Names = tuple[str, ...]
NAMES: Names = ("weight", *TEMPORAL_PARAMETERS)


def clip(frames: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 2, frames, 5, 5, generator=generator, dtype=dtype)


def of_parameters(layer: nn.Module, x: Tensor) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The layer's output as a function of its parameters, and their present values."""

    def output(*values: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(NAMES, values, strict=True)), (x,))

    return output, tuple(getattr(layer, name).detach().clone() for name in NAMES)


@pytest.fixture(params=[True, False], ids=["training", "evaluation"])
def layer(request: pytest.FixtureRequest) -> nn.Module:
    return make(spread=0.2, padding=1, dtype=torch.float64).train(request.param)


@pytest.mark.parametrize("graph", [True, False], ids=["graph", "no graph"])
def test_tangents_are_finite_differences(layer: nn.Module, graph: bool) -> None:
    """Without a graph too, where filters are cached in evaluation: tangents must not be lost."""
    output, values = of_parameters(layer, clip())
    directions = [torch.randn_like(value) for value in values]
    step = 1e-6

    def moved(by: float) -> Tensor:
        return output(*(v + by * d for v, d in zip(values, directions, strict=True)))

    with torch.set_grad_enabled(graph), forward_ad.dual_level():
        output(*values)  # fills the cache
        duals = map(forward_ad.make_dual, values, directions)
        tangent = forward_ad.unpack_dual(output(*duals)).tangent
    assert tangent is not None
    expected = (moved(step) - moved(-step)) / (2 * step)
    torch.testing.assert_close(tangent, expected.detach(), rtol=1e-6, atol=1e-6)


def test_gradients_of_many_outputs_at_once(layer: nn.Module) -> None:
    x = clip()
    y, parameters = layer(x), list(layer.parameters())
    directions = torch.randn(3, *y.shape, dtype=y.dtype)
    options: dict[str, Any] = {"retain_graph": True}
    batched = torch.autograd.grad(y, parameters, directions, is_grads_batched=True, **options)
    for number, direction in enumerate(directions):
        alone = torch.autograd.grad(y, parameters, direction, **options)
        torch.testing.assert_close([found[number] for found in batched], list(alone))


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_vectorised_jacobians_and_hessians(strategy: Any, layer: nn.Module) -> None:
    output, values = of_parameters(layer, clip())
    options: dict[str, Any] = {"vectorize": True}
    found = jacobian(output, values, strategy=strategy, **options)
    torch.testing.assert_close(found, jacobian(output, values))

    def loss(scale: Tensor, rotate: Tensor) -> Tensor:
        return output(values[0], scale, rotate, *values[3:]).square().sum()

    found = hessian(loss, values[1:3], outer_jacobian_strategy=strategy, **options)
    torch.testing.assert_close(found, hessian(loss, values[1:3]))


@pytest.mark.parametrize("strict", [True, False])
def test_exported(strict: bool, layer: nn.Module) -> None:
    x = clip()
    program = torch.export.export(layer, (x,), strict=strict)
    torch.testing.assert_close(program.module()(x), layer(x))


def test_compiled_as_one_graph(layer: nn.Module) -> None:
    x = clip()
    torch._dynamo.reset()
    compiled: Any = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), layer(x))
        nn.init.constant_(layer.get_parameter("translate_x"), 0.4)
        torch.testing.assert_close(compiled(x), layer(x))


def test_scripting_is_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match="freeze_filters"):
        torch.jit.script(nn.Sequential(make()))


@pytest.mark.parametrize("layer", [make(padding=1), Conv3d(2, 3, 3, padding=1)], ids=["3t", "3d"])
def test_one_node_of_a_traced_graph(layer: nn.Module) -> None:
    network = nn.Sequential(layer, nn.ReLU())
    traced = torch.fx.symbolic_trace(network)
    assert [node.op for node in traced.graph.nodes] == [
        "placeholder",
        *["call_module"] * 2,
        "output",
    ]
    x = clip(dtype=torch.float32)
    torch.testing.assert_close(traced(x), network(x))
    with pytest.raises(TypeError, match="by itself"):
        torch.fx.symbolic_trace(layer)


@pytest.mark.parametrize("form", [torch.channels_last_3d, torch.channels_last])
def test_memory_formats_of_clips_and_images(form: Any) -> None:
    layer = make(spread=0.2, padding=1)
    x = clip(dtype=torch.float32)
    expected = layer(x)
    assert layer.to(memory_format=form) is layer
    torch.testing.assert_close(layer(x), expected)
    assert layer.weight.is_contiguous()
    layer.to(torch.float64, memory_format=form)
    assert {parameter.dtype for parameter in layer.parameters()} == {torch.float64}
    assert all(parameter.is_shared() for parameter in layer.share_memory().parameters())


def test_numpy_integers_are_sizes() -> None:
    three, one = np.int64(3), np.int32(1)
    layer = Conv3T(2, 3, three, stride=(one, 2, 2), padding=one)  # type: ignore[arg-type]
    assert repr(layer) == repr(Conv3T(2, 3, 3, stride=(1, 2, 2), padding=1))
    assert all(type(size) is int for size in (*layer.kernel_size, *layer.stride, *layer.padding))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
def test_without_channels() -> None:
    assert Conv3T(0, 0, 3).weight.shape == (0, 0, 3, 3)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_2d_state_loads_strictly_with_transforms_at_the_identity(device: str) -> None:
    """Whatever they were before, as on the meta device and after `to_empty`."""
    layer, image = make(spread=0.2).to(device), nn.Conv2d(2, 3, 3)
    layer.load_state_dict(image.state_dict(), assign=device == "meta")
    for each in layer.filters().unbind(2):
        torch.testing.assert_close(each, image.weight)


def test_a_state_without_the_layer_leaves_it_as_it_is() -> None:
    """Of a classifier alone, say: transforms that were learned must not be lost."""
    network = nn.Sequential(make(spread=0.2), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in network[0].state_dict().items()}
    network.load_state_dict({"1.weight": torch.zeros(2, 3), "1.bias": torch.zeros(2)}, strict=False)
    for name, value in network[0].state_dict().items():
        assert torch.equal(value, before[name])


def test_a_parametrised_transform_loads_its_own_state() -> None:
    layers = [make(spread=0.2, seed=seed) for seed in (0, 1)]
    for layer, name in itertools.product(layers, TEMPORAL_PARAMETERS):
        register_parametrization(layer, name, nn.Identity())
    layers[0].load_state_dict(layers[1].state_dict())
    torch.testing.assert_close(layers[0].filters(), layers[1].filters())


@pytest.mark.parametrize("shape", [(2, 1), (1, 3), (2,), (3, 3)])
@pytest.mark.parametrize("name", TEMPORAL_PARAMETERS)
def test_transforms_of_another_shape_are_refused(name: str, shape: tuple[int, ...]) -> None:
    """The compiled kernels would read other memory."""
    layer = make()
    values = dict(layer.named_parameters()) | {name: torch.ones(shape)}
    with pytest.raises(ValueError, match=r"has shape .*, not \(D - 1, out\)"):
        functional_call(layer, values, (clip(dtype=torch.float32),))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # sizes are fixed, as meant
@pytest.mark.parametrize("frames", [1, 3, 4, 5, 8])
def test_a_graph_traced_at_one_length_trains_at_others(frames: int) -> None:
    """With the workaround for short clips, without which this kills the process."""
    layer = Conv3T(2, 16, (7, 3, 3), stride=(2, 1, 1), padding=(3, 1, 1))
    traced = torch.jit.trace(layer, clip(24, torch.float32), check_trace=False)
    x = clip(frames, torch.float32)
    for gradients in zip(
        *(
            torch.autograd.grad(f(x).square().sum(), list(layer.parameters()))
            for f in (traced, layer)
        ),
        strict=True,
    ):
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


def test_a_3t_state_without_one_transform_is_refused() -> None:
    layer = make()
    state = layer.state_dict()
    del state["rotate"]
    with pytest.raises(RuntimeError, match=r'Missing key.*"rotate"'):
        layer.load_state_dict(state)


def test_mixed_precision_is_named() -> None:
    layer = make()
    layer.scale = nn.Parameter(layer.scale.double())
    with pytest.raises(ValueError, match=r"one dtype, not .*'scale': torch.float64"):
        layer(clip(dtype=torch.float32))
