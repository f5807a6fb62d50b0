"""What produced a number: code, versions, machine-independent digests."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from contextlib import suppress
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from threetconv import __version__

__all__ = ["bytes_sha256", "code_digest", "file_sha256", "git_sha", "versions"]

_PACKAGE = Path(__file__).parent
_RECORDED = (
    "torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow", "statsmodels", "av", "pillow",
    "captum",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of this package and of those libraries that decide numbers and are installed."""
    found = {"threetconv": __version__}  # metadata know nothing of a source tree
    for name in _RECORDED:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def git_sha() -> str:
    """Commit of the source tree, with "+changes" when files differ from it.

    "unknown" where this file is not part of a git repository (an installed package may well lie
    inside somebody else's).
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        sha = _git("rev-parse", "HEAD")
        return sha + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=_PACKAGE, check=True, capture_output=True, text=True
    ).stdout.strip()


def bytes_sha256(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache
def code_digest(*modules: str) -> str:
    """One digest of the named modules and of every module of this package that they import.

    Given to a workflow step as a parameter, it makes the step run again when its code changes.

    Args:
        modules: dotted names below this package: "training", "statistics.kde".

    Raises:
        ValueError: for a module that does not exist (its digest would never change).
    """
    for name in modules:
        if _source(name) is None:
            raise ValueError(f"no module {name!r} in {_PACKAGE.name}")
    waiting, seen = list(modules), set()
    digest = hashlib.sha256()
    files: set[Path] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = _source(name)
        if file is None:
            continue
        files.add(file)
        files.update((file.parent / "templates").glob("*"))  # the report's
        waiting += _imports(file)
    for file in sorted(files):
        digest.update(file.relative_to(_PACKAGE).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _source(module: str) -> Path | None:
    base = _PACKAGE / module.replace(".", "/")
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(file: Path) -> list[str]:
    """Dotted names below the package that a module imports, at its top or inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found += [n.removeprefix("threetconv.") for n in names if n.startswith("threetconv.")]
    return found
