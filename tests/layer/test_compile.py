"""What compiling says: once, before it starts, and nothing where the cache has the kernel."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import config
from numba.core.ccallback import CFunc

from threetconv.layer.cpu import compile as module
from threetconv.layer.cpu.compile import Callback


def nothing(pointer: Any) -> None:
    """A kernel."""


@pytest.fixture(autouse=True)
def _a_new_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    module._tell.cache_clear()
    yield
    module._tell.cache_clear()


def test_says_once_where_it_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for kernel in (Callback(nothing), Callback(nothing)):
        for dtype in (np.float32, np.float64):
            assert kernel.address(np.dtype(dtype))
    assert len(caplog.messages) == 1
    assert f"once: they are kept in {tmp_path}" in caplog.text


def test_says_nothing_where_it_is_cached(caplog: pytest.LogCaptureFixture) -> None:
    Callback(nothing).address(np.dtype(np.float32))
    caplog.clear()
    module._tell.cache_clear()
    Callback(nothing).address(np.dtype(np.float32))
    assert caplog.messages == []


def test_without_a_folder_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_self: Any) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(CFunc, "enable_caching", refuse)
    with caplog.at_level(logging.WARNING):
        assert Callback(nothing).address(np.dtype(np.float32))
    assert "in this process only" in caplog.text
    assert "NUMBA_CACHE_DIR" in caplog.text
