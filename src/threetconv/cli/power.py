"""`threetconv power`: which effects a study can find, as a table and in words."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from threetconv.cli.options import TableAsCsv, TableAsJson, write_both
from threetconv.errors import InputError, look_up
from threetconv.networks.registry import CATALOGUE, lift_remedy

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["power"]


def power(
    *,
    networks: Annotated[
        list[str], typer.Option(help="Networks of the study: --networks resnet18 googlenet.")
    ],
    seeds: Annotated[
        list[int] | None, typer.Option(help="Runs per cell to compare: --seeds 3 5 8.")
    ] = None,
    effect: Annotated[
        float, typer.Option(help="Ratio of mean displacements (dataset x init: ratio of ratios).")
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
    from threetconv.statistics.calibration.power import power_table

    for name in networks:
        look_up(CATALOGUE, name, what="network", remedy=lift_remedy(name))
    tau, correlation, origin = _spread(tau, from_results)
    table = power_table(
        networks=networks, datasets=datasets, inits=inits, seeds=seeds or [3, 5, 8],
        ratio=effect, tau=tau, correlation=correlation, alpha=alpha, replicates=replicates,
        seed=seed,
    )  # fmt: skip
    write_both(table, csv, json)
    _render(table, correlation=correlation, origin=origin, alpha=alpha)


def _spread(tau: float | None, results: Path | None) -> tuple[float, float, str]:
    """The SD between runs, the correlation of px and py, and where they are from."""
    if tau is not None and results is not None:
        raise InputError(
            "--tau and --from-results",
            found="both",
            expected="one of them",
            remedy="drop --tau to estimate it from the results",
        )
    from threetconv.statistics.calibration.batch import CORRELATION
    from threetconv.statistics.calibration.power import TAU

    if results is None:
        origin = "assumed; --from-results estimates it" if tau is None else "as given"
        return TAU if tau is None else tau, CORRELATION, origin
    from threetconv.statistics.calibration.own_study import correlation_from, tau_from
    from threetconv.support.files import read_parquet  # arrow

    files = [results / name for name in ("summaries.parquet", "runs.parquet")]
    for file in files:
        if not file.is_file():
            raise InputError(
                file,
                found="no such file",
                expected="the results folder of a finished study",
                remedy="run the study first, or give --tau",
            )
    tables = [read_parquet(file) for file in files]
    return tau_from(*tables), correlation_from(*tables), f"estimated from {files[0]}"


def _render(table: pd.DataFrame, *, correlation: float, origin: str, alpha: float) -> None:
    """Print the table and sentences under it."""
    from rich.console import Console  # only for printing, as the next
    from rich.table import Table

    ratio, tau = table["ratio"].iloc[0], table["tau"].iloc[0]
    grid = Table(title=f"Power to find a ratio of {ratio:g}", title_justify="left")
    for name in ("Seeds", "Runs"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("Test", no_wrap=True)
    for name in ("Least p", "Power (95 %)", "Detectable"):
        grid.add_column(name, justify="right", no_wrap=True)
    for k, lines in table.groupby("seeds", sort=False):
        for i, line in enumerate(lines.to_dict("records")):
            head = (str(k), str(line["runs"])) if i == 0 else ("", "")
            shown = ("untestable", "")
            if line["testable"]:
                ratio_found = line["detectable_ratio"]
                # NaN, where no effect is large enough, is not above 1
                found = f"{ratio_found:.2f}" if ratio_found > 1 else "none"
                interval = f"({line['ci_low']:.2f} to {line['ci_high']:.2f})"
                shown = (f"{line['power']:.2f} {interval}", found)
            grid.add_row(
                *head, _name(line), f"{line['p_floor']:.2g}", *shown,
                end_section=i == len(lines) - 1,
            )  # fmt: skip
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console.width = max(console.width, 120)
    console.print(grid)
    level = table["level"].min()
    for sentence in (
        "Family dataset compares data sets, init initialisations; dataset x init asks whether "
        "the first depends on the second. Least p: the smallest attainable. Detectable: the "
        "smallest ratio above 1 that 80 % of studies find.",
        f"SD of D between runs of a cell: {tau:.3g} log units ({origin}). Level {level:g}: alpha = "
        f"{alpha:g} over four parameters by Holm, for a parameter that moves alone. Joint: one "
        "test of the four, at alpha, where all of them move; px and py correlate by "
        f"{correlation:.2g}.",
        *_words(table),
    ):
        console.print(sentence, highlight=False, markup=False)


def _words(table: pd.DataFrame) -> Iterator[str]:
    """What the power table says: a sentence for every number of seeds, and how many are enough."""
    from threetconv.statistics.calibration.power import WANTED

    ratio = table["ratio"].iloc[0]
    for k, lines in table.groupby("seeds", sort=False):
        found, untestable = [], []
        for line in lines.to_dict("records"):
            if line["testable"]:
                found.append(f"{_name(line)} in {100 * line['power']:.0f} %")
            else:
                untestable.append(f"{_name(line)}: {line['reason']}")
        what = f"{k} {'seed' if k == 1 else 'seeds'} per cell, {lines['runs'].iloc[0]} runs"
        if found:
            yield f"{what}: a ratio of {ratio:g} is found by {', '.join(found)} of studies."
        if untestable:
            yield f"{what}, untestable: {'; '.join(untestable)}."
    enough = []
    for (family, design), lines in table.groupby(["family", "design"], sort=False):
        seeds = lines["seeds"].to_numpy()
        good = seeds[(lines["power"] >= WANTED).to_numpy()]
        fewest = str(good.min()) if good.size else f"more than {seeds.max()}"
        enough.append(f"{family} ({design}): {fewest}")
    yield f"Seeds of these that give {100 * WANTED:.0f} % power: {'; '.join(enough)}."


def _name(line: Mapping[Hashable, Any]) -> str:
    return f"{line['family']} ({line['design']})"
