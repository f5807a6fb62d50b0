"""What a package loads when it is imported: tables without torch, plans without pandas."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["torch", "torchvision", "numba", "av", "captum"]


@pytest.mark.parametrize(
    ("package", "without"),
    [
        ("threetconv", [*HEAVY, "numpy", "pandas", "pyarrow"]),
        ("threetconv.cli.app", [*HEAVY, "numpy", "pandas", "pyarrow"]),
        ("threetconv.study.validate", [*HEAVY, "numpy", "pandas", "pyarrow"]),
        ("threetconv.records", HEAVY),
        ("threetconv.statistics", HEAVY),
        ("threetconv.figures", HEAVY),
        ("threetconv.report", HEAVY),
    ],
)
def test_light_packages_stay_light(package: str, without: list[str]) -> None:
    """Every module of the package (but those that need torch by their nature) is imported."""
    code = f"""
import importlib, pkgutil, sys
package = importlib.import_module({package!r})
apart = {{"threetconv.records.extract", "threetconv.statistics.calibration.network_layout"}}
if {package!r} != "threetconv":
    for module in pkgutil.walk_packages(getattr(package, "__path__", []), {package!r} + "."):
        if module.name not in apart:
            importlib.import_module(module.name)
loaded = [name for name in {without!r} if name in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
