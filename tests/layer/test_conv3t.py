"""Conv3T against a plain grid-sampling loop and the paper's equations, and as a layer of torch."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from threetconv.layer import conv3t
from threetconv.layer.build_filters import build_filters
from threetconv.layer.conv3t import TEMPORAL_PARAMETERS, Conv3T, convolve

from ..builders.conv_layers import make

Parameters = dict[str, Tensor]


def plain_filters(p: Parameters) -> Tensor:
    """The authors' way: affine_grid and grid_sample, slice by slice, in float64.

    Places are moved aside by less than matters, to the documented side of the nodes, since
    `F.affine_grid` rounds taps at the identity to either side.
    """
    current, slices = p["weight"], [p["weight"]]
    transforms = (p[name] for name in TEMPORAL_PARAMETERS)
    for s, r, tx, ty in zip(*transforms, strict=True):
        theta = torch.stack(
            [
                s * r.cos(),
                -s * r.sin(),
                tx * s * r.cos() - ty * s * r.sin(),
                s * r.sin(),
                s * r.cos(),
                tx * s * r.sin() + ty * s * r.cos(),
            ],
            dim=-1,
        ).view(-1, 2, 3)
        grid = F.affine_grid(theta, list(current.shape), align_corners=True) + 1e-10
        current = F.grid_sample(
            current, grid, mode="bilinear", padding_mode="zeros", align_corners=True
        )
        slices.append(current)
    return torch.stack(slices, dim=2)


def equation_filters(p: dict[str, np.ndarray]) -> np.ndarray:
    """Equations 3 to 5 as they are written, in float64, one tap at a time."""
    out_channels, _, height, width = p["weight"].shape
    slices = [p["weight"].astype(np.float64)]
    transforms = (p[name].astype(np.float64) for name in TEMPORAL_PARAMETERS)
    for s, r, tx, ty in zip(*transforms, strict=True):
        old, new = slices[-1], np.zeros_like(slices[-1])
        for o in range(out_channels):
            c, d = s[o] * math.cos(r[o]), s[o] * math.sin(r[o])
            theta = np.array([[c, -d, tx[o] * c - ty[o] * d], [d, c, tx[o] * d + ty[o] * c]])
            for y in range(height):
                for x in range(width):
                    xn = 2 * x / (width - 1) - 1 if width > 1 else 0.0
                    yn = 2 * y / (height - 1) - 1 if height > 1 else 0.0
                    gx, gy = theta @ (xn, yn, 1.0)
                    gx, gy = (gx + 1) / 2 * (width - 1), (gy + 1) / 2 * (height - 1)
                    for j in range(height):
                        for i in range(width):
                            weight = max(0, 1 - abs(gx - i)) * max(0, 1 - abs(gy - j))
                            new[o, :, y, x] += old[o, :, j, i] * weight
        slices.append(new)
    return np.stack(slices, axis=2)


def parameters_of(layer: nn.Module) -> Parameters:
    return dict(layer.named_parameters())


CASES: dict[str, dict[str, Any]] = {
    "1": {"kernel_size": 1},
    "2": {"kernel_size": 2},
    "3": {"kernel_size": 3, "padding": 1},
    "5": {"kernel_size": 5, "padding": 2},
    "7, stride 2": {"kernel_size": 7, "stride": 2, "padding": 3, "bias": False},
    "H != W": {"kernel_size": (3, 4, 2)},
    "even and deep": {"kernel_size": (5, 6, 4), "padding": (2, 3, 0)},
    "one row": {"kernel_size": (4, 1, 3)},
    "no space": {"kernel_size": (3, 1, 1)},
    "no time": {"kernel_size": (1, 3, 5)},
    "groups": {"kernel_size": 3, "in_channels": 4, "out_channels": 6, "groups": 2},
    "depthwise": {"kernel_size": 3, "in_channels": 4, "out_channels": 4, "groups": 4},
    "stride": {"kernel_size": (3, 2, 3), "stride": (1, 2, 3), "padding": (2, 0, 1)},
    "dilation": {"kernel_size": (2, 3, 3), "dilation": (3, 1, 2), "padding": (1, 1, 2)},
    "same": {"kernel_size": (3, 5, 3), "padding": "same"},
    "same, dilated": {"kernel_size": (3, 2, 4), "padding": "same", "dilation": 2},
    "valid": {"kernel_size": 3, "padding": "valid"},
    "reflect": {"kernel_size": (3, 5, 3), "padding": (1, 2, 1), "padding_mode": "reflect"},
    "replicate": {"kernel_size": 3, "padding": 1, "padding_mode": "replicate", "stride": 2},
    "circular": {"kernel_size": (2, 3, 5), "padding": (1, 0, 2), "padding_mode": "circular"},
    "circular, same": {"kernel_size": (2, 3, 4), "padding": "same", "padding_mode": "circular"},
    "replicate, valid": {"kernel_size": 2, "padding": "valid", "padding_mode": "replicate"},
}


# torch says of one-tap grids that their coordinate became 0 in version 1.3; that is meant here
@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid:UserWarning")
@pytest.mark.parametrize("spread", [0.0, 0.2], ids=["identity", "random"])
@pytest.mark.parametrize("case", CASES)
def test_forward_and_every_gradient_equal_the_plain_loop(case: str, spread: float) -> None:
    """In float32; the convolution done by nn.Conv3d itself with the plain loop's filters."""
    layer = make(spread=spread, **CASES[case])
    ours = parameters_of(layer)
    plain = {name: value.detach().double().requires_grad_() for name, value in ours.items()}
    arguments = {"in_channels": 2, "out_channels": 3} | CASES[case]
    generator = torch.Generator().manual_seed(3)
    clip = torch.randn(2, arguments["in_channels"], 8, 9, 8, generator=generator)
    clips = [clip.requires_grad_(), clip.detach().double().requires_grad_()]

    output = layer(clips[0])
    replacement = {"weight": plain_filters(plain)}
    if "bias" in plain:
        replacement["bias"] = plain["bias"]
    expected = torch.func.functional_call(nn.Conv3d(**arguments), replacement, (clips[1],))
    assert output.shape == expected.shape
    torch.testing.assert_close(output, expected.float(), rtol=1e-4, atol=1e-5)

    direction = torch.randn(output.shape, generator=generator)
    output.backward(direction)
    expected.backward(direction.double())
    gradients = [clip.grad.float() for clip in clips if clip.grad is not None]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)
    for name, parameter in ours.items():
        if parameter.numel() == 0:  # a kernel of depth 1 has no transforms
            continue
        gradient, wanted = parameter.grad, plain[name].grad
        assert gradient is not None
        assert wanted is not None
        error = float((gradient - wanted).abs().max() / wanted.abs().max().clamp_min(1))
        assert error < 2e-5, name


@pytest.mark.parametrize("area", [3, 7])
@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("depth", [4, 5, 6, 7, 8, 9, 11])
def test_deep_filters_on_short_clips(depth: int, stride: int, area: int) -> None:
    """torch's own float32 weight gradient is garbage for some, and others kill the process."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 3, depth, area, area, generator=generator)
    for padding, frames in itertools.product((depth // 2, depth - 1), range(1, depth + stride + 1)):
        if frames + 2 * padding < depth:
            continue
        clip = torch.randn(2, 3, frames, 7, 7, generator=generator)
        sizes: dict[str, Any] = {"stride": (stride, 2, 2), "dilation": (1, 1, 1), "groups": 1}
        gradients = []
        for dtype in (torch.float32, torch.float64):
            inputs = [tensor.to(dtype).requires_grad_() for tensor in (clip, weight)]
            edges = (padding, area // 2, area // 2)
            output = convolve(*inputs, None, padding=edges, **sizes)
            found = torch.autograd.grad(output.square().sum(), inputs)
            gradients.append([gradient.double() for gradient in found])
        for one, other in zip(*gradients, strict=True):
            error = float((one - other).abs().max() / other.abs().max())
            assert error < 1e-4, (padding, frames)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7])
def test_a_layer_at_the_identity_learns(size: int) -> None:
    """Weights written as max(0, 1 - |x - i|) would leave it there for ever (the clamp trap)."""
    layer = make(kernel_size=size)
    direction = torch.randn(layer.filters().shape, generator=torch.Generator().manual_seed(1))
    (layer.filters() * direction).sum().backward()
    for name in TEMPORAL_PARAMETERS:
        gradient = getattr(layer, name).grad
        assert bool((gradient.abs() > 1e-4).all()), name


@pytest.mark.parametrize("spread", [0.0, 0.3], ids=["identity", "random"])
@pytest.mark.parametrize(
    "kernel", [(1, 3, 3), (2, 2, 2), (3, 3, 3), (3, 2, 4), (4, 5, 1), (3, 7, 7)], ids=str
)
def test_filters_follow_the_papers_equations(kernel: tuple[int, int, int], spread: float) -> None:
    layer = make(kernel_size=kernel, spread=spread, dtype=torch.float64)
    arrays = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    expected = equation_filters(arrays)
    assert layer.filters().shape == (3, 2, *kernel)
    np.testing.assert_allclose(layer.filters().detach().numpy(), expected, rtol=0, atol=1e-12)
    single = layer.float().filters().detach().numpy()
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", [(3, 3, 3), (3, 2, 4), (2, 5, 5)], ids=str)
def test_gradients_are_those_of_finite_differences(kernel: tuple[int, int, int]) -> None:
    """In float64, where no tap stands on a node of the grid."""
    layer = make(kernel_size=kernel, spread=0.15, out_channels=2, dtype=torch.float64)
    inputs = tuple(p.detach().requires_grad_() for p in layer.parameters() if p.ndim != 1)
    assert torch.autograd.gradcheck(build_filters, inputs)


def test_the_whole_layers_gradients_are_those_of_finite_differences() -> None:
    layer = make(
        kernel_size=(2, 3, 3),
        spread=0.15,
        in_channels=2,
        out_channels=2,
        groups=2,
        stride=2,
        padding=1,
        dtype=torch.float64,
    )
    names = [name for name, _ in layer.named_parameters()]
    clip = torch.randn(
        1, 2, 3, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )

    def run(clip: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (clip,))

    values = [p.detach().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(run, (clip.requires_grad_(), *values))


CROPS: dict[str, dict[str, Any]] = {
    "3": {"kernel_size": 3, "padding": 1},
    "3, stride 2": {"kernel_size": 3, "padding": 1, "stride": 2},
    "7": {"kernel_size": 7, "padding": 3},
    "7, stride 2": {"kernel_size": 7, "padding": 3, "stride": 2},
    "5, wide": {"kernel_size": 5, "padding": (6, 2, 2), "stride": (3, 1, 1)},
    "dilation": {"kernel_size": 3, "padding": (4, 2, 2), "dilation": (3, 2, 2)},
    "same, even": {"kernel_size": (4, 3, 2), "padding": "same"},
    "same, dilated": {"kernel_size": (3, 3, 4), "padding": "same", "dilation": (4, 1, 1)},
    "outer frames read by none": {"kernel_size": 3, "padding": (2, 1, 1), "dilation": (3, 1, 1)},
    "last frames read by none": {"kernel_size": 3, "padding": 1, "stride": (4, 1, 1)},
    "replicate": {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"},
}


# torch says that nn.Conv3d itself copies the clip there
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("case", CROPS)
def test_slices_that_meet_only_padding_are_left_out_exactly(case: str, frames: int) -> None:
    """In float64: output, and gradients of clip and every parameter, as with the whole filter."""
    if case.startswith("outer") and frames < 3:
        return  # too short for any output
    layer = make(spread=0.2, dtype=torch.float64, **CROPS[case])
    options = {"in_channels": 2, "out_channels": 3, "dtype": torch.float64} | CROPS[case]
    generator = torch.Generator().manual_seed(frames)
    clip = torch.randn(2, 2, frames, 5, 6, generator=generator, dtype=torch.float64)
    clips = [clip.requires_grad_(), clip.detach().double().requires_grad_()]
    output = layer(clips[0])
    whole = {"weight": build_filters(*list(layer.parameters())[:5], backend="torch")}
    expected = torch.func.functional_call(
        nn.Conv3d(**options), whole | {"bias": layer.bias}, (clips[1],)
    )
    torch.testing.assert_close(output, expected)
    direction = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    parameters = list(layer.parameters())
    found = torch.autograd.grad(output, [clips[0], *parameters], direction)
    wanted = torch.autograd.grad(expected, [clips[1], *parameters], direction)
    for one, other in zip(found, wanted, strict=True):  # zeros where nothing is reached, not None
        torch.testing.assert_close(one, other)


def test_only_the_slices_that_meet_data_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    real = conv3t.build_filters
    monkeypatch.setattr(
        conv3t, "build_filters", lambda *a, **o: (built.append(o["slices"]), real(*a, **o))[1]
    )
    layer = make(padding=1)
    for frames in (1, 2, 3):
        layer(torch.zeros(1, 2, frames, 4, 4))
    assert built == [(1, 2), (0, 3), (0, 3)]


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("filter_padding", ["zeros", "border"])
def test_options_reach_the_filters(filter_padding: str, align_corners: bool) -> None:
    options: dict[str, Any] = {"filter_padding": filter_padding, "align_corners": align_corners}
    layer = make(spread=0.3, padding=1, **options)
    expected = build_filters(*list(layer.parameters())[:5], **options)
    assert torch.equal(layer.filters(), expected)
    default = build_filters(*list(layer.parameters())[:5])
    is_default = filter_padding == "zeros" and align_corners
    assert torch.equal(layer.filters(), default) == is_default
    assert ("filter_padding='border'" in repr(layer)) == (filter_padding == "border")
    assert ("align_corners=False" in repr(layer)) == (not align_corners)


def test_channels_last_clips_and_clips_without_a_batch() -> None:
    layer = make(padding=1, spread=0.1)
    clip = torch.randn(2, 2, 1, 6, 6)
    expected = layer(clip)
    last = layer(clip.to(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(last, expected)
    torch.testing.assert_close(layer(clip[0]), expected[0])
    layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(clip), expected)


def test_parameters_have_the_documented_shapes_and_start() -> None:
    layer = Conv3T(4, 6, (3, 2, 5), groups=2)
    shapes = {name: tuple(value.shape) for name, value in layer.named_parameters()}
    transforms = dict.fromkeys(TEMPORAL_PARAMETERS, (2, 6))
    assert shapes == {"weight": (6, 2, 2, 5), "bias": (6,), **transforms}
    assert bool((layer.scale == 1).all())
    for name in ("rotate", "translate_x", "translate_y"):
        assert bool((getattr(layer, name) == 0).all())


def test_weight_and_bias_start_as_those_of_conv2d() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        flat = nn.Conv2d(3, 4, 3)
    layer = make(5, in_channels=3, out_channels=4)
    assert torch.equal(layer.weight, flat.weight)
    assert layer.bias is not None
    assert flat.bias is not None
    assert torch.equal(layer.bias, flat.bias)


def test_a_still_input_gives_depth_times_the_2d_convolution() -> None:
    layer = make(kernel_size=3, bias=False)
    frame = torch.randn(1, 2, 6, 7, generator=torch.Generator().manual_seed(0))
    output = layer(frame.unsqueeze(2).expand(-1, -1, 5, -1, -1))
    expected = 3 * F.conv2d(frame, layer.weight)
    for t in range(3):
        torch.testing.assert_close(output[:, :, t], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 2}, "groups"),
        ({"groups": 0}, "groups"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": (3, 3)}, "kernel_size"),
        ({"stride": 0}, "stride"),
        ({"dilation": (1, 0, 1)}, "dilation"),
        ({"padding": -1}, "padding"),
        ({"padding": "sane"}, "sane"),
        ({"padding": "same", "stride": 2}, "same"),
        ({"padding_mode": "mirror"}, "mirror"),
        ({"filter_padding": "mirror"}, "filter_padding='mirror'"),
    ],
)
def test_impossible_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Conv3T(**({"in_channels": 3, "out_channels": 4, "kernel_size": 3} | arguments))


def test_copies_pickles_and_prints() -> None:
    layer = make(spread=0.2, padding=1, groups=1, bias=False)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin.filters(), layer.filters())
    assert repr(layer) == (
        "Conv3T(2, 3, kernel_size=(3, 3, 3), stride=(1, 1, 1), padding=(1, 1, 1), bias=False)"
    )


def test_filters_are_built_in_float32_under_autocast() -> None:
    """Coordinates of taps do not survive bfloat16."""
    layer = make(spread=0.2, padding=1)
    clip = torch.randn(1, 2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        filters, output = layer.filters(), layer(clip)
    assert filters.dtype == torch.float32
    assert torch.equal(filters, layer.filters())
    torch.testing.assert_close(output.float(), layer(clip), rtol=0.05, atol=0.05)


def test_the_docstrings_example_holds() -> None:
    layer = Conv3T(3, 64, kernel_size=7, stride=2, padding=3, bias=False, device="meta")
    clip = torch.zeros(1, 3, 30, 150, 224, device="meta")
    assert layer(clip).shape == (1, 64, 15, 75, 112)
