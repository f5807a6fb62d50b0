"""Noise floors against formulas and simulated walks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from threetconv.records.noise_floor import (
    WALK_SHARE,
    ChannelFloor,
    channel_floor,
    noise_floor,
    step_spread,
)


def test_the_floor_is_the_mean_of_a_half_normal_walk() -> None:
    walks = np.random.default_rng(0).normal(0, 0.01, (100, 20_000)).sum(axis=0)
    for share in WALK_SHARE.values():
        floor = noise_floor(100 * 0.01**2, share)
        assert np.abs(share * walks).mean() == pytest.approx(floor, rel=0.02)


def test_the_spread_of_steps_is_in_squared_sds() -> None:
    z = np.zeros((4, 2, 1))
    z[:, :, 0] = [[-1, 1], [0, 0], [-0.5, 0.5], [0, 0]]
    assert step_spread(z, 1.0) == pytest.approx([2 + 2])
    assert step_spread(z, 4.0) == pytest.approx([1])
    assert step_spread(z, None) == step_spread(z[:, :1], 1.0) == [0]
    assert step_spread(z, 0.0) == [math.inf]


def test_floors_of_one_transition() -> None:
    """Three tests: each at 1 - .95^(1/3) = .01695, normal 2.3877, Rayleigh 2.8557."""
    floor = channel_floor(1e-4, 1)
    assert math.log(floor.zoom) == pytest.approx(0.023877, rel=1e-4)
    assert floor.turn_deg == pytest.approx(math.degrees(0.023877), rel=1e-4)
    assert floor.fraction == pytest.approx(0.5 * 0.028557, rel=1e-4)
    assert floor.spread == math.inf


def test_floors_grow_with_the_root_of_transitions_and_of_the_sum() -> None:
    two, eight = channel_floor(1e-4, 2), channel_floor(1e-4, 8)
    assert math.log(eight.zoom) == pytest.approx(2 * math.log(two.zoom))
    assert eight.turn_deg == pytest.approx(2 * two.turn_deg)
    assert channel_floor(9e-4, 2).fraction == pytest.approx(3 * two.fraction)
    assert channel_floor(9e-4, 2).spread == two.spread
    assert channel_floor(1e-4, 2, level=0.99).turn_deg > two.turn_deg


def test_floors_without_noise_or_without_knowing() -> None:
    assert channel_floor(0.0, 3)[:3] == (1.0, 0.0, 0.0)
    assert channel_floor(1e-4, 0) == ChannelFloor(1.0, 0.0, 0.0, math.inf)
    for unknown in (None, math.nan):
        assert all(math.isnan(value) for value in channel_floor(unknown, 3))


def test_floors_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="negative"):
        channel_floor(-1.0, 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        channel_floor(1.0, 1, level=1.0)


@pytest.mark.parametrize("transitions", [1, 2, 6])
def test_each_part_of_a_normal_walk_passes_as_often_as_its_share(transitions: int) -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(0, 0.01, (4, transitions, 40_000)) * np.array([1, 1, 0.5, 0.5])[:, None, None]
    floor = channel_floor(1e-4, transitions)
    zoom, turn, right, up = z.sum(axis=1)
    passed = [
        np.abs(zoom) > math.log(floor.zoom),
        np.abs(np.degrees(turn)) > floor.turn_deg,
        np.hypot(right, up) > floor.fraction,
    ]
    nominal = 1 - 0.95 ** (1 / (3 if transitions == 1 else 4))
    assert np.allclose([p.mean() for p in passed], nominal, rtol=0.15)
