"""Pin the environment: write requirements.lock from what is installed, and from it the conda files.

`python workflow/envs/pin.py` writes all; `--check` only tells whether the conda files follow it.
torch's own CUDA libraries are left out: torch pins them exactly, and only where they exist.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parents[1] / "requirements.lock"
PLATFORM_ONLY = re.compile(r"^(nvidia-|cuda-|triton)")
CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"
# What scripts and notebooks of the workflow import, each with everything that it needs in turn.
ANALYSIS = [
    *("pandas", "pyarrow", "scipy", "statsmodels", "KDEpy", "matplotlib", "safetensors"),
    *("PyYAML", "av", "pillow", "Jinja2", "itables", "latex2mathml", "typst"),
    *("duckdb", "seaborn", "nbclient", "nbconvert", "ipykernel"),
]
TRAINING = [
    *("torch", "torchvision", "numba", "captum", "av", "pillow", "safetensors"),
    *("pandas", "pyarrow", "scipy", "matplotlib", "pooch", "Jinja2"),
    *("nbclient", "nbconvert", "ipykernel", "duckdb"),
]
# Files, what they hold, and options for pip: there, torch without CUDA comes before PyPI's build.
ENVIRONMENTS = {
    "analysis": (ANALYSIS, []),
    "training": (TRAINING, [CPU_WHEELS]),
    "training-gpu": (TRAINING, []),
}


def normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def write_lock() -> None:
    frozen = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze", "--exclude-editable"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    kept = [
        line
        for line in frozen
        if not PLATFORM_ONLY.match(line)
        and normal(line.split("==")[0]) not in ("pip", "setuptools")
    ]
    head = "# Written by `make lock`. One pin per package; torch brings its own CUDA libraries.\n"
    LOCK.write_text(head + "\n".join(sorted(kept, key=str.lower)) + "\n")


def pins() -> dict[str, str]:
    lines = [line for line in LOCK.read_text().splitlines() if "==" in line]
    return {normal(line.split("==")[0]): line for line in lines}


def closure(roots: list[str]) -> list[str]:
    """The roots and everything installed that they require, by normalised name."""
    waiting, seen = [normal(root) for root in roots], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # for another platform or Python
        seen.add(name)
        for requirement in requirements:
            if "extra ==" not in requirement:
                waiting.append(normal(re.split(r"[\s\[<>=!~;(]", requirement, maxsplit=1)[0]))
    return sorted(seen)


def conda_file(roots: list[str], options: list[str]) -> str:
    """A conda environment: python, pip and the roots with all they need, pinned by the lock.

    `options` are lines for pip's requirements file.
    """
    locked = pins()
    for name in roots:
        if normal(name) not in locked:
            raise SystemExit(f"{name} is not in {LOCK.name}: install it and run `make lock`")
    lines = ["# Written by `make lock` from requirements.lock.", "channels:", "  - conda-forge"]
    lines += ["dependencies:", "  - python=3.11", "  - pip", "  - pip:"]
    lines += [f"      - {option}" for option in options]
    lines += [f"      - {locked[name]}" for name in closure(roots) if name in locked]
    return "\n".join(lines) + "\n"


def main() -> None:
    check = "--check" in sys.argv[1:]
    if not check:
        write_lock()
    for name, (roots, options) in ENVIRONMENTS.items():
        file, wanted = HERE / f"{name}.yaml", conda_file(roots, options)
        if not check:
            file.write_text(wanted)
        elif file.read_text() != wanted:
            raise SystemExit(f"{file.name} does not follow {LOCK.name}: run `make lock`")


if __name__ == "__main__":
    main()
