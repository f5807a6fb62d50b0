"""Listing the folders of a data set so that nothing is left out silently.

A symbolic link whose target is missing (a disk that is not mounted, git-annex without content) is
neither a file nor a folder to Python; links may lead in a circle; a folder may be unreadable. Code
that only asks `is_file` and `is_dir` drops all of these without a message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from threetconv.data.contents import IMAGE_SUFFIXES
from threetconv.data.table import few
from threetconv.errors import InputError

__all__ = [
    "check_frame_folders",
    "fault",
    "is_there",
    "lenient_lines",
    "need_file",
    "need_folder",
    "refuse",
    "scan",
    "visible",
    "walk",
]

DEAD = "symbolic links whose target is not there"
CIRCLE = "links that lead in a circle"
MEND = (
    "mount the disk or fetch the files that the links stand for (git annex get), allow reading, or "
    "remove these entries"
)


def fault(path: str | Path) -> str:
    """Why what is at a path cannot be looked at; empty when it can, or when nothing is there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        # `stat` follows links, so a link to nothing looks like nothing
        return DEAD if os.path.islink(path) else ""
    except OSError as error:
        return _why(path, error)
    return ""


def _why(path: str | Path, error: OSError) -> str:
    if os.path.islink(path) and not isinstance(error, PermissionError):
        # other errors on a link are ELOOP: it leads back to itself
        return DEAD if isinstance(error, FileNotFoundError) else CIRCLE
    return f"entries that cannot be read ({error.strerror})"


def is_there(path: Path) -> bool:
    """Whether anything has this name, a link to nowhere included."""
    return os.path.lexists(path)


def refuse(where: str | Path, faults: Mapping[str, str]) -> None:
    """Stop at entries that cannot be looked at.

    Args:
        where: the folder.
        faults: name or path of each entry -> what is wrong with it, as `fault` says.

    Raises:
        InputError: there are any; how many of each kind, and the first.
    """
    if not faults:
        return
    parts = []
    for why in dict.fromkeys(faults.values()):
        names = [name for name, its_fault in faults.items() if its_fault == why]
        parts.append(f"{why} ({len(names):,}): {few(names)}")
    raise InputError(
        where,
        found="; ".join(parts),
        expected="files and folders that can be read",
        remedy=MEND,
    )


def scan(folder: Path) -> list[os.DirEntry[str]]:
    """What is directly in a folder, sorted by name, without hidden files (.DS_Store and the like).

    Raises:
        InputError: the folder cannot be read.
    """
    found: list[os.DirEntry[str]] = []
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        refuse(folder.parent, {folder.name: _why(folder, error)})
    return sorted(found, key=lambda entry: entry.name)


def visible(folder: Path) -> list[Path]:
    """`scan` as paths, all of which can be looked at.

    Raises:
        InputError: the folder or something in it cannot be read.
    """
    entries = scan(folder)
    refuse(folder, {entry.name: why for entry in entries if (why := fault(entry.path))})
    return [folder / entry.name for entry in entries]


def walk(
    root: Path, faults: dict[str, str], *, depth: int | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """(folder, names of its files) for a folder and all below it; links are followed.

    Hidden files and folders are left out.

    Args:
        root: where to begin.
        faults: gets the path of whatever cannot be looked at -> why.
        depth: how many folders below `root` to go; None: to the end.
    """
    yield from _walk(Path(root), faults, depth, ())


def _walk(
    folder: Path, faults: dict[str, str], depth: int | None, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[Path, list[str]]]:
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        faults[str(folder)] = _why(folder, error)
        return
    # device and inode: a folder has many paths when links are followed, but one inode
    here = status.st_dev, status.st_ino
    # only folders above count: the same folder linked twice, side by side, is no circle
    if here in above:
        faults[str(folder)] = CIRCLE
        return
    files: list[str] = []
    folders: list[str] = []
    for entry in found:
        if entry.name.startswith("."):
            continue
        # only links can lead nowhere, and a call of `stat` for each of a million files is slow
        why = fault(entry.path) if entry.is_symlink() else ""
        if why:
            faults[entry.path] = why
        else:
            (folders if entry.is_dir() else files).append(entry.name)
    yield folder, files
    if depth == 0:
        return
    for name in folders:
        # `depth and ...` keeps None, for no limit
        yield from _walk(folder / name, faults, depth and depth - 1, (*above, here))


def need_folder(path: Path, *, expected: str, remedy: str) -> Path:
    """`path`, or an `InputError` when it is not a folder that can be read."""
    refuse(path.parent, {path.name: why} if (why := fault(path)) else {})
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing at this path"
        raise InputError(path, found=found, expected=expected, remedy=remedy)
    return path


def need_file(path: Path, *, expected: str, remedy: str) -> Path:
    """`path`, or an `InputError` when it is not a file."""
    refuse(path.parent, {path.name: why} if (why := fault(path)) else {})
    if not path.is_file():
        found = "a folder" if path.exists() else "no such file"
        raise InputError(path, found=found, expected=expected, remedy=remedy)
    return path


def check_frame_folders(paths: Sequence[Path], where: Path) -> None:
    """Refuse clips whose folder holds no image. `paths` are existing folders.

    Raises:
        InputError: naming `where` and the first few empty folders.
    """
    empty = [path.name for path in paths if not _has_image(path)]
    if empty:
        raise InputError(
            where,
            found=f"{len(empty)} of {len(paths)} clip folders hold no image: {few(empty)}",
            expected=f"frames as {', '.join(sorted(IMAGE_SUFFIXES))} files in each clip's folder",
            remedy="extract the dataset again, or take these clips out",
        )


def _has_image(folder: Path) -> bool:
    return any(Path(entry.name).suffix.lower() in IMAGE_SUFFIXES for entry in scan(folder))


def lenient_lines(path: Path) -> list[str]:
    """The lines of a list that are not blank, whatever is wrong with it; none if it is closed."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]
