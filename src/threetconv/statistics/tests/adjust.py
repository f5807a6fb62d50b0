"""Multiplicity: p-values of one family, adjusted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from threetconv.support.levels import passes

__all__ = ["adjust", "benjamini_hochberg", "holm"]


def holm(p: npt.ArrayLike) -> np.ndarray:
    """Holm's step-down adjustment (family-wise error; Holm 1979).

    The same numbers as statsmodels' `multipletests(method="holm")`, which collects garbage on every
    call and takes 70 ms for it.

    Args:
        p: (m,) p-values; NaN (no test could be made) keeps its place in the family as p = 1, so
            that a test that failed does not make its neighbours' adjustment milder.

    Returns:
        (m,) adjusted p-values, NaN where p was.
    """
    return _adjust(p, _holm)


def _holm(p: np.ndarray) -> np.ndarray:
    order = np.argsort(p, kind="stable")
    # the i-th smallest of m p-values times m - i + 1, never below the one before it
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def benjamini_hochberg(p: npt.ArrayLike) -> np.ndarray:
    """Benjamini-Hochberg adjustment (false discovery rate), by scipy; NaN as in `holm`."""
    from scipy.stats import false_discovery_control  # a second to import

    return _adjust(p, lambda full: false_discovery_control(full, method="bh"))


def _adjust(p: npt.ArrayLike, method: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    values = np.asarray(p, dtype=np.float64)
    if values.size == 0:
        return values.copy()
    missing = np.isnan(values)
    # 1.0: a missing test still counts in the size of the family
    adjusted = np.array(method(np.where(missing, 1.0, values)), dtype=np.float64)
    adjusted[missing] = np.nan
    return adjusted


def adjust(
    lines: list[dict[str, object]],
    alpha: float,
    method: Callable[[np.ndarray], np.ndarray],
    name: str,
    over: str,
    *,
    needed: str = "more runs per arm",
) -> None:
    """Adjust p over the lines, in place; those that could never pass become untestable instead.

    Args:
        lines: one family of tests: p_raw, p_floor, status, reason; NaN p where none was made.
        alpha: the level that the adjusted floor must reach.
        method: `holm` or `benjamini_hochberg`.
        name, over: the method and the family in words.
        needed: what would help.
    """
    # adjusted floors say what the family would get if every test came out as extreme as it can
    floors = np.array([line["p_floor"] for line in lines], dtype=np.float64)
    adjusted = method(np.array([line["p_raw"] for line in lines], dtype=np.float64))
    for line, raw, least, p in zip(lines, floors, method(floors), adjusted, strict=True):
        line["adjustment"] = f"{name} over {len(lines)} {over}"
        if line["status"] != "ok":
            continue
        if not passes(least, alpha):
            line["status"] = "untestable"
            why = (
                f"the smallest attainable p is {raw:.3g}"
                + (f" ({least:.3g} after {name})" if least > raw else "")
                + f", above alpha = {alpha:g}: {needed} are needed"
            )
            line["reason"] = "; ".join(part for part in (why, str(line["reason"])) if part)
        else:
            line["p_adjusted"] = p
