"""What several commands share: options, several values after one, messages, tables in files.

Modules of this package import neither pandas nor torch before a command runs, so that
``threetconv --help`` answers at once.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from threetconv.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ManyValues",
    "SchemaFile",
    "StudyFile",
    "TableAsCsv",
    "TableAsJson",
    "Workers",
    "explained",
    "processors",
    "spread",
    "write_both",
]

_NUMBER = re.compile(r"-\d")


def _no_schema_is_read(file: Path | None) -> None:
    """Older command lines name the schema of studies, which has become a part of the package."""
    if file is not None:
        typer.echo("--schema is no longer read: leave it out", err=True)


# arguments and options that mean the same in several commands
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study.")]
SchemaFile = Annotated[Path | None, typer.Option(hidden=True, callback=_no_schema_is_read)]
Workers = Annotated[int | None, typer.Option(help="Processes.", show_default="one per processor")]
TableAsCsv = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the table as CSV as well.")
]
TableAsJson = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the table as JSON as well.")
]


def spread(arguments: Iterable[str], options: set[str]) -> list[str]:
    """Repeat an option before each of its values: ``--seeds 3 5`` -> ``--seeds 3 --seeds 5``.

    Args:
        arguments: of the command line.
        options: names of the options that may be given several values at once.
    """
    result: list[str] = []
    current, fresh = "", False  # the option that values belong to; whether it still has none
    for argument in arguments:
        if argument.startswith("-") and not _NUMBER.match(argument):
            name, has_value, _ = argument.partition("=")
            current, fresh = (name if name in options else ""), not has_value
        elif current and not fresh:
            result.append(current)
        else:
            fresh = False
        result.append(argument)
    return result


class ManyValues(TyperCommand):
    """A command whose repeatable options also take several values at once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spread the values, then parse as usual."""
        several = [p for p in self.params if getattr(p, "multiple", False)]
        return super().parse_args(ctx, spread(args, {name for p in several for name in p.opts}))


def explained(command: Callable[..., None]) -> Callable[..., None]:
    """The command, printing an `InputError` to stderr and exiting with 1 instead of a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(1) from None

    return wrapper


def processors() -> int:
    """Processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    # a batch system may give a job fewer processors than the machine has
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def write_both(table: pd.DataFrame, csv: Path | None, json: Path | None) -> None:
    """Write a table as CSV, as JSON (records), as both or not at all."""
    from threetconv.support.files import write_text  # arrow

    if csv is not None:
        write_text(csv, table.to_csv(index=False))
    if json is not None:
        write_text(json, table.to_json(orient="records", indent=2) + "\n")
