"""How large a validated study is, in clips and jobs, before anything of it exists."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from threetconv.data.adapters.registry import find_adapter, read_clips
from threetconv.errors import InputError, look_up
from threetconv.records.plan import plan_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Tables",
    "clip_counts",
    "clip_tables",
    "jobs_before_training",
    "positive",
    "published_counts",
    "table_file",
]

Config = dict[str, Any]
Counts = tuple[int, int, int]  # train, val, test


def published_counts(dataset: Mapping[str, Any]) -> dict[str, int] | None:
    """Published numbers of clips by split, and of classes; None for a part of a set, or unknown."""
    options = dataset["options"]
    if "render" in dataset or "classes" in options:
        return None
    split = options.get("split", 1)
    published = find_adapter(dataset["adapter"]).published
    return dict(published[split]) if isinstance(split, int) and split in published else None


class Tables(NamedTuple):
    """The clip tables of a study's data sets, as far as they can be had.

    Attributes:
        tables: name -> table.
        sources: name -> where it is from, in words.
        faults: what was wrong with folders that could not be listed, in words.
    """

    tables: dict[str, pd.DataFrame]
    sources: dict[str, str]
    faults: list[str]


def clip_tables(config: Config) -> Tables:
    """The tables that the workflow has made; of other data sets, what their folders give."""
    from threetconv.support.files import read_parquet  # arrow

    found = Tables({}, {}, [])
    for name, dataset in config["datasets"].items():
        file, root = table_file(config, name), dataset.get("root", "")
        if file.is_file():
            found.tables[name], found.sources[name] = read_parquet(file), f"counted in {file}"
        elif root and os.path.lexists(root):
            try:
                found.tables[name] = read_clips(dataset["adapter"], root, **dataset["options"])
                found.sources[name] = f"listed in {root}"
            except InputError as error:
                found.faults.append(f"{name}: {error.where} could not be listed: {error.found}.")
    return found


def clip_counts(
    config: Config, given: Sequence[str] = (), listing: Tables | None = None
) -> tuple[dict[str, Counts], list[str]]:
    """(train, val, test) clips of each data set, and where each number is from, in words.

    First of: given by hand ("jester=118562" or "jester=118562/14787"), the clip table in the
    study's results folder, the data set's own folder, what is rendered, what is published.

    Args:
        config: a validated study.
        given: by hand.
        listing: of `clip_tables`, which is called without it.
    """
    listing = clip_tables(config) if listing is None else listing
    by_hand = {}
    for text in given:
        name, _, value = text.partition("=")
        look_up(config["datasets"], name, what="data set of the study")
        train, _, val = value.partition("/")
        where = f"--clips {text}"
        # without a number for validation, 1 passes the check and is replaced by 0 below
        by_hand[name] = (round(positive(where, train)), round(positive(where, val or "1")), 0)
        by_hand[name] = by_hand[name] if val else (by_hand[name][0], 0, 0)
    counts, words = {}, []
    for name, dataset in config["datasets"].items():
        published = published_counts(dataset)
        if name in by_hand:
            counts[name], source = by_hand[name], "as given"
        elif name in listing.tables:
            splits = Counter(listing.tables[name]["split"])
            counts[name] = splits["train"], splits["val"], splits["test"]
            source = listing.sources[name]
        elif "render" in dataset:
            clips = dataset["render"]["clips"]
            counts[name], source = (clips["train"], clips["val"], 0), "to be rendered"
        elif published is not None:
            counts[name], source = _of_published(published, dataset["options"]), "as published"
        else:
            raise InputError(
                f"data set {name!r}",
                found="no clip table in the results folder, no published number, and "
                + ("; ".join(listing.faults) or "no folder to list"),
                expected="the number of training clips",
                remedy=f"add --clips {name}=NUMBER",
            )
        n, held, test = counts[name]
        last = f", {test:,} test" if test else ""
        words.append(f"{name}: {n:,} training, {held:,} validation{last} clips, {source}.")
    return counts, words


def table_file(config: Config, name: str) -> Path:
    """Where the workflow puts the clip table of a data set."""
    return Path(config["output"]["results"], "clips", f"{name}.parquet")


def _of_published(published: Mapping[str, int], options: Mapping[str, Any]) -> Counts:
    """A published validation list, or a part held out of the training list, or the test list."""
    train, val, test = (published.get(split, 0) for split in ("train", "val", "test"))
    if val:
        return train, val, 0  # the published test clips have no labels
    if options.get("selection") == "test":
        return train, test, 0
    held = round(options.get("holdout", 0.1) * train)
    return train - held, held, test


def jobs_before_training(config: Config) -> int:
    """Jobs before training: render, clip tables, packing, 2D weights (and their still images)."""
    sets = config["datasets"].values()
    pretrained = {r.network for r in plan_runs(config) if r.init == "pretrained"}
    stills = bool(pretrained) and config["weights_2d"]["source"] == "stills"
    rendered = sum("render" in dataset for dataset in sets)
    packed = sum(dataset["store"] == "packed" for dataset in sets)
    return len(sets) + rendered + packed + len(pretrained) + stills


def positive(where: str, text: str) -> float:
    """The number that an option was given.

    Raises:
        InputError: no number, or none above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(
            where, found=repr(text), expected="NAME=a number above 0", remedy="correct the number"
        )
    return value
