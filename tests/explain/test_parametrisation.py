"""Fourier scale and colours by hand, pictures from known spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from threetconv.clips.dataset import normalise
from threetconv.explain.activation.parametrisation import (
    colour_matrix,
    fourier_scale,
    pixels,
    standardise,
    start_spectrum,
    to_uint8,
)


def test_scale_by_hand() -> None:
    scale = fourier_scale(4, 4, dtype=torch.float64)
    assert scale.shape == (4, 3)
    floor = 4 * math.sqrt(0.5)  # where (fx^2 + fy^2)^0.75 is below 1 / (4 sqrt(1/2)) = 0.354
    expected = [
        [floor, floor, 0.25**-0.75],
        [floor, floor, 0.3125**-0.75],  # 0.25^2 + 0.5^2
        [0.25**-0.75, 0.3125**-0.75, 0.5**-0.75],
        [floor, floor, 0.3125**-0.75],
    ]
    np.testing.assert_allclose(scale, expected, rtol=1e-12)
    assert scale[2, 2].item() == pytest.approx(1.681792830507429)


def test_scale_takes_the_longer_side_and_both_axes() -> None:
    wide = fourier_scale(6, 40, dtype=torch.float64)
    assert wide[0, 0].item() == pytest.approx(40 * math.sqrt(0.5))
    assert wide[2, 0].item() == pytest.approx((1 / 3) ** -1.5)
    assert wide[0, 20].item() == pytest.approx(0.5**-1.5)
    assert fourier_scale(8, 8, decay=0.5, floor=1)[0, 2].item() == pytest.approx(4)


def test_colours_by_hand() -> None:
    matrix = colour_matrix(dtype=torch.float64)
    longest = math.sqrt(0.26**2 + 2 * 0.27**2)
    expected = np.array([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]]) / longest
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)
    assert matrix[0, 0].item() == pytest.approx(0.5628291, abs=1e-6)


@pytest.mark.parametrize("width", [8, 9])
def test_one_frequency_is_a_wave_in_the_colour_of_its_plane(width: int) -> None:
    height, amplitude = 6, 3.0
    spectrum = torch.zeros(1, 3, height, width // 2 + 1, 2)
    spectrum[0, 1, 0, 2, 0] = amplitude  # red against blue, two periods along x
    scale, colours = fourier_scale(height, width), colour_matrix()
    picture = pixels(spectrum, scale, colours, width=width)
    wave = 2 * amplitude * scale[0, 2] / math.sqrt(height * width)
    wave = wave * torch.cos(2 * math.pi * 2 * torch.arange(width) / width)
    for plane in range(3):
        expected = torch.sigmoid(colours[plane, 1] * wave).expand(height, width)
        torch.testing.assert_close(picture[0, plane], expected)


def test_no_spectrum_is_grey_and_gradients_reach_it() -> None:
    spectrum = torch.zeros(2, 3, 5, 4, 2, requires_grad=True)
    picture = pixels(spectrum, fourier_scale(5, 7), colour_matrix(), width=7)
    assert picture.shape == (2, 3, 5, 7)
    assert torch.equal(picture, torch.full_like(picture, 0.5))
    picture[0].square().sum().backward()
    assert spectrum.grad is not None
    assert spectrum.grad[0].abs().sum() > 0
    assert spectrum.grad[1].abs().sum() == 0


def test_start_depends_on_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, again, other = (start_spectrum(4, 32, 31, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.shape == (4, 3, 32, 16, 2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.std().item() == pytest.approx(0.01, rel=0.05)


def test_standardised_as_clips_are_and_back_to_bytes() -> None:
    frames = torch.randint(0, 256, (4, 5, 6, 3), dtype=torch.uint8)
    pictures = frames.permute(0, 3, 1, 2) / 255
    expected = normalise(frames[None])[0].transpose(0, 1)
    torch.testing.assert_close(standardise(pictures), expected)
    assert torch.equal(to_uint8(pictures), frames)
    assert to_uint8(torch.tensor([-0.2, 1.2, 0.499]).view(1, 3, 1, 1)).flatten().tolist() == [
        0,
        255,
        127,
    ]
