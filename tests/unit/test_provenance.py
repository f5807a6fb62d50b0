"""What produced a number."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import threetconv
from threetconv import provenance
from threetconv.provenance import code_digest, file_sha256, git_sha, versions


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package in which `top` imports `middle`, which imports `data.deep` inside a function."""
    root = tmp_path / "threetconv"
    (root / "data").mkdir(parents=True)
    files = {
        "top.py": "import os\nfrom threetconv.middle import f\n",
        "middle.py": "def f():\n    from threetconv.data import deep\n    return deep\n",
        "data/__init__.py": "from threetconv.data.table import rows\n",
        "data/deep.py": "import threetconv.loop\n",
        "data/table.py": "rows = 1\n",
        "loop.py": "import threetconv.top\n",
        "other.py": "x = 1\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    monkeypatch.setattr(provenance, "_PACKAGE", root)
    code_digest.cache_clear()
    yield root
    code_digest.cache_clear()


def digest(*modules: str) -> str:
    code_digest.cache_clear()
    return code_digest(*modules)


@pytest.mark.parametrize(
    "changed",
    ["top.py", "middle.py", "data/__init__.py", "data/deep.py", "data/table.py", "loop.py"],
)
def test_a_change_of_any_module_below_changes_the_digest(package: Path, changed: str) -> None:
    before = digest("top")
    assert digest("top") == before
    file = package / changed
    text = file.read_text()
    file.write_text(text + "# changed\n")
    assert digest("top") != before
    file.write_text(text)
    assert digest("top") == before


def test_a_change_elsewhere_does_not(package: Path) -> None:
    before = digest("top")
    (package / "other.py").write_text("x = 2\n")
    assert digest("top") == before
    assert digest("other") != before


def test_the_digest_does_not_depend_on_order_or_place(package: Path) -> None:
    assert digest("top", "other") == digest("other", "top")
    assert digest("data") != digest("data.deep")
    assert len(digest("top")) == 16


def test_a_renamed_module_changes_the_digest(package: Path) -> None:
    before = digest("other")
    (package / "other.py").rename(package / "another.py")
    assert digest("another") != before


def test_an_unknown_module_is_refused(package: Path) -> None:
    with pytest.raises(ValueError, match="'trainig'"):
        digest("top", "trainig")


def test_the_real_package_knows_what_training_rests_on() -> None:
    """The modules that decide a run's numbers are reached from `train_job`."""
    seen, waiting = set(), ["train_job"]
    while waiting:
        name = waiting.pop()
        file = provenance._source(name)
        if file is not None and name not in seen:
            seen.add(name)
            waiting += provenance._imports(file)
    assert {"training", "networks", "conv", "affine", "lift", "clips", "decode", "files"} <= seen


def test_file_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_versions_are_of_what_is_installed() -> None:
    found = versions()
    assert found["torch"] == metadata.version("torch")
    assert found["threetconv"] == threetconv.__version__ == metadata.version("threetconv")


def test_a_source_tree_knows_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a conda environment the package is not installed, and neither is all that is recorded."""

    def nothing_is_installed(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", nothing_is_installed)
    assert versions() == {"threetconv": threetconv.__version__}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_git_sha(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    assert git_sha() == "unknown"  # no repository
    git(tmp_path, "init")
    (tmp_path / "provenance.py").write_text("x = 1\n")
    (tmp_path / "README").write_text("hello\n")
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "-m", "one")
    assert git_sha() == "unknown"  # a repository of something else: the package is not in it
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "two")
    sha = git(tmp_path, "rev-parse", "HEAD")
    assert git_sha() == sha
    (tmp_path / "untracked").write_text("")
    assert git_sha() == sha
    (tmp_path / "provenance.py").write_text("x = 2\n")
    assert git_sha() == sha + "+changes"


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_sha() == "unknown"
