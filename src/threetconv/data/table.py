"""The clip table: one row per video clip, and the checks that every adapter shares.

Columns, all strings: ``clip_id`` (unique), ``path`` (a video file or a folder of images; the
dataset's root, as given, joined with the place below it), ``label``, ``split``. Rows are sorted
by split, label and clip_id.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from threetconv.errors import InputError, nearest, printable
from threetconv.schemas.clips import CLIPS

__all__ = [
    "COLUMNS",
    "SPLITS",
    "VIDEO_SUFFIXES",
    "check_clip_table",
    "check_labels",
    "choose_classes",
    "class_names",
    "clip_table",
    "few",
    "is_text",
    "nfc",
    "read_pairs",
    "read_text",
]

log = logging.getLogger(__name__)

COLUMNS = tuple(CLIPS.names)
SPLITS = ("train", "val", "test")
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".webm", ".mkv"})


def clip_table(rows: Iterable[tuple[str, str, str, str]], root: str | Path) -> pd.DataFrame:
    """Rows (clip_id, path, label, split) as a checked and sorted clip table.

    Args:
        rows: one tuple per clip, in any order.
        root: the dataset's folder, for error messages.

    Raises:
        InputError: a name that is not UTF-8 text; else see `check_clip_table`.
    """
    rows = list(rows)
    # such a name reaches Python with surrogates, which Parquet cannot store
    odd = [row[1] for row in rows if not is_text("".join(row))]
    if odd:
        raise InputError(
            root,
            found=f"{len(odd)} clips whose name is not UTF-8 text: {few(odd)}",
            expected="names of files and folders in UTF-8",
            remedy="rename them (convmv -f latin1 -t utf8 -r --notest FOLDER)",
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")
    check_clip_table(table, root)
    return table.sort_values(["split", "label", "clip_id"], ignore_index=True)


def check_clip_table(table: pd.DataFrame, where: str | Path) -> None:
    """Refuse a clip table that a study cannot use.

    A class without a "val" clip (or a "test" clip, where there is such a split) is allowed and
    logged: its accuracy cannot be measured.

    Raises:
        InputError: a column is missing, the table is empty, a value is missing, a split is
            unknown, a clip_id or a path occurs twice, no clip is in "train" or none in "val", or a
            class has no "train" clip.
    """
    absent = [name for name in COLUMNS if name not in table.columns]
    if absent:
        raise InputError(
            where,
            found=f"a clip table without {', '.join(absent)}",
            expected=f"columns {', '.join(COLUMNS)}",
            remedy="build the table with threetconv.data.adapters.registry.read_clips",
        )
    if bool(table[list(COLUMNS)].isna().to_numpy().any()):
        raise InputError(
            where,
            found="a clip table with missing values",
            expected=f"a value for {', '.join(COLUMNS)} of every clip",
            remedy="remove or complete the clips in question",
        )
    unknown = sorted(set(table["split"]) - set(SPLITS))
    if unknown:
        raise InputError(
            where,
            found=f"split {few(unknown)}",
            expected=f"one of {', '.join(SPLITS)}",
            remedy="rename the split",
        )
    twice = table.loc[table["clip_id"].duplicated(), "clip_id"].unique().tolist()
    if twice:
        raise InputError(
            where,
            found=f"{len(twice)} clips listed more than once: {few(twice)}",
            expected="every clip once, and never in both training and validation or test",
            remedy="remove the repeated entries from the lists",
        )
    # one file under two ids could be in train and val, and no check of ids would see it
    shared = table.loc[table["path"].duplicated(), "path"].unique().tolist()
    if shared:
        raise InputError(
            where,
            found=f"{len(shared)} files that stand for several clips: {few(shared)}",
            expected="a file of its own for every clip",
            remedy="remove the repeated entries from the lists",
        )
    for split in ("train", "val"):
        if split not in set(table["split"]):
            raise InputError(
                where,
                found=f"no clip in split {split!r}",
                expected="clips for training (train) and for validation (val)",
                remedy=f"add {split} clips to the dataset",
            )
    labels = {s: set(table.loc[table["split"] == s, "label"]) for s in SPLITS}
    # the network would have no output for them
    untrained = sorted((labels["val"] | labels["test"]) - labels["train"])
    if untrained:
        raise InputError(
            where,
            found=f"{len(untrained)} classes without a training clip: {few(untrained)}",
            expected="every class to be in train",
            remedy="add training clips of these classes, or leave the classes out",
        )
    for split, name in (("val", "validation"), ("test", "test")):
        unseen = sorted(labels["train"] - labels[split]) if labels[split] else []
        if unseen:
            log.warning(
                "%s: %d classes have no %s clip, so their accuracy is not measured: %s",
                where,
                len(unseen),
                name,
                few(unseen),
            )


def class_names(table: pd.DataFrame) -> list[str]:
    """The labels of a clip table, sorted by code point: position = class index.

    The same for every adapter. The numbers in a dataset's own files (classInd.txt, label_id) are
    not used, since a subset of classes would leave gaps in them.
    """
    return sorted(set(table["label"]))


def is_text(name: str) -> bool:
    """Whether a name from the disk is UTF-8 text; a table holds no other."""
    return name == printable(name)


def nfc(text: str) -> str:
    """The text in Unicode's composed form, so that equal names compare equal."""
    return unicodedata.normalize("NFC", text)


def few(names: Collection[str], show: int = 3) -> str:
    """The first names of a long list, for a message: ``'a', 'b', 'c' and 4 more``."""
    some = [repr(name) if is_text(name) else f"'{printable(name)}'" for name in list(names)[:show]]
    shown = ", ".join(some)
    return shown if len(names) <= show else f"{shown} and {len(names) - show} more"


def read_text(path: Path) -> str:
    """The text of a list file in composed form, UTF-8 with or without a byte order mark.

    Raises:
        InputError: the file cannot be read, or is in another encoding.
    """
    try:
        # utf-8-sig drops the byte order mark that Windows editors add
        return nfc(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            path,
            found=f"a file that cannot be read ({error.strerror})",
            expected="a text file in UTF-8",
            remedy="check the link, the disk and the permissions",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            path,
            found=f"not UTF-8 text (line {line}, byte {error.start})",
            expected="a text file in UTF-8",
            remedy="save it as UTF-8 (iconv -f latin1 -t utf-8 LIST > NEW), or download it again",
        ) from error


def read_pairs(path: Path, *, example: str, how: str) -> list[tuple[str, str]]:
    """The lines ``id;label`` of a list without header, both as text (leading zeros are kept).

    Blank lines are passed over. A label in double quotes may hold ``;``, and ``""`` for ``"``.

    Args:
        path: the list.
        example: a good line, for the message.
        how: how to get the list again.

    Raises:
        InputError: a line has no id, no label or more fields, or the list holds no line.
    """
    pairs = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        # only the first semicolon separates: labels may hold more of them, in quotes
        name, _, label = (part.strip() for part in line.partition(";"))
        quoted = len(label) > 2 and label[0] == label[-1] == '"'
        if quoted:
            label = label[1:-1].replace('""', '"')
        if name and label and (quoted or ";" not in label):
            pairs.append((name, label))
        elif line.strip():
            raise InputError(
                f"{path}, line {number}",
                found=repr(line),
                expected=f"a clip's number and its label, as in {example}",
                remedy=f"correct the line, or {how}",
            )
    if not pairs:
        raise InputError(path, found="no clip", expected="one clip a line", remedy=how)
    return pairs


def check_labels(path: Path, labels: Iterable[str], known: Collection[str], *, source: str) -> None:
    """Refuse a list whose labels are not all in `source`, which names the known ones."""
    strange = sorted(set(labels) - set(known))
    if strange:
        raise InputError(
            path,
            found=f"{len(strange)} labels that are not in {source}: {few(strange)}",
            expected=f"labels of {source}",
            remedy=nearest(strange[0], sorted(known)) or "use lists of the same release",
        )


def choose_classes(
    known: Collection[str],
    classes: Sequence[str] | None,
    where: str | Path,
    *,
    trained: Collection[str] | None = None,
) -> list[str]:
    """The classes to keep: all that are known, or the given subset of them.

    Args:
        known: the classes of the data set.
        classes: the subset; None: all.
        where: the data set's folder, for messages.
        trained: labels of the training list, where it need not have all that are known.

    Raises:
        InputError: `classes` is empty, repeats a name or has one that is not known; a class to keep
            has no training clip.
    """
    keep = _chosen(known, classes, where)
    untrained = [name for name in keep if trained is not None and name not in trained]
    if untrained:
        raise InputError(
            where,
            found=f"{len(untrained)} classes without a training clip: {few(untrained)}",
            expected="training clips for every class",
            remedy="complete the training list, or name the classes to use with classes=",
        )
    return keep


def _chosen(known: Collection[str], classes: Sequence[str] | None, where: str | Path) -> list[str]:
    if classes is None:
        return sorted(known)
    # YAML reads a class such as 1 as a number; macOS types accents in decomposed form
    if not isinstance(classes, str):
        classes = [nfc(str(name)) for name in classes]
    # a single string would be taken for a list of letters
    if isinstance(classes, str) or not classes or len(set(classes)) < len(classes):
        raise InputError(
            where,
            found=f"classes = {classes!r}",
            expected="a list of different class names",
            remedy="list each class once, or leave the option out to take all",
        )
    for name in classes:
        if name not in known:
            raise InputError(
                where,
                found=f"no class {name!r}",
                expected=f"one of {few(sorted(known), show=200)}",
                remedy=nearest(name, sorted(known)) or "use one of the names above",
            )
    return sorted(classes)
