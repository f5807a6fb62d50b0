"""Rows of nine against matrices in registers: every operation, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

ROWS = 5
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


class Place:
    """Rows of `width` numbers that begin at `first` and lie `step` apart in a flat array."""

    def __init__(self, rng: np.random.Generator, dtype: type, width: int) -> None:
        self.first, self.step, self.width = (
            int(rng.integers(9)),
            width + int(rng.integers(7)),
            width,
        )
        self.flat = rng.normal(size=self.first + ROWS * self.step + 16).astype(dtype)
        self.where = (self.first, self.step)

    def index(self) -> Any:
        rows = self.first + self.step * np.arange(ROWS)
        return rows[:, None] + np.arange(self.width)

    def rows(self) -> Any:
        return self.flat[self.index()].astype(np.float64)


def squares(rng: np.random.Generator, dtype: type) -> tuple[Any, int]:
    """Two squares, one behind the other, from an offset on; beyond column nine is what may be."""
    from threetconv.layer.cpu.matrix9 import SQUARE

    offset = 7
    return rng.normal(size=offset + 2 * SQUARE).astype(dtype), offset


def square_at(flat: Any, at: int) -> Any:
    return flat[at : at + 144].reshape(9, 16)[:, :9].astype(np.float64)


def pair_at(flat: Any, at: int) -> Any:
    return flat[at : at + 288].reshape(9, 32)[:, :18].astype(np.float64)


def check(place: Place, before: Any, expected: Any) -> None:
    """The rows hold what is expected, and nothing beside them is written."""
    tolerance = 2e-5 if place.flat.dtype == np.float32 else 1e-13
    np.testing.assert_allclose(place.rows(), expected, rtol=tolerance, atol=tolerance)
    beside = np.ones(len(place.flat), bool)
    beside[place.index()] = False
    np.testing.assert_array_equal(place.flat[beside], before[beside])


@FLOATS
def test_rows_times_squares(dtype: type) -> None:
    from threetconv.layer.cpu.matrix9 import (
        PAIR,
        SQUARE,
        join_squares,
        product,
        sum_of_products,
        two_products,
    )

    rng = np.random.default_rng(0)
    (flat, m), addend = squares(rng, dtype), Place(rng, dtype, 9)
    one, other = square_at(flat, m), square_at(flat, m + SQUARE)

    source, target = Place(rng, dtype, 9), Place(rng, dtype, 9)
    before = target.flat.copy()
    product(
        *(source.flat, source.where, flat, m, addend.flat, addend.where),
        *(target.flat, target.where, ROWS),
    )
    check(target, before, addend.rows() + source.rows() @ one)

    wide, target = Place(rng, dtype, 18), Place(rng, dtype, 9)
    before = target.flat.copy()
    sum_of_products(
        *(wide.flat, wide.where, flat, m, addend.flat, addend.where),
        *(target.flat, target.where, ROWS),
    )
    check(target, before, addend.rows() + wide.rows() @ np.vstack([one, other]))

    pair, target = np.full(3 + PAIR, np.nan, dtype), Place(rng, dtype, 18)
    join_squares(flat, m, pair, 3)
    np.testing.assert_array_equal(pair_at(pair, 3), np.hstack([one, other]))
    before = target.flat.copy()
    two_products(source.flat, source.where, pair, 3, target.flat, target.where, ROWS)
    check(target, before, source.rows() @ np.hstack([one, other]))


@FLOATS
def test_a_sum_may_be_its_own_addend(dtype: type) -> None:
    """As derivatives by K1 are added up, slice after slice."""
    from threetconv.layer.cpu.matrix9 import product

    rng = np.random.default_rng(1)
    (flat, m), source, target = squares(rng, dtype), Place(rng, dtype, 9), Place(rng, dtype, 9)
    before = target.flat.copy()
    expected = target.rows() + source.rows() @ square_at(flat, m)
    product(
        *(source.flat, source.where, flat, m, target.flat, target.where),
        *(target.flat, target.where, ROWS),
    )
    check(target, before, expected)


@FLOATS
def test_outer_products_are_added_up(dtype: type) -> None:
    from threetconv.layer.cpu.matrix9 import (
        PAIR,
        SQUARE,
        outer_product,
        split_squares,
        two_outer_products,
    )

    rng, tolerance = np.random.default_rng(2), 2e-5 if dtype is np.float32 else 1e-13
    source, narrow, wide = (Place(rng, dtype, width) for width in (9, 9, 18))
    flat, m = squares(rng, dtype)
    expected = square_at(flat, m) + source.rows().T @ narrow.rows()
    outer_product(source.flat, source.where, narrow.flat, narrow.where, flat, m, ROWS)
    np.testing.assert_allclose(square_at(flat, m), expected, rtol=tolerance, atol=tolerance)

    pair = rng.normal(size=5 + PAIR).astype(dtype)
    expected = pair_at(pair, 5) + source.rows().T @ wide.rows()
    two_outer_products(source.flat, source.where, wide.flat, wide.where, pair, 5, ROWS)
    np.testing.assert_allclose(pair_at(pair, 5), expected, rtol=tolerance, atol=tolerance)

    outside = flat[m + 144 : m + SQUARE].copy()  # the row for taps outside the kernel
    split_squares(pair, 5, flat, m)
    np.testing.assert_array_equal(square_at(flat, m), pair_at(pair, 5)[:, :9])
    np.testing.assert_array_equal(square_at(flat, m + SQUARE), pair_at(pair, 5)[:, 9:])
    np.testing.assert_array_equal(flat[m + 144 : m + SQUARE], outside)
