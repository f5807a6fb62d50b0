"""What the host needs: the workflow is read where only Snakemake is, and which Python is enough."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from .test_environments import pin

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], dict[str, str]]:
    """A Python whose packages are Snakemake and what it needs, and the variables to run it with."""
    site = tmp_path_factory.mktemp("site")
    for name in pin().closure(["snakemake"]):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return [sys.executable, "-S"], {**variables, "PYTHONPATH": str(site)}


def test_the_bare_host_is_bare(bare):
    command, variables = bare
    for module in ("numpy", "pandas", "pyarrow", "torch", "threetconv"):
        done = subprocess.run(
            [*command, "-c", f"import {module}"],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"No module named '{module}'" in done.stderr


@pytest.mark.parametrize("study", ["smoke", "planted", "paper"])
def test_a_host_with_snakemake_alone_plans_the_study(bare, study, tmp_path):
    python, variables = bare
    command = [*python, "-m", "snakemake", "--directory", str(tmp_path), "--cores", "1"]
    command += ["--dry-run", "--quiet", "all", "--configfile", f"workflow/studies/{study}.yaml"]
    done = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def oldest_python() -> str:
    """The oldest release that every locked distribution takes, by their own metadata."""
    allowed = []
    for name in pin().pins():
        try:
            requires = metadata.metadata(name)["Requires-Python"]
        except metadata.PackageNotFoundError:
            continue  # for another platform
        allowed.append(SpecifierSet(requires or ""))
    releases = (Version(f"3.{m}.{p}") for m, p in itertools.product(range(9, 20), range(25)))
    return str(next(v for v in releases if all(v in specifiers for specifiers in allowed)))


def test_the_oldest_python_is_the_one_that_the_lock_allows():
    oldest = oldest_python()
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert tomllib.load(file)["project"]["requires-python"] == f">={oldest}"
    for document in ("README.md", "docs/cluster.md"):
        named = re.findall(r"Python (3[\d.]+\d)", (ROOT / document).read_text())
        assert named, document
        assert set(named) == {oldest}, document


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_says_that_python_is_too_old_before_it_makes_anything(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    oldest = Version(oldest_python())
    older = (oldest.major, oldest.minor, oldest.micro - 1)
    python = tmp_path / "old-python"
    pretend = f"import sys; sys.version_info = {older}; sys.version = 'old'; exec(sys.argv[1])"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{pretend}" "$2"\n')
    python.chmod(0o755)
    before = set(tmp_path.iterdir())
    done = subprocess.run(
        ["make", "env", f"PYTHON={python}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"Python {oldest} or newer is needed" in done.stderr
    assert set(tmp_path.iterdir()) == before
