"""Every form of the sentence about a channel."""

from __future__ import annotations

import math
from typing import Any

import pytest

from threetconv.explain.motion.words import (
    DIRECTIONS,
    beyond_noise,
    describe,
    direction,
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
