"""Numbers as text: significant digits in plain notation, and p-values."""

from __future__ import annotations

__all__ = ["p_prose", "p_value", "significant"]

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def significant(x: float, digits: int = 3) -> str:
    """A finite number with `digits` significant digits: 28.0, 8.46, 0.0123, 1,234."""
    if x == 0:
        return "0"
    exponent = int(f"{x:.{digits - 1}e}".split("e")[1])  # of the rounded number: 9.999 is 10.0
    return f"{x:,.{max(0, digits - 1 - exponent)}f}"


def p_value(p: float) -> str:
    """Two significant digits: 0.0039, 0.12; below 0.001 as 1.2e-5."""
    if p == 0 or p >= 1:
        return f"{p:.0f}"
    if p >= 1e-3:
        return significant(p, 2)
    mantissa, exponent = f"{p:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def p_prose(p: float) -> str:
    """A p-value for running text: 0.0039, or 1.2 × 10 with a raised exponent."""
    mantissa, mark, exponent = p_value(p).partition("e")
    return f"{mantissa} × 10{exponent.translate(RAISED)}" if mark else mantissa
