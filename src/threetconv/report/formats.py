"""Numbers formatted for readers; a missing value is a dash, never "nan"."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from threetconv.report.document import Cell
from threetconv.support import numerals

__all__ = [
    "DASH",
    "count",
    "count_range",
    "duration",
    "interval",
    "number",
    "p_prose",
    "p_value",
    "percent",
    "share",
    "significant",
    "spread",
    "text",
]

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def value(raw: Any) -> float:
    """A float, NaN for anything that is not a number."""
    try:
        return float(raw)
    except (TypeError, ValueError):
        return math.nan


def number(raw: Any, pattern: str) -> Cell:
    """`raw` under a format pattern such as ".2f"."""
    x = value(raw)
    if math.isnan(x):
        return Cell(DASH)
    if math.isinf(x):
        return Cell("\N{INFINITY}" if x > 0 else MINUS + "\N{INFINITY}", x)
    text = format(x, pattern)
    if x < 0 and not text.strip("-0.,%"):
        text = format(0.0, pattern)  # no minus before what is rounded to zero
    return Cell(text.replace("-", MINUS, 1) if x < 0 else text, x)


def significant(raw: Any, digits: int = 3) -> Cell:
    """`digits` significant digits in plain notation: 28.0, 8.46, 0.0123."""
    x = value(raw)
    # Zero has no significant digits.
    if not math.isfinite(x) or x == 0:
        return number(x, ".0f")
    text = numerals.significant(x, digits)
    return Cell(text.replace("-", MINUS, 1), x)


def count(raw: Any) -> Cell:
    """A whole number with separators: 7,419,121."""
    return number(raw, ",.0f")


def percent(raw: Any, decimals: int = 1) -> Cell:
    """A number that already is in per cent."""
    return number(raw, f".{decimals}f")


def share(raw: Any, decimals: int = 0) -> Cell:
    """A share of one, in per cent with its sign."""
    x = value(raw)
    cell = number(100 * x, f".{decimals}f")
    return cell if math.isnan(x) else Cell(f"{cell.text} %", x)


def spread(middle: Any, low: Any, high: Any, digits: int = 3) -> Cell:
    """Mean and range: 8.46 (7.9 to 9.1); the mean alone where nothing varies."""
    m = significant(middle, digits)
    lo, hi = significant(low, digits), significant(high, digits)
    if DASH in (m.text, lo.text, hi.text) or lo.text == hi.text:
        return m
    return Cell(f"{m.text} ({lo.text}{DASH}{hi.text})", m.sort)


def percent_spread(middle: Any, low: Any, high: Any) -> Cell:
    """Mean and range of percentages: 62.5 (60.1-64.0)."""
    m, lo, hi = percent(middle), percent(low), percent(high)
    if DASH in (m.text, lo.text, hi.text) or lo.text == hi.text:
        return m
    return Cell(f"{m.text} ({lo.text}{DASH}{hi.text})", m.sort)


def p_value(raw: Any) -> Cell:
    """Two significant digits: 0.0039, 0.12; below 0.001 as 1.2e-5."""
    x = value(raw)
    if math.isnan(x):
        return Cell(DASH)
    return Cell(numerals.p_value(x), x)


def p_prose(raw: Any) -> str:
    """A p-value for running text: 0.0039, or 1.2 × 10 with a raised exponent."""
    x = value(raw)
    return DASH if math.isnan(x) else numerals.p_prose(x)


def interval(low: Any, high: Any) -> Cell:
    """[1.12, 2.05], or a dash."""
    lo, hi = value(low), value(high)
    if not (math.isfinite(lo) and math.isfinite(hi)):
        return Cell(DASH)
    # Sorted by the lower end.
    return Cell(f"[{significant(lo).text}, {significant(hi).text}]", lo)


def duration(raw: Any) -> Cell:
    """Seconds as 48 s, 3 min 20 s, 5 h 12 min."""
    x = value(raw)
    if not math.isfinite(x):
        return Cell(DASH)
    seconds = round(x)
    if seconds < 60:
        shown = f"{x:.1f} s" if x < 10 else f"{seconds} s"
    elif seconds < 3600:
        shown = f"{seconds // 60} min {seconds % 60} s"
    else:
        shown = f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return Cell(shown, x)


def text(raw: Any) -> Cell:
    """Any value as text, a dash for a missing one."""
    if raw is None or (not isinstance(raw, str) and bool(pd.isna(raw))):
        return Cell(DASH)
    return Cell(str(raw) or DASH)


def count_range(values: pd.Series) -> str:
    """The one value of a column, or its range: "3" or "2 to 5"."""
    finite = values.dropna()
    if finite.empty:
        return DASH
    low, high = significant_or_int(finite.min()), significant_or_int(finite.max())
    return low if low == high else f"{low} to {high}"


def significant_or_int(raw: Any) -> str:
    """Whole numbers in full, others with three digits (small ones as 5e-05)."""
    x = value(raw)
    if x == round(x):
        return f"{x:,.0f}"
    # Plain notation of learning rates such as 5e-05 would be mostly zeros.
    return significant(x).text if abs(x) >= 1e-3 else f"{x:.3g}"
