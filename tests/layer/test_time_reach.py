"""Convolving with the slices that meet data gives what the whole filter gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from threetconv.layer.time_reach import (
    Crop,
    crop_in_time,
    mirror_shift,
    padding_along,
    placed_on_both_sides,
    reachable_transitions,
    tells_order,
)


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


WINDOWS = {
    "frames": st.integers(1, 12),
    "depth": st.integers(1, 5),
    "stride": st.integers(1, 4),
    "dilation": st.integers(1, 3),
}


@given(before=st.integers(0, 4), after=st.integers(0, 4), **WINDOWS)
def test_a_convolution_tells_order_exactly_if_the_sizes_say_so(  # noqa: PLR0917
    frames: int, depth: int, stride: int, dilation: int, before: int, after: int
) -> None:
    if frames + before + after < dilation * (depth - 1) + 1:
        return
    arguments = (frames, depth, stride, (before, after), dilation)

    def convolved(clip: torch.Tensor) -> torch.Tensor:
        ones = torch.ones(1, 1, depth, dtype=torch.float64)
        return F.conv1d(F.pad(clip, (before, after)), ones, stride=stride, dilation=dilation)

    clip = torch.rand(1, 1, frames, generator=torch.Generator().manual_seed(0)).double()
    same = torch.allclose(convolved(clip.flip(2)).flip(2), convolved(clip), rtol=1e-12)
    assert tells_order(*arguments) == (not same)
    if not mirror_shift(*arguments):
        assert same


@given(ceil_mode=st.booleans(), edge=st.integers(0, 2), **WINDOWS)
def test_a_pooling_tells_order_exactly_if_the_sizes_say_so(  # noqa: PLR0917
    frames: int, depth: int, stride: int, dilation: int, edge: int, ceil_mode: bool
) -> None:
    edge = min(edge, depth // 2)
    if frames + 2 * edge < dilation * (depth - 1) + 1:
        return

    def pooled(clip: torch.Tensor) -> torch.Tensor:
        return F.max_pool1d(clip, depth, stride, edge, dilation, ceil_mode)

    shift = mirror_shift(frames, depth, stride, (edge, edge), dilation, ceil_mode)
    told = False
    for peak in range(frames):  # the windows that contain each frame
        clip = torch.zeros(1, 1, frames)
        clip[..., peak] = 1
        told |= not torch.equal(pooled(clip.flip(2)).flip(2), pooled(clip))
    assert tells_order(frames, depth, stride, (edge, edge), dilation, ceil_mode) == told
    assert shift or not told
    outputs = pooled(torch.zeros(1, 1, frames)).shape[2]
    read = (outputs - 1) * stride + dilation * (depth - 1) + 1
    assert shift == frames + 2 * edge - read


@pytest.mark.parametrize(
    ("arguments", "shift", "tells"),
    [
        ((16, 7, 2, (3, 3)), 1, True),  # the first convolution of both networks
        ((17, 7, 2, (3, 3)), 0, False),
        ((2, 1, 2), 1, True),  # the last shortcut at 17 frames: reads the first of two frames
        ((2, 3, 2, (1, 1)), 1, False),  # beside it: one window, over both frames
        ((8, 3, 2), 1, True),
        ((7, 3, 2), 0, False),
        ((8, 3, 2, (0, 0), 1, True), -1, True),  # the last window hangs over
        ((8, 4, 1, (1, 2)), -1, True),  # padding="same"
    ],
)
def test_known_shifts(arguments: tuple, shift: int, tells: bool) -> None:
    assert mirror_shift(*arguments) == shift
    assert tells_order(*arguments) == tells


@given(before=st.integers(0, 4), after=st.integers(0, 4), **WINDOWS)
def test_one_convolution_of_the_mean_is_the_mean_of_both_placements(  # noqa: PLR0917
    frames: int, depth: int, stride: int, dilation: int, before: int, after: int
) -> None:
    after = before if stride > 1 else after
    if frames + before + after < dilation * (depth - 1) + 1:
        return
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(2, 3, frames, generator=generator, dtype=torch.float64)
    filters = torch.randn(4, 3, depth, generator=generator, dtype=torch.float64)
    whole = Crop((0, depth), (before, after))
    first = convolve(clip, filters, whole, stride, dilation)
    last = convolve(clip.flip(2), filters.flip(2), whole, stride, dilation).flip(2)
    shift, edges = placed_on_both_sides(frames, depth, stride, (before, after), dilation)
    mean = (F.pad(clip, (0, shift)) + F.pad(clip, (shift, 0))) / 2
    assert not mirror_shift(frames + shift, depth, stride, edges, dilation)
    once = convolve(mean, filters, Crop((0, depth), edges), stride, dilation)
    torch.testing.assert_close(once, (first + last) / 2)
    # a slice that meets data in either placement is kept
    crop = crop_in_time(frames + shift, depth, stride, edges, dilation)
    torch.testing.assert_close(convolve(mean, filters, crop, stride, dilation), once)
