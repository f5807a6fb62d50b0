"""`threetconv calibrate`: simulate, print and write the calibration table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from threetconv.cli.options import Workers, processors
from threetconv.errors import InputError, look_up
from threetconv.networks.registry import CATALOGUE, lift_remedy

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from threetconv.statistics.calibration.simulate import NetworkLayout

__all__ = ["calibrate"]

COLOURS = {"valid": "green", "liberal": "bold red", "conservative": "yellow", "untestable": "dim"}
LAYOUT_COLUMNS = ["layer_index", "layer", "channel", "transition", "reachable"]


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
    from rich.console import Console  # only for printing, as the next
    from rich.progress import Progress

    from threetconv.statistics.calibration.calibrate import calibrate as simulate  # pandas

    for name in networks or []:
        look_up(CATALOGUE, name, what="network", remedy=lift_remedy(name))
    if from_results is not None:
        layouts = _study_layouts(from_results, networks)
    else:
        clip = _clip_shape(clip_shape)
        from threetconv.statistics.calibration.network_layout import layout  # torch

        layouts = [layout(name, clip, width) for name in networks or CATALOGUE]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulated studies", total=replicates * len(layouts))
        table = simulate(
            layouts,
            replicates=replicates,
            seed=seed,
            workers=processors() if workers is None else workers,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if out is not None:
        from threetconv.schemas.statistics import CALIBRATION
        from threetconv.support.files import write_parquet  # arrow

        write_parquet(table, out, CALIBRATION)
    _render(table, layouts)


def _clip_shape(text: str) -> tuple[int, int, int]:
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(
            "--clip-shape",
            found=repr(text),
            expected="frames x height x width, three whole numbers above 0",
            remedy="for example --clip-shape 30x150x224",
        )
    frames, height, width = map(int, parts)
    return frames, height, width


def _study_layouts(results: Path, networks: Sequence[str] | None = None) -> list[NetworkLayout]:
    """The layouts of a study's networks, from the parameter table of one run of each.

    Args:
        results: results folder of a study; only runs that it has are looked at.
        networks: leave out the others.

    Raises:
        InputError: where there is no such file.
    """
    from threetconv.records.study_results import open_study
    from threetconv.statistics.calibration.simulate import NetworkLayout
    from threetconv.support.files import read_parquet  # arrow

    files: dict[str, Path] = {}
    for file in open_study(results).files("parameters"):
        files.setdefault(file.parts[-5].partition("=")[2], file)
    wanted = list(networks) if networks else list(files)
    layouts = []
    for name in wanted:
        if name not in files:
            break
        layouts.append(
            NetworkLayout.from_table(read_parquet(files[name], columns=LAYOUT_COLUMNS), name)
        )
    if not layouts or len(layouts) < len(wanted):
        lacking = wanted[len(layouts)] if wanted else "any network"
        raise InputError(
            results / "parameters",
            found=f"no parameters of {lacking}",
            expected="network=<name>/dataset=<name>/init=<name>/recipe=<name>/<run>.parquet",
            remedy="run the study first, or drop --from-results to build the networks",
        )
    return layouts


def _render(table: pd.DataFrame, layouts: Sequence[NetworkLayout]) -> None:
    """Print, per network, a table of errors and power and one of coverage."""
    from rich.console import Console  # only for printing

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console.width = max(console.width, 120)
    sizes = {shape.network: (shape.reachable_rows, len(shape.moving)) for shape in layouts}
    for network, lines in table.groupby("network", sort=False):
        rows, layers = sizes[str(network)]
        title = f"{network}: {rows:,} reachable rows in {layers} layers"
        console.print(_errors(lines[lines["quantity"] != "coverage"], title))
        console.print(_coverage(lines[lines["quantity"] == "coverage"], str(network)))
    # a test on rows answers once per study, so its answers are the studies
    n = table.loc[table["unit"] == "row", "n_replicates"].max()
    console.print(
        f"{n:,} simulated studies per network; Wilson 95 % intervals. Nominal type I error 0.05, "
        "coverage 0.95. liberal: rejects a true null hypothesis too often, or covers too little. "
        "conservative: too seldom. untestable: no outcome of the design can reach alpha. The "
        "first tests take rows of one network for independent observations.",
        highlight=False,
    )


def _errors(lines: pd.DataFrame, title: str) -> Table:
    from rich.table import Table  # only for printing

    grid = Table(title=title, title_justify="left")
    grid.add_column("Test")
    grid.add_column("Design")
    for name in ("Runs", "tau", "Type I error"):
        grid.add_column(name, justify="right")
    grid.add_column("")
    grid.add_column("Power at ratio")
    before = ""
    keys = ["test", "design", "runs_per_arm", "tau"]
    for (label, design, runs, tau), group in lines.groupby(keys, sort=False):
        test = str(label)
        if before and test != before:
            grid.add_section()
        level = group[group["quantity"] == "type I error"].iloc[0]
        power = group[group["quantity"] == "power"]
        shown = ", ".join(
            f"{effect:g}: {share:.2f}"
            for effect, share in zip(power["effect"], power["estimate"], strict=True)
        )
        testable = level["valid"] != "untestable"
        grid.add_row(
            "" if test == before else test, str(design), str(runs), f"{tau:g}",
            _interval(level) if testable else "", _coloured(level["valid"]), shown,
        )  # fmt: skip
        before = test
    return grid


def _coverage(lines: pd.DataFrame, network: str) -> Table:
    from rich.table import Table  # only for printing

    grid = Table(title=f"{network}: coverage of 95 % intervals", title_justify="left")
    for name in ("Interval", "Design"):
        grid.add_column(name)
    for name in ("Runs", "Coverage"):
        grid.add_column(name, justify="right")
    grid.add_column("")
    for _, line in lines.iterrows():
        grid.add_row(
            line["test"], line["design"], str(line["runs_per_arm"]), _interval(line),
            _coloured(line["valid"]),
        )  # fmt: skip
    return grid


def _interval(line: pd.Series) -> str:
    return f"{line['estimate']:.3f} ({line['ci_low']:.3f} to {line['ci_high']:.3f})"


def _coloured(verdict: str) -> str:
    return f"[{COLOURS[verdict]}]{verdict}[/]"
