"""`threetconv data check`: every data set of a study, looked at before anybody trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from threetconv.cli.options import (
    SchemaFile,
    StudyFile,
    Workers,
    processors,
    write_both,
)
from threetconv.data.adapters.registry import find_adapter, read_clips
from threetconv.errors import InputError, look_up
from threetconv.study.layout import StudyLayout
from threetconv.study.size import published_counts

if TYPE_CHECKING:
    import pandas as pd

    from threetconv.data.checks.listed import Listed

__all__ = ["check", "read_study", "render"]

LINES = 100
"""How many clips of one finding are printed; files (``--csv``, ``--json``) have all."""
COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}

Config = dict[str, Any]
Progress = Callable[[int, int], None]


def read_study(study: Path) -> Config:
    """A study file in YAML, checked, with every default filled in."""
    import yaml  # only where a file is read

    try:
        content = yaml.safe_load(study.read_text(encoding="utf-8"))
        found = "" if isinstance(content, dict) else f"no keys, but {type(content).__name__}"
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        content, found = {}, " ".join(str(error).split())
    if found:
        expected = "a study in YAML, such as workflow/studies/paper.yaml"
        remedy = "correct the file or its name"
        raise InputError(study, found=found, expected=expected, remedy=remedy)
    from threetconv.study.validate import validate_study  # pydantic

    return validate_study(content)


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
    import pandas as pd  # slow
    from rich.console import Console  # only for printing, as the next
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    config = read_study(study)
    workers = processors() if workers is None else workers
    if workers < 1:
        raise InputError(
            "--workers", found=str(workers), expected="1 or more", remedy="leave it out"
        )
    for name in dataset or []:
        look_up(config["datasets"], name, what="data set of the study")
    tables, clips = [], 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        for name in dataset or config["datasets"]:
            task = bar.add_task(f"looking at clips of {name}", total=None)

            def advance(done: int, total: int, task: Any = task) -> None:
                bar.update(task, completed=done, total=total)

            lines, n = check_dataset(name, config, workers=workers, quick=quick, progress=advance)
            tables.append(lines.assign(dataset=name))
            clips += n
    table = pd.concat(tables, ignore_index=True)
    write_both(table, csv, json)
    if leak := StudyLayout(config).order_leak():
        typer.echo(leak)
    if not render(table, study=config["study"], sets=len(tables), clips=clips, quick=quick):
        raise typer.Exit(1)


def check_dataset(
    name: str, config: Config, *, workers: int, quick: bool, progress: Progress
) -> tuple[pd.DataFrame, int]:
    """(findings about one data set of a validated study, number of clips looked at)."""
    import pandas as pd  # slow

    from threetconv.clips.bad_clips import BadClips  # pandas
    from threetconv.data.checks.check import check_clips
    from threetconv.data.checks.findings import ORDER, Finding, adapter_finding, findings_table
    from threetconv.data.checks.listed import listed_clips

    dataset = config["datasets"][name]
    root = Path(dataset.get("root", Path(config["output"]["results"], "data", name)))
    if "render" in dataset and not root.is_dir():
        found = "the workflow renders this set; it is not there yet"
        fix = "nothing: rendered clips are checked once the study has made them"
        return findings_table([Finding("note", "rendered set", "", 0, found, str(root), fix)]), 0
    adapter, options = dataset["adapter"], dataset["options"]
    first: list[Finding] = []
    whole = True
    try:
        table = read_clips(adapter, root, **options)
    except InputError as error:
        first.append(adapter_finding(error))
        there, whole = listed_clips(adapter, root, split=options.get("split", 1)), False
        table = pd.concat([there.table, there.unlisted], ignore_index=True)
        first += _on_disk(there)
    second = check_clips(
        table,
        frames=dataset["clip"]["frames"],
        workers=workers,
        progress=progress,
        published=published_counts(dataset),
        groups=find_adapter(adapter).groups,
        quick=quick,
        whole=whole,
    )
    unreadable = second["check"] == "unreadable"
    limit = BadClips(dataset["on_bad_clip"], total=len(table), ceiling=dataset["max_bad_share"])
    if limit.policy == "skip" and second.loc[unreadable, "count"].sum() <= limit.allowed:
        second.loc[unreadable, "severity"] = "warning"  # training leaves them out
    together = pd.concat([findings_table(first), second], ignore_index=True)
    together = together.sort_values(
        "severity", key=lambda values: values.map(ORDER), kind="stable", ignore_index=True
    )
    return together, table["path"].nunique()


def _on_disk(there: Listed) -> list[Any]:
    """Findings about lists and disk that disagree; what is in no list is looked at all the same."""
    from threetconv.data.checks.findings import Finding  # pandas
    from threetconv.data.table import few

    findings, missing, unlisted = [], there.missing, there.unlisted
    for why in dict.fromkeys(there.faults.values()):
        paths = [path for path, its_fault in there.faults.items() if its_fault == why]
        fix = "mend these first: clips may lie behind them"
        findings.append(Finding("error", "files", "", len(paths), why, few(paths), fix))
    if missing:
        found, fix = "listed clips that are not on disk", "extract or download them again"
        findings.append(
            Finding("error", "missing clips", "", len(missing), found, few(missing), fix)
        )
    if len(unlisted):
        names = unlisted["clip_id"].tolist()
        what, fix = (
            ("clips on disk that no list names", "nothing, if they are unlabelled test clips")
            if len(there.table)
            else ("clips on disk, looked at without splits and classes", "mend the listing first")
        )
        findings.append(Finding("note", "unlisted clips", "", len(names), what, few(names), fix))
    return findings


def render(table: pd.DataFrame, *, study: str, sets: int, clips: int, quick: bool) -> bool:
    """Print the findings and a line that sums them up; whether there is no error."""
    from rich.console import Console  # only for printing, as the next
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console.width = max(console.width, 160)
    if len(table):
        grid = Table(title=f"Data of the study {escape(repr(study))}", title_justify="left")
        for name in ("Data set", "Severity", "Check", "Split"):
            grid.add_column(name, no_wrap=True)
        grid.add_column("Count", justify="right", no_wrap=True)
        for name in ("Found", "What to do"):
            grid.add_column(name, overflow="fold")
        for dataset, lines in table.groupby("dataset", sort=False):
            for i, line in enumerate(lines.to_dict("records")):
                examples = line["examples"].split("\n")
                if more := examples[LINES:]:
                    examples[LINES:] = [f"and {len(more):,} more: --csv FILE has all of them"]
                between = ":\n" if len(examples) > 1 else ": "
                shown = between.join(p for p in (line["found"], "\n".join(examples)) if p)
                grid.add_row(
                    escape(str(dataset)) if i == 0 else "",
                    line["severity"], line["check"], line["split"], f"{line['count']:,}",
                    escape(shown), escape(line["remedy"]),
                    style=COLOURS[line["severity"]], end_section=i == len(lines) - 1,
                )  # fmt: skip
        console.print(grid)
    counts = {name: int((table["severity"] == name).sum()) for name in COLOURS}
    told = ", ".join(f"{n} {name}{'' if n == 1 else 's'}" for name, n in counts.items())
    how = "opened, not decoded" if quick else "decoded in full"
    many = f"{sets} data set{'' if sets == 1 else 's'}"
    console.print(f"{many}, {clips:,} clips {how}: {told}.", highlight=False)
    return not counts["error"]
