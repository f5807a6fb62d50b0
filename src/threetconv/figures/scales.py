"""Axes: asinh (linear near zero, logarithmic outside, decade ticks), and log for ratios."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    NullFormatter,
    NullLocator,
)

__all__ = ["asinh_axis", "asinh_ticks", "percent", "ratio_axis"]


def asinh_ticks(
    low: float, high: float, linear: float, *, sides: int = 3
) -> tuple[list[float], list[str]]:
    """Zero and whole decades between the linear part and the limits, at most `sides` a side."""
    reach = max(abs(low), abs(high))
    # A limit of 0.1 may arrive as 0.09999...; it should still get its tick.
    top = math.floor(math.log10(reach * 1.0001))
    # Below `linear` the axis is linear, where ticks of decades would crowd around zero.
    bottom = max(math.ceil(math.log10(linear * 1.2)), top - sides + 1)
    decades = [10.0**k for k in range(bottom, top + 1)] or [10.0**top]
    ticks = [-d for d in reversed(decades)] + [0.0] + decades
    ticks = [t for t in ticks if low <= t <= high]
    return ticks, [f"{t:g}".replace("-", "\N{MINUS SIGN}") for t in ticks]


def asinh_axis(
    axes: Axes, which: str, limits: tuple[float, float], linear: float, *, sides: int = 3
) -> None:
    """Give one axis ("x" or "y") the asinh scale, its limits and decade ticks."""
    low, high = limits
    ticks, labels = asinh_ticks(low, high, linear, sides=sides)
    axis: Axis
    if which == "x":
        axes.set_xscale("asinh", linear_width=linear)
        axes.set_xlim(low, high)
        axis = axes.xaxis
    else:
        axes.set_yscale("asinh", linear_width=linear)
        axes.set_ylim(low, high)
        axis = axes.yaxis
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter(labels))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def percent(share: float) -> str:
    """A share in per cent with as many digits as say something."""
    if not math.isfinite(share):
        return "?"
    value = 100 * share
    if value in {0, 100}:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 0.05 else "< 0.1 %"


def ratio_axis(axes: Axes, which: str, span: tuple[float, float], *, most: int) -> None:
    """Give one axis ("x" or "y") a log scale over `span`, with at most about `most` round ticks."""
    low, high = span
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    # From many ticks per decade to few, until they are not too many.
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) <= most:
            break
    axis.set_major_locator(FixedLocator(ticks))
    # 2 instead of 2 x 10^0.
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
