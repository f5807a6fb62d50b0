"""Notebooks run on the package that runs them, installed or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat

import threetconv

RUN = """
import sys
sys.path.insert(0, {sources!r})
from threetconv.study.notebooks import run_notebook
run_notebook("in.ipynb", "out.ipynb", "out.html", environment={{"SAID": "so"}})
"""


def test_the_kernel_finds_a_package_that_only_sys_path_knows(tmp_path: Path) -> None:
    """As in a conda environment, where scripts get the source tree from Snakemake's preamble."""
    (tmp_path / "sources").symlink_to(Path(threetconv.__file__).parents[1])
    code = "import os, threetconv\nprint(threetconv.__file__, os.environ['SAID'])"
    cells = [nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(sources=str(tmp_path / "sources"))],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (cell,) = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    shown = "".join(cell["outputs"][0]["text"])
    assert shown == f"{tmp_path}/sources/threetconv/__init__.py so\n"
    assert "sources/threetconv" in (tmp_path / "out.html").read_text()
