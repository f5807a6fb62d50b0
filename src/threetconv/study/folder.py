"""The folders of a study on disk: whose they are, who writes into them, what is left of older runs.

A study owns the results folder that it once wrote to (`MARKER` holds its name). Files of runs that
it no longer has are moved to `ASIDE`, never deleted, so that nobody pools them. Standard library
and YAML only: the workflow calls this before any of its environments exists.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from re import Pattern
from typing import IO, Any

import yaml

from threetconv.errors import InputError

__all__ = [
    "ASIDE",
    "FOLDERS",
    "MARKER",
    "changed_keys",
    "check_owner",
    "hold",
    "in_words",
    "move_aside",
    "stale_files",
]

MARKER = "study.json"
ASIDE = "aside"
_HOLDER = ".running"
_POOLED = (
    "parameters", "control_parameters", "preferences", "tuning", "need", "ruler", "explanations",
    "figures", "pages",
)  # fmt: skip
_OPTIONAL = (  # not of all studies
    "alignment.parquet", "planted.parquet", "planted_layers.parquet",
    "need_runs.parquet", "need_cells.parquet", "need_classes.parquet", "need_tests.parquet",
    "ruler_runs.parquet", "ruler_cells.parquet", "prediction.parquet", "prediction_runs.parquet",
)  # fmt: skip
# every folder that the rules make below a study's results; a test compares
FOLDERS = frozenset(
    {
        *_POOLED, ASIDE, "batches", "benchmarks", "checkpoints", "clips", "data", "downloads",
        "logs", "notebooks", "packed", "runs", "stills", "tables", "weights_2d",
    }
)  # fmt: skip


def check_owner(study: str, output: Mapping[str, str]) -> None:
    """Refuse folders that another study has written to, and folders that studies would share.

    Args:
        study: name of the study that is about to run.
        output: its "results" and "reports" folders.

    Raises:
        InputError: when one of them belongs to a study of another name, or lies inside what a study
            writes (``results/runs/mine``).
    """
    for kind in ("results", "reports"):
        folder = Path(output[kind])
        owner = _owner(folder)
        if owner not in (None, study):
            raise InputError(
                f"configuration: output.{kind}",
                found=f"{folder}/ holds the study {owner!r}; this is {study!r}",
                expected="folders of its own for every study",
                remedy=f"leave output out (the folders then carry the study's name), set "
                f"output.{kind} to another folder, or move {folder}/ away",
            )
        for outer in folder.parents:
            inside = folder.relative_to(outer).parts[0]
            if inside in FOLDERS and (outer == Path(output["results"]) or _owner(outer)):
                raise InputError(
                    f"configuration: output.{kind}",
                    found=f"{folder}/ is inside {outer / inside}/, which a study writes itself",
                    expected="a folder that no study uses",
                    remedy=f"leave output out, or set output.{kind} to another folder",
                )
    for name in sorted(FOLDERS):
        folder = Path(output["results"], name)
        if _owner(folder):
            raise InputError(
                "configuration: output.results",
                found=f"{folder}/ holds the study {_owner(folder)!r}; this one would write there",
                expected="folders of its own for every study",
                remedy="leave output out, or set output.results to another folder",
            )


def _owner(folder: Path) -> str | None:
    """The study that wrote to a folder; None without one."""
    marker = folder / MARKER
    if marker.is_file():
        try:
            return str(json.loads(marker.read_text(encoding="utf-8"))["study"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                marker,
                found=f"no name of a study ({error})",
                expected='{"study": NAME}, as the workflow writes it',
                remedy="delete the file, if the folder is this study's",
            ) from error
    name = _last_run(folder).get("study")
    return None if name is None else str(name)


def _last_run(results: Path) -> dict[str, Any]:
    """The configuration that a study last ran with; {} where none has."""
    file = results / "run_config.yaml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            file,
            found=" ".join(str(error).split()),
            expected="the configuration that the study last ran with",
            remedy="delete the file; it is written again",
        ) from error
    return content if isinstance(content, dict) else {}


def changed_keys(study: Mapping[str, Any]) -> list[str]:
    """The top-level keys in which a validated study differs from its last run; [] for a new one."""
    before = _last_run(Path(study["output"]["results"]))
    keys = dict.fromkeys((*study, *before)) if before else {}
    return [key for key in keys if study.get(key) != before.get(key)]


def hold(study: str, output: Mapping[str, str]) -> IO[str]:
    """Write the study's name into its folders and keep every other process from writing there.

    The lock is the kernel's: it ends with this process, however that ends.

    Returns:
        What holds the lock. Keep it; the lock ends when it is closed.

    Raises:
        InputError: when another process runs the study (names the process), and as `check_owner`.
    """
    import fcntl  # POSIX, as the workflow is; the rest of the package runs elsewhere

    results = Path(output["results"])
    results.mkdir(parents=True, exist_ok=True)
    lock = open(results / _HOLDER, "a+", encoding="utf-8")  # noqa: SIM115 (stays open)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "another process"
        lock.close()
        raise InputError(
            results,
            found=f"the study {_owner(results) or study!r} is being run by {holder}",
            expected="one run of a study at a time",
            remedy="wait for it or stop it; another study can run at the same time",
        ) from error
    except OSError:  # a file system without locks: nothing can be held there
        pass
    else:
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
    check_owner(study, output)  # again: another study may have started since
    for folder in (results, Path(output["reports"])):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / MARKER).is_file():
            temporary = folder / f".{MARKER}.{os.getpid()}"
            temporary.write_text(json.dumps({"study": study}) + "\n", encoding="utf-8")
            os.replace(temporary, folder / MARKER)
    return lock


def stale_files(results: str | Path, made: Iterable[Pattern[str]]) -> list[Path]:
    """What lies in a results folder of runs, cells or stages that the study does not have.

    Trained runs, clips and weights are left where they are: they are costly, and nobody pools them.

    Args:
        results: the study's results folder.
        made: patterns of the paths of all files that the study makes, `results` included.

    Returns:
        Files below the folders that readers take as a whole; of explanations, a run's whole folder.
    """
    results, made = Path(results), list(made)
    candidates = [file for name in _OPTIONAL if (file := results / name).is_file()]
    for name in _POOLED:
        candidates += _units(results / name, deep=name != "explanations")
    return [
        path
        for path in candidates
        if not any(pattern.match(str(path)) for pattern in made)
        and not (path.is_dir() and _holds_made(path, made))
    ]


def _units(folder: Path, *, deep: bool) -> Iterator[Path]:
    """Files at any depth, or what lies at the top; hidden ones are left to those who write them."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if deep and path.is_dir():
            yield from _units(path, deep=True)
        else:
            yield path


def _holds_made(folder: Path, made: list[Pattern[str]]) -> bool:
    """Whether the study makes something that lies in a folder."""
    return any(pattern.match(str(path)) for path in _units(folder, deep=False) for pattern in made)


def move_aside(results: str | Path, files: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Move files and folders to the same place below ``results/aside``; nothing is overwritten.

    Returns:
        (from, to) of each; where `to` was taken, its name got a number.
    """
    results, moved = Path(results), []
    for source in files:
        target = results / ASIDE / source.relative_to(results)
        number = 2
        while target.exists():
            name = source.relative_to(results).with_stem(f"{source.stem}.{number}")
            target, number = results / ASIDE / name, number + 1
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        moved.append((source, target))
        for folder in source.parents:  # hive partitions that hold nothing any more
            if folder.parent == results or any(folder.iterdir()):
                break
            folder.rmdir()
    return moved


def in_words(results: str | Path, files: list[Path], *, moved: bool) -> str:
    """One message that names files of other settings; "" when there is none."""
    if not files:
        return ""
    verb = "Moved" if moved else "A run would move"
    shown = [f"  {path}" for path in files[:20]]
    left = [f"  and {len(files) - 20} more"] if len(files) > 20 else []
    head = (
        f"{verb} to {results}/{ASIDE}/ what is left of runs and cells that the study does not have:"
    )
    return "\n".join([head, *shown, *left])
