"""Run a notebook from its first cell to its last and show it as a page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from threetconv.errors import InputError
from threetconv.support.files import write_text

__all__ = ["run_notebook"]


def run_notebook(
    source: str | Path,
    executed: str | Path,
    page: str | Path,
    *,
    environment: Mapping[str, str],
    timeout: int = 300,
) -> None:
    """Execute `source` in a fresh kernel, in the present folder.

    The kernel imports this very package, also where it is not installed.

    Args:
        source: the notebook.
        executed: where it goes with its output.
        page: where it goes as HTML.
        environment: environment variables that its cells see.
        timeout: seconds that a cell may take.

    Raises:
        InputError: when a cell fails; carries the cell's error.
    """
    import nbformat  # Jupyter is needed here only
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbconvert import HTMLExporter

    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": os.getcwd()}},
    )
    # sys.path does not reach a kernel, PYTHONPATH does
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        with _environment({**environment, **own}):
            client.execute()
    except CellExecutionError as error:
        raise InputError(
            source,
            found=str(error).strip(),
            expected="cells that run",
            remedy="correct the cell above, or run the stage whose table it misses",
        ) from error
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # times of this machine
    write_text(executed, nbformat.writes(notebook))
    html, _ = HTMLExporter(embed_images=True).from_notebook_node(notebook)
    write_text(page, html)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the kernel that starts inside the block, then put them back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
