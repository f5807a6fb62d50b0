"""A public name is one object, however it is imported, and no module stands in its place."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import threetconv

PACKAGE = Path(threetconv.__file__).parent
FACES = sorted(PACKAGE.rglob("__init__.py"))

# Each name is tried in a process of its own, forked before anything of threetconv was imported;
# torch is in them already, since importing it for each name would take most of the time.
IMPORTS = """
import os, sys, traceback
import torch, torchvision

def names():
    import threetconv
    return threetconv.__all__

def imported(name):
    scope = {}
    exec(f"from threetconv import {name}", scope)
    return scope[name]

def two_ways(name):
    first = imported(name)
    import threetconv
    second, third = getattr(threetconv, name), getattr(threetconv, name)
    assert first is second is third, (first, second, third)

def after_every_module():
    import importlib, pkgutil, types, threetconv
    before = [imported(name) for name in threetconv.__all__]
    for module in pkgutil.walk_packages(threetconv.__path__, "threetconv."):
        importlib.import_module(module.name)
    for name, thing in zip(threetconv.__all__, before):
        assert getattr(threetconv, name) is thing is imported(name), (name, thing)
        assert not isinstance(thing, types.ModuleType), thing

def forked(act):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, repr(act()).encode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    assert os.waitpid(child, 0)[1] == 0
    return eval(os.read(reader, 65536))

for name in forked(names):
    forked(lambda: two_ways(name))
    print(name)
forked(after_every_module)
assert not any(module.partition(".")[0] == "threetconv" for module in sys.modules)
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_public_name_is_one_object_in_three_ways() -> None:
    assert python(IMPORTS).split() == threetconv.__all__


def test_the_package_lists_its_public_names() -> None:
    code = "import sys, threetconv; print(*dir(threetconv)); assert 'torch' not in sys.modules"
    assert python(code).split() == sorted(threetconv.__all__)


@pytest.mark.parametrize("face", FACES, ids=lambda f: f.parent.relative_to(PACKAGE).as_posix())
def test_no_module_bears_a_public_name(face: Path) -> None:
    """Of every package: ``import a.b.name as x`` gives what the package shows by that name."""
    modules = {module.name for module in pkgutil.iter_modules([str(face.parent)])}
    tree = ast.parse(face.read_text(encoding="utf-8"))
    package = ".".join(("threetconv", *face.parent.relative_to(PACKAGE).parts))
    shown = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module != package:  # not modules themselves
            shown |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            shown.add(node.name)
    assert not shown & modules


def test_no_two_classes_share_a_name_and_nothing_is_exported_twice() -> None:
    found: dict[str, list[Path]] = {}
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imported = set()
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(file)
            elif isinstance(node, ast.ImportFrom):
                imported |= {alias.asname or alias.name for alias in node.names}
            elif ast.unparse(node).startswith("__all__ =") and file not in FACES:
                assert not imported & set(ast.literal_eval(node.value)), file
    assert not {name: files for name, files in found.items() if len(files) > 1}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'liftt'"):
        _ = threetconv.liftt
