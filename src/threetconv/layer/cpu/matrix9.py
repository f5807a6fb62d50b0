"""Products with 9 x 9 matrices that stay in registers while many rows of nine are multiplied.

A square is a 9 x 9 matrix, stored with a row stride of 16; only the first nine columns are used. A
pair is two squares side by side, 9 x 18, stored with a row stride of 32. All arrays are flat. `s`,
`o`, `a` and `t` are (offset of the first row, row stride) in source, other, addend and target; `m`
is the offset of a square or a pair. Nothing is checked.

Nine is not a power of two, so each row is split: eight columns (16 of a pair) are one vector, and
the remaining one or two are computed apart, mostly as dot products.
"""
# ruff: noqa: PLR0917 (numba takes no keywords)

from __future__ import annotations

from typing import Any

from threetconv.layer.cpu.compile import compiled
from threetconv.layer.cpu.simd import (
    add,
    four_zeros,
    multiply,
    multiply_add,
    sixteen_zeros,
    total,
    twice,
)
from threetconv.layer.cpu.simd_memory import load, load_down, number, put, store, store_down

__all__ = [
    "NINE",
    "PAIR",
    "SQUARE",
    "WIDTH",
    "join_squares",
    "outer_product",
    "product",
    "split_squares",
    "sum_of_products",
    "two_outer_products",
    "two_products",
]

NINE = 9
WIDTH = 16
SQUARE = (NINE + 1) * WIDTH  # nine rows, and a tenth for what lies outside the kernel
BROAD = 32
PAIR = NINE * BROAD


@compiled
def product(
    source: Any,
    s: Any,
    square: Any,
    m: int,
    addend: Any,
    a: Any,
    target: Any,
    t: Any,
    rows: int,
) -> None:
    """target = addend + source @ square, for `rows` rows of nine.

    Columns 0 to 7: a sum of the square's rows, each times one element of the source row. Column 8:
    the dot product of the source row and the square's last column.
    """
    nil = twice(four_zeros(square))
    # nine variables instead of an array, so that the compiler keeps them in registers
    m0, m1, m2 = load(square, m, nil), load(square, m + 16, nil), load(square, m + 32, nil)
    m3, m4, m5 = load(square, m + 48, nil), load(square, m + 64, nil), load(square, m + 80, nil)
    m6, m7, m8 = load(square, m + 96, nil), load(square, m + 112, nil), load(square, m + 128, nil)
    # column 8: rows 0 to 7, and the corner in row 8 (8 * WIDTH + 8 = 136)
    column, corner = load_down(square, m + 8, WIDTH, nil), number(square, m + 136)
    for row in range(rows):
        p, q, r = s[0] + row * s[1], a[0] + row * a[1], t[0] + row * t[1]
        by_column, ninth = multiply(load(source, p, nil), column), number(source, p + 8)
        # two sums, of even and of odd terms: one would make each addition wait for the one before
        even = multiply_add(load(addend, q, nil), number(source, p), m0)
        odd = multiply_add(nil, number(source, p + 1), m1)
        even = multiply_add(even, number(source, p + 2), m2)
        odd = multiply_add(odd, number(source, p + 3), m3)
        even = multiply_add(even, number(source, p + 4), m4)
        odd = multiply_add(odd, number(source, p + 5), m5)
        even = multiply_add(even, number(source, p + 6), m6)
        odd = multiply_add(odd, number(source, p + 7), m7)
        even = multiply_add(even, ninth, m8)
        last = number(addend, q + 8) + ninth * corner + total(by_column)
        store(target, r, add(even, odd))
        put(target, r + 8, last)


@compiled
def outer_product(source: Any, s: Any, other: Any, o: Any, square: Any, m: int, rows: int) -> None:
    """square += source^T @ other, summed over `rows` rows of nine.

    m0 to m8 hold columns 0 to 7 of the square's rows; `column` and `corner` hold column 8.
    """
    nil = twice(four_zeros(square))
    m0, m1, m2 = load(square, m, nil), load(square, m + 16, nil), load(square, m + 32, nil)
    m3, m4, m5 = load(square, m + 48, nil), load(square, m + 64, nil), load(square, m + 80, nil)
    m6, m7, m8 = load(square, m + 96, nil), load(square, m + 112, nil), load(square, m + 128, nil)
    # `column` starts at zero and is added at the end: its elements are WIDTH apart in memory
    column, corner = nil, number(square, m + 136)
    for row in range(rows):
        p, q = s[0] + row * s[1], o[0] + row * o[1]
        g, last, ninth = load(other, q, nil), number(other, q + 8), number(source, p + 8)
        # nine independent sums, so no addition waits for the one before
        m0 = multiply_add(m0, number(source, p), g)
        m1 = multiply_add(m1, number(source, p + 1), g)
        m2 = multiply_add(m2, number(source, p + 2), g)
        m3 = multiply_add(m3, number(source, p + 3), g)
        m4 = multiply_add(m4, number(source, p + 4), g)
        m5 = multiply_add(m5, number(source, p + 5), g)
        m6 = multiply_add(m6, number(source, p + 6), g)
        m7 = multiply_add(m7, number(source, p + 7), g)
        m8 = multiply_add(m8, ninth, g)
        column = multiply_add(column, last, load(source, p, nil))
        corner += ninth * last
    store(square, m, m0)
    store(square, m + 16, m1)
    store(square, m + 32, m2)
    store(square, m + 48, m3)
    store(square, m + 64, m4)
    store(square, m + 80, m5)
    store(square, m + 96, m6)
    store(square, m + 112, m7)
    store(square, m + 128, m8)
    store_down(square, m + 8, WIDTH, add(load_down(square, m + 8, WIDTH, nil), column))
    put(square, m + 136, corner)


@compiled
def join_squares(squares: Any, m: int, pair: Any, n: int) -> None:
    """Copy the squares at `m` and `m + SQUARE` side by side into a pair."""
    nil = sixteen_zeros(squares)
    for row in range(NINE):
        # the second store overwrites the seven unused elements of the first
        store(pair, n + row * BROAD, load(squares, m + row * WIDTH, nil))
        store(pair, n + row * BROAD + NINE, load(squares, m + SQUARE + row * WIDTH, nil))


@compiled
def split_squares(pair: Any, n: int, squares: Any, m: int) -> None:
    """Inverse of `join_squares`."""
    nil = sixteen_zeros(squares)
    for row in range(NINE):
        # columns 9 to 15 of the squares receive other numbers; nothing reads them
        store(squares, m + row * WIDTH, load(pair, n + row * BROAD, nil))
        store(squares, m + SQUARE + row * WIDTH, load(pair, n + row * BROAD + NINE, nil))


@compiled
def two_products(source: Any, s: Any, pair: Any, m: int, target: Any, t: Any, rows: int) -> None:
    """target = source @ pair: rows of 9 to rows of 18, two consecutive slices in memory.

    Columns 0 to 15 are vectors; columns 16 and 17 are dot products.
    """
    nil, wide = twice(four_zeros(pair)), sixteen_zeros(pair)
    m0, m1, m2 = load(pair, m, wide), load(pair, m + 32, wide), load(pair, m + 64, wide)
    m3, m4, m5 = load(pair, m + 96, wide), load(pair, m + 128, wide), load(pair, m + 160, wide)
    m6, m7, m8 = load(pair, m + 192, wide), load(pair, m + 224, wide), load(pair, m + 256, wide)
    # columns 16 and 17, rows 0 to 7; the corners are row 8 (8 * BROAD + 16 = 272)
    one, other = load_down(pair, m + 16, BROAD, nil), load_down(pair, m + 17, BROAD, nil)
    corner, next_corner = number(pair, m + 272), number(pair, m + 273)
    for row in range(rows):
        p, r = s[0] + row * s[1], t[0] + row * t[1]
        first_eight, ninth = load(source, p, nil), number(source, p + 8)
        # even and odd terms apart, as in `product`
        even = multiply_add(wide, number(source, p), m0)
        odd = multiply_add(wide, number(source, p + 1), m1)
        even = multiply_add(even, number(source, p + 2), m2)
        odd = multiply_add(odd, number(source, p + 3), m3)
        even = multiply_add(even, number(source, p + 4), m4)
        odd = multiply_add(odd, number(source, p + 5), m5)
        even = multiply_add(even, number(source, p + 6), m6)
        odd = multiply_add(odd, number(source, p + 7), m7)
        even = multiply_add(even, ninth, m8)
        store(target, r, add(even, odd))
        put(target, r + 16, total(multiply(first_eight, one)) + ninth * corner)
        put(target, r + 17, total(multiply(first_eight, other)) + ninth * next_corner)


@compiled
def sum_of_products(
    source: Any,
    s: Any,
    squares: Any,
    m: int,
    addend: Any,
    a: Any,
    target: Any,
    t: Any,
    rows: int,
) -> None:
    """target = addend + source[:, :9] @ first square + source[:, 9:] @ second square.

    The squares are at `m` and `m + SQUARE`; rows of source have 18 elements. See `product`.
    """
    nil = twice(four_zeros(squares))
    n = m + SQUARE  # m0 to m8 are rows of the first square, n0 to n8 of the second
    m0, m1, m2 = load(squares, m, nil), load(squares, m + 16, nil), load(squares, m + 32, nil)
    m3, m4, m5 = load(squares, m + 48, nil), load(squares, m + 64, nil), load(squares, m + 80, nil)
    m6, m7 = load(squares, m + 96, nil), load(squares, m + 112, nil)
    m8 = load(squares, m + 128, nil)
    n0, n1, n2 = load(squares, n, nil), load(squares, n + 16, nil), load(squares, n + 32, nil)
    n3, n4, n5 = load(squares, n + 48, nil), load(squares, n + 64, nil), load(squares, n + 80, nil)
    n6, n7 = load(squares, n + 96, nil), load(squares, n + 112, nil)
    n8 = load(squares, n + 128, nil)
    one, other = load_down(squares, m + 8, WIDTH, nil), load_down(squares, n + 8, WIDTH, nil)
    corner, next_corner = number(squares, m + 136), number(squares, n + 136)
    for row in range(rows):
        p, q, r = s[0] + row * s[1], a[0] + row * a[1], t[0] + row * t[1]
        ninth, last = number(source, p + 8), number(source, p + 17)
        columns = multiply(load(source, p, nil), one)
        columns = add(columns, multiply(load(source, p + 9, nil), other))
        # `even` sums the first square's terms and `odd` the second's, as independent chains
        even = multiply_add(load(addend, q, nil), number(source, p), m0)
        odd = multiply_add(nil, number(source, p + 9), n0)
        even = multiply_add(even, number(source, p + 1), m1)
        odd = multiply_add(odd, number(source, p + 10), n1)
        even = multiply_add(even, number(source, p + 2), m2)
        odd = multiply_add(odd, number(source, p + 11), n2)
        even = multiply_add(even, number(source, p + 3), m3)
        odd = multiply_add(odd, number(source, p + 12), n3)
        even = multiply_add(even, number(source, p + 4), m4)
        odd = multiply_add(odd, number(source, p + 13), n4)
        even = multiply_add(even, number(source, p + 5), m5)
        odd = multiply_add(odd, number(source, p + 14), n5)
        even = multiply_add(even, number(source, p + 6), m6)
        odd = multiply_add(odd, number(source, p + 15), n6)
        even = multiply_add(even, number(source, p + 7), m7)
        odd = multiply_add(odd, number(source, p + 16), n7)
        even = multiply_add(even, ninth, m8)
        odd = multiply_add(odd, last, n8)
        corners = number(addend, q + 8) + ninth * corner + last * next_corner
        store(target, r, add(even, odd))
        put(target, r + 8, corners + total(columns))


@compiled
def two_outer_products(
    source: Any, s: Any, other: Any, o: Any, pair: Any, m: int, rows: int
) -> None:
    """pair += source^T @ other, summed over rows of 9 (source) and 18 (other).

    m0 to m8 hold columns 0 to 15 of the pair's rows; see `outer_product`.
    """
    nil, wide = twice(four_zeros(pair)), sixteen_zeros(pair)
    m0, m1, m2 = load(pair, m, wide), load(pair, m + 32, wide), load(pair, m + 64, wide)
    m3, m4, m5 = load(pair, m + 96, wide), load(pair, m + 128, wide), load(pair, m + 160, wide)
    m6, m7, m8 = load(pair, m + 192, wide), load(pair, m + 224, wide), load(pair, m + 256, wide)
    # column 16 and column 17 of the pair; their last elements, in row 8, are the corners
    column, next_column = nil, nil
    corner, next_corner = number(pair, m + 272), number(pair, m + 273)
    for row in range(rows):
        p, q = s[0] + row * s[1], o[0] + row * o[1]
        g, g16, g17 = load(other, q, wide), number(other, q + 16), number(other, q + 17)
        first_eight, ninth = load(source, p, nil), number(source, p + 8)
        m0 = multiply_add(m0, number(source, p), g)
        m1 = multiply_add(m1, number(source, p + 1), g)
        m2 = multiply_add(m2, number(source, p + 2), g)
        m3 = multiply_add(m3, number(source, p + 3), g)
        m4 = multiply_add(m4, number(source, p + 4), g)
        m5 = multiply_add(m5, number(source, p + 5), g)
        m6 = multiply_add(m6, number(source, p + 6), g)
        m7 = multiply_add(m7, number(source, p + 7), g)
        m8 = multiply_add(m8, ninth, g)
        column = multiply_add(column, g16, first_eight)
        next_column = multiply_add(next_column, g17, first_eight)
        corner += ninth * g16
        next_corner += ninth * g17
    column = add(load_down(pair, m + 16, BROAD, nil), column)
    next_column = add(load_down(pair, m + 17, BROAD, nil), next_column)
    store(pair, m, m0)
    store(pair, m + 32, m1)
    store(pair, m + 64, m2)
    store(pair, m + 96, m3)
    store(pair, m + 128, m4)
    store(pair, m + 160, m5)
    store(pair, m + 192, m6)
    store(pair, m + 224, m7)
    store(pair, m + 256, m8)
    store_down(pair, m + 16, BROAD, column)
    store_down(pair, m + 17, BROAD, next_column)
    put(pair, m + 272, corner)
    put(pair, m + 273, next_corner)
