"""Every address ``threetconv.package.module.name`` that a text of this project gives exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READ = {".py", ".smk", ".md", ".ipynb", ".yaml", ".rst", ".j2"}
FILES = [
    file
    for folder in ("src", "workflow", "docs", "benchmarks")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in READ and "__pycache__" not in file.parts
]
ADDRESS = re.compile(r"(?<![\w/.\"@-])threetconv(?:\.[A-Za-z_]\w*)+(?!\w*[=/])")

# escaped quotes and line ends are those of notebooks
IMPORT = re.compile(r"from (threetconv[\w.]*) import \(?([\w, ]+)")


def resolves(address: str) -> bool:
    parts = address.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for name in parts[count:]:
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False


def test_addresses_in_texts_exist() -> None:
    wrong = {}
    for file in [ROOT / "README.md", *FILES]:
        for address in set(ADDRESS.findall(file.read_text(encoding="utf-8"))):
            if not resolves(address):
                wrong[f"{file.relative_to(ROOT)}: {address}"] = None
    assert len(FILES) > 300
    assert not list(wrong)


def test_imports_in_texts_exist() -> None:
    """Code inside strings, notebooks and docs; imports of modules are seen by every other test."""
    invented = {"test_provenance.py", "test_any_size.py"}  # packages that a test makes up
    tests = [f for f in sorted((ROOT / "tests").rglob("*.py")) if f.name not in invented]
    wrong = []
    for file in [ROOT / "README.md", *FILES, *tests]:
        for module, names in IMPORT.findall(file.read_text(encoding="utf-8")):
            wrong += [
                f"{file.relative_to(ROOT)}: {module}.{name}"
                for name in re.findall(r"(?:^|,)\s*(\w+)", names)
                if not resolves(f"{module}.{name}")
            ]
    assert not wrong


def test_files_that_the_docs_tell_to_touch_exist() -> None:
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in text.splitlines() if line.startswith("| "))
    named = {name for name in re.findall(r"`([\w/]+\.(?:py|smk))`", table) if "/" in name}
    assert len(named) > 20
    folders = (ROOT, ROOT / "src/threetconv")
    assert not [n for n in named if not any((folder / n).is_file() for folder in folders)]
