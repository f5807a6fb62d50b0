"""Equations 3 to 5: matrix, sampling weights and the known answers of the geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from threetconv.layer.affine import affine_matrix, half_extent, sampling_matrix, tap_coordinates

angles = st.floats(-3, 3)
scales = st.floats(0.3, 3)
shifts = st.floats(-1.5, 1.5)


def matrix(s: float, r: float, tx: float, ty: float) -> torch.Tensor:
    return affine_matrix(*(torch.tensor(v, dtype=torch.float64) for v in (s, r, tx, ty)))


def where_content_goes(theta: torch.Tensor, content: tuple[float, float]) -> np.ndarray:
    """The place that reads from `content`: theta is the inverse map."""
    values = theta.numpy()
    return np.linalg.solve(values[:, :2], np.asarray(content) - values[:, 2])


def test_equation_3() -> None:
    s, r, tx, ty = 0.8, 0.3, 0.2, -0.5
    expected = [
        [s * math.cos(r), -s * math.sin(r), tx * s * math.cos(r) - ty * s * math.sin(r)],
        [s * math.sin(r), s * math.cos(r), tx * s * math.sin(r) + ty * s * math.cos(r)],
    ]
    np.testing.assert_allclose(matrix(s, r, tx, ty).numpy(), expected, rtol=1e-14)


def test_the_matrix_keeps_leading_axes() -> None:
    parameters = torch.rand(4, 2, 5, generator=torch.Generator().manual_seed(0))
    theta = affine_matrix(*parameters)
    assert theta.shape == (2, 5, 2, 3)
    torch.testing.assert_close(theta[1, 3], affine_matrix(*parameters[:, 1, 3]))


def test_composition_of_two_maps() -> None:
    """statistics.md's known answers, in the kernel's normalised coordinates."""
    first = where_content_goes(matrix(0.8, 0.1, 0.1, 0.0), (0.4, 0.0))
    np.testing.assert_allclose(first, (0.39750208, -0.04991671), atol=1e-8)
    second = where_content_goes(matrix(0.8, 0.1, 0.1, 0.05), tuple(first))
    np.testing.assert_allclose(second, (0.38816609, -0.16168915), atol=1e-8)


@given(s=scales, r=angles, tx=shifts, ty=shifts, x=shifts, y=shifts)
def test_content_goes_to_its_documented_place(  # noqa: PLR0917
    s: float, r: float, tx: float, ty: float, x: float, y: float
) -> None:
    """c -> R(r)^T c / s - t."""
    expected = (
        (math.cos(r) * x + math.sin(r) * y) / s - tx,
        (-math.sin(r) * x + math.cos(r) * y) / s - ty,
    )
    found = where_content_goes(matrix(s, r, tx, ty), (x, y))
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "expected", "tolerance"),
    [
        ((1.0, 0.0, 0.2, 0.0), (12.0, 0.0), 1e-3),
        ((1.0, 0.0, 0.0, 0.2), (22.0, -10.0), 1e-3),
        ((2.0, 0.0, 0.0, 0.0), (11.0, 0.0), 1e-3),
        ((1.0, 0.3, 0.0, 0.0), (21.016, -6.502), 5e-3),
        ((0.5, 0.0, 0.2, 0.0), (34.0, 0.0), 2e-2),
    ],
)
def test_a_blob_on_101_taps_moves_as_known(
    parameters: tuple[float, ...], expected: tuple[float, float], tolerance: float
) -> None:
    """A blob at (22, 0) from the centre, right and down counted positive."""
    taps = torch.arange(101) - 50.0
    blob = torch.exp(-(taps[:, None] ** 2 + (taps[None, :] - 22) ** 2) / (2 * 1.5**2))
    theta = affine_matrix(*torch.tensor(parameters))
    warped = (sampling_matrix(theta, 101, 101) @ blob.flatten()).view(101, 101)
    centre = (float(warped.sum(0) @ taps), float(warped.sum(1) @ taps))
    np.testing.assert_allclose(np.divide(centre, float(warped.sum())), expected, atol=tolerance)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid:UserWarning")
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7, 11])
def test_taps_stand_where_affine_grid_puts_them(size: int, align_corners: bool) -> None:
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    grid = F.affine_grid(theta, [1, 1, 2, size], align_corners=align_corners)[0, 0, :, 0]
    taps = tap_coordinates(size, dtype=torch.float32, device="cpu")
    torch.testing.assert_close(taps / half_extent(size, align_corners), grid, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (4, 6), (7, 7), (8, 1), (11, 13)], ids=str)
def test_the_identity_is_exact(
    kernel: tuple[int, int], align_corners: bool, dtype: torch.dtype
) -> None:
    """In every dtype, so that every tap is on the documented side of its node."""
    theta = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=dtype)
    weights = sampling_matrix(theta, *kernel, align_corners=align_corners)
    assert torch.equal(weights, torch.eye(kernel[0] * kernel[1], dtype=dtype))


@given(s=scales, r=angles, tx=shifts, ty=shifts, height=st.integers(1, 5), width=st.integers(1, 5))
def test_weights_are_bilinear(  # noqa: PLR0917
    s: float, r: float, tx: float, ty: float, height: int, width: int
) -> None:
    """Between 0 and 1, at most four in a row, summing to 1 inside the kernel and less outside."""
    weights = sampling_matrix(matrix(s, r, tx, ty), height, width)
    assert weights.shape == (height * width, height * width)
    assert bool((weights >= 0).all())
    assert int((weights > 0).sum(1).max()) <= 4
    assert float(weights.sum(1).max()) <= 1 + 1e-12
    inside = sampling_matrix(matrix(0.5, r / 20, 0, 0), height, width)
    np.testing.assert_allclose(inside.sum(1).numpy(), 1, atol=1e-12)


def test_far_translation_reads_zeros() -> None:
    assert float(sampling_matrix(matrix(1, 0, 5, 0), 3, 3).abs().sum()) == 0
