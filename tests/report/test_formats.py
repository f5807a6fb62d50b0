"""Numbers as a reader wants them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from threetconv.report import formats
from threetconv.report.document import Cell


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0039, "0.0039"),
        (1.25e-5, "1.3e-5"),
        (1.2e-5, "1.2e-5"),
        (0.05, "0.050"),
        (0.1, "0.10"),
        (0.999, "1.0"),
        (1.0, "1"),
        (0.0, "0"),
        (math.nan, "\u2013"),
        (None, "\u2013"),
    ],
)
def test_p_values(value: float, expected: str) -> None:
    assert formats.p_value(value).text == expected


def test_p_values_in_prose_do_not_break_at_a_hyphen() -> None:
    assert formats.p_prose(1.2e-5) == "1.2 \u00d7 10\u207b\u2075"
    assert formats.p_prose(0.0039) == "0.0039"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (28.04, "28.0"),
        (8.456, "8.46"),
        (0.012345, "0.0123"),
        (1234.6, "1,235"),
        (-0.5, "\u22120.500"),
        (0, "0"),
        (math.inf, "\u221e"),
        (-math.inf, "\u2212\u221e"),
        ("text", "\u2013"),
    ],
)
def test_three_significant_digits(value: object, expected: str) -> None:
    assert formats.significant(value).text == expected


def test_what_is_rounded_to_zero_has_no_sign() -> None:
    assert formats.number(-0.00001, ".4f").text == "0.0000"
    assert formats.number(-0.00001, ".4f").sort == -0.00001
    assert formats.number(-0.00005001, ".4f").text == "\N{MINUS SIGN}0.0001"
    assert formats.number(-1e-9, ".2e").text == "\N{MINUS SIGN}1.00e-09"


def test_whole_numbers_shares_and_percentages() -> None:
    assert formats.count(7_419_121).text == "7,419,121"
    assert formats.share(0.354).text == "35 %"
    assert formats.share(math.nan).text == "\u2013"
    assert formats.percent(62.25, 1).text in {"62.2", "62.3"}


def test_means_with_their_range_and_without_one() -> None:
    assert formats.spread(8.46, 7.91, 9.1).text == "8.46 (7.91\u20139.10)"
    assert formats.spread(8.46, 8.46, 8.46).text == "8.46"
    assert formats.spread(8.46, math.nan, 9.1).text == "8.46"
    assert formats.percent_spread(61.23, 58.17, 64.89).text == "61.2 (58.2\u201364.9)"


def test_intervals_and_durations() -> None:
    assert formats.interval(1.12, 2.054).text == "[1.12, 2.05]"
    assert formats.interval(math.nan, 2).text == "\u2013"
    assert [formats.duration(x).text for x in (3.21, 48, 200, 18_720)] == [
        "3.2 s",
        "48 s",
        "3 min 20 s",
        "5 h 12 min",
    ]


def test_missing_text_is_a_dash() -> None:
    assert formats.text(None) == formats.text(math.nan) == formats.text("") == Cell("\u2013")
    assert formats.text("x") == Cell("x")


def test_ranges_of_columns() -> None:
    assert formats.count_range(pd.Series([3, 3])) == "3"
    assert formats.count_range(pd.Series([2, 1500])) == "2 to 1,500"
    assert formats.count_range(pd.Series([], dtype=float)) == "\u2013"
    assert formats.count_range(pd.Series([5e-5])) == "5e-05"
