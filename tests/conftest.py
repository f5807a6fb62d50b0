"""What the unit tests share. torch is not imported here: most tests do without it."""

from __future__ import annotations

import sys

import hypothesis
import pytest

hypothesis.settings.register_profile("no time limit", deadline=None)  # machines are busy at times
hypothesis.settings.load_profile("no time limit")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Where a collected test has loaded torch, keep it to one thread (and so repeatable)."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
