"""What code can import, read from the sources: at its top, inside functions, through the package.

`if TYPE_CHECKING:` blocks are left out. The package's own face loads lazily: its names are followed
to the modules that it names.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import threetconv

SOURCES = Path(__file__).resolve().parents[2] / "src"


def imported(code: str) -> Iterator[str]:
    """Dotted names that the code imports; of ``from a import b`` "a" and "a.b", maybe a module."""
    waiting: list[ast.AST] = [ast.parse(code)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not the house's style"
            yield node.module or ""
            for alias in node.names:
                face = threetconv._HOME if node.module == "threetconv" else {}
                yield face.get(alias.name, f"{node.module}.{alias.name}")
        else:
            waiting += ast.iter_child_nodes(node)


def reached(code: str) -> dict[str, str]:
    """Top-level modules outside the standard library: name -> the way from the code to it."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [(name, "") for name in imported(code)]
    while waiting:
        name, way = waiting.pop(0)
        top, *parts = name.split(".")
        if top != "threetconv":
            if top not in sys.stdlib_module_names:
                found.setdefault(top, f"{way}import {name}")
            continue
        module = top
        for part in ["", *parts]:  # the packages that a module lies in are imported before it
            module = f"{module}.{part}" if part else module
            if module not in seen and (file := source(module)):
                waiting += [(inner, f"{way}{module}: ") for inner in of_file(file)]
            seen.add(module)
    return found


def source(module: str) -> Path | None:
    """The file of one of the package's modules; None of what is no module."""
    base = SOURCES / module.replace(".", "/")
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)


@cache
def of_file(file: Path) -> tuple[str, ...]:
    """What a file imports."""
    return tuple(imported(file.read_text("utf-8")))
