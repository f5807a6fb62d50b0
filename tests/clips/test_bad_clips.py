"""Policies for clips that cannot be read: fail, or skip with a list and a ceiling."""

from __future__ import annotations

import logging

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from threetconv.clips.bad_clips import CEILING, POLICIES, BadClips
from threetconv.errors import InputError


def error(path: str, found: str = "an empty file") -> InputError:
    return InputError(path, found=found, expected="a whole video file", remedy="copy it again")


def test_fail_raises_what_reading_raised() -> None:
    bad, fault = BadClips(total=1000), error("a.avi")
    with pytest.raises(InputError) as caught:
        bad.report("a.avi", fault)
    assert caught.value is fault
    assert bad.found == {}
    assert bad.policy == "fail"


def test_skip_warns_once_and_lists(caplog: pytest.LogCaptureFixture) -> None:
    bad = BadClips("skip", total=1000)
    with caplog.at_level(logging.WARNING):
        for path in ("b.avi", "a.avi", "b.avi"):
            bad.report(path, error(path))
        bad.report("frames/7", error("frames/7/00003.jpg", "an image that cannot be read"))
    assert [record.message for record in caplog.records] == [
        "b.avi: skipped, an empty file",
        "a.avi: skipped, an empty file",
        "frames/7: skipped, frames/7/00003.jpg: an image that cannot be read",
    ]
    assert list(bad.found) == ["b.avi", "a.avi", "frames/7"]
    pd.testing.assert_frame_equal(
        bad.table(),
        pd.DataFrame(
            {
                "path": ["a.avi", "b.avi", "frames/7"],
                "found": [
                    "an empty file",
                    "an empty file",
                    "frames/7/00003.jpg: an image that cannot be read",
                ],
            }
        ),
    )


def test_table_without_a_clip_has_its_columns() -> None:
    empty = BadClips("skip", total=10).table()
    assert empty.columns.tolist() == ["path", "found"]
    assert empty.dtypes.tolist() == BadClips(total=1, found={"a": "b"}).table().dtypes.tolist()


@example(100, 29)  # 0.29 * 100 is 28.999999999999996
@given(st.integers(0, 400), st.integers(0, 100))
def test_ceiling_is_a_share_of_all(total: int, percent: int) -> None:
    bad = BadClips("skip", total=total, ceiling=percent / 100)
    allowed = total * percent // 100
    assert bad.allowed == allowed
    for i in range(allowed):
        bad.report(f"{i}.avi", error(f"{i}.avi"))
    with pytest.raises(InputError, match=f"{allowed + 1} of {total} clips cannot be read"):
        bad.report("one more.avi", error("one more.avi"))


def test_message_of_the_ceiling() -> None:
    bad = BadClips("skip", total=2000)
    assert bad.ceiling == CEILING
    for i in range(20):
        bad.report(f"{i}.avi", error(f"{i}.avi"))
    last = error("last.avi", "a truncated file")
    with pytest.raises(InputError) as caught:
        bad.report("last.avi", last)
    text = str(caught.value)
    assert "21 of 2,000 clips" in text
    assert "last.avi (a truncated file)" in text
    assert "11.avi (an empty file)" in text
    assert "\n    10.avi" not in text
    assert "and 11 more" in text
    assert "at most 20 (1.000% of the clips)" in text
    assert "raise the ceiling" in text
    assert caught.value.__cause__ is last


def test_goes_on_from_what_was_found() -> None:
    known = {"a.avi": "an empty file"}
    bad = BadClips("skip", total=200, found=known)
    bad.report("a.avi", error("a.avi"))
    bad.report("b.avi", error("b.avi"))
    assert known == {"a.avi": "an empty file"}
    again = BadClips("skip", total=200, found=bad.found)
    with pytest.raises(InputError, match="3 of 200"):
        again.report("c.avi", error("c.avi"))


def test_bad_settings() -> None:
    with pytest.raises(InputError, match="fail, skip"):
        BadClips("ignore", total=1)
    for ceiling, total in ((1.5, 1), (-0.1, 1), (float("nan"), 1), (0.5, -1)):
        with pytest.raises(ValueError, match="ceiling"):
            BadClips("skip", total=total, ceiling=ceiling)
    assert list(POLICIES) == ["fail", "skip"]
