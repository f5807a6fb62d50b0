"""Indices of the frames that are taken, by their definitions and by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threetconv.data.decoding.frame_sampling import SAMPLING, frame_indices, offset_indices

OFFSETS = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 5000), st.integers(1, 300))
def test_indices_are_even_and_ordered(n, t):
    indices = frame_indices(n, t)
    assert indices.shape == (t,)
    assert indices[0] == 0
    assert indices.max() < n
    steps = np.diff(indices)
    if n < t:
        assert indices.tolist() == [*range(n), *[n - 1] * (t - n)]
    elif t > 1:
        assert indices[-1] == n - 1
        assert set(steps.tolist()) <= {(n - 1) // (t - 1), -(-(n - 1) // (t - 1))}
        for k, i in enumerate(indices.tolist()):  # never more than half a frame off
            assert abs(Fraction(k * (n - 1), t - 1) - i) <= Fraction(1, 2)


def test_indices_known_answers():
    assert frame_indices(164, 4).tolist() == [0, 54, 109, 163]
    assert frame_indices(30, 30).tolist() == list(range(30))
    assert frame_indices(9, 1).tolist() == [0]
    assert frame_indices(4, 3).tolist() == [0, 2, 3]  # 1.5: half to even
    with pytest.raises(ValueError, match="at least 1"):
        frame_indices(0, 3)


@given(st.integers(1, 5000), st.integers(1, 300), OFFSETS)
def test_one_frame_from_each_stretch(n, t, offset):
    indices = offset_indices(n, t, offset).tolist()
    if n < t:
        assert indices == frame_indices(n, t).tolist()
        return
    assert len(set(indices)) == t
    for i, index in enumerate(indices):
        place = (i + Fraction(offset)) * n / t
        assert index in {int(place), int(place + Fraction(1, 10**9))}  # offset * n is rounded
        assert i * n // t <= index < n


@given(st.integers(1, 40), st.integers(1, 20))
def test_every_frame_is_as_likely(n, t):
    """Over offsets (k + 1/2) / n every frame comes t times, as equal shares of offsets do."""
    if n < t:
        return
    counts = np.zeros(n, int)
    for k in range(n):
        counts[offset_indices(n, t, (k + 0.5) / n)] += 1
    assert counts.tolist() == [t] * n


def test_offset_known_answers():
    assert offset_indices(12, 4, 0.0).tolist() == [0, 3, 6, 9]
    assert offset_indices(12, 4, 0.5).tolist() == [1, 4, 7, 10]
    assert offset_indices(12, 4, 0.99).tolist() == [2, 5, 8, 11]
    assert offset_indices(10, 4, 0.0).tolist() == [0, 2, 5, 7]
    assert offset_indices(10, 4, 0.5).tolist() == [1, 3, 6, 8]
    assert offset_indices(5, 5, np.nextafter(1, 0)).tolist() == [0, 1, 2, 3, 4]
    assert offset_indices(2, 4, 0.9).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("offset", [-0.01, 1.0, float("nan")])
def test_offset_outside_its_range(offset):
    with pytest.raises(ValueError, match=r"offset must be in \[0, 1\)"):
        offset_indices(9, 3, offset)


@given(st.integers(1, 500), st.integers(1, 60), OFFSETS)
def test_every_rule_gives_ordered_indices_of_frames(n, t, offset):
    for choose, _ in SAMPLING.values():
        indices = choose(n, t, offset)
        assert indices.shape == (t,)
        assert indices.dtype == np.int64
        assert (np.diff(indices) >= 0).all()
        assert indices.min() >= 0
        assert indices.max() < n


@given(st.integers(1, 500), st.integers(1, 60), OFFSETS)
def test_even_ignores_the_offset(n, t, offset):
    assert np.array_equal(SAMPLING["even"].choose(n, t, offset), frame_indices(n, t))
