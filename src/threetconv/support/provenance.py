"""What produced a number: code, versions, machine-independent digests."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from threetconv import __version__

__all__ = ["bytes_sha256", "code_digest", "file_sha256", "git_sha", "versions"]

_PACKAGE = Path(__file__).parents[1]
_NO_NUMBERS = {  # modules that a step may import and whose code cannot change what it computes
    "errors": "words for people",
    "support.logs": "words for people",
    "support.provenance": "says what a number came from",
    "support.files": "puts tables and tensors on the disk as they are",
    "training.torchrun": "starts and ends processes",
    "networks.freeze": "networks for other programs; no step of a study makes one",
}
_COUNTED = {  # calls whose further arguments are words for people: how many arguments do count
    "InputError": 0, "ValueError": 0, "TypeError": 0, "RuntimeError": 0, "MemoryError": 0,
    "AttributeError": 0, "column": 2,
}  # fmt: skip
_LOGGED = {"debug", "info", "warning", "error", "exception"}
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
        _git("ls-files", "--error-unmatch", "support/provenance.py")
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


def code_digest(*modules: str) -> str:
    """One digest of the named modules and of every module of this package that they import.

    Given to a workflow step as a parameter, it makes the step run again when its code changes. It
    is made from syntax, the same under every version of Python: comments, layout, docstrings, type
    checkers' imports, `__all__` and the words of log lines and errors do not count, and neither do
    modules that cannot change a number. Files that a module reads from the package (templates,
    styles, YAML) count by their bytes.

    Args:
        modules: dotted names below this package: "training.loop", "statistics.densities.kde".

    Raises:
        ValueError: for a module that does not exist (its digest would never change).
    """
    for name in modules:
        if _source(name) is None:
            raise ValueError(f"no module {name!r} in {_PACKAGE.name}")
    lines = set()
    for name, file in _reached(modules).items():
        lines.add(f"{name} {_read(file).digest}")
        lines |= {
            f"{r.relative_to(_PACKAGE).as_posix()} {file_sha256(r)}" for r in _resources(file)
        }
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


class _Code(NamedTuple):
    """What a module's text says."""

    digest: str  # of its syntax
    imports: tuple[tuple[str, str], ...]  # "threetconv.data" and a name that is imported from it
    strings: frozenset[str]


def _reached(modules: tuple[str, ...]) -> dict[str, Path]:
    """The modules, and those that they import, by name."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        file = _source(name)
        if file is not None and name not in found and name not in _NO_NUMBERS:
            found[name] = file
            waiting += [_module(*names) for names in _read(file).imports]
    return found


def _source(module: str) -> Path | None:
    base = _PACKAGE / module.replace(".", "/")
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _module(module: str, name: str) -> str:
    """What ``from module import name`` names: a module, or something that stands in one.

    ``from threetconv.data import table`` names `data.table` and not the face of `data`.
    """
    inside = f"{module}.{name}".removeprefix("threetconv.")
    return inside if name and _source(inside) else module.removeprefix("threetconv.")


def _read(file: Path) -> _Code:
    return _parsed(file.read_text(encoding="utf-8"))


@cache  # planning a study asks for some forty digests of much the same files
def _parsed(text: str) -> _Code:
    tree = ast.parse(text)
    words: list[str] = []
    imports: list[tuple[str, str]] = []
    strings: set[str] = set()
    for item in _walk(tree):
        if isinstance(item, str):
            words.append(item)
        elif isinstance(item, ast.Constant):
            strings.add(str(item.value))
        elif isinstance(item, ast.Import):
            imports += [(alias.name, "") for alias in item.names]
        elif item.module and not item.level:
            imports += [(item.module, alias.name) for alias in item.names]
    ours = tuple(names for names in imports if names[0].split(".")[0] == "threetconv")
    digest = hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()
    return _Code(digest, ours, frozenset(strings))


def _resources(file: Path) -> set[Path]:
    """Files of the package that a module reads: those it names, and its folder of templates."""
    strings = _read(file).strings
    named = {r for r in _all_resources(_PACKAGE) if r.name in strings}
    return named | set((file.parent / "templates").glob("*") if "templates" in strings else ())


@cache
def _all_resources(package: Path) -> tuple[Path, ...]:
    return tuple(f for f in package.rglob("*.*") if f.suffix not in {".py", ".pyc"} and f.is_file())


def _walk(value: object) -> Iterator[str | ast.Constant | ast.Import | ast.ImportFrom]:
    """The syntax below a node as words, and with them its texts and its imports.

    `ast.dump` differs between versions of Python: fields without a value come and go.
    """
    if isinstance(value, list):
        for item in value:
            yield from _walk(item)
    elif not isinstance(value, ast.AST):
        yield f"{type(value).__name__} {value!r}"
    else:
        yield f"({type(value).__name__}"
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value
        if isinstance(value, (ast.Import, ast.ImportFrom)):
            yield value
        for name, field in ast.iter_fields(value):
            kept = _kept(value, name, field)
            if kept is not None and kept != []:
                yield name
                yield from _walk(kept)
        yield ")"


def _kept(node: ast.AST, name: str, value: object) -> object:
    """A field of a node without what says nothing to the machine."""
    if name in {"ctx", "kind", "type_comment", "type_ignores"}:
        return None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _COUNTED:
        count = _COUNTED[node.func.id]
        if name == "keywords":
            return [] if count == 0 else value
        return value[:count] if name == "args" and isinstance(value, list) else value
    if not isinstance(value, list):
        return value
    if isinstance(node, ast.JoinedStr):
        return _joined(value)
    return [item for item in _unguarded(value) if not _says_nothing(item)]


def _unguarded(body: list[ast.AST]) -> Iterator[ast.AST]:
    """Statements, without those that only type checkers read."""
    for item in body:
        if isinstance(item, ast.If) and ast.unparse(item.test) == "TYPE_CHECKING":
            yield from item.orelse
        else:
            yield item


def _says_nothing(item: object) -> bool:
    """Docstrings, `pass`, `__all__`, and lines of the log."""
    if isinstance(item, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id == "__all__" for t in item.targets)
    if not isinstance(item, ast.Expr):
        return isinstance(item, ast.Pass)
    call = item.value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        named = call.func.value
        return call.func.attr in _LOGGED and isinstance(named, ast.Name) and named.id == "log"
    return isinstance(call, ast.Constant)


def _joined(parts: list[ast.AST]) -> list[ast.AST]:
    """The parts of an f-string; versions of Python cut its texts differently."""
    merged: list[ast.AST] = []
    for part in parts:
        last = merged[-1] if merged else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            merged[-1] = ast.Constant(str(last.value) + str(part.value))
        elif not isinstance(part, ast.Constant) or part.value:
            merged.append(part)
    return merged
