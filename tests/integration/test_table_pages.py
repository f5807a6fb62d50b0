"""Pages of tables in a real browser that has no network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from threetconv.report.page import write_page

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


def test_a_table_is_shown_sorted_and_searched(tmp_path: Path) -> None:
    table = pd.DataFrame({"run": [f"run-{i}" for i in range(40)], "loss": range(40, 0, -1)})
    write_page(table, tmp_path / "runs.html", title="runs")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        context = browser.new_context(offline=True)
        page = context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith(("file:", "data:", "blob:")) or troubles.append(r.url),
        )
        page.goto((tmp_path / "runs.html").as_uri())
        page.wait_for_selector("table.dataTable tbody tr:has-text('run-0')")
        rows = page.locator("table.dataTable tbody tr")
        assert rows.count() == 25
        page.click("[aria-label='loss: Activate to sort']")
        page.wait_for_function(
            "document.querySelector('.dataTable tbody td').innerText === 'run-39'"
        )
        page.locator("input[type=search]").first.fill("run-7")
        page.wait_for_function("document.querySelectorAll('.dataTable tbody tr').length === 1")
        assert "Loading ITables" not in page.inner_text("body")
        assert not troubles
        browser.close()
