"""`threetconv warm-up`: compile the CPU kernels before anything needs them."""

from __future__ import annotations

import typer

__all__ = ["warm_up"]


def warm_up() -> None:
    """Compile what builds 3T filters on the CPU, once for this machine.

    Takes up to a minute; `make env` does it. Without it the first network waits, and so does every
    process that finds no folder for numba's cache: set NUMBA_CACHE_DIR to one that all can use.
    """
    from threetconv.layer.build_filters import warm_up as compile_kernels  # torch and numba

    if not compile_kernels():
        typer.echo("numba cannot be used here: filters are built by torch, more slowly", err=True)
