"""Every form of the sentence about a channel, and the floors against formulas and walks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from threetconv.explain.motion.words import (
    DIRECTIONS,
    Floor,
    beyond_noise,
    describe,
    direction,
    noise_floor,
)

STILL: dict[str, float] = {"zoom": 1.0, "turn_deg": 0.0, "right_px": 0.0, "up_px": 0.0}
FLOORS: dict[str, float] = {"floor_zoom": 1.1, "floor_turn_deg": 5.0, "floor_px": 0.2}


def say(**changed: Any) -> str:
    return describe(**{**STILL, **FLOORS, **changed})


def test_the_example_of_three_motions() -> None:
    text = say(zoom=1 / 1.8, turn_deg=-12.0, right_px=-0.283, up_px=0.283)
    assert (
        text == "zooms out 1.8x, turns 12 degrees counter-clockwise, drifts up-left 0.4 kernel px"
    )


@pytest.mark.parametrize(
    ("motion", "text"),
    [
        ({"zoom": 1.8}, "zooms in 1.8x"),
        ({"zoom": 1 / 1.8}, "zooms out 1.8x"),
        ({"zoom": 1.25}, "zooms in 1.25x"),
        ({"zoom": 12.3}, "zooms in 12x"),
        ({"turn_deg": 12.4}, "turns 12 degrees clockwise"),
        ({"turn_deg": -7.25}, "turns 7.2 degrees counter-clockwise"),
        ({"turn_deg": 123.4}, "turns 123 degrees clockwise"),
        ({"right_px": 1.0}, "drifts right 1 kernel px"),
        ({"up_px": -0.25}, "drifts down 0.25 kernel px"),
        ({"zoom": 1.8, "up_px": 0.3}, "zooms in 1.8x, drifts up 0.3 kernel px"),
    ],
)
def test_single_motions(motion: dict[str, float], text: str) -> None:
    assert say(**motion) == text


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ({"zoom": 1.09}, {"zoom": 1.11}),
        ({"zoom": 1 / 1.09}, {"zoom": 1 / 1.11}),
        ({"turn_deg": 4.9}, {"turn_deg": 5.1}),
        ({"turn_deg": -4.9}, {"turn_deg": -5.1}),
        ({"right_px": 0.19}, {"right_px": 0.21}),
        ({"right_px": -0.13, "up_px": 0.13}, {"right_px": -0.15, "up_px": 0.15}),
    ],
)
def test_only_what_passes_its_floor_is_said(
    inside: dict[str, float], outside: dict[str, float]
) -> None:
    assert say(**inside) == "no motion beyond noise"
    assert say(**outside) != "no motion beyond noise"
    together = say(**{"zoom": 3.0, **inside})
    assert ("zooms" in together) == ("zoom" not in inside)
    assert "turns" not in together
    assert "drifts" not in together


def test_small_numbers_are_not_rounded_away() -> None:
    tiny = {"floor_zoom": 1.0001, "floor_turn_deg": 0.001, "floor_px": 0.001}
    assert say(zoom=1.0004, **tiny) == "zooms in 1.0004x"
    assert say(zoom=1.03, **tiny) == "zooms in 1.03x"
    assert say(turn_deg=-0.012, **tiny) == "turns 0.012 degrees counter-clockwise"
    assert say(turn_deg=1.0, **tiny) == "turns 1 degree clockwise"
    assert say(turn_deg=9.96, **tiny) == "turns 10 degrees clockwise"


def test_eight_directions() -> None:
    for i, name in enumerate(DIRECTIONS):
        for off in (-22, 0, 22):
            angle = math.radians(45 * i + off)
            assert direction(math.cos(angle), math.sin(angle)) == name
            text = say(right_px=math.cos(angle), up_px=math.sin(angle))
            assert text == f"drifts {name} 1 kernel px"
    with pytest.raises(ValueError, match="no direction"):
        direction(0.0, 0.0)


def test_nothing_can_be_learned() -> None:
    text = "motion cannot be learned here: no transition is reachable"
    assert say(reachable=False) == text
    assert say(reachable=False, zoom=3.0) == text
    assert describe(**STILL, reachable=False) == text


def test_to_and_fro() -> None:
    assert say(wanders=True) == "moves to and fro, and ends within noise of where it began"
    assert say(wanders=True, zoom=1.8) == "zooms in 1.8x"


def test_unknown_noise_is_said() -> None:
    assert describe(**STILL) == "no motion (noise floor unknown)"
    moved = {"zoom": 1.02, "turn_deg": -0.5, "right_px": 0.0, "up_px": -0.03}
    assert describe(**moved) == (
        "zooms in 1.02x, turns 0.5 degrees counter-clockwise, drifts down 0.03 kernel px "
        "(noise floor unknown)"
    )
    half = describe(**moved, floor_zoom=9.0, floor_turn_deg=9.0)
    assert half == describe(**moved)
    nothing = {"floor_zoom": math.nan, "floor_turn_deg": math.nan, "floor_px": math.nan}
    assert beyond_noise(**{**moved, **nothing}) == (False, False, False)


@pytest.mark.parametrize("wrong", [{"zoom": 0.0}, {"zoom": -1.0}, {"turn_deg": math.nan}])
def test_impossible_motion(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="finite, its zoom above 0"):
        say(**wrong)


# --- floors --------------------------------------------------------------------------


def test_floors_of_one_transition() -> None:
    """Three tests: each at 1 - .95^(1/3) = .01695, normal 2.3877, Rayleigh 2.8557."""
    floor = noise_floor(1e-4, 1)
    assert math.log(floor.zoom) == pytest.approx(0.023877, rel=1e-4)
    assert floor.turn_deg == pytest.approx(math.degrees(0.023877), rel=1e-4)
    assert floor.fraction == pytest.approx(0.5 * 0.028557, rel=1e-4)
    assert floor.spread == math.inf


def test_floors_grow_with_the_root_of_transitions_and_of_the_sum() -> None:
    two, eight = noise_floor(1e-4, 2), noise_floor(1e-4, 8)
    assert math.log(eight.zoom) == pytest.approx(2 * math.log(two.zoom))
    assert eight.turn_deg == pytest.approx(2 * two.turn_deg)
    assert noise_floor(9e-4, 2).fraction == pytest.approx(3 * two.fraction)
    assert noise_floor(9e-4, 2).spread == two.spread
    assert noise_floor(1e-4, 2, level=0.99).turn_deg > two.turn_deg


def test_floors_without_noise_or_without_knowing() -> None:
    assert noise_floor(0.0, 3)[:3] == (1.0, 0.0, 0.0)
    assert noise_floor(1e-4, 0) == Floor(1.0, 0.0, 0.0, math.inf)
    for unknown in (None, math.nan):
        assert all(math.isnan(value) for value in noise_floor(unknown, 3))


def test_floors_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="negative"):
        noise_floor(-1.0, 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        noise_floor(1.0, 1, level=1.0)


@pytest.mark.parametrize("transitions", [1, 2, 6])
def test_each_part_of_a_normal_walk_passes_as_often_as_its_share(transitions: int) -> None:
    rng = np.random.default_rng(3)
    z = rng.normal(0, 0.01, (4, transitions, 40_000)) * np.array([1, 1, 0.5, 0.5])[:, None, None]
    floor = noise_floor(1e-4, transitions)
    zoom, turn, right, up = z.sum(axis=1)
    passed = [
        np.abs(zoom) > math.log(floor.zoom),
        np.abs(np.degrees(turn)) > floor.turn_deg,
        np.hypot(right, up) > floor.fraction,
    ]
    nominal = 1 - 0.95 ** (1 / (3 if transitions == 1 else 4))
    assert np.allclose([p.mean() for p in passed], nominal, rtol=0.15)
