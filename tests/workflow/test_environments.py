"""Conda environments: one for each rule, with all that its script can import, after the lock."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from threetconv.figures.registry import FIGURES

from .imports import reached

ROOT = Path(__file__).resolve().parents[2]
RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
KERNEL = "ipykernel"  # started by its name; no code of ours imports it
CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"


class Rule(NamedTuple):
    """What a rule says of where and what it runs."""

    name: str
    environment: str
    script: str
    notebook: str | None
    figure: str | None  # of the registry, whose module the script loads


def of_the_system(text: str) -> bool:
    """Whether a rule runs programs of the system alone: no environment, and nothing to log."""
    return "shell:\n" in text and "script:\n" not in text


def _rule(name: str, text: str) -> Rule:
    environment = re.search(r"\bconda:\s+(?:\"\.\./envs/([\w-]+)\.yaml\"|(TRAINING_ENV))\n", text)
    script = re.search(r"\bscript:\s+\"\.\./scripts/(\w+)\.py\"", text)
    notebook = re.search(r"workflow/notebooks/(\w+)\.ipynb", text)
    assert environment is not None, f"{name} names no environment"
    assert script is not None, f"{name} runs no script"
    figure = re.search(r"\bfigure=\"(\w+)\"", text)
    found = [match and match[1] for match in (notebook, figure)]
    return Rule(name, environment[1] or "training", script[1], *found)


RULES = [
    _rule(name, text)
    for file in RULE_FILES
    for name, text in re.findall(
        r"(?ms)^ *rule (\w+):\n(.*?)(?=^ *rule \w+:\n|\Z)", file.read_text()
    )
    if not of_the_system(text)
]


@cache
def pin() -> Any:
    """`workflow/envs/pin.py` as a module."""
    spec = spec_from_file_location("pin", ROOT / "workflow/envs/pin.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def pip_lines(environment: str) -> list[str]:
    text = (ROOT / f"workflow/envs/{environment}.yaml").read_text()
    python, pip, packages = yaml.safe_load(text)["dependencies"]
    assert python.startswith("python=")
    assert pip == "pip"
    return packages["pip"]


@cache
def pinned(environment: str) -> set[str]:
    return {pin().normal(line.split("==")[0]) for line in pip_lines(environment) if "==" in line}


@cache
def distributions_of(module: str) -> set[str]:
    """The installed distributions that bring a top-level module."""
    return {pin().normal(name) for name in packages().get(module, [])}


@cache
def packages() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def imports(rule: Rule) -> dict[str, str]:
    """What a rule's script, and its notebook, can import, and on which way."""
    code = (ROOT / f"workflow/scripts/{rule.script}.py").read_text()
    if rule.figure:
        code += f"\nimport threetconv.figures.{FIGURES[rule.figure].split('.')[0]}"
    if rule.notebook:
        cells = json.loads((ROOT / f"workflow/notebooks/{rule.notebook}.ipynb").read_text())
        lines = [
            line.rstrip("\n")
            for cell in cells["cells"]
            if cell["cell_type"] == "code"
            for line in [*cell["source"], "\n"]
        ]
        code += "\n".join(line for line in lines if not line.startswith("%"))
    return reached(code)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_all_that_a_rule_can_import_is_in_its_environment(rule):
    there = pinned(rule.environment)
    missing = {m: way for m, way in imports(rule).items() if not distributions_of(m) & there}
    assert not missing, f"{rule.environment}.yaml lacks what {rule.name} can import"
    assert rule.notebook is None or KERNEL in there


@pytest.mark.parametrize("environment", ["analysis", "training"])
def test_environments_hold_no_more_than_is_imported(environment):
    wanted = {KERNEL}
    for rule in RULES:
        if rule.environment == environment:
            wanted |= {name for module in imports(rule) for name in distributions_of(module)}
    roots, _ = pin().ENVIRONMENTS[environment]
    assert {pin().normal(name) for name in roots} <= wanted


def test_what_needs_no_torch_gets_none():
    assert not {"torch", "torchvision", "numba", "captum"} & pinned("analysis")
    without = {rule.name for rule in RULES if rule.environment == "analysis"}
    assert {"render", "pack_clips", "parameters", "tests", "study_report", "notebook"} <= without


def test_torch_is_the_one_for_cpus_unless_a_gpu_is_asked_for():
    assert pip_lines("training") == [CPU_WHEELS, *pip_lines("training-gpu")]
    common = (ROOT / "workflow/rules/common.smk").read_text()
    assert '"../envs/training-gpu.yaml"\n    if STUDY["training"]["device"] == "cuda"' in common


def test_imports_are_followed_through_functions_and_packages():
    found = reached("def f():\n    from threetconv.records.parameters import derive\n")
    assert {"numpy", "pandas", "pyarrow"} <= set(found)
    assert found["numpy"].startswith("threetconv.records.parameters: ")
    assert "torch" not in found  # below TYPE_CHECKING
    assert "latex2mathml" in reached("import threetconv.report.html")
    assert not reached("import threetconv.report")  # the face


def test_conda_files_follow_the_lock():
    done = subprocess.run(
        [sys.executable, str(ROOT / "workflow/envs/pin.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(pin().ENVIRONMENTS) == sorted(
        file.stem for file in (ROOT / "workflow/envs").glob("*.yaml")
    )


@pytest.mark.parametrize("name", ["analysis", "training", "training-gpu"])
def test_conda_files_pin_everything(name):
    environment = yaml.safe_load((ROOT / f"workflow/envs/{name}.yaml").read_text())
    lines = [line for line in pip_lines(name) if line != CPU_WHEELS]
    assert all(re.fullmatch(r"[\w.-]+==[\w.+-]+", line) for line in lines)
    assert "nodefaults" not in environment["channels"]


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda f: f.stem)
def test_every_rule_names_its_environment_and_log(file):
    rules = re.split(r"(?m)^ *rule ", file.read_text())[1:]
    for text in rules:
        name = text.split(":")[0]
        if of_the_system(text):
            continue
        assert "conda:\n" in text, f"{name} names no environment"
        assert "log:\n" in text, f"{name} keeps no log"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)
def test_scripts_are_short_and_are_used(script):
    assert len(script.read_text().splitlines()) <= 40
    assert any(f"../scripts/{script.name}" in file.read_text() for file in RULE_FILES)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)
def test_scripts_shadow_no_module(script):
    """Snakemake puts their folder on sys.path: what a package tries to import would be found."""
    assert script.stem not in sys.stdlib_module_names
    assert script.stem not in packages()
    folders = [sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib")]
    assert PathFinder.find_spec(script.stem, folders) is None


def test_the_library_knows_no_snakemake():
    for file in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", file.read_text(), re.MULTILINE), file
