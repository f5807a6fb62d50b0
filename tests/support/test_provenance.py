"""What produced a number."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import threetconv
from threetconv.support import provenance
from threetconv.support.provenance import code_digest, file_sha256, git_sha, versions

digest = code_digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in which `top` imports `middle`, which imports `data.deep` inside a function."""
    root = tmp_path / "threetconv"
    (root / "data").mkdir(parents=True)
    files = {
        "top.py": "import os\nfrom threetconv.middle import f\n",
        "middle.py": "def f():\n    from threetconv.data import deep, rows\n    deep, rows\n",
        "data/__init__.py": "from threetconv.data.table import rows\n",
        "data/deep.py": "import threetconv.loop\n",
        "data/table.py": "rows = 1\n",
        "loop.py": "import threetconv.top\n",
        "other.py": "x = 1\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    monkeypatch.setattr(provenance, "_PACKAGE", root)
    provenance._all_resources.cache_clear()
    return root


@pytest.mark.parametrize(
    "changed",
    ["top.py", "middle.py", "data/__init__.py", "data/deep.py", "data/table.py", "loop.py"],
)
def test_a_change_of_any_module_below_changes_the_digest(package: Path, changed: str) -> None:
    before = digest("top")
    assert digest("top") == before
    file = package / changed
    text = file.read_text()
    file.write_text(text + "changed = 1\n")
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
    """The modules that decide a run's numbers are reached from `train_run`, others are not."""
    seen = set(provenance._reached(("training.train_run",)))
    assert {
        "training.loop",
        "networks.build",
        "networks.lift",
        "layer.conv3t",
        "layer.affine",
        "layer.cpu.any_size",
        "clips.dataset",
        "data.decoding.decode",
    } <= seen
    assert (
        not {
            "errors",
            "support.logs",
            "networks.freeze",
            "data.adapters.ucf101",
            "training.fetch_run",
            "study.cost",
        }
        & seen
    )


MODULE = '''"""What it is for."""
import logging
from typing import TYPE_CHECKING

from threetconv.errors import InputError
if TYPE_CHECKING:
    from threetconv.other import x

__all__ = ["f"]
log = logging.getLogger(__name__)

def f(a, b=1):
    """Add."""
    if a < 0:
        raise InputError("a", found=f"{a:.1f}", expected="more", remedy="more")
    log.info("adding %s", a)
    return a + b
'''
SAYS_NOTHING = {
    "a comment": ("return a + b", "return a + b  # at last"),
    "a line": ("import logging\n", "import logging\n\n\n"),
    "layout": ("return a + b", "return (\n        a\n        + b\n    )"),
    "a docstring": ("Add.", "Add two numbers."),
    "no docstring": ('    """Add."""\n', ""),
    "the module's docstring": ("What it is for", "What it does"),
    "a message": ('expected="more", remedy="more"', 'expected="0 or more", remedy="less"'),
    "a line of the log": ('"adding %s", a', '"adding %.1f to %s", a, b'),
    "a line of the log more": ("    return", '    log.warning("so far")\n    return'),
    "an import for type checkers": ("import x", "import y"),
    "a name in the face": ('["f"]', '["f", "log"]'),
    "quotes": ('"a", found', "'a', found"),
}
SAYS_SOMETHING = {
    "an operator": ("a + b", "a - b"),
    "a default": ("b=1", "b=2"),
    "its type": ("b=1", "b=True"),
    "a condition": ("a < 0", "a <= 0"),
    "an import": ("import logging\n", "import logging\nimport os\n"),
    "a statement": ("    return", "    a = 2\n    return"),
    "another error": ("raise InputError", "raise OSError"),
    "no error": ("raise InputError", "InputError"),
    "a name": ("def f(", "def g("),
    "a text": ("__name__)", "'threetconv')"),
}


@pytest.mark.parametrize("change", SAYS_NOTHING)
def test_what_says_nothing_to_the_machine_changes_nothing(package: Path, change: str) -> None:
    (package / "other.py").write_text(MODULE)
    before = digest("other")
    assert MODULE.count(SAYS_NOTHING[change][0]) == 1
    (package / "other.py").write_text(MODULE.replace(*SAYS_NOTHING[change]))
    assert digest("other") == before


@pytest.mark.parametrize("change", SAYS_SOMETHING)
def test_what_says_something_changes_the_digest(package: Path, change: str) -> None:
    (package / "other.py").write_text(MODULE)
    before = digest("other")
    assert MODULE.count(SAYS_SOMETHING[change][0]) == 1
    (package / "other.py").write_text(MODULE.replace(*SAYS_SOMETHING[change]))
    assert digest("other") != before


def test_a_description_of_a_column_is_words_and_its_type_is_not(package: Path) -> None:
    text = 'a = column("a", TEXT, "one", "m")\n'
    found = {}
    for new in (text, text.replace("one", "two"), text.replace("TEXT", "WHOLE")):
        (package / "other.py").write_text(new)
        found[new] = digest("other")
    first, words, kind = found.values()
    assert first == words != kind


def test_files_that_a_module_reads_count(package: Path) -> None:
    """By their name, whatever package they stand in, and the whole folder of templates."""
    (package / "data/templates").mkdir()
    for name in ("data/templates/a.js", "data/style.css", "numbers.yaml"):
        (package / name).write_text("1")
    (package / "data/shown.py").write_text("where = 'templates'\n")
    (package / "other.py").write_text("file = 'style.css'\n")
    provenance._all_resources.cache_clear()
    before = [digest(name) for name in ("data.shown", "other", "loop")]
    for name, changed in (("data/templates/a.js", 0), ("data/style.css", 1), ("numbers.yaml", 2)):
        (package / name).write_text("2")
        after = [digest(name) for name in ("data.shown", "other", "loop")]
        assert [a != b for a, b in zip(before, after, strict=True)] == [
            changed == 0, changed == 1, False
        ]  # fmt: skip
        before = after


INSTALLED = [shutil.which(f"python3.{minor}") or "" for minor in (11, 12, 13, 14)]
INSTALLED += map(str, Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python3.1[1-9]"))
OTHERS = {Path(p).name: p for p in INSTALLED if p and not p.endswith(f".{sys.version_info[1]}")}


@pytest.mark.skipif(not OTHERS, reason="no other version of Python on this machine")
def test_every_version_of_python_gives_the_same_digest() -> None:
    """The host that plans and the environment that trains may differ."""
    names = ("training.train_run", "explain.run", "report.content", "cli.app", "explorer.collect")
    program = f"from threetconv.support.provenance import code_digest as d; print(*map(d, {names}))"
    here = " ".join(map(code_digest, names))
    source = str(Path(provenance.__file__).parents[2])
    ran = []
    for python in OTHERS.values():
        version = subprocess.run([python, "-c", "1"], capture_output=True, check=False)
        if version.returncode:  # a version manager's stand-in for one that is not installed
            continue
        done = subprocess.run(
            [python, "-c", program],
            env={"PYTHONPATH": source},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.strip() == here, (python, done.stderr)
        ran.append(python)
    if not ran:
        pytest.skip("no other version of Python on this machine")


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
    (tmp_path / "support").mkdir()
    (tmp_path / "support/provenance.py").write_text("x = 1\n")
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
    (tmp_path / "support/provenance.py").write_text("x = 2\n")
    assert git_sha() == sha + "+changes"


def test_without_git_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_sha() == "unknown"
