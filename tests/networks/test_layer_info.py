"""Reachable transitions from sizes alone, and layers as plain types."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from threetconv.networks.layer_info import Layer, reachable_transitions


@given(
    frames=st.integers(1, 9),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
)
def test_reachability_from_sizes_alone(
    frames: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    """Against a filter of marked slices laid over a padded row of ones."""
    row = np.pad(np.ones(frames), padding)
    span = dilation * (kernel - 1) + 1
    met = np.zeros(kernel, bool)
    for start in range(0, len(row) - span + 1, stride):
        met |= row[start : start + span : dilation] > 0
    expected = tuple(bool(met[t + 1 :].any()) for t in range(kernel - 1))
    assert reachable_transitions(frames, kernel, stride, padding, dilation) == expected


def test_zeros_before_and_after_may_differ() -> None:
    """A 4-frame filter over 1 frame, one zero before and two after, as padding="same" has it."""
    assert reachable_transitions(1, 4, padding=(1, 2)) == (True, False, False)
    assert reachable_transitions(1, 4, padding=(2, 1)) == (True, True, False)
    assert reachable_transitions(1, 4) == (False, False, False)  # no output at all


def test_layers_survive_json() -> None:
    layer = Layer(3, "a.b", (3, 5, 5), 8, 4, 16, (True, False))
    assert Layer.from_dict(json.loads(json.dumps(layer.to_dict()))) == layer
