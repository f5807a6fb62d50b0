"""A channel's motion in one line of plain English; motion within the noise floor is left out.

Noise floors are those of `threetconv.records.noise_floor`. No torch is imported here.
"""

from __future__ import annotations

import math

__all__ = ["DIRECTIONS", "beyond_noise", "describe", "direction"]

DIRECTIONS = ("right", "up-right", "up", "up-left", "left", "down-left", "down", "down-right")
"""Eight names, counter-clockwise from the right, 45 degrees each."""

STILL = "no motion beyond noise"
UNREACHABLE = "motion cannot be learned here: no transition is reachable"
WANDERS = "moves to and fro, and ends within noise of where it began"
UNKNOWN = "noise floor unknown"


def describe(
    *,
    zoom: float,
    turn_deg: float,
    right_px: float,
    up_px: float,
    floor_zoom: float = math.nan,
    floor_turn_deg: float = math.nan,
    floor_px: float = math.nan,
    reachable: bool = True,
    wanders: bool = False,
) -> str:
    """One line about the motion of a channel over its whole kernel.

    Args:
        zoom: factor by which content grows, above 0.
        turn_deg: degrees clockwise as seen.
        right_px, up_px: where the centre of the first slice ends, in kernel pixels.
        floor_zoom: factor of at least 1 that noise alone stays below, either way.
        floor_turn_deg, floor_px: degrees and kernel pixels that noise alone stays below. If any of
            the three is NaN, all motion is described and the noise floor is called unknown.
        reachable: whether any transition can be learned at all.
        wanders: whether single steps move beyond noise even where their sum does not.

    Returns:
        For example "zooms out 1.8x, turns 12 degrees counter-clockwise, drifts up-left 0.4 kernel
        px"; "no motion beyond noise"; "zooms in 1.1x (noise floor unknown)".

    Raises:
        ValueError: a zoom that is not above 0, or a number that is not finite.
    """
    motion = (zoom, turn_deg, right_px, up_px)
    if not all(math.isfinite(value) for value in motion) or zoom <= 0:
        raise ValueError(f"motion {motion} must be finite, its zoom above 0")
    if not reachable:
        return UNREACHABLE
    known = not any(math.isnan(floor) for floor in (floor_zoom, floor_turn_deg, floor_px))
    said = beyond_noise(
        zoom=zoom,
        turn_deg=turn_deg,
        right_px=right_px,
        up_px=up_px,
        # Without a floor every motion counts; comparisons with NaN would hide all of them.
        floor_zoom=floor_zoom if known else 1.0,
        floor_turn_deg=floor_turn_deg if known else 0.0,
        floor_px=floor_px if known else 0.0,
    )
    phrases = (_zooms(zoom), _turns(turn_deg), _drifts(right_px, up_px))
    text = ", ".join(phrase for phrase, wanted in zip(phrases, said, strict=True) if wanted)
    if not known:
        return f"{text or 'no motion'} ({UNKNOWN})"
    return text or (WANDERS if wanders else STILL)


def beyond_noise(
    *,
    zoom: float,
    turn_deg: float,
    right_px: float,
    up_px: float,
    floor_zoom: float,
    floor_turn_deg: float,
    floor_px: float,
) -> tuple[bool, bool, bool]:
    """Whether zoom, turn and drift are larger than their floors; a floor of NaN is never passed.

    Arguments are those of `describe`. A zoom out counts as the zoom in that undoes it.
    """
    return (
        abs(math.log(zoom)) > math.log(floor_zoom),
        abs(turn_deg) > floor_turn_deg,
        math.hypot(right_px, up_px) > floor_px,
    )


def direction(right: float, up: float) -> str:
    """The nearest of the eight `DIRECTIONS`.

    Raises:
        ValueError: for (0, 0), which points nowhere.
    """
    if right == 0 and up == 0:
        raise ValueError("(0, 0) has no direction")
    return DIRECTIONS[round(math.degrees(math.atan2(up, right)) / 45) % 8]


def _zooms(zoom: float) -> str:
    return f"zooms {'in' if zoom > 1 else 'out'} {_factor(max(zoom, 1 / zoom))}x"


def _turns(degrees: float) -> str:
    size = _number(abs(degrees))
    unit = "degree" if size == "1" else "degrees"
    return f"turns {size} {unit} {'clockwise' if degrees > 0 else 'counter-clockwise'}"


def _drifts(right: float, up: float) -> str:
    if right == 0 and up == 0:
        return ""
    return f"drifts {direction(right, up)} {_number(math.hypot(right, up))} kernel px"


def _factor(factor: float) -> str:
    """A factor above 1 with as many decimals as tell it from 1: 12, 1.8, 1.08, 1.004."""
    # 9.95 and more would round to 10.0 with one decimal.
    if factor >= 9.95:
        return f"{factor:.0f}"
    if factor >= 1.5 or factor == 1:
        return f"{factor:.1f}"
    return f"{factor:.{max(2, math.ceil(-math.log10(factor - 1)))}f}"


def _number(size: float) -> str:
    """Two significant digits, whole numbers from 10 on."""
    return f"{size:.0f}" if size >= 9.95 else f"{size:.2g}"
