"""`threetconv estimate`: what a study will cost, in hours, disk and jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from threetconv.cli.data import read_study
from threetconv.cli.options import SchemaFile, StudyFile, TableAsCsv, TableAsJson, write_both
from threetconv.errors import InputError, look_up
from threetconv.records.plan import plan_runs
from threetconv.study.layout import StudyLayout
from threetconv.study.size import clip_counts, clip_tables, jobs_before_training, positive

if TYPE_CHECKING:
    import pandas as pd

    from threetconv.study.cost import Data, Kind
    from threetconv.study.measure_step import Step

__all__ = ["estimate"]

Config = dict[str, Any]
Cell = tuple[str, str, str]  # network, convolution, data set


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
    from rich.console import Console  # only for printing

    from threetconv.study.cost import data_table, totals  # pandas
    from threetconv.study.cost import estimate as cost_table
    from threetconv.study.measure_step import measure_step, precision_here

    for option, value in (("--jobs", jobs), ("--threads", threads)):
        if value < 1:
            raise InputError(option, found=str(value), expected="1 or more", remedy="leave it out")
    config = read_study(study)
    with Console(stderr=True).status("reading") as status:
        listing = clip_tables(config)
        counts, told = clip_counts(config, clips or [], listing)
        sets, words = _data(config, counts, listing.tables, decode_rate)
        cells = Counter((r.network, r.convolution, r.dataset) for r in plan_runs(config))
        sizes = {"-".join(cell): _batch_size(config, cell[0]) for cell in cells}
        given = _by_hand(step_time or [], sizes)
        device, sentence = _device(config)
        precision, other = precision_here(config["training"]["precision"], device)
        steps: dict[Cell, Step] = {}
        if from_results is not None:
            steps |= _recorded(from_results, config, [c for c in cells if "-".join(c) not in given])
            sentence = ""
        kinds, measured = [], {}
        for cell, n in cells.items():
            network, convolution, dataset = cell
            data, size = sets[dataset], _batch_size(config, network)
            status.update(f"{network}, {convolution}, clips of {'x'.join(map(str, data.clip))}")
            # runs that differ in anything else take the same time: measured once
            same = (network, convolution, data.clip, size)
            if "-".join(cell) in given:
                step = given["-".join(cell)]
            elif cell in steps:
                step = steps[cell]
            elif not measure:
                raise InputError(
                    "--no-measure",
                    found=f"no step time for {'-'.join(cell)}",
                    expected="seconds per update of every kind of run",
                    remedy=f"add --step-time {'-'.join(cell)}=SECONDS",
                )
            else:
                if same not in measured:
                    measured[same] = measure_step(
                        *same,
                        micro_batch=config["training"].get("micro_batch"),
                        precision=precision,
                        width=config["width"],
                        symmetric_time=config["symmetric_time"],
                        device=device,
                        threads=threads,
                        budget=budget,
                    )
                step = measured[same]
            kinds.append(_kind(cell, n, config, data, step))
    table, stored = cost_table(kinds), data_table(sets.values())
    sums = totals(table, stored, jobs=jobs, other_jobs=jobs_before_training(config))
    write_both(table, csv, json)
    on_cpu = device == "cpu" and from_results is None and not given
    unit = "CPU" if on_cpu or config["training"]["device"] == "cpu" else "GPU"
    said = [text for text in (sentence, other) if measured and text]
    notes = [*said, *told, *listing.faults, *words, StudyLayout(config).order_leak()]
    _render(table, stored, sums, study=config["study"], unit=unit, jobs=jobs, notes=notes)


def _batch_size(config: Config, network: str) -> int:
    sizes = config["training"]["batch_size"]
    return int(sizes[network] if isinstance(sizes, dict) else sizes)


def _kind(cell: Cell, n: int, config: Config, data: Data, step: Step) -> Kind:
    from threetconv.study.cost import Kind
    from threetconv.study.measure_step import network_size

    network, convolution, _ = cell
    parameters, temporal = network_size(network, convolution, data.clip, config["width"])
    training = config["training"]
    return Kind(
        network=network,
        convolution=convolution,
        data=data,
        runs=n,
        epochs=training["epochs"],
        batch_size=_batch_size(config, network),
        snapshot_every=training["snapshot_every"],
        step=step.seconds,
        validation=step.validation,
        source=step.source,
        parameters=parameters,
        temporal=temporal,
    )


def _device(config: Config) -> tuple[str, str]:
    """Where to measure, and what must be said about it."""
    if config["training"]["device"] == "cpu":
        return "cpu", ""
    import torch  # slow

    if torch.cuda.is_available():
        return "cuda", ""
    return "cpu", (
        "The study trains on a GPU and there is none here: what was measured are CPU-hours of this "
        "machine, not GPU-hours. Give --step-time or --from-results of the machine that will train."
    )


def _by_hand(texts: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Step]:
    """Step times from the command line; `sizes` are the batch sizes of the kinds of run."""
    from threetconv.study.measure_step import Step  # numpy

    steps = {}
    for text in texts:
        name, _, value = text.partition("=")
        clips = look_up(sizes, name, what="kind of run")
        seconds = positive(f"--step-time {text}", value)
        source = "as given; a validation clip taken as a third of a training clip"
        steps[name] = Step(seconds, seconds / clips / 3, source)
    return steps


def _recorded(results: Path, config: Config, cells: Sequence[Cell]) -> dict[Cell, Step]:
    """Step times of a finished study; nothing is scaled, differences are named."""
    from threetconv.study.measure_step import Step  # numpy
    from threetconv.study.recorded_steps import recorded_steps  # pandas

    table = recorded_steps(results)
    keys = zip(table["network"], table["convolution"], table["dataset"], strict=True)
    found = dict(zip(keys, table.to_dict("records"), strict=True))
    lacking = ["-".join(cell) for cell in cells if cell not in found]
    if lacking:
        raise InputError(
            results,
            found=f"no finished run of {', '.join(lacking)}",
            expected=f"runs of every kind; there are {', '.join(map('-'.join, found))}",
            remedy=f"add --step-time {lacking[0]}=SECONDS",
        )
    steps, training = {}, config["training"]
    for cell in cells:
        line, clip = found[cell], config["datasets"][cell[2]]["clip"]
        shape = f"{clip['frames']}x{clip['height']}x{clip['width']}"
        size = _batch_size(config, cell[0])
        source = f"{line['runs']} finished runs in {results}, validation included"
        differences = []
        if (line["clip"], line["batch_size"]) != (shape, size):
            differences.append(f"clips of {line['clip']}, {line['batch_size']} per update")
        if line["micro_batch"] != (training.get("micro_batch") or 0):
            at_once = line["micro_batch"] or "all of a batch"
            differences.append(f"{at_once} at a time (micro_batch)")
        if line["precision"] != training["precision"]:
            differences.append(f"in {line['precision']}")
        if differences:
            source += f"; NOT scaled: {', '.join(differences)}"
        steps[cell] = Step(float(line["seconds"]), 0.0, source)
    return steps


def _data(
    config: Config,
    counts: Mapping[str, tuple[int, int, int]],
    tables: Mapping[str, pd.DataFrame],
    rate: float | None,
) -> tuple[dict[str, Data], list[str]]:
    """The data sets with their decoding rates, and what must be said about these."""
    from threetconv.study.cost import Data

    sets, words = {}, []
    for name, dataset in config["datasets"].items():
        clip = dataset["clip"]
        shape = (clip["frames"], clip["height"], clip["width"])
        known = rate
        if known is None and name in tables:
            known = _decode_rate(tables[name], dataset)
            if known is not None:
                words.append(f"{name}: one process decodes {_short(known)} clips/s, measured.")
        packed = dataset["store"] == "packed"
        if known is None and not packed:
            words.append(f"{name}: decoding is not counted; give --decode-rate clips/s of a run.")
        sets[name] = Data(name, *counts[name], shape, packed, known)
    return sets, words


def _decode_rate(table: pd.DataFrame, dataset: Mapping[str, Any]) -> float | None:
    from threetconv.clips.bad_clips import BadClips
    from threetconv.study.measure_step import decode_rate  # numpy

    clip = dataset["clip"]
    size = (clip["height"], clip["width"])
    bad = BadClips(dataset["on_bad_clip"], total=len(table), ceiling=dataset["max_bad_share"])
    try:
        return decode_rate(table, frames=clip["frames"], size=size, bad=bad)
    except InputError:  # the clips moved or are broken: `data check` is for that
        return None


def _render(
    table: pd.DataFrame, stored: pd.DataFrame, sums: Mapping[str, float],
    *, study: str, unit: str, jobs: int, notes: Sequence[str],
) -> None:  # fmt: skip
    from rich.console import Console  # only for printing, as the next
    from rich.table import Table

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console.width = max(console.width, 140)
    grid = Table(title=f"Cost of the study {study!r}", title_justify="left")
    for name in ("Network", "Conv.", "Data set"):
        grid.add_column(name, no_wrap=True)
    for name in ("Runs", "Updates/run", "s/update", "h/run", f"{unit}-hours", "Runs GB", "Source"):
        grid.add_column(name, justify="right", no_wrap=True)
    sources = {source: i for i, source in enumerate(dict.fromkeys(table["source"]), start=1)}
    for line in table.to_dict("records"):
        slow = " (decoding)" if line["bound"] == "decoding" else ""
        grid.add_row(
            line["network"], line["convolution"], line["dataset"], f"{line['runs']:,}",
            f"{line['updates']:,}", _short(line["step_seconds"]),
            f"{_short(line['run_hours'])}{slow}", _short(line["hours"]),
            _short(line["run_gb"] + line["parameters_gb"]), f"[{sources[line['source']]}]",
        )  # fmt: skip
    console.print(grid)
    for sentence in _words(sums, stored, unit, jobs, [f"[{i}] {s}." for s, i in sources.items()]):
        console.print(sentence, highlight=False, markup=False)
    for note in filter(None, notes):
        console.print(note, highlight=False, markup=False)


def _short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _words(
    sums: Mapping[str, float], stored: pd.DataFrame, unit: str, jobs: int, sources: Sequence[str]
) -> Iterator[str]:
    yield from (f"Step times {source}" for source in sources)
    yield (
        f"Training: {_short(sums['hours'])} {unit}-hours in {sums['runs']:,} runs; "
        f"{_short(sums['wall_hours'])} hours with {jobs} at a time, if they do not slow each other."
    )
    yield (
        f"Disk: {_short(sums['disk_gb'])} GB = packed clips {_short(sums['packed_gb'])} + runs "
        f"{_short(sums['run_gb'])} + parameter tables {_short(sums['parameters_gb'])} + "
        f"checkpoints {_short(sums['checkpoint_gb'])} (two of each run, only while it trains). "
        "Not counted: the videos themselves."
    )
    hours = stored.loc[stored["stored"] == "packed", "packing_hours"]
    if len(hours) and hours.notna().all():
        yield f"Packing decodes every clip once: {_short(hours.sum())} CPU-hours."
    yield (
        f"Jobs: {sums['jobs']:,.0f} = {sums['runs']:,.0f} training runs + "
        f"{sums['jobs'] - sums['runs']:,.0f} before them (rendering, clip tables, packing, 2D "
        "weights). Not counted, in jobs or hours: what follows training (parameters, statistics, "
        "figures, report); in hours: rendering and 2D weights."
    )
