"""Every rule names a conda environment, and those environments follow the lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULE_FILES = sorted((ROOT / "workflow/rules").glob("*.smk"))


def test_conda_files_follow_the_lock():
    done = subprocess.run(
        [sys.executable, str(ROOT / "workflow/envs/pin.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["training", "analysis"])
def test_conda_files_pin_everything(name):
    environment = yaml.safe_load((ROOT / f"workflow/envs/{name}.yaml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python.startswith("python=")
    assert pip == "pip"
    assert all(re.fullmatch(r"[\w.-]+==[\w.+-]+", package) for package in packages["pip"])
    assert "nodefaults" not in environment["channels"]


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda f: f.stem)
def test_every_rule_names_its_environment_and_log(file):
    rules = re.split(r"(?m)^ *rule ", file.read_text())[1:]
    for text in rules:
        name = text.split(":")[0]
        assert "conda:\n" in text, f"{name} names no environment"
        assert "log:\n" in text, f"{name} keeps no log"


@pytest.mark.parametrize(
    "script", sorted((ROOT / "workflow/scripts").glob("*.py")), ids=lambda f: f.stem
)
def test_scripts_are_short_and_are_used(script):
    assert len(script.read_text().splitlines()) <= 40
    assert any(f"../scripts/{script.name}" in file.read_text() for file in RULE_FILES)


def test_the_library_knows_no_snakemake():
    for file in (ROOT / "src").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", file.read_text(), re.MULTILINE), file
