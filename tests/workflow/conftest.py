"""Snakemake as a user runs it: a subprocess, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def _snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "default"}
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), "--cores", "2"]
    return subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1700,
        check=False,
    )


@pytest.fixture(scope="session")
def snakemake() -> Snakemake:
    """Run the workflow: ``snakemake(folder, *arguments)``; results appear below `folder`."""
    return _snakemake


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole smoke study has run: once for all workers, to read only."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, whole = shared / "finished", shared / "finished.whole"
    with FileLock(shared / "finished.lock"):
        if not whole.exists():
            assert not folder.exists(), "the smoke study failed in another worker"
            folder.mkdir()
            done = _snakemake(folder, "--configfile", str(ROOT / "workflow/studies/smoke.yaml"))
            assert done.returncode == 0, done.stderr[-6000:]
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def smoke(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a copy of this worker's own, which its tests may change."""
    return shutil.copytree(
        finished, tmp_path_factory.mktemp("smoke"), symlinks=True, dirs_exist_ok=True
    )
