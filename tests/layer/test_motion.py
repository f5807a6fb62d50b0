"""Composition over time against known answers, matrices, filters really built, and algebra."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from threetconv.layer.affine import affine_matrix
from threetconv.layer.build_filters import build_filters
from threetconv.layer.motion import compose, content_maps, paper_curves, trajectory

Array = np.ndarray[Any, np.dtype[np.float64]]
Four = tuple[Array, Array, Array, Array]

TWO_STEPS = ([0.8, 0.8], [0.1, 0.1], [0.1, 0.1], [0.0, 0.05])


def columns(elements: st.SearchStrategy[float]) -> st.SearchStrategy[Array]:
    return arrays(np.float64, (4, 3), elements=elements)


signed = st.floats(0.3, 3) | st.floats(-3, -0.3)
transforms = st.tuples(
    columns(signed), columns(st.floats(-4, 4)), columns(st.floats(-2, 2)), columns(st.floats(-2, 2))
)
points = arrays(np.float64, (3, 2), elements=st.floats(-0.5, 0.5))
IDENTITY = {"scale": 1.0, "rotate": 0.0, "translate_x": 0.0, "translate_y": 0.0}


def only(**changed: Array) -> dict[str, Any]:
    """Transforms at the identity but for some."""
    return {**IDENTITY, **changed}


# --- known answers -------------------------------------------------------------------


def test_composition_of_two_maps() -> None:
    """From (.4, 0) on the normalised grid, y down."""
    path = trajectory(*TWO_STEPS, point=(0.2, 0.0))
    np.testing.assert_allclose(2 * path.x, [0.4, 0.39750208, 0.38816609], atol=5e-9)
    np.testing.assert_allclose(-2 * path.y, [0, -0.04991671, -0.16168915], atol=5e-9)
    maps = content_maps(*TWO_STEPS)
    np.testing.assert_allclose(maps[2] @ [0.4, 0, 1], [0.38816609, -0.16168915, 1], atol=5e-9)
    np.testing.assert_allclose(path.zoom, [1, 1.25, 1.5625])
    np.testing.assert_allclose(path.clockwise, [0, -0.1, -0.2])
    np.testing.assert_allclose(path.clockwise_degrees[2], -11.459155902616466)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ((1.0, 0.0, 0.2, 0.0), (12.0, 0.0)),
        ((1.0, 0.0, 0.0, 0.2), (22.0, -10.0)),
        ((2.0, 0.0, 0.0, 0.0), (11.0, 0.0)),
        ((1.0, 0.3, 0.0, 0.0), (21.017403, -6.501444)),  # 22 (cos .3, -sin .3); as a blob 21.016
        ((0.5, 0.0, 0.2, 0.0), (34.0, 0.0)),
    ],
)
def test_a_point_on_101_taps_moves_as_known(
    parameters: tuple[float, ...], expected: tuple[float, float]
) -> None:
    path = trajectory(*([p] for p in parameters), point=(0.22, 0.0))
    x, y = path.kernel_pixels(101)
    np.testing.assert_allclose((x[1], -y[1]), expected, atol=1e-6)
    np.testing.assert_allclose((x[0], y[0]), (22, 0), atol=1e-12)


def test_units_of_a_position() -> None:
    path = trajectory([1.0], [0.0], [-0.5], [0.25])
    assert (path.x[1], path.y[1]) == (0.25, 0.125)
    assert [v[1] for v in path.kernel_pixels(7)] == [1.5, 0.75]
    assert [v[1] for v in path.kernel_pixels((3, 7))] == [1.5, 0.25]
    assert [v[1] for v in path.input_pixels(7, jump=4)] == [6, 3]
    assert [v[1] for v in path.input_pixels((3, 7), jump=4, dilation=2)] == [12, 2]
    assert [v[1] for v in path.input_pixels((3, 7), jump=4, dilation=(3, 1))] == [6, 3]
    assert [v[1] for v in path.kernel_pixels(1)] == [0, 0]


def test_input_pixels_take_a_jump_per_channel() -> None:
    path = trajectory(np.ones((1, 2)), 0, np.full((1, 2), -1.0), 0)
    x, _ = path.input_pixels(3, jump=np.array([1, 32]))
    np.testing.assert_array_equal(x, [[0, 0], [1, 32]])


def test_the_papers_sums() -> None:
    curves = paper_curves([0.5, -2], [0.1, 0.2], [0.2, -0.6], [0.4, 0.2], width=224, height=150)
    np.testing.assert_allclose(curves.zoom, [1, 2, -1])
    np.testing.assert_allclose(curves.rotation, [0, -0.1, -0.3])
    np.testing.assert_allclose(curves.x, [0, -22.4, 44.8])
    np.testing.assert_allclose(curves.y, [0, 30, 45])


def test_sums_are_exact_for_translations_alone_and_only_then() -> None:
    steps = np.array([0.2, -0.6, 0.1])
    still, moving = only(translate_x=steps), only(translate_x=steps, scale=np.full(3, 0.5))
    np.testing.assert_allclose(
        paper_curves(**still, width=1, height=1).x, trajectory(**still).x, atol=1e-15
    )
    assert not np.allclose(paper_curves(**moving, width=1, height=1).x, trajectory(**moving).x)


# --- independent computation: filters that are really built --------------------------


def centroid(filters: torch.Tensor) -> Array:
    """(D, 2): x right and y up of the mass of each slice, in taps from the centre; (D, H, W)."""
    height, width = filters.shape[-2:]
    x = torch.arange(width, dtype=filters.dtype) - (width - 1) / 2
    y = torch.arange(height, dtype=filters.dtype) - (height - 1) / 2
    mass = filters.sum((1, 2))
    return torch.stack((filters.sum(1) @ x / mass, -(filters.sum(2) @ y) / mass), dim=-1).numpy()


def plain_loop(weight: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
    slices = [weight]
    for t in range(len(parameters[0])):
        theta = affine_matrix(*(p[t] for p in parameters))
        grid = F.affine_grid(theta, list(weight.shape), align_corners=True)
        slices.append(F.grid_sample(slices[-1], grid, align_corners=True))
    return torch.stack(slices, dim=2)


@pytest.mark.parametrize(
    ("build", "size", "spread"),
    [
        (plain_loop, (101, 101), 3.0),
        (plain_loop, (81, 121), 3.0),
        (build_filters, (41, 41), 2.0),  # smaller: its dense sampling matrices grow as H^2 W^2
        (build_filters, (41, 53), 2.0),
    ],
)
def test_a_blob_in_a_filter_follows_the_trajectory(
    build: Callable[..., torch.Tensor], size: tuple[int, int], spread: float
) -> None:
    """Zooms, turns and shifts together, four in a row, for six blobs; one is turned over first."""
    rng = np.random.default_rng(0)
    channels, (height, width) = 6, size
    scale = 1 + 0.08 * rng.standard_normal((4, channels))
    scale[0, 0] *= -1
    rotate = 0.2 * rng.standard_normal((4, channels))
    tx, ty = 0.12 * rng.standard_normal((2, 4, channels))
    start = rng.uniform(-0.15, 0.15, (channels, 2))  # fractions, y up
    x, y = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    centre_x, centre_y = start[:, 0] * (width - 1), -start[:, 1] * (height - 1)
    distance = (x - centre_x[:, None, None]) ** 2 + (y[:, None] - centre_y[:, None, None]) ** 2
    weight = torch.as_tensor(np.exp(-distance / (2 * spread**2)))[:, None]
    parameters = [torch.as_tensor(p) for p in (scale, rotate, tx, ty)]
    path = trajectory(scale, rotate, tx, ty, point=start)
    expected = np.stack(path.kernel_pixels(size), axis=-1)
    assert np.ptp(expected, axis=0).max() > 5  # they do move
    assert (np.abs(expected) < 0.36 * np.array([width, height])).all()  # and stay well inside
    for channel in range(channels):
        one = slice(channel, channel + 1)
        filters = build(weight[one], *(p[:, one] for p in parameters))
        np.testing.assert_allclose(
            centroid(filters[0, 0]), expected[:, channel], atol=0.05, err_msg=str(channel)
        )


def test_zoom_and_turn_of_a_filter_follow_the_trajectory() -> None:
    """The spread of an elongated blob grows with the zoom and its long axis turns clockwise."""
    parameters = [np.array(p)[:, None] for p in ([0.9, 0.8], [-0.3, -0.2], [0.1, 0.0], [0.0, 0.1])]
    x = torch.arange(101, dtype=torch.float64) - 50
    weight = torch.exp(-(x[None, :] ** 2) / (2 * 10**2) - x[:, None] ** 2 / (2 * 4**2))[None, None]
    filters = plain_loop(weight, *(torch.as_tensor(p) for p in parameters))[0, 0]
    path = trajectory(*parameters)
    for t, (cx, cy) in enumerate(centroid(filters)):
        dx, dy = x[None, :] - cx, -x[:, None] - cy
        mass = filters[t] / filters[t].sum()
        xx, yy, xy = ((mass * m).sum() for m in (dx * dx, dy * dy, dx * dy))
        angle = 0.5 * math.atan2(2 * xy, xx - yy)  # of the long axis, counter-clockwise
        assert -angle == pytest.approx(path.clockwise[t, 0], abs=0.01)
        size = float(xx * yy - xy**2) ** 0.25 / math.sqrt(40)
        assert size == pytest.approx(path.zoom[t, 0], rel=0.02)


# --- algebra -------------------------------------------------------------------------


@given(parameters=transforms)
def test_maps_are_products_of_equation_3(parameters: Four) -> None:
    steps = affine_matrix(*(torch.as_tensor(p) for p in parameters)).numpy()
    expected = [np.broadcast_to(np.eye(3), (3, 3, 3))]
    for step in steps:
        full = np.concatenate((step, np.broadcast_to([[0, 0, 1.0]], (3, 1, 3))), axis=1)
        expected.append(expected[-1] @ full)
    found = compose(*parameters)
    assert found.shape == (5, 3, 3, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@given(parameters=transforms)
def test_content_moves_by_the_inverse(parameters: Four) -> None:
    product = compose(*parameters) @ content_maps(*parameters)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-8)


@given(parameters=transforms, point=points)
def test_the_trajectory_is_the_decomposed_map(parameters: Four, point: Array) -> None:
    """Zoom and turn rebuild the linear part; the point goes where the map takes it."""
    path, maps = trajectory(*parameters, point=point), content_maps(*parameters)
    cosine, sine = path.zoom * np.cos(path.clockwise), path.zoom * np.sin(path.clockwise)
    tolerance = 1e-10 * np.abs(maps).max()
    np.testing.assert_allclose(maps[..., 0, 0], cosine, atol=tolerance)
    np.testing.assert_allclose(maps[..., 1, 0], sine, atol=tolerance)  # clockwise: y is down
    np.testing.assert_allclose(maps[..., 0, 1], -sine, atol=tolerance)
    grid = np.stack((2 * point[:, 0], -2 * point[:, 1], np.ones(3)), axis=-1)
    place = (maps @ grid[..., None])[..., 0]
    np.testing.assert_allclose(path.x, place[..., 0] / 2, atol=tolerance)
    np.testing.assert_allclose(path.y, -place[..., 1] / 2, atol=tolerance)


@given(parameters=transforms, point=points)
def test_channels_do_not_mix(parameters: Four, point: Array) -> None:
    whole = trajectory(*parameters, point=point)
    alone = trajectory(*(p[:, 1] for p in parameters), point=point[1])
    for name in ("zoom", "clockwise", "x", "y"):
        found = getattr(whole, name)[:, 1]
        np.testing.assert_allclose(found, getattr(alone, name), rtol=1e-12, atol=1e-12)


@given(point=points)
def test_the_identity_stays(point: Array) -> None:
    path = trajectory(np.ones((4, 3)), 0.0, 0.0, 0.0, point=point)
    assert (path.zoom == 1).all()
    assert (path.clockwise == 0).all()
    np.testing.assert_allclose(path.x, np.broadcast_to(point[:, 0], (5, 3)), atol=1e-15)
    np.testing.assert_allclose(path.y, np.broadcast_to(point[:, 1], (5, 3)), atol=1e-15)


@given(tx=columns(st.floats(-2, 2)), ty=columns(st.floats(-2, 2)), point=points)
def test_translations_add(tx: Array, ty: Array, point: Array) -> None:
    path = trajectory(**only(translate_x=tx, translate_y=ty), point=point)
    np.testing.assert_allclose(path.x[-1], point[:, 0] - tx.sum(0) / 2, atol=1e-12)
    np.testing.assert_allclose(path.y[-1], point[:, 1] + ty.sum(0) / 2, atol=1e-12)
    assert (path.zoom == 1).all()


@given(rotate=columns(st.floats(-7, 7)), point=points)
def test_rotations_add_and_are_not_wrapped(rotate: Array, point: Array) -> None:
    path = trajectory(**only(rotate=rotate), point=point)
    np.testing.assert_allclose(path.clockwise[1:], -np.cumsum(rotate, axis=0), atol=1e-12)
    radius = np.hypot(path.x, path.y)
    np.testing.assert_allclose(radius, np.broadcast_to(radius[0], (5, 3)), atol=1e-12)
    once = trajectory(**only(rotate=rotate.sum(0, keepdims=True)), point=point)
    np.testing.assert_allclose(path.x[-1], once.x[-1], atol=1e-12)


@given(scale=columns(st.floats(0.3, 3)), point=points)
def test_zooms_multiply(scale: Array, point: Array) -> None:
    path = trajectory(**only(scale=scale), point=point)
    np.testing.assert_allclose(path.zoom[-1], 1 / scale.prod(0), rtol=1e-12)
    np.testing.assert_allclose(path.x[-1], point[:, 0] / scale.prod(0), rtol=1e-12, atol=1e-15)


@given(parameters=transforms, point=points)
@settings(max_examples=50)
def test_the_inverse_transforms_return_everything(parameters: Four, point: Array) -> None:
    """Undo step by step, last first: content R^T c / s - t comes back with 1/s, -r, -R(r) t s."""
    s, r, tx, ty = (p[:2] for p in parameters)
    back_s, back_r = 1 / s[::-1], -r[::-1]
    cosine, sine = (s * np.cos(r))[::-1], (s * np.sin(r))[::-1]
    back_x, back_y = -(cosine * tx[::-1] - sine * ty[::-1]), -(sine * tx[::-1] + cosine * ty[::-1])
    both = zip((s, r, tx, ty), (back_s, back_r, back_x, back_y), strict=True)
    path = trajectory(*(np.concatenate(pair) for pair in both), point=point)
    np.testing.assert_allclose(path.x[-1], point[:, 0], atol=1e-9)
    np.testing.assert_allclose(path.y[-1], point[:, 1], atol=1e-9)
    np.testing.assert_allclose(path.zoom[-1], 1, rtol=1e-12)
    turns = path.clockwise[-1] / (2 * math.pi)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-9)


def test_order_matters() -> None:
    """Shift, then zoom in: twice as far as zoom, then shift."""
    shift_first = trajectory([1, 0.5], [0, 0], [-0.2, 0], [0, 0])
    zoom_first = trajectory([0.5, 1], [0, 0], [0, -0.2], [0, 0])
    assert shift_first.x[-1] == pytest.approx(0.2)
    assert zoom_first.x[-1] == pytest.approx(0.1)
    quarter = math.pi / 2  # counter-clockwise
    np.testing.assert_allclose(trajectory([1, 1], [0, quarter], [-0.2, 0], [0, 0]).y[-1], 0.1)
    np.testing.assert_allclose(trajectory([1, 1], [quarter, 0], [0, -0.2], [0, 0]).x[-1], 0.1)


# --- corners -------------------------------------------------------------------------


@pytest.mark.parametrize("rotate", [0.0, 0.4, -0.4, 3.0, -3.0])
def test_a_negative_scale_is_a_half_turn(rotate: float) -> None:
    path = trajectory([-0.5], [rotate], [0.0], [0.0], point=(0.1, 0.0))
    assert path.zoom[1] == 2
    assert abs(path.clockwise[1]) <= math.pi
    same = trajectory([0.5], [rotate + math.pi], [0.0], [0.0], point=(0.1, 0.0))
    np.testing.assert_allclose((path.x, path.y), (same.x, same.y), atol=1e-15)
    turns = (path.clockwise[1] - same.clockwise[1]) / (2 * math.pi)
    assert turns == pytest.approx(round(turns), abs=1e-12)


def test_small_scales_throw_content_far_but_finitely() -> None:
    path = trajectory([1e-30, 1e30], [0, 0], [0, 0], [0, 0], point=(0.5, 0.25))
    np.testing.assert_allclose(path.x, [0.5, 5e29, 0.5])
    np.testing.assert_allclose(path.zoom, [1, 1e30, 1])


@pytest.mark.parametrize("function", [compose, content_maps, trajectory, paper_curves])
def test_values_without_meaning_are_named(function: Callable[..., Any]) -> None:
    options = {"width": 1, "height": 1} if function is paper_curves else {}
    good = np.ones((3, 2))
    for value, what in ((0.0, "0"), (math.nan, "not finite"), (math.inf, "not finite")):
        bad = good.copy()
        bad[2, 1] = value
        with pytest.raises(ValueError, match=rf"scale\[2, 1\] is {what}"):
            function(bad, good, good, good, **options)
        if value != 0:
            with pytest.raises(ValueError, match=r"translate_y\[2, 1\] is not finite"):
                function(good, good, good, bad, **options)
    with pytest.raises(ValueError, match="scale is 0"):
        function(0.0, good, good, good, **options)
    with pytest.raises(ValueError, match=r"rotate \(2, 3\).*expected one shape"):
        function(good, good.T, good, good, **options)
    with pytest.raises(ValueError, match="time first"):
        function(1.0, 0.0, 0.0, 0.0, **options)


@pytest.mark.parametrize("tiny", [1e-200, 1e-310])
@pytest.mark.parametrize("function", [content_maps, trajectory, paper_curves])
def test_overflow_is_named(function: Callable[..., Any], tiny: float) -> None:
    options = {"width": 1, "height": 1} if function is paper_curves else {}
    first = 1 if tiny < 1e-308 else 2
    with pytest.raises(ValueError, match=rf"overflows at \[{first}, 1\]"):
        function([[1, tiny], [1, tiny]], 0.1, 0.1, 0.0, **options)
    with pytest.raises(ValueError, match=r"overflows at \[2\]"):
        compose([1e200, 1e200], 0.1, 0.1, 0.0)


def test_a_point_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"point has shape \(3,\), expected \(2,\) or \(4, 2\)"):
        trajectory(np.ones((2, 4)), 0, 0, 0, point=(1, 2, 3))


def test_no_transition_is_a_single_pose() -> None:
    """A kernel of depth 1."""
    path = trajectory(np.ones((0, 5)), 0, 0, 0, point=(0.1, 0.2))
    assert path.zoom.shape == path.x.shape == (1, 5)
    assert compose(np.ones((0, 5)), 0, 0, 0).shape == (1, 5, 3, 3)
    np.testing.assert_allclose(path.y, np.full((1, 5), 0.2))


def test_float32_parameters_are_composed_in_float64() -> None:
    s = np.array([[0.8], [0.8]], dtype=np.float32)
    assert trajectory(s, 0, 0, 0).zoom.dtype == np.float64
    assert compose(s, 0, 0, 0).dtype == np.float64
