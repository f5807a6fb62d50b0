"""What the unit tests share. torch is not imported here: most tests do without it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml

ROOT = Path(__file__).parents[1]
hypothesis.settings.register_profile("no time limit", deadline=None)  # machines are busy at times
hypothesis.settings.load_profile("no time limit")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Where a collected test has loaded torch, keep it to one thread (and so repeatable)."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def study_schema() -> dict[str, Any]:
    """The schema of a study's configuration."""
    text = (ROOT / "workflow/schemas/config.schema.yaml").read_text(encoding="utf-8")
    schema: dict[str, Any] = yaml.safe_load(text)
    return schema
