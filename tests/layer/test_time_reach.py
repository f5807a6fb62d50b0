"""Convolving with the slices that meet data gives what the whole filter gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from threetconv.layer.time_reach import Crop, crop_in_time, padding_along, reachable_transitions


def convolve(clip: torch.Tensor, filters: torch.Tensor, crop: Crop, stride: int, dilation: int):
    first, last = crop.slices
    padded = F.pad(clip, crop.padding)  # a negative number crops
    return F.conv1d(padded, filters[..., first:last], stride=stride, dilation=dilation)


@settings(deadline=None)
@given(
    frames=st.integers(1, 9),
    depth=st.integers(1, 7),
    stride=st.integers(1, 4),
    before=st.integers(0, 6),
    after=st.integers(0, 6),
    dilation=st.integers(1, 4),
)
def test_the_output_is_the_same(  # noqa: PLR0917
    frames: int, depth: int, stride: int, before: int, after: int, dilation: int
) -> None:
    if frames + before + after < dilation * (depth - 1) + 1:
        return
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(2, 3, frames, generator=generator, dtype=torch.float64)
    filters = torch.randn(4, 3, depth, generator=generator, dtype=torch.float64)
    crop = crop_in_time(frames, depth, stride, (before, after), dilation)
    expected = convolve(clip, filters, Crop((0, depth), (before, after)), stride, dilation)
    torch.testing.assert_close(convolve(clip, filters, crop, stride, dilation), expected)
    # the last slice kept is the last that shapes the output
    reachable = reachable_transitions(frames, depth, stride, (before, after), dilation)
    if any(reachable):
        assert crop.slices[1] == 1 + max(t for t, yes in enumerate(reachable) if yes) + 1


@pytest.mark.parametrize(
    ("arguments", "slices", "padding"),
    [
        ((1, 3, 1, (1, 1), 1), (1, 2), (0, 0)),  # the last stage of a network
        ((2, 3, 2, (1, 1), 1), (1, 3), (0, 0)),
        ((1, 7, 2, (3, 3), 1), (3, 4), (0, 0)),
        ((3, 3, 1, (1, 1), 1), (0, 3), (1, 1)),
        ((8, 7, 2, (3, 3), 1), (0, 7), (3, 3)),
        ((2, 3, 1, (3, 3), 3), (1, 2), (0, 0)),
        ((1, 2, 1, (0, 1), 1), (0, 1), (0, 0)),
        ((1, 1, 2, (1, 0), 1), (0, 1), (1, 0)),  # the only output reads a zero
    ],
)
def test_known_cases(
    arguments: tuple[int, int, int, tuple[int, int], int],
    slices: tuple[int, int],
    padding: tuple[int, int],
) -> None:
    assert crop_in_time(*arguments) == Crop(slices, padding)


def test_a_clip_too_short_for_any_output_is_left_to_the_convolution() -> None:
    assert crop_in_time(2, 5, 1, (0, 0), 1) == Crop((0, 5), (0, 0))


@given(
    frames=st.integers(1, 9),
    depth=st.integers(1, 7),
    stride=st.integers(1, 3),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
)
def test_reachability_from_sizes_alone(
    frames: int, depth: int, stride: int, padding: int, dilation: int
) -> None:
    """Against a filter of marked slices laid over a padded row of ones."""
    row = np.pad(np.ones(frames), padding)
    span = dilation * (depth - 1) + 1
    met = np.zeros(depth, bool)
    for start in range(0, len(row) - span + 1, stride):
        met |= row[start : start + span : dilation] > 0
    expected = tuple(bool(met[t + 1 :].any()) for t in range(depth - 1))
    assert reachable_transitions(frames, depth, stride, (padding, padding), dilation) == expected


def test_zeros_before_and_after_may_differ() -> None:
    """A 4-frame filter over 1 frame, one zero before and two after, as padding="same" has it."""
    assert reachable_transitions(1, 4, padding=(1, 2)) == (True, False, False)
    assert reachable_transitions(1, 4, padding=(2, 1)) == (True, True, False)
    assert reachable_transitions(1, 4) == (False, False, False)  # no output at all


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("padding", [0, 2, "valid", "same"])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 1), (4, 1), (4, 3), (5, 2)])
def test_zeros_stand_where_torch_puts_them(padding: int | str, kernel: int, dilation: int) -> None:
    """A filter whose first slice alone is 1 reads the padded row from its beginning."""
    row = torch.arange(1.0, 21.0).reshape(1, 1, -1)
    first = torch.zeros(1, 1, kernel)
    first[..., 0] = 1
    seen = F.conv1d(row, first, padding=padding, dilation=dilation)
    padded = F.pad(row, padding_along(padding, kernel, dilation))
    assert torch.equal(seen, padded[..., : padded.shape[-1] - dilation * (kernel - 1)])
