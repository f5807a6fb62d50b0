"""The algebra of Conv3T's filters: identity, shifts, turns, linearity, channels on their own.

Without a deadline: whichever example comes first has to load the compiled kernels.
"""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from threetconv.layer.conv3t import TEMPORAL_PARAMETERS

from ..builders.conv_layers import make

kernels = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))


@settings(deadline=None)
@given(kernel=kernels, seed=st.integers(0, 99))
def test_at_the_identity_all_slices_are_the_first(kernel: tuple[int, int, int], seed: int) -> None:
    layer = make(seed, kernel_size=kernel)
    expected = layer.weight.unsqueeze(2).expand(-1, -1, kernel[0], -1, -1)
    torch.testing.assert_close(layer.filters(), expected, rtol=0, atol=1e-6)


@settings(deadline=None)
@given(size=st.integers(2, 6), taps=st.integers(-3, 3), vertical=st.booleans())
def test_a_translation_by_whole_taps_shifts(size: int, taps: int, vertical: bool) -> None:
    """t = 2 n / (k - 1) moves content n taps to the left (up), and zeros come in."""
    layer = make(kernel_size=(2, size, size), dtype=torch.float64)
    nn.init.constant_(layer.translate_y if vertical else layer.translate_x, 2 * taps / (size - 1))
    first, second = layer.filters().detach().unbind(2)
    axis = -2 if vertical else -1
    expected = torch.zeros_like(first)
    for target in range(size):
        if 0 <= target + taps < size:
            expected.select(axis, target).copy_(first.select(axis, target + taps))
    torch.testing.assert_close(second, expected, rtol=0, atol=1e-12)


@settings(deadline=None)
@given(height=st.integers(1, 6), width=st.integers(1, 6), seed=st.integers(0, 99))
def test_half_a_turn_flips_both_axes(height: int, width: int, seed: int) -> None:
    layer = make(seed, kernel_size=(2, height, width), dtype=torch.float64)
    nn.init.constant_(layer.rotate, math.pi)
    first, second = layer.filters().detach().unbind(2)
    torch.testing.assert_close(second, first.flip(-1, -2), rtol=0, atol=1e-12)


@settings(deadline=None)
@given(size=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_quarter_turn_is_counter_clockwise(size: int, seed: int) -> None:
    layer = make(seed, kernel_size=(2, size, size), dtype=torch.float64)
    nn.init.constant_(layer.rotate, math.pi / 2)
    first, second = layer.filters().detach().unbind(2)
    torch.testing.assert_close(second, first.rot90(1, (-2, -1)), rtol=0, atol=1e-12)


@settings(deadline=None)
@given(seed=st.integers(0, 99), factor=st.floats(-3, 3))
def test_filters_are_linear_in_the_first_slice(seed: int, factor: float) -> None:
    layer = make(seed, spread=0.3, kernel_size=(3, 3, 4), dtype=torch.float64)
    before = layer.filters().detach()
    with torch.no_grad():
        layer.weight *= factor
    torch.testing.assert_close(layer.filters().detach(), factor * before)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99))
def test_output_channels_do_not_mix(seed: int) -> None:
    """Permuting channels permutes filters."""
    layer = make(seed, spread=0.3, out_channels=5, kernel_size=(3, 3, 3))
    order = torch.randperm(5, generator=torch.Generator().manual_seed(seed))
    expected = layer.filters().detach()[order]
    with torch.no_grad():
        layer.weight.copy_(layer.weight[order].clone())
        for name in TEMPORAL_PARAMETERS:
            parameter = getattr(layer, name)
            parameter.copy_(parameter[:, order].clone())
    torch.testing.assert_close(layer.filters().detach(), expected)
