"""What the rule files say of each rule: its script, and the code that its digest follows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

from threetconv.figures.registry import FIGURES

ROOT = Path(__file__).resolve().parents[2]


class Rule(NamedTuple):
    """A rule with a script."""

    name: str
    script: Path
    roots: tuple[str, ...]  # modules named in its code_digest(...)
    inputs: tuple[str, ...]  # those that the rule itself names
    figure: str | None  # entry of the registry of figures that its script draws

    @property
    def imported(self) -> set[str]:
        """Modules of the package that the script imports, by name or through the registry."""
        named = modules_of(self.script.read_text())
        if self.figure is None:
            return named
        return named - {"figures.registry"} | {"figures." + FIGURES[self.figure].split(".")[0]}


def rules() -> dict[str, Rule]:
    """Every rule with a script, by name. The folder adapter stands for those of all data sets."""
    found = {}
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for text in re.split(r"(?m)^ *rule (?=\w+:)", file.read_text())[1:]:
            script = re.search(r'"\.\./scripts/(\w+\.py)"', text)
            if script is None:
                continue
            digest = re.search(r"code_digest\((.*?)\)", text, re.DOTALL)
            words = (
                digest[1].replace('f"data.adapters.{', '"data.adapters.folder"') if digest else ""
            )
            roots = re.findall(r'"([\w.]+)"', words)
            inputs = re.findall(r"\b(\w+)=", text.partition("output:")[0])
            figure = re.search(r'\bfigure="(\w+)"', text)
            name = text.split(":", 1)[0]
            path = ROOT / "workflow/scripts" / script[1]
            found[name] = Rule(name, path, tuple(roots), tuple(inputs), figure and figure[1])
    return found


def modules_of(text: str) -> set[str]:
    """Modules of the package that a program imports; faces are looked through."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("threetconv"):
            for alias in node.names:
                found.add(_home(node.module or "", alias.name).removeprefix("threetconv."))
    return found


def _home(module: str, name: str) -> str:
    place = ROOT / "src" / module.replace(".", "/")
    if (place / f"{name}.py").is_file():
        return f"{module}.{name}"
    face = place / "__init__.py"
    if face.is_file():
        for node in ast.walk(ast.parse(face.read_text())):
            if isinstance(node, ast.ImportFrom) and name in {a.name for a in node.names}:
                return node.module or module
    return module
