"""Filters against `F.grid_sample`, in every way they can be built: values and all gradients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from threetconv.layer import build_filters as module
from threetconv.layer.build_filters import build_filters

Parameters = list[Tensor]
NAMES = ("weight", "scale", "rotate", "translate_x", "translate_y")

pytestmark = [
    # torch says of one-tap grids that their coordinate became 0 in version 1.3; that is meant here
    pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid:UserWarning"),
]


def plain_filters(
    parameters: Parameters,
    filter_padding: str = "zeros",
    align_corners: bool = True,
    aside: float = 0,
) -> Tensor:
    """affine_grid and grid_sample, slice after slice; places `aside` to the right and below."""
    weight, *transforms = parameters
    slices = [weight]
    for s, r, tx, ty in zip(*transforms, strict=True):
        a, b = s * r.cos(), s * r.sin()
        rows = torch.stack((a, -b, tx * a - ty * b, b, a, tx * b + ty * a), dim=-1)
        grid = F.affine_grid(rows.view(-1, 2, 3), list(weight.shape), align_corners=align_corners)
        # "border" gives no derivative on the outermost taps: the first go outside, as the last do
        outermost = (grid == grid[:1, :1, :1]) & (filter_padding == "border")
        grid = grid + torch.where(outermost, -aside, aside)
        warped = F.grid_sample(
            slices[-1], grid, "bilinear", filter_padding, align_corners=align_corners
        )
        slices.append(warped)
    return torch.stack(slices, dim=2)


def make(
    kernel: tuple[int, int, int] = (3, 3, 3),
    *,
    channels: tuple[int, int] = (3, 5),
    spread: float = 0.2,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Parameters:
    """Random parameters with their transforms around the identity."""
    depth, height, width = kernel
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    parameters = [normal(*channels, height, width)]
    parameters += [spread * normal(depth - 1, channels[0]) for _ in range(4)]
    parameters[1] += 1
    return [parameter.to(dtype).requires_grad_() for parameter in parameters]


def backward(filters: Tensor, parameters: Parameters) -> list[Tensor]:
    """Gradients of a random weighting of the filters."""
    generator = torch.Generator().manual_seed(9)
    direction = torch.randn(filters.shape, generator=generator, dtype=torch.float64)
    wanted = [parameter for parameter in parameters if parameter.numel()]
    found = torch.autograd.grad(filters, wanted, direction.to(filters.dtype), retain_graph=True)
    return list(found)


def assert_same(
    found: Tensor, expected: Tensor, parameters: Parameters, tolerance: float = 3e-6
) -> None:
    """Equal in value and in every gradient, to `tolerance` of each one's largest."""
    largest = float(expected.detach().abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * largest)
    gradients = backward(found, parameters), backward(expected, parameters)
    for name, one, other in zip(NAMES, *gradients, strict=False):
        error = float((one - other).abs().max() / other.abs().max().clamp_min(1e-3))
        assert error < tolerance * 10, name


KERNELS = [
    (1, 3, 3), (2, 1, 1), (3, 3, 3), (4, 3, 3), (5, 3, 3), (2, 2, 2), (3, 5, 5), (7, 7, 7),
    (4, 4, 4), (2, 3, 1), (3, 1, 4), (3, 9, 1), (3, 1, 9), (4, 6, 2), (2, 11, 11),
]  # fmt: skip


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("align_corners", [True, False], ids=["corners", "edges"])
@pytest.mark.parametrize("filter_padding", ["zeros", "border"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_filters_and_gradients_are_those_of_grid_sample(
    kernel: tuple[int, int, int], filter_padding: str, align_corners: bool, backend: str
) -> None:
    options: dict[str, Any] = {"filter_padding": filter_padding, "align_corners": align_corners}
    for channels in ((3, 2), (2, 21)):
        parameters = make(kernel, channels=channels)
        expected = plain_filters(parameters, filter_padding, align_corners)
        found = build_filters(*parameters, **options, backend=backend)
        assert found.is_contiguous()
        assert_same(found, expected, parameters)


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("align_corners", [True, False], ids=["corners", "edges"])
@pytest.mark.parametrize("filter_padding", ["zeros", "border"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 8, 11])
def test_at_the_identity_too(
    size: int, filter_padding: str, align_corners: bool, backend: str
) -> None:
    """Every tap stands on a node, where left and right derivatives differ and one is the one."""
    options: dict[str, Any] = {"filter_padding": filter_padding, "align_corners": align_corners}
    exact = make((3, size, size), spread=0, dtype=torch.float64)
    # the documented side: places a little to the right of their nodes, and below
    expected = plain_filters(exact, filter_padding, align_corners, aside=1e-10)
    for dtype in (torch.float32, torch.float64):
        parameters = make((3, size, size), spread=0, dtype=dtype)
        found = build_filters(*parameters, **options, backend=backend)
        torch.testing.assert_close(found, expected.to(dtype), rtol=0, atol=1e-6)
        gradients = backward(found, parameters), backward(expected, exact)
        for name, one, other in zip(NAMES, *gradients, strict=True):
            largest = max(1, float(other.abs().max()))
            torch.testing.assert_close(
                one.double(), other, rtol=0, atol=1e-5 * largest, msg=lambda m, n=name: f"{n}: {m}"
            )
        if size > 1 and filter_padding == "zeros":
            assert all(bool((g.abs() > 1e-3).any()) for g in backward(found, parameters))


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("shift", [(1, 0), (0, -1), (-2, 1), (3, 0)])
def test_at_other_nodes_too(shift: tuple[int, int], backend: str) -> None:
    """Translations by whole taps of a kernel whose coordinates are exact: 5 x 5."""
    parameters = make((2, 5, 5), spread=0, dtype=torch.float64)
    with torch.no_grad():
        parameters[3] += shift[0] / 2
        parameters[4] += shift[1] / 2
    found = build_filters(*parameters, backend=backend)
    assert_same(found, plain_filters(parameters), parameters)


extremes = st.sampled_from([0.0, 1e-6, -1e-6, 0.3, 1.0, -1.0, 2.5, -3.0, 40.0])


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.sampled_from([(3, 3, 3), (2, 3, 3), (4, 3, 3), (3, 5, 4), (4, 7, 7), (2, 1, 2)]),
    seed=st.integers(0, 999),
    scale=extremes,
    rotate=st.sampled_from([0.4, 3.5, -6.0, 100.0]),
    translate=st.sampled_from([0.1, 2.3, -7.0, 1e4]),
    border=st.booleans(),
)
def test_extreme_transforms(  # noqa: PLR0917
    kernel: tuple[int, int, int],
    seed: int,
    scale: float,
    rotate: float,
    translate: float,
    border: bool,
) -> None:
    """s near 0 and negative, r beyond pi, t beyond the kernel: in float64 all agree."""
    padding = "border" if border else "zeros"
    parameters = make(kernel, channels=(2, 3), seed=seed, dtype=torch.float64)
    with torch.no_grad():
        for i, factor in enumerate((scale, rotate, translate, translate), start=1):
            parameters[i] *= factor
    expected = plain_filters(parameters, padding)
    for backend in ("compiled", "torch"):
        found = build_filters(*parameters, filter_padding=padding, backend=backend)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
        pairs = zip(backward(found, parameters), backward(expected, parameters), strict=True)
        for one, other in pairs:
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 40)),
    seed=st.integers(0, 999),
)
def test_any_size_any_number_of_channels(
    kernel: tuple[int, int, int], channels: tuple[int, int], seed: int
) -> None:
    parameters = make(kernel, channels=channels, seed=seed, dtype=torch.float64)
    found = build_filters(*parameters, backend="compiled")
    torch.testing.assert_close(found, plain_filters(parameters), rtol=0, atol=1e-12)
    for one, other in zip(
        backward(found, parameters), backward(plain_filters(parameters), parameters), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("filter_padding", ["zeros", "border"])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (2, 2, 4), (3, 5, 5)], ids=str)
def test_gradients_are_those_of_finite_differences(
    kernel: tuple[int, int, int], filter_padding: str
) -> None:
    """In float64, away from the nodes; first and second derivatives."""
    parameters = make(kernel, channels=(2, 2), spread=0.13, dtype=torch.float64)

    def build(*values: Tensor) -> Tensor:
        return build_filters(*values, filter_padding=filter_padding)

    assert torch.autograd.gradcheck(build, parameters)
    assert torch.autograd.gradgradcheck(build, parameters)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (5, 3, 3), (4, 5, 5), (7, 7, 7)], ids=str)
@pytest.mark.parametrize("backend", ["compiled", "torch"])
def test_part_of_the_slices(kernel: tuple[int, int, int], backend: str) -> None:
    """As cut from the whole; and transforms that shape none of them get zeros, not nothing."""
    parameters = make(kernel, channels=(2, 36))
    whole = build_filters(*parameters, backend=backend)
    for first in range(kernel[0]):
        for last in range(first + 1, kernel[0] + 1):
            part = build_filters(*parameters, slices=(first, last), backend=backend)
            assert_same(part, whole[:, :, first:last], parameters)
            for gradient in backward(part, parameters)[1:]:
                assert bool((gradient[: last - 1] != 0).all())
                assert bool((gradient[last - 1 :] == 0).all())


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 5, 5)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_built_in_float32(
    kernel: tuple[int, int, int], dtype: torch.dtype
) -> None:
    parameters = make(kernel, dtype=dtype)
    found = build_filters(*parameters)
    assert found.dtype == dtype
    wide = [parameter.detach().float() for parameter in parameters]
    assert torch.equal(found, build_filters(*wide).to(dtype))
    assert all(gradient.dtype == dtype for gradient in backward(found, parameters))


def test_autocast_does_not_reach_the_filters() -> None:
    parameters = make()
    for backend in ("compiled", "torch"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = build_filters(*parameters, backend=backend)
        assert torch.equal(found, build_filters(*parameters, backend=backend))


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("kernel", "channels"), [((3, 3, 3), (128, 300)), ((7, 7, 7), (99, 5))])
def test_the_number_of_threads_does_not_change_the_numbers(
    kernel: tuple[int, int, int], channels: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters, results, calls = make(kernel, channels=channels), [], []
    real = module.carry_out
    monkeypatch.setattr(module, "carry_out", lambda *a: (calls.append(a[3]), real(*a))[1])
    for number in (1, 2, 5):
        torch.set_num_threads(number)
        filters = build_filters(*parameters)
        results.append([filters, *backward(filters, parameters)])
    assert calls == [1, 1, 2, 2, 5, 5]
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


@pytest.mark.usefixtures("threads")
def test_callers_do_not_disturb_one_another() -> None:
    torch.set_num_threads(3)
    many = [make((3, 5, 5), channels=(40, 50), seed=seed) for seed in range(4)]
    expected = [build_filters(*parameters).detach() for parameters in many]
    wrong: list[int] = []

    def run(seed: int) -> None:
        for _ in range(10):
            if not torch.equal(build_filters(*many[seed]).detach(), expected[seed]):
                wrong.append(seed)

    callers = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


@pytest.mark.parametrize("backend", ["compiled", "torch"])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 5, 5)], ids=str)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_transform_shows(
    kernel: tuple[int, int, int], value: float, backend: str
) -> None:
    """What is read nowhere is not a number, and not an empty slice; other channels go on."""
    parameters = make(kernel)
    for which in range(1, 5):
        values = [parameter.detach().clone() for parameter in parameters]
        values[which][0, 1] = value
        found = build_filters(*values, backend=backend)
        assert bool(found[1, :, 1].isnan().any())
        assert not bool(found[[0, 2]].isnan().any())
        assert not bool(found[:, :, 0].isnan().any())


def test_memory_format_and_strides_of_the_weight_do_not_matter() -> None:
    parameters = make((3, 3, 3), channels=(4, 6))
    expected = build_filters(*parameters)
    last = parameters[0].detach().to(memory_format=torch.channels_last).requires_grad_()
    strided = [p.detach().repeat_interleave(2, -1)[..., ::2].requires_grad_() for p in parameters]
    for values in ([last, *parameters[1:]], strided):
        assert_same(build_filters(*values, backend="compiled"), plain_filters(values), values)
        assert torch.equal(build_filters(*values), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 5, 5)], ids=str)
def test_strides_of_nothing_and_turned_tensors_do_not_matter(
    kernel: tuple[int, int, int], dtype: torch.dtype
) -> None:
    """Kernels get addresses: expanded, transposed and negated memory must be copied before."""
    parameters = [p.detach() for p in make(kernel, channels=(4, 6), dtype=dtype)]
    weight, *transforms = parameters
    negated = torch.complex(weight, -weight).conj().imag
    assert negated.is_neg()
    values = [
        negated,
        transforms[0].t().contiguous().t(),
        transforms[1][:, :1].expand(-1, 4),
        *transforms[2:],
    ]
    plain = [value.resolve_neg().clone(memory_format=torch.contiguous_format) for value in values]
    for some in (values, plain):
        for value in some:
            value.requires_grad_()
    filters, expected = build_filters(*values), build_filters(*plain)
    assert torch.equal(filters, expected)
    dense = torch.randn(expected.shape, dtype=dtype)
    for direction in (
        dense.mT.contiguous().mT,
        dense[:1, :1].expand_as(dense),
        torch.complex(dense, dense).conj().imag,
    ):
        found = torch.autograd.grad(filters, values, direction, retain_graph=True)
        copy = direction.resolve_neg().clone(memory_format=torch.contiguous_format)
        wanted = torch.autograd.grad(expected, plain, copy, retain_graph=True)
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("which", range(5))
def test_only_one_gradient_is_wanted(which: int) -> None:
    parameters = make((3, 3, 3))
    (expected,) = torch.autograd.grad(build_filters(*parameters).sum(), parameters[which])
    some = [p if i == which else p.detach() for i, p in enumerate(parameters)]
    (found,) = torch.autograd.grad(build_filters(*some).sum(), parameters[which])
    assert torch.equal(found, expected)


def test_the_way_back_reads_what_the_way_there_read() -> None:
    """Also if a parameter's `data` was exchanged and the old is seen by nobody else any more."""
    parameters = make((3, 5, 5), channels=(8, 20))
    expected = backward(build_filters(*parameters), parameters)
    filters = build_filters(*parameters)
    for parameter in parameters:
        parameter.data = torch.full_like(parameter, float("nan"))
    for one, other in zip(backward(filters, parameters), expected, strict=True):
        assert torch.equal(one, other)


def test_hooks_on_saved_tensors_do_not_reach_the_kernels() -> None:
    """What they unpack may be of another dtype: fewer bytes than the kernels fill."""
    parameters = make((3, 3, 3), channels=(8, 20))
    expected = backward(build_filters(*parameters), parameters)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.half(), lambda x: x):
        filters = build_filters(*parameters)
    for one, other in zip(backward(filters, parameters), expected, strict=True):
        assert torch.equal(one, other)


# what torch.func itself does
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_func_transforms() -> None:
    parameters = make((2, 3, 3), channels=(2, 2), dtype=torch.float64)
    values = [parameter.detach() for parameter in parameters]
    expected = torch.autograd.functional.jacobian(build_filters, tuple(values))
    found = torch.func.jacrev(build_filters, argnums=tuple(range(5)))(*values)
    ahead = torch.func.jacfwd(build_filters, argnums=tuple(range(5)))(*values)
    for others in (found, ahead):
        for one, other in zip(expected, others, strict=True):
            torch.testing.assert_close(one, other)


def test_changing_a_parameter_before_the_way_back_is_an_error() -> None:
    parameters = make()
    filters = build_filters(*parameters)
    with torch.no_grad():
        parameters[1] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        filters.sum().backward()


class Build(nn.Module):
    def forward(self, *parameters: Tensor) -> Tensor:
        return build_filters(*parameters)


def test_tracing_compiling_and_counting_see_torch_operators() -> None:
    parameters = [parameter.detach() for parameter in make()]
    expected = build_filters(*parameters)
    compiled = torch.compile(Build(), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*parameters), expected)
    exported = torch.export.export(Build(), tuple(parameters))
    torch.testing.assert_close(exported.module()(*parameters), expected)
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        build_filters(*parameters)
    assert counter.get_total_flops() > 0
    meta = [parameter.to("meta") for parameter in parameters]
    assert build_filters(*meta).shape == expected.shape


def test_without_numba_torch_does_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = make()
    expected = build_filters(*parameters, backend="torch")
    monkeypatch.setattr(module, "_kernels", lambda: None)
    assert torch.equal(build_filters(*parameters), expected)
    with pytest.raises(ValueError, match="needs numba"):
        build_filters(*parameters, backend="compiled")


def test_a_missing_numba_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import sys

    import threetconv.layer.cpu as package

    for name in ("any_size", "nine_taps"):
        monkeypatch.delattr(package, name, raising=False)
        monkeypatch.setitem(sys.modules, f"threetconv.layer.cpu.{name}", None)
    assert module._kernels.__wrapped__() is None
    assert "filters are built by torch" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filter_padding": "reflection"}, "filter_padding='reflection'"),
        ({"backend": "cuda"}, "backend='cuda'"),
        ({"slices": (1, 1)}, "slices"),
        ({"slices": (0, 4)}, "D=3"),
    ],
)
def test_impossible_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_filters(*make(), **options)


def test_compiled_filters_cannot_be_asked_of_everything() -> None:
    with pytest.raises(ValueError, match="on meta"):
        build_filters(*[p.to("meta") for p in make()], backend="compiled")
