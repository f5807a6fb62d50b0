"""The command `threetconv`: plan a study, check its data, and what its tests are worth."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from threetconv.errors import InputError

__all__ = ["ManyValues", "app", "spread"]

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


def _explained(command: Callable[..., None]) -> Callable[..., None]:
    """Print an `InputError` to stderr and leave with status 1, without a traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(1) from None

    return wrapper


def _version(wanted: bool) -> None:
    if wanted:
        from threetconv import __version__  # only where it is asked for

        typer.echo(f"threetconv {__version__}")
        raise typer.Exit


def _processors() -> int:
    """Processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Temporally factorised 3D convolutions (3TConv): tools around the study."""


@app.command(cls=ManyValues)
@_explained
def power(
    *,
    networks: Annotated[
        list[str], typer.Option(help="Networks of the study: --networks resnet18 googlenet.")
    ],
    seeds: Annotated[
        list[int] | None, typer.Option(help="Runs per cell to compare: --seeds 3 5 8.")
    ] = None,
    effect: Annotated[
        float, typer.Option(help="Ratio of mean displacements (F3: ratio of ratios).")
    ] = 1.25,
    datasets: Annotated[int, typer.Option(help="Number of data sets.")] = 2,
    inits: Annotated[int, typer.Option(help="Number of initialisations.")] = 2,
    tau: Annotated[
        float | None,
        typer.Option(help="SD of D = ln mean |z| between runs of a cell.", show_default="0.1"),
    ] = None,
    from_results: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Estimate tau from the results of a finished study."),
    ] = None,
    alpha: Annotated[float, typer.Option(help="Level of a family of four parameters.")] = 0.05,
    replicates: Annotated[int, typer.Option(help="Simulated studies per line.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 1,
    csv: TableAsCsv = None,
    json: TableAsJson = None,
) -> None:
    """Which effects a study can find, before anyone trains.

    Simulates the planned permutation tests at the level of runs, with Holm's adjustment over four
    parameters. Example: **threetconv power --networks resnet18 googlenet --seeds 3 5 8**
    """
    from threetconv.cli import power  # pandas

    power.run(
        networks=networks,
        seeds=seeds or [3, 5, 8],
        ratio=effect,
        datasets=datasets,
        inits=inits,
        tau=tau,
        results=from_results,
        alpha=alpha,
        replicates=replicates,
        seed=seed,
        csv=csv,
        json=json,
    )


@app.command(cls=ManyValues)
@_explained
def calibrate(
    *,
    networks: Annotated[
        list[str] | None,
        typer.Option(help="Networks whose layout to simulate.", show_default="all registered"),
    ] = None,
    replicates: Annotated[int, typer.Option(help="Simulated studies per network.")] = 1_000,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table as Parquet.")
    ] = None,
    clip_shape: Annotated[
        str, typer.Option(metavar="FxHxW", help="Frames, height, width of the clips.")
    ] = "30x150x224",
    width: Annotated[float, typer.Option(help="Factor on the channel counts.")] = 1.0,
    from_results: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Take the layouts from a study's parameters instead."),
    ] = None,
    workers: Workers = None,
    seed: Annotated[int, typer.Option(help="Seed; fixes the table.")] = 1,
) -> None:
    """Type I error, power and coverage of every test in use, naive ones too.

    Simulates studies with a known truth in the layout of each network (nested seeds, layers and
    channels, heavy tails). Example: **threetconv calibrate --out calibration.parquet**
    """
    from threetconv.cli import calibrate  # pandas

    calibrate.run(
        networks=networks,
        replicates=replicates,
        out=out,
        clip_shape=clip_shape,
        width=width,
        results=from_results,
        workers=_processors() if workers is None else workers,
        seed=seed,
    )


@data.command(cls=ManyValues)
@_explained
def check(
    study: StudyFile,
    *,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="Data sets of the study to look at.", show_default="all"),
    ] = None,
    workers: Workers = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Open the clips, do not decode and compare them.")
    ] = False,
    schema: SchemaFile = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings as CSV as well.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the findings as JSON as well.")
    ] = None,
) -> None:
    """Check the data sets of a study before training; exit code 1 when there is an error.

    Lists against files and published counts, every clip decoded, repeated ids and contents, leaks
    between splits by id, content and group, short clips, classes. Example: **threetconv data check
    workflow/studies/paper.yaml --dataset jester**
    """
    from threetconv.cli import data  # pydantic

    good = data.run(
        study,
        datasets=dataset or [],
        workers=_processors() if workers is None else workers,
        quick=quick,
        csv=csv,
        json=json,
    )
    if not good:
        raise typer.Exit(1)


@app.command(cls=ManyValues)
@_explained
def estimate(
    study: StudyFile,
    *,
    jobs: Annotated[int, typer.Option(help="Training runs at the same time.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of a run on the CPU.")] = 1,
    from_results: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Step times of a finished study, not measured here."),
    ] = None,
    measure: Annotated[
        bool, typer.Option(help="Measure the step times that are not given on this machine.")
    ] = True,
    step_time: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN=S", help="Seconds per update: resnet18-3t-jester=0.41."),
    ] = None,
    clips: Annotated[
        list[str] | None,
        typer.Option(metavar="SET=N", help="Training clips, or N/VALIDATION: jester=118562."),
    ] = None,
    decode_rate: Annotated[
        float | None, typer.Option(help="Clips per second that a run decodes.", min=1e-6)
    ] = None,
    budget: Annotated[float, typer.Option(help="Seconds per measured network.", min=0.1)] = 30.0,
    schema: SchemaFile = None,
    csv: TableAsCsv = None,
    json: TableAsJson = None,
) -> None:
    """What a study costs: GPU-hours, wall time, disk and jobs, from measured step times.

    Example: **threetconv estimate workflow/studies/paper.yaml --jobs 8 --step-time
    resnet18-3t-jester=0.41**
    """
    from threetconv.cli import estimate  # pandas

    estimate.run(
        study,
        jobs=jobs,
        threads=threads,
        results=from_results,
        measure=measure,
        step_times=step_time or [],
        clips=clips or [],
        decode_rate=decode_rate,
        budget=budget,
        csv=csv,
        json=json,
    )
