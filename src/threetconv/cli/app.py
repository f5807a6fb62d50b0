"""The command `threetconv`: plan a study, check its data, and what its tests are worth.

A command is one module: a function whose parameters are its options, and what it does.
"""

from __future__ import annotations

from typing import Annotated

import typer

from threetconv.cli.calibrate import calibrate
from threetconv.cli.data import check
from threetconv.cli.estimate import estimate
from threetconv.cli.options import ManyValues, explained
from threetconv.cli.power import power
from threetconv.cli.warm_up import warm_up

__all__ = ["app"]

app = typer.Typer(
    name="threetconv",
    help="Temporally factorised 3D convolutions (3TConv): tools around the study.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
data = typer.Typer(help="Look at the data sets of a study.", no_args_is_help=True)
app.add_typer(data, name="data")
app.command(cls=ManyValues)(explained(power))
app.command(cls=ManyValues)(explained(calibrate))
app.command(cls=ManyValues)(explained(estimate))
app.command()(warm_up)
data.command(cls=ManyValues)(explained(check))


def _version(wanted: bool) -> None:
    if wanted:
        from threetconv import __version__  # only where it is asked for

        typer.echo(f"threetconv {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Temporally factorised 3D convolutions (3TConv): tools around the study."""
